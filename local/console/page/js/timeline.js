// The steps of one event, with the time of each since the first.

import { make } from "./dom.js";
import { duration, moment } from "./format.js";

const SIGNS = { info: "·", good: "✓", warn: "↻", bad: "✕" };

export function timeline(steps) {
  const start = steps[0]?.at ?? 0;
  return make("ol", { class: "timeline" }, ...steps.map((step) =>
    make("li", { class: `is-${step.level}` },
      make("time", { datetime: new Date(step.at).toISOString(), title: moment(step.at) }, since(step.at - start)),
      make("i", { "aria-hidden": "true" }, SIGNS[step.level]),
      make("p", {}, step.text, step.detail ? make("span", {}, step.detail) : null))));
}

const since = (ms) => (ms < 1 ? "0 ms" : `+${duration(ms)}`);
