/* A room's page: what comes over the socket is shown, what is written goes out. */

import { Connection } from "./connection.js";
import { Log, renderUnsent, showAvatar } from "./log.js";
import { Outbox } from "./outbox.js";

const LOGGED_OUT = 4001;
const ECHO_WITHIN = 10_000;
const TYPING_EVERY = 3_000;
const TYPING_LASTS = 4_500;

const find = (id) => document.getElementById(id);
const page = find("room").dataset;
const text = find("text");
const title = document.title;

const log = new Log(find("said"), page.me);
const outbox = new Outbox(`unsent:${page.me}:${page.slug}`);
const typing = new Map();

let caughtUp = false;
let isRead = true;
let peopleVersion = 0;
let unread = 0;
let overdue = 0;
let lastTyped = 0;

/* What comes in. */

const onFrame = {
  history({ messages, earlier }) {
    if (earlier) log.dropBefore(messages[0].id);
    if (earlier || log.isEmpty) find("earlier").hidden = !earlier;
    show(messages);
    caughtUp = true;
    outbox.items.forEach(send);
    find("log").ariaBusy = "false";
  },

  message({ message }) {
    stopTyping(message.author.name);
    show([message]);
    if (document.hidden && message.author.name !== page.me) countUnread();
  },

  people({ people, version }) {
    if (version <= peopleVersion) return;
    peopleVersion = version;
    for (const count of document.querySelectorAll("[data-count]")) count.textContent = people.length;
    find("who").replaceChildren(...people.map(renderPerson));
  },

  typing({ name }) {
    if (name === page.me) return;
    stopTyping(name);
    typing.set(name, setTimeout(stopTyping, TYPING_LASTS, name));
    showTyping();
  },

  error({ reason, nonce }) {
    const refused = settle(nonce);
    if (refused && !text.value) text.value = refused.text;
    showProblem(reason);
  },
};

/** Add messages; stay at the end of the log if that is what is being read. */
function show(messages) {
  const wasAtEnd = isRead;
  const mine = messages.filter((message) => message.author.name === page.me);
  const settled = mine.map((message) => settle(message.nonce)).some(Boolean);
  log.add(messages);
  find("empty").hidden = !log.isEmpty;
  if (wasAtEnd || settled) scrollToEnd();
  else if (messages.length) find("to-end").hidden = false;
}

function renderPerson(person) {
  const element = find("person").content.firstElementChild.cloneNode(true);
  showAvatar(element, person);
  element.querySelector(".name").textContent =
    person.name === page.me ? `${person.name} (you)` : person.name;
  return element;
}

function stopTyping(name) {
  clearTimeout(typing.get(name));
  typing.delete(name);
  showTyping();
}

function showTyping() {
  const names = [...typing.keys()];
  const who = names.length > 2 ? "Several people are" : `${names.join(" and ")} ${names[1] ? "are" : "is"}`;
  find("typing").textContent = names.length ? `${who} typing…` : "";
}

/* What goes out. */

function send({ nonce, text }) {
  if (caughtUp && connection.send({ type: "say", nonce, text })) {
    overdue ||= setTimeout(() => connection.restart(), ECHO_WITHIN);
  }
}

/** A message has arrived, or never will: it is not waited for any longer. */
function settle(nonce) {
  const item = outbox.take(nonce);
  if (!item) return undefined;
  find("unsent").querySelector(`[data-nonce="${nonce}"]`)?.remove();
  clearTimeout(overdue);
  overdue = outbox.items.length && setTimeout(() => connection.restart(), ECHO_WITHIN);
  return item;
}

function submit() {
  const said = text.value.trim();
  showProblem("");
  if (!said) return;
  const item = outbox.add(said);
  find("unsent").append(renderUnsent(item));
  find("empty").hidden = true;
  text.value = "";
  growText();
  lastTyped = 0;
  send(item);
  scrollToEnd();
}

function tellTyping() {
  if (!text.value.trim() || Date.now() - lastTyped < TYPING_EVERY) return;
  lastTyped = Date.now();
  connection.send({ type: "typing" });
}

/* (Where CSS has no field-sizing yet.) */
function growText() {
  if (CSS.supports("field-sizing", "content")) return;
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
}

find("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
  text.focus();
});
text.addEventListener("input", tellTyping);
text.addEventListener("input", growText);
text.addEventListener("keydown", (event) => {
  const isPhone = matchMedia("(pointer: coarse)").matches;
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || isPhone) return;
  event.preventDefault();
  submit();
});

/* The connection. */

const states = {
  open: () => "Connected",
  connecting: () => "Connecting",
  waiting: (seconds) => `Reconnecting in ${seconds} s`,
};

const connection = new Connection(
  () => `${location.origin.replace(/^http/, "ws")}${location.pathname}?after=${log.lastId}`,
  {
    frame: (frame) => onFrame[frame.type]?.(frame),

    state(name, seconds) {
      const status = find("status");
      if (status.dataset.state !== name) find("announcement").textContent = states[name](seconds);
      status.dataset.state = name;
      status.disabled = name !== "waiting";
      status.title = status.disabled ? "" : "Try now";
      status.querySelector("span").textContent = states[name](seconds);
    },

    lost({ code, wasOpen }) {
      caughtUp = false;
      peopleVersion = 0;
      [...typing.keys()].forEach(stopTyping);
      clearTimeout(overdue);
      overdue = 0;
      if (code === LOGGED_OUT) location.assign(page.logIn);
      else if (!wasOpen) leaveIfDenied();
      return code === LOGGED_OUT;
    },
  },
);

/** A refused socket looks like an unreachable server; the page at its path knows better. */
async function leaveIfDenied() {
  try {
    const response = await fetch(location.href, { redirect: "manual" });
    if (response.type === "opaqueredirect" || response.status === 404) location.reload();
  } catch {
    // Unreachable indeed; the connection tries again.
  }
}

find("status").addEventListener("click", () => connection.hurry());

/* The page. */

function scrollToEnd() {
  find("log").scrollTop = find("log").scrollHeight;
}

function showProblem(reason) {
  find("problem").textContent = reason;
  find("problem").hidden = !reason;
}

function countUnread() {
  unread += 1;
  document.title = `(${unread}) ${title}`;
}

async function showEarlier() {
  const { scrollHeight, scrollTop } = find("log");
  const response = await fetch(`${page.earlier}?before=${log.firstId}`);
  if (!response.ok) return;
  const { messages, earlier } = await response.json();
  log.add(messages);
  find("earlier").hidden = !earlier;
  find("log").scrollTop = scrollTop + find("log").scrollHeight - scrollHeight;
}

find("earlier").addEventListener("click", () => showEarlier().catch(() => connection.hurry()));
find("to-end").addEventListener("click", scrollToEnd);
find("log").addEventListener("scroll", () => {
  const { scrollHeight, scrollTop, clientHeight } = find("log");
  isRead = scrollHeight - scrollTop - clientHeight < 60;
  if (isRead) find("to-end").hidden = true;
});
new ResizeObserver(() => isRead && scrollToEnd()).observe(find("log"));

find("who-toggle").addEventListener("click", (event) => {
  const isOpen = find("people").classList.toggle("shown");
  event.currentTarget.ariaExpanded = String(isOpen);
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unread = 0;
  document.title = title;
});

find("unsent").append(...outbox.items.map(renderUnsent));
connection.open();
