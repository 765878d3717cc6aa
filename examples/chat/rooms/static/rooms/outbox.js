/* What was written and is not yet known to have arrived. It survives a lost connection and a
   reload. Each message has a nonce, so that sending it twice says it once. */

export class Outbox {
  #key;
  #items;

  constructor(key) {
    this.#key = key;
    this.#items = JSON.parse(sessionStorage.getItem(key) ?? "[]");
  }

  get items() {
    return this.#items;
  }

  add(text) {
    const item = { nonce: newNonce(), text };
    this.#keep([...this.#items, item]);
    return item;
  }

  /** The item with the nonce, which is not in here any more; undefined if it never was. */
  take(nonce) {
    const item = this.#items.find((each) => each.nonce === nonce);
    if (item) this.#keep(this.#items.filter((each) => each !== item));
    return item;
  }

  #keep(items) {
    this.#items = items;
    sessionStorage.setItem(this.#key, JSON.stringify(items));
  }
}

/* (crypto.randomUUID is missing where a page was not loaded over HTTPS or from localhost.) */
function newNonce() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
