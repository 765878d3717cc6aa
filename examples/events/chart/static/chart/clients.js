/* Three ways to hear of the same points. Each comes back by itself, and says then what it has
   had last. A client has `open()`, `cut()` and `isOpen`; it tells of points and of its state. */

import { WebSocketBridge } from "../txchannels/websocketbridge.module.min.js";

class Client {
  isOpen = false;
  last = "";

  constructor(hear, show) {
    this.hear = hear;
    this.show = show;
    // A page that is kept for the back button keeps no connections.
    addEventListener("pagehide", () => this.isOpen && this.end());
    addEventListener("pageshow", (event) => event.persisted && this.isOpen && this.begin());
  }

  open() {
    this.isOpen = true;
    this.begin();
  }

  cut() {
    this.isOpen = false;
    this.end();
    this.show("cut");
  }

  take(point) {
    this.last = point.id;
    this.hear(point);
  }
}

class Socket extends Client {
  begin() {
    this.show("waiting");
    this.bridge = new WebSocketBridge({
      onopen: () => this.show("live"),
      onclose: () => this.isOpen && this.show("waiting"),
    });
    this.bridge.connect(() => `socket/?after=${this.last}`);
    this.bridge.listen((point) => this.take(point));
  }

  end() {
    this.bridge.close();
  }
}

class Stream extends Client {
  begin() {
    this.show("waiting");
    this.source = new EventSource(`stream/?last_event_id=${this.last}`);
    this.source.onopen = () => this.show("live");
    this.source.onmessage = ({ data }) => this.take(JSON.parse(data));
    this.source.onerror = () => {
      this.show("waiting");
      // It comes back by itself, unless something else than an event stream was answered.
      if (this.source.readyState == EventSource.CLOSED) this.timer = setTimeout(() => this.begin(), 3000);
    };
  }

  end() {
    clearTimeout(this.timer);
    this.source.close();
  }
}

class Poll extends Client {
  async begin() {
    this.show("waiting");
    const { signal } = (this.asking = new AbortController());
    while (!signal.aborted) {
      try {
        const answer = await fetch(`poll/?last_event_id=${this.last}`, { signal });
        if (!answer.ok) throw new Error(answer.status);
        this.show("live");
        const events = answer.status == 204 ? [] : await answer.json();
        for (const { data } of events) this.take(JSON.parse(data));
      } catch {
        if (signal.aborted) return;
        this.show("waiting");
        await new Promise((wake) => setTimeout(wake, 500 + 1500 * Math.random()));
      }
    }
  }

  end() {
    this.asking.abort();
  }
}

export const clients = { websocket: Socket, eventstream: Stream, poll: Poll };
