/* What the tests of WebSocketBridge ask a page to do. */

window.errors = [];
addEventListener("error", (event) => errors.push(event.message));
addEventListener("unhandledrejection", (event) => errors.push(String(event.reason)));
addEventListener("pageshow", (event) => (window.cameBack = event.persisted));

window.ready = (Bridge) => {
  window.Bridge = Bridge;
  document.documentElement.dataset.ready = "true";
};

const brief = {
  open: () => [],
  message: (event) => [event.data, event.stream],
  close: (event) => [event.code, event.reason, event.wasOpen, event.willReconnect],
  reconnecting: (event) => [event.detail.attempt, event.detail.code],
  drop: (event) => [event.detail.data, event.detail.reason],
};

/** A bridge whose events are kept in `log`, and its waits in `waits`. */
window.make = (url, options, protocols) => {
  const bridge = new Bridge();
  window.bridge = bridge;
  window.log = [];
  window.waits = [];
  for (const [type, tell] of Object.entries(brief)) {
    bridge.addEventListener(type, (event) => log.push([type, ...tell(event)]));
  }
  bridge.addEventListener("reconnecting", (event) => waits.push(event.detail.delay));
  bridge.addEventListener("drop", (event) => event.preventDefault());
  bridge.connect(url, protocols, options);
  return bridge;
};

/** Time that only goes on with `advance`, and sockets that do what `sockets.at(-1)` is told. */
window.fakeAll = () => {
  const timers = new Map();
  let now = 0;
  let made = 0;
  window.setTimeout = (act, delay) => timers.set(++made, { act, at: now + delay }) && made;
  window.clearTimeout = (timer) => timers.delete(timer);
  window.timers = timers;
  window.advance = (by) => {
    const end = now + by;
    for (;;) {
      const due = [...timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at);
      if (!due.length) break;
      const [timer, { act, at }] = due[0];
      timers.delete(timer);
      now = at;
      act();
    }
    now = end;
  };
  window.sockets = [];
  window.WebSocket = class {
    readyState = 0;
    sent = [];
    closed = [];
    constructor(url) {
      this.url = url;
      sockets.push(this);
    }
    send(data) {
      this.sent.push(data);
    }
    close(...how) {
      if (this.readyState < 2) this.closed.push(how);
      this.readyState = 2;
    }
    open() {
      this.readyState = 1;
      this.onopen();
    }
    hear(frame) {
      this.onmessage({ data: JSON.stringify(frame) });
    }
    lose(code, reason = "") {
      this.readyState = 3;
      this.onclose({ code, reason, wasClean: code !== 1006 });
    }
  };
};
