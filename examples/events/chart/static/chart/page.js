/* The page: three clients, three charts, and one way to speak. */

import { Chart } from "./chart.js";
import { clients } from "./clients.js";

const STATES = { live: "Live", waiting: "Connecting…", cut: "Cut" };

const hue = Math.floor(Math.random() * 360);

/** Tell the server what a visitor points at; every kind of client hears of it. */
async function mark(value) {
  const [, token] = document.cookie.match(/csrftoken=([^;]*)/) ?? [];
  const body = new URLSearchParams({ value: value.toFixed(1), hue });
  await fetch("mark/", { method: "POST", body, headers: { "X-CSRFToken": token } });
}

class Panel {
  constructor(figure) {
    const status = document.querySelector("#status").content.cloneNode(true);
    this.figure = figure;
    this.label = status.querySelector(".state");
    this.count = status.querySelector(".count");
    this.button = status.querySelector("button");
    figure.append(status);
    this.chart = new Chart(figure.querySelector("canvas"), mark);
    this.client = new clients[figure.dataset.kind](
      (point) => this.hear(point),
      (state) => this.show(state),
    );
    this.button.onclick = () => (this.client.isOpen ? this.client.cut() : this.client.open());
    this.client.open();
  }

  hear(point) {
    this.chart.add(point);
    this.count.value = `${this.chart.points.size} points`;
  }

  show(state) {
    this.figure.dataset.state = state;
    this.label.textContent = STATES[state];
    this.button.textContent = state == "cut" ? "Join" : "Cut";
  }
}

const panels = [...document.querySelectorAll("figure")].map((figure) => new Panel(figure));

/** For the curious, and for the test: what each chart draws. */
window.charts = Object.fromEntries(
  panels.map((panel) => [panel.figure.dataset.kind, panel.chart.points]),
);

const isCalm = matchMedia("(prefers-reduced-motion: reduce)");
function draw() {
  for (const { chart } of panels) chart.draw();
  if (isCalm.matches) setTimeout(() => requestAnimationFrame(draw), 1000);
  else requestAnimationFrame(draw);
}
draw();
