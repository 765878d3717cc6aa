/* txchannels WebSocketBridge, BSD-3-Clause; made by js/build.py */
(() => {
"use strict";

/* WebSocketBridge: JSON over a WebSocket that comes back by itself, and over an event stream
   where no WebSocket comes up.

   The source. What the site serves, under txchannels/django/static/txchannels, is made of it
   by build.py. Rules that build.py relies on: every statement ends with a semicolon or a
   brace, and there are no regular expressions. */

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 3;

/** The server restarts: it is told to every socket, in turns. */
const RESTART = 1012;

/** Closed on purpose, or because of what this client is or has sent: it would end so again. */
const FINAL = [1000, 1002, 1003, 1007, 1008, 1009, 1010];

const EVENTS = ["open", "message", "close", "reconnecting", "drop"];

/** Times are in milliseconds. */
const DEFAULTS = {
  minReconnectionDelay: 1000,
  maxReconnectionDelay: 30000,
  reconnectionDelayGrowFactor: 2,
  restartDelay: 500,
  minUptime: 5000,
  maxRetries: Infinity,
  connectionTimeout: 10000,
  idleTimeout: 0,
  maxEnqueuedMessages: 100,
  fallbackAfter: 2,
};

const call = (value, ...args) => (typeof value == "function" ? value(...args) : value);

/** A URL from what is relative to the page; nothing is the page's host. */
const resolve = (url) => new URL(url ?? "/", location.href);

/* Texts in, texts out. It is in one of three states: there is a link (a WebSocket or an
   EventSource); it waits, until `#timer` or an event of the page; it is CLOSED.
   Every link is let go in `#drop`, which also ends every timer. */
class ReconnectingSocket extends EventTarget {
  #state = CONNECTING;
  #url;
  #protocols;
  #options;
  #tell;
  #page;
  #link = null;
  #isStream = false;
  #timer = 0; // waiting: the next attempt; connecting: its end; open: the liveness check
  #uptime = 0;
  #failures = 0; // losses in a row, until a connection has lasted minUptime
  #unopened = 0; // WebSockets in a row that did not come up
  #queue = [];
  #isPosting = false;
  #lastEventId = "";

  constructor(url, protocols, options, tell) {
    super();
    this.#url = url;
    this.#protocols = protocols;
    this.#options = options;
    this.#tell = tell;
    for (const type of EVENTS) this.addEventListener(type, (event) => this["on" + type]?.(event));
    this.#attempt();
    this.#watchPage();
  }

  get readyState() {
    return this.#state;
  }

  get url() {
    return this.#link?.url ?? "";
  }

  get protocol() {
    return this.#link?.protocol ?? "";
  }

  get transport() {
    return this.#link && (this.#isStream ? "eventstream" : "websocket");
  }

  send(data) {
    const options = this.#options;
    if (this.#link && this.#isStream && !options.sendUrl) throw new Error("no sendUrl");
    this.#queue.push(data);
    this.#flush();
    if (this.#queue.length > options.maxEnqueuedMessages) this.#lose(this.#queue.pop(), "full");
    else return this.#state != CLOSED;
    return false;
  }

  close(code = 1000, reason = "") {
    if (this.#state == CLOSED) return;
    this.#link?.close(code, reason); // throws if the browser does not allow the code
    this.#end(this.#how(reason, code, true));
  }

  reconnect() {
    if (this.#state == CLOSED) {
      this.#state = CONNECTING;
      this.#watchPage();
    } else if (this.#link) this.#leave("reconnect", 1000);
    this.#open();
  }

  // The page

  #watchPage() {
    this.#page = new AbortController();
    const on = (target, type, act) =>
      target?.addEventListener(type, act, { signal: this.#page.signal });
    on(self, "online", () => this.#wake());
    on(self, "offline", () => this.#link && this.#lost("offline"));
    on(self.document, "visibilitychange", () => document.hidden || this.#wake());
    // A page that was left may be kept for the back button, but not with an open socket.
    on(self, "pagehide", () => (this.#link ? this.#leave("pagehide", 1001) : this.#drop()));
    on(self, "pageshow", () => this.#wake());
  }

  /** Do not wait any longer; and if there is a connection, see whether it is alive. */
  #wake() {
    if (!this.#link) this.#open();
    else if (this.#options.heartbeat !== undefined && !this.#isStream) this.#expect(true);
  }

  #leave(reason, code) {
    const how = this.#how(reason, code, true);
    this.#drop();
    this.#state = CONNECTING;
    this.#tellClose(how, true);
  }

  // Coming up

  #open(isStream) {
    this.#drop();
    if (this.#state == CLOSED) return;
    try {
      this.#attempt(isStream);
    } catch (error) {
      console.error(error);
      this.#lost(String(error));
    }
  }

  #attempt(isStream = !self.WebSocket && this.#options.eventStreamUrl) {
    const options = this.#options;
    const url = resolve(isStream ? call(options.eventStreamUrl, this.#lastEventId) : call(this.#url));
    let link;
    if (isStream) {
      link = new EventSource(url.href);
      link.onerror = () => this.#lost("eventstream");
      link.addEventListener("heartbeat", () => this.#expect());
    } else {
      url.protocol = url.protocol.replace("http", "ws");
      url.hash = "";
      link = new WebSocket(url.href, call(this.#protocols) ?? []);
      link.onclose = (event) => this.#lost(event.reason, event.code, event.wasClean);
    }
    this.#link = link;
    this.#isStream = isStream;
    this.#timer = setTimeout(() => this.#lost("timeout"), options.connectionTimeout);
    link.onopen = () => this.#opened();
    link.onmessage = ({ data, lastEventId }) => {
      // A stream's silence says nothing until it has shown that it has a heartbeat.
      if (!isStream || this.#timer) this.#expect();
      if (isStream) this.#lastEventId = lastEventId;
      this.#emit(new MessageEvent("message", { data, lastEventId }));
    };
  }

  #opened() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#state = OPEN;
    this.#uptime = setTimeout(() => (this.#failures = 0), this.#options.minUptime);
    if (!this.#isStream) {
      this.#unopened = 0;
      this.#expect();
    }
    // What listeners send now (who they are, what they want) goes before what has waited.
    const waiting = this.#queue.splice(0);
    this.#emit(new Event("open"));
    this.#queue.push(...waiting);
    this.#flush();
  }

  /** Expect a frame within idleTimeout; ask for one after half of it. */
  #expect(isAsked) {
    const { idleTimeout, heartbeat } = this.#options;
    if (!idleTimeout || this.#state != OPEN) return;
    clearTimeout(this.#timer);
    if (isAsked && heartbeat !== undefined && !this.#isStream) {
      this.#link.send(JSON.stringify(heartbeat));
    }
    const act = () => (isAsked ? this.#lost("idle") : this.#expect(true));
    this.#timer = setTimeout(act, idleTimeout / 2);
  }

  // Going down

  #lost(reason, code = 1006, wasClean = false) {
    const options = this.#options;
    const how = this.#how(reason, code, wasClean);
    const isUnopened = this.#link && !this.#isStream && !how.wasOpen;
    this.#drop();
    this.#state = CONNECTING;
    if (isUnopened && ++this.#unopened >= options.fallbackAfter && options.eventStreamUrl) {
      return this.#open(true);
    }
    const isWanted = options.shouldReconnect?.(how) ?? !FINAL.includes(code);
    if (isWanted && this.#failures < options.maxRetries) this.#retry(how);
    else this.#end(how);
  }

  #retry(how) {
    const options = this.#options;
    const ceiling =
      how.code == RESTART && !this.#failures
        ? options.restartDelay
        : Math.min(
            options.maxReconnectionDelay,
            options.minReconnectionDelay * options.reconnectionDelayGrowFactor ** this.#failures,
          );
    const delay = Math.random() * ceiling;
    const attempt = ++this.#failures;
    const timer = (this.#timer = setTimeout(() => this.#open(), delay));
    this.#tellClose(how, true);
    // Unless a listener has closed or reconnected it.
    if (this.#timer != timer) return;
    this.#emit(new CustomEvent("reconnecting", { detail: { delay, attempt, code: how.code } }));
  }

  #end(how) {
    this.#drop();
    this.#page.abort();
    this.#state = CLOSED;
    this.#failures = this.#unopened = 0;
    this.#tellClose(how, false);
    this.#flush();
  }

  #drop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#uptime);
    this.#timer = 0;
    const link = this.#link;
    this.#link = null;
    if (!link) return;
    link.onopen = link.onmessage = link.onerror = link.onclose = null;
    link.close();
  }

  // What is to be sent

  #flush() {
    if (this.#state == CLOSED) {
      for (const data of this.#queue.splice(0)) this.#lose(data, "closed");
    } else if (this.#state == OPEN && !this.#isPosting) {
      if (this.#isStream) this.#post();
      // It may be closing, and its event still to come.
      else while (this.#link?.readyState == OPEN && this.#queue.length) {
        this.#link.send(this.#queue.shift());
      }
    }
  }

  /** One request after the other, in order. */
  async #post() {
    const options = this.#options;
    this.#isPosting = true;
    while (this.#queue.length && this.#state == OPEN && this.#isStream) {
      const body = this.#queue.shift();
      try {
        if (!options.sendUrl) throw new Error("no sendUrl");
        const answer = await fetch(resolve(call(options.sendUrl)), {
          method: "POST",
          headers: { "Content-Type": "application/json", ...call(options.sendHeaders) },
          body,
          signal: AbortSignal.timeout(options.connectionTimeout),
        });
        if (!answer.ok) throw new Error(answer.status);
      } catch (error) {
        this.#lose(body, error.message);
      }
    }
    this.#isPosting = false;
    if (this.#queue.length) this.#flush();
  }

  #lose(data, reason) {
    const event = new CustomEvent("drop", { cancelable: true, detail: { data, reason } });
    this.#emit(event);
    if (!event.defaultPrevented) console.error("WebSocketBridge: not sent:", reason, data);
  }

  #how(reason, code, wasClean) {
    return { code, reason, wasClean, wasOpen: this.#state == OPEN };
  }

  #tellClose(how, willReconnect) {
    const event = new CloseEvent("close", how);
    this.#emit(Object.assign(event, { wasOpen: how.wasOpen, willReconnect }));
  }

  #emit(event) {
    this.dispatchEvent(event);
    this.#tell(event);
  }
}

/** The API of Channels 1, and events: open, message, close, reconnecting, drop. */
class WebSocketBridge extends EventTarget {
  socket = null;
  streams = Object.create(null);
  default_cb = null;

  constructor(options) {
    super();
    this.options = { ...options };
    for (const type of EVENTS) {
      this.addEventListener(type, (event) => this.options["on" + type]?.(event));
    }
    this.addEventListener("message", ({ data, stream }) => {
      (stream === null ? this.default_cb : this.streams[stream])?.(data, stream);
    });
  }

  connect(url, protocols, options) {
    this.socket?.close();
    const all = { ...DEFAULTS, ...this.options, ...options };
    this.socket = new ReconnectingSocket(url, protocols, all, (event) => this.#tell(event));
  }

  listen(callback) {
    this.default_cb = callback;
  }

  demultiplex(stream, callback) {
    this.streams[stream] = callback;
  }

  send(message) {
    const text = JSON.stringify(message);
    if (!this.socket || text === undefined) {
      throw new TypeError(this.socket ? "This has no JSON" : "connect() comes first");
    }
    return this.socket.send(text);
  }

  stream(stream) {
    return { send: (payload) => this.send({ stream, payload }) };
  }

  reconnect() {
    this.socket?.reconnect();
  }

  close(code, reason) {
    this.socket?.close(code, reason);
  }

  #tell(event) {
    if (event.type != "message") this.dispatchEvent(event);
    else if (typeof event.data == "string") {
      const frame = JSON.parse(event.data);
      const stream = frame?.stream ?? null;
      const data = stream === null ? frame : frame.payload;
      this.dispatchEvent(Object.assign(new MessageEvent("message", { data }), { stream }));
    }
  }
}

self.channels = Object.assign(self.channels ?? {}, { WebSocketBridge });
})();
