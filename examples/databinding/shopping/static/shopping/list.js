/* The page: what the binding tells is shown, what people do is asked of it.

   The list itself is fetched each time the socket opens. What the socket brings meanwhile
   waits, because it is newer than what is being fetched. */

import { Rows } from "./rows.js";

const LOAD_AGAIN = 2_000;

const find = (id) => document.getElementById(id);
const page = find("page").dataset;
const form = find("new");

const bridge = new channels.WebSocketBridge();
const stream = bridge.stream("items");
const rows = new Rows(find("items"), find("item"), ask);

let waiting = null; // what the socket has brought during a fetch; null without one
let asked = null; // the new item whose fate is not known yet
let countdown = 0;

function ask(action, pk, data = {}) {
  stream.send({ action, pk, data });
}

/* What comes in. */

const on = {
  create({ pk, data }) {
    rows.put(pk, data);
    if (data.name === asked?.name.trim()) asked = null;
    announce(`${data.name} was added`);
  },

  update({ pk, data }) {
    rows.put(pk, data);
  },

  delete({ pk }) {
    const name = rows.nameOf(pk);
    rows.remove(pk);
    if (name) announce(`${name} was removed`);
  },

  error({ request, pk, errors }) {
    const problem = Object.values(errors).flat().join(" ");
    if (request === "create") refuseNew(problem);
    else rows.refuse(pk, problem);
  },
};

function receive(payload) {
  if (waiting) waiting.push(payload);
  else on[payload.action]?.(payload);
  if (!waiting) count();
}

async function load() {
  const mine = (waiting = []);
  try {
    const answer = await fetch(page.items);
    if (!answer.ok) throw new Error(answer.status);
    const { items } = await answer.json();
    if (mine !== waiting) return; // the socket has opened once more since
    rows.replace(items);
    find("items").ariaBusy = "false";
  } catch (error) {
    console.error(error);
    setTimeout(() => mine === waiting && load(), LOAD_AGAIN * (0.5 + Math.random()));
    return;
  }
  waiting = null;
  mine.forEach(receive);
  count();
}

function count() {
  find("empty").hidden = rows.size > 0;
  find("count").textContent = rows.size ? `${rows.done} of ${rows.size} in the basket` : "All done";
}

function announce(what) {
  find("announcement").textContent = what;
}

/* A new item. */

form.onsubmit = (event) => {
  event.preventDefault();
  showProblem("");
  const { name, amount } = form.elements;
  asked = { name: name.value, amount: Number.isNaN(amount.valueAsNumber) ? null : amount.valueAsNumber };
  ask("create", null, asked);
  form.reset();
  name.focus();
};

form.oninput = () => showProblem("");

function refuseNew(problem) {
  // What was written is given back, unless something else is being written.
  if (asked && !form.elements.name.value) {
    form.elements.name.value = asked.name;
    form.elements.amount.value = asked.amount ?? "";
  }
  asked = null;
  showProblem(problem);
}

function showProblem(problem) {
  find("problem").textContent = problem;
  find("problem").hidden = !problem;
}

/* The connection. */

function showState(state, text) {
  const status = find("status");
  clearInterval(countdown);
  status.dataset.state = state;
  status.disabled = state !== "waiting";
  status.querySelector("span").textContent = text;
}

find("status").onclick = () => bridge.reconnect();

bridge.addEventListener("open", () => {
  showState("open", "Live");
  load();
});

bridge.addEventListener("close", (event) => {
  waiting = null;
  if (!event.willReconnect) showState("waiting", "Closed: connect again");
});

bridge.addEventListener("reconnecting", ({ detail }) => {
  const due = Date.now() + detail.delay;
  const tell = () => {
    const seconds = Math.max(0, Math.ceil((due - Date.now()) / 1000));
    find("status").querySelector("span").textContent = `Offline: trying again in ${seconds} s`;
  };
  showState("waiting", "");
  tell();
  countdown = setInterval(tell, 250);
});

bridge.demultiplex("items", receive);
bridge.connect(page.live);
