/* A WebSocket that comes back by itself.

   After a loss it waits, twice as long each time up to a ceiling, and somewhat at random, so
   that a restarted server is not met by everybody in the same instant. */

const FIRST_WAIT = 500;
const LONGEST_WAIT = 20_000;
const STABLE = 10_000;

export class Connection {
  #url;
  #on;
  #socket = null;
  #failures = 0;
  #opened = 0;
  #retry = 0;
  #ticker = 0;

  /** `url()` is asked before every attempt. `on` has `state(name, seconds)`, `frame(frame)`
      and `lost({code, wasOpen})`; if that returns true, the connection is given up. */
  constructor(url, on) {
    this.#url = url;
    this.#on = on;
    addEventListener("online", () => this.hurry());
    addEventListener("offline", () => this.#isOpen() && this.restart());
    document.addEventListener("visibilitychange", () => !document.hidden && this.hurry());
    // A page that was left is kept for the back button, and its socket with it.
    addEventListener("pagehide", () => this.#leave());
    addEventListener("pageshow", (event) => event.persisted && this.open());
  }

  open() {
    this.#stopWaiting();
    this.#on.state("connecting");
    const socket = new WebSocket(this.#url());
    this.#socket = socket;
    this.#opened = 0;
    socket.onopen = () => {
      this.#opened = Date.now();
      this.#on.state("open");
    };
    socket.onmessage = (event) => this.#on.frame(JSON.parse(event.data));
    socket.onclose = (event) => this.#lost(event.code);
  }

  /** Whether the frame was handed to the socket. */
  send(frame) {
    if (this.#isOpen()) this.#socket.send(JSON.stringify(frame));
    return this.#isOpen();
  }

  /** Try again now instead of waiting any longer. */
  hurry() {
    if (this.#retry) this.open();
  }

  /** Drop a socket that may be dead, without waiting until the browser has noticed. */
  restart() {
    this.#drop();
    this.#lost(1006);
  }

  #leave() {
    this.#stopWaiting();
    if (!this.#socket) return;
    this.#drop();
    this.#on.lost({ code: 1001, wasOpen: true });
  }

  #drop() {
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.#socket = null;
  }

  #isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  #lost(code) {
    const wasOpen = this.#opened > 0;
    if (wasOpen && Date.now() - this.#opened > STABLE) this.#failures = 0;
    this.#socket = null;
    if (this.#on.lost({ code, wasOpen })) return;
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#failures);
    this.#failures += 1;
    this.#waitFor(wait * (0.5 + Math.random() / 2));
  }

  #waitFor(wait) {
    const due = Date.now() + wait;
    const tell = () => this.#on.state("waiting", Math.ceil(Math.max(0, due - Date.now()) / 1000));
    this.#retry = setTimeout(() => this.open(), wait);
    this.#ticker = setInterval(tell, 250);
    tell();
  }

  #stopWaiting() {
    clearTimeout(this.#retry);
    clearInterval(this.#ticker);
    this.#retry = 0;
  }
}
