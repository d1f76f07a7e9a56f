// Three charts of the last two minutes, redrawn each second.

import { byId, draw, make, setText } from "./dom.js";
import { duration, number, short } from "./format.js";
import { onNextFrame, store, onChange } from "./store.js";

const SECONDS = 120;
const HEIGHT = 92;
const PAD = { top: 8, right: 4, bottom: 16, left: 44 };

// `none`: the value of a second in which nothing happened; null leaves a gap.
const CHARTS = [
  { id: "chart-rate", none: 0, text: number, least: 10, lines: [
    { name: "received", tone: "calm", isArea: true, value: (second) => second.received },
    { name: "accepted", tone: "good", value: (second) => second.accepted },
  ] },
  { id: "chart-batch", none: null, text: short, least: 10, lines: [
    { name: "mean", tone: "busy", value: (second) => second.batch },
  ] },
  { id: "chart-latency", none: null, text: duration, least: 100, lines: [
    { name: "median", tone: "busy", value: (second) => second.p50 },
    { name: "p95", tone: "warn", value: (second) => second.p95 },
  ] },
];

export function charts() {
  const paints = CHARTS.map(chart);
  const paint = () => paints.forEach((each) => each());
  onChange(paint);
  setInterval(() => onNextFrame(paint), 1000); // time passes even without changes
}

function chart({ id, lines, none, text, least }) {
  const figure = byId(id);
  const svg = draw("svg", { role: "img", height: HEIGHT });
  const legend = figure.querySelector(".legend");
  const values = lines.map((line) => make("b", {}));
  legend.append(...lines.map((line, at) =>
    make("span", { class: `is-${line.tone}` }, make("i", { "aria-hidden": "true" }), `${line.name} `, values[at])));
  figure.append(svg);
  const name = figure.querySelector("h2").textContent;
  let width = 0;
  new ResizeObserver(([{ contentRect }]) => {
    width = Math.floor(contentRect.width);
    onNextFrame(paint);
  }).observe(figure);

  function paint() {
    if (!width) return;
    const end = Math.floor(store.now() / 1000) - 1; // the last complete second
    const data = lines.map(({ value }) => points(end, value, none));
    const highest = Math.max(0, ...data.flat().map(([, value]) => value));
    const top = ceiling(Math.max(highest, least));
    const x = (at) => PAD.left + ((at - end + SECONDS) / SECONDS) * (width - PAD.left - PAD.right);
    const y = (value) => HEIGHT - PAD.bottom - (value / top) * (HEIGHT - PAD.top - PAD.bottom);
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.replaceChildren(...axes(x, y, end, top, width, text), ...lines.flatMap((line, at) => curve(line, data[at], x, y)));
    lines.forEach((_, at) => setText(values[at], latest(data[at], text)));
    const described = lines.map((line, at) => `${line.name}: now ${latest(data[at], text)}, at most ${most(data[at], text)}`);
    svg.setAttribute("aria-label", `${name}, the last two minutes. ${described.join(". ")}.`);
  }

  return paint;
}

function points(end, value, none) {
  const found = [];
  for (let at = end - SECONDS; at <= end; at += 1) {
    const second = store.seconds.get(at);
    const here = second ? value(second) : none;
    if (here !== null) found.push([at, here]);
  }
  return found;
}

const latest = (data, text) => (data.length ? text(data.at(-1)[1]) : "–");
const most = (data, text) => (data.length ? text(Math.max(...data.map(([, value]) => value))) : "–");

// Returns the next 1, 2 or 5 times a power of ten.
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((step) => value <= step * power) * power;
}

function axes(x, y, end, top, width, text) {
  const lines = [0, 0.5, 1].flatMap((share) => [
    draw("line", { class: "rule", x1: PAD.left, x2: width - PAD.right, y1: y(top * share), y2: y(top * share) }),
    ...(share === 0.5 ? [] : [draw("text", { x: PAD.left - 6, y: y(top * share) + 4, "text-anchor": "end" }, share ? text(top) : "0")]),
  ]);
  const times = [[SECONDS, "2 min ago", "start"], [SECONDS / 2, "1 min", "middle"], [0, "now", "end"]];
  return [...lines, ...times.map(([ago, name, anchor]) =>
    draw("text", { x: x(end - ago), y: HEIGHT - 3, "text-anchor": anchor }, name))];
}

// Draws a line with gaps where there was nothing for over three seconds; a single point is a dot.
function curve({ tone, isArea = false }, data, x, y) {
  const runs = [];
  for (const point of data) {
    const run = runs.at(-1);
    if (run && point[0] - run.at(-1)[0] <= 3) run.push(point);
    else runs.push([point]);
  }
  return runs.map((run) => {
    if (run.length === 1) return draw("circle", { class: `dot is-${tone}`, cx: x(run[0][0]), cy: y(run[0][1]), r: 2.5 });
    const path = `M${run.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join("L")}`;
    if (!isArea) return draw("path", { class: `line is-${tone}`, d: path });
    return draw("path", { class: `area is-${tone}`, d: `${path}L${x(run.at(-1)[0])},${y(0)}L${x(run[0][0])},${y(0)}Z` });
  });
}
