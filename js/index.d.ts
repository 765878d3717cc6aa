/** JSON over a WebSocket that comes back by itself, and over an event stream where none comes up. */
export class WebSocketBridge extends EventTarget {
  constructor(options?: BridgeOptions);

  /** What `connect` has made; null before. It stays the same over reconnects. */
  socket: ReconnectingSocket | null;
  options: BridgeOptions;
  /** What `demultiplex` has set, by stream. */
  streams: Record<string, Listener>;
  /** What `listen` has set. */
  default_cb: Listener | null | undefined;

  /**
   * Connect, and stay connected until `close()` or a final close code. A former connection of
   * this bridge is closed.
   *
   * @param url Relative to the page, or whole (ws, wss, http, https); the page's host without one.
   *   A function is asked before each attempt.
   * @param options Go before those of the constructor.
   * @throws {DOMException} The URL or a protocol is not one.
   */
  connect(
    url?: Source<string | URL>,
    protocols?: Source<string | string[] | undefined>,
    options?: BridgeOptions,
  ): void;

  /** Have *callback* called with each payload that is of no stream, and null. */
  listen<Payload = any>(callback?: Listener<Payload, null> | null): void;

  /** Have *callback* called with each payload of *stream*, and the stream. */
  demultiplex<Payload = any>(stream: string, callback: Listener<Payload, string>): void;

  /**
   * Send as JSON, now or as soon as there is a connection.
   *
   * @returns Whether it was sent or queued. If not, there was a `drop` event.
   * @throws {TypeError} It has no JSON, or `connect` was never called.
   * @throws {Error} On an event stream without `sendUrl`.
   */
  send(message: unknown): boolean;

  /** What sends to *stream*. */
  stream(stream: string): { send(payload: unknown): boolean };

  /** Connect anew, now: after a log-in, or instead of waiting; also after the end. */
  reconnect(): void;

  /**
   * End it; what has not been sent is dropped.
   *
   * @param code 1000 or 3000 to 4999.
   */
  close(code?: number, reason?: string): void;

  addEventListener<Type extends keyof BridgeEvents>(
    type: Type,
    listener: (this: WebSocketBridge, event: BridgeEvents[Type]) => any,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Type extends keyof BridgeEvents>(
    type: Type,
    listener: (this: WebSocketBridge, event: BridgeEvents[Type]) => any,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

export type Listener<Payload = any, Stream = string | null> = (
  payload: Payload,
  stream: Stream,
) => void;

/** A value, or a function that returns it whenever it is needed. */
export type Source<Value, Arguments extends unknown[] = []> =
  | Value
  | ((...args: Arguments) => Value);

/** Times are in milliseconds. */
export interface BridgeOptions {
  /** The first wait is random, up to this: 1000. */
  minReconnectionDelay?: number;
  /** No wait is longer: 30000. */
  maxReconnectionDelay?: number;
  /** By how much the ceiling of the wait grows with each failure: 2. */
  reconnectionDelayGrowFactor?: number;
  /** After close code 1012 (the server restarts), the wait is random, up to this: 500. */
  restartDelay?: number;
  /** A connection that has lasted so long was no failure: 5000. */
  minUptime?: number;
  /** After so many failures in a row it gives up: Infinity. */
  maxRetries?: number;
  /** An attempt, or a request of `sendUrl`, is given up after this: 10000. */
  connectionTimeout?: number;
  /** Without a frame for so long, a connection is taken for dead; 0 is never: 0. */
  idleTimeout?: number;
  /** What to send when half of `idleTimeout` has passed; the consumer has to answer. */
  heartbeat?: unknown;
  /** How many messages wait for a connection at most: 100. */
  maxEnqueuedMessages?: number;
  /** Where to receive from if no WebSocket comes up. */
  eventStreamUrl?: Source<string | URL, [lastEventId: string]>;
  /** After how many WebSockets in a row that did not come up: 2. */
  fallbackAfter?: number;
  /** Where to POST what is sent while an event stream is used. */
  sendUrl?: Source<string | URL>;
  /** More headers of these requests, like Django's X-CSRFToken. */
  sendHeaders?: Source<Record<string, string>>;
  /** Whether to come back; undefined leaves it to the close code. */
  shouldReconnect?(how: Loss): boolean | undefined;

  onopen?(event: Event): void;
  onmessage?(event: BridgeMessageEvent): void;
  onclose?(event: BridgeCloseEvent): void;
  onreconnecting?(event: ReconnectingEvent): void;
  ondrop?(event: DropEvent): void;
}

export interface Loss {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
  /** False: it never came up. */
  readonly wasOpen: boolean;
}

export interface BridgeEvents {
  open: Event;
  message: BridgeMessageEvent;
  close: BridgeCloseEvent;
  reconnecting: ReconnectingEvent;
  drop: DropEvent;
}

/** `data` is the payload. */
export interface BridgeMessageEvent<Payload = any> extends MessageEvent<Payload> {
  readonly stream: string | null;
}

/** A connection, or an attempt, has ended. */
export interface BridgeCloseEvent extends CloseEvent {
  readonly wasOpen: boolean;
  readonly willReconnect: boolean;
}

/** It will try again after `delay`. */
export type ReconnectingEvent = CustomEvent<{ delay: number; attempt: number; code: number }>;

/** `data` (a text, if the bridge's `send` was used) was not sent. `preventDefault()` keeps it
    off the console. */
export type DropEvent = CustomEvent<{ data: unknown; reason: string }>;

/** Like a WebSocket: texts in, texts out. */
export interface ReconnectingSocket extends EventTarget {
  /** 0 connecting or waiting, 1 open, 3 closed for good. */
  readonly readyState: 0 | 1 | 3;
  readonly url: string;
  readonly protocol: string;
  readonly transport: "websocket" | "eventstream" | null;

  onopen?: ((event: Event) => void) | null;
  onmessage?: ((event: MessageEvent) => void) | null;
  onclose?: ((event: BridgeCloseEvent) => void) | null;
  onreconnecting?: ((event: ReconnectingEvent) => void) | null;
  ondrop?: ((event: DropEvent) => void) | null;

  send(data: string | Blob | ArrayBuffer | ArrayBufferView): boolean;
  close(code?: number, reason?: string): void;
  reconnect(): void;
}
