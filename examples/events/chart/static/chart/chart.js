/* The last minute on a canvas: a line of measurements, and visitors' marks. */

const SHOWN = 60;
const PAD = { left: 40, right: 14, top: 12, bottom: 12 };

/** By how much the page's clock is ahead of the server's, and the way from there to here. */
let ahead = Infinity;

export class Chart {
  points = new Map();
  #canvas;
  #colours;

  constructor(canvas, mark) {
    this.#canvas = canvas;
    canvas.onpointerdown = (event) => {
      const { top, height } = canvas.getBoundingClientRect();
      const inside = height - PAD.top - PAD.bottom;
      const share = 1 - (event.clientY - top - PAD.top) / inside;
      mark(100 * Math.min(1, Math.max(0, share)));
    };
    const read = () => (this.#colours = null);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", read);
  }

  add(point) {
    const now = Date.now() / 1000;
    ahead = Math.min(ahead, now - point.at);
    this.points.set(point.id, point);
    for (const [id, { at }] of this.points) {
      if (at >= now - ahead - SHOWN - 5) break;
      this.points.delete(id);
    }
  }

  draw() {
    const { width, height } = this.#canvas.getBoundingClientRect();
    const scale = devicePixelRatio;
    if (this.#canvas.width != Math.round(width * scale) || this.#canvas.height != Math.round(height * scale)) {
      this.#canvas.width = Math.round(width * scale);
      this.#canvas.height = Math.round(height * scale);
    }
    const pen = this.#canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const now = Date.now() / 1000 - (Number.isFinite(ahead) ? ahead : 0);
    const across = width - PAD.left - PAD.right;
    const down = height - PAD.top - PAD.bottom;
    const place = {
      x: (at) => PAD.left + across * (1 - (now - at) / SHOWN),
      y: (value) => PAD.top + down * (1 - value / 100),
      right: PAD.left + across,
      bottom: PAD.top + down,
    };
    this.#drawGrid(pen, place, now);
    pen.save();
    pen.beginPath();
    pen.rect(PAD.left, 0, across + PAD.right, height);
    pen.clip();
    const points = [...this.points.values()];
    this.#drawLine(pen, place, points.filter(({ hue }) => hue === null));
    for (const point of points) if (point.hue !== null) drawMark(pen, place, point, now);
    pen.restore();
  }

  get #colour() {
    const style = getComputedStyle(this.#canvas);
    const of = (name) => style.getPropertyValue(name).trim();
    return (this.#colours ??= { line: of("--series"), grid: of("--line"), text: of("--muted") });
  }

  #drawGrid(pen, { x, y, right, bottom }, now) {
    pen.lineWidth = 1;
    pen.strokeStyle = this.#colour.grid;
    pen.fillStyle = this.#colour.text;
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    pen.beginPath();
    for (const value of [0, 25, 50, 75, 100]) {
      const level = Math.round(y(value)) + 0.5;
      pen.moveTo(PAD.left, level);
      pen.lineTo(right, level);
      if (value % 50 == 0) pen.fillText(`${value}%`, PAD.left - 6, level);
    }
    for (let at = Math.ceil((now - SHOWN) / 10) * 10; at < now; at += 10) {
      pen.moveTo(x(at), bottom);
      pen.lineTo(x(at), bottom + 5);
    }
    pen.stroke();
  }

  #drawLine(pen, { x, y, right, bottom }, points) {
    if (!points.length) return;
    const { line } = this.#colour;
    const last = points.at(-1);
    pen.beginPath();
    pen.moveTo(x(points[0].at), y(points[0].value));
    let before = points[0];
    for (const point of points) {
      // Nobody has measured while nobody looked.
      if (point.at - before.at > 3) pen.moveTo(x(point.at), y(point.value));
      else pen.lineTo(x(point.at), y(point.value));
      before = point;
    }
    const end = Math.min(right, x(last.at + 1.5));
    pen.lineTo(end, y(last.value));
    pen.strokeStyle = line;
    pen.lineWidth = 2;
    pen.lineJoin = "round";
    pen.stroke();
    // The area below: runs without a gap, each closed by itself.
    const shade = pen.createLinearGradient(0, PAD.top, 0, bottom);
    shade.addColorStop(0, `${line}73`);
    shade.addColorStop(1, `${line}0a`);
    pen.fillStyle = shade;
    for (const run of runs(points)) {
      const to = run.at(-1) == last ? end : x(run.at(-1).at);
      pen.beginPath();
      pen.moveTo(x(run[0].at), bottom);
      for (const point of run) pen.lineTo(x(point.at), y(point.value));
      pen.lineTo(to, y(run.at(-1).value));
      pen.lineTo(to, bottom);
      pen.fill();
    }
    pen.beginPath();
    pen.arc(end, y(last.value), 4, 0, 7);
    pen.fillStyle = line;
    pen.fill();
  }
}

function* runs(points) {
  let run = [points[0]];
  for (const point of points.slice(1)) {
    if (point.at - run.at(-1).at > 3) {
      yield run;
      run = [];
    }
    run.push(point);
  }
  yield run;
}

function drawMark(pen, { x, y }, { at, value, hue }, now) {
  const [left, top] = [x(at), y(value)];
  const age = now - at;
  if (age < 1) {
    pen.beginPath();
    pen.arc(left, top, 5 + 22 * Math.max(0, age), 0, 7);
    pen.strokeStyle = `hsl(${hue} 80% 55% / ${1 - age})`;
    pen.lineWidth = 2;
    pen.stroke();
  }
  pen.beginPath();
  pen.arc(left, top, 5, 0, 7);
  pen.fillStyle = `hsl(${hue} 80% 55%)`;
  pen.fill();
}
