/* The messages on the page: each once, in the order of their ids, whatever order they come in.
   Text goes in as text, never as HTML. */

const TOGETHER = 5 * 60_000;
const LINK = /(https?:\/\/[^\s<>"]+[^\s<>"'.,;:!?)\]])/;

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(document.documentElement.lang, {
  weekday: "long",
  day: "numeric",
  month: "long",
});

export class Log {
  #list;
  #me;
  #template = document.querySelector("#message");

  constructor(list, me) {
    this.#list = list;
    this.#me = me;
  }

  get isEmpty() {
    return !this.#list.hasChildNodes();
  }

  get firstId() {
    return idOf(this.#list.firstElementChild);
  }

  get lastId() {
    return idOf(this.#list.lastElementChild);
  }

  add(messages) {
    for (const message of messages) {
      const after = this.#placeOf(message.id);
      if (message.id === idOf(after)) continue;
      const element = this.#render(message);
      if (after) after.after(element);
      else this.#list.prepend(element);
      arrange(element);
      arrange(element.nextElementSibling);
    }
  }

  /** Forget what is older than a message: there is a gap before it. */
  dropBefore(id) {
    while (!this.isEmpty && this.firstId < id) this.#list.firstElementChild.remove();
    arrange(this.#list.firstElementChild);
  }

  /** The element that the message with the id comes after, or that shows it already. */
  #placeOf(id) {
    let element = this.#list.lastElementChild;
    while (element && idOf(element) > id) element = element.previousElementSibling;
    return element;
  }

  #render({ id, author, text, sent }) {
    const element = this.#template.content.firstElementChild.cloneNode(true);
    element.dataset.id = id;
    element.dataset.author = author.name;
    element.dataset.sent = sent;
    element.classList.toggle("mine", author.name === this.#me);
    showAvatar(element, author);
    element.querySelector("b").textContent = author.name;
    const date = new Date(sent);
    const time = element.querySelector("time");
    time.dateTime = sent;
    time.textContent = clock.format(date);
    time.title = date.toLocaleString();
    element.querySelector(".text").append(...withLinks(text));
    return element;
  }
}

export function showAvatar(element, person) {
  const avatar = element.querySelector(".avatar");
  avatar.dataset.hue = person.hue;
  avatar.textContent = person.initials;
}

/** A message that has not arrived yet. */
export function renderUnsent({ nonce, text }) {
  const element = document.createElement("li");
  element.dataset.nonce = nonce;
  const bubble = document.createElement("p");
  bubble.className = "text";
  bubble.textContent = text;
  element.append(bubble);
  return element;
}

function idOf(element) {
  return element ? Number(element.dataset.id) : 0;
}

/** Head a new day; draw together what one person said in a row. */
function arrange(element) {
  if (!element) return;
  const previous = element.previousElementSibling;
  const date = new Date(element.dataset.sent);
  const before = previous && new Date(previous.dataset.sent);
  const sameDay = before?.toDateString() === date.toDateString();
  const follows =
    sameDay && previous.dataset.author === element.dataset.author && date - before < TOGETHER;
  element.classList.toggle("follows", follows);
  element.querySelector(".day").textContent = sameDay ? "" : nameOfDay(date);
}

function nameOfDay(date) {
  const day = 24 * 3600_000;
  if (date.toDateString() === new Date().toDateString()) return "Today";
  if (date.toDateString() === new Date(Date.now() - day).toDateString()) return "Yesterday";
  return calendar.format(date);
}

function withLinks(text) {
  return text.split(LINK).map((part, index) => {
    if (index % 2 === 0) return part;
    const link = document.createElement("a");
    link.href = part;
    link.rel = "noopener noreferrer nofollow";
    link.target = "_blank";
    link.textContent = part;
    return link;
  });
}
