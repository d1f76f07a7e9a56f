// The hand that breaks things: each fault is a switch, with how much of it.

import { ask } from "./api.js";
import { byId, make } from "./dom.js";
import { during } from "./said.js";
import { store, whenChanged } from "./store.js";

const OF_REQUESTS = { name: "share", label: "of the requests", options: [[1, "all"], [0.5, "half"], [0.1, "1 in 10"]] };
const OF_EVENTS = { name: "share", label: "of the events", options: [[0.1, "1 in 10"], [0.5, "half"], [1, "all"]] };
const FOR_SECONDS = { name: "seconds", label: "for each request", options: [[2, "2 s"], [10, "10 s"], [40, "40 s"]] };

const FAULTS = [
  { kind: "throttle", title: "AEP throttles", note: "429", much: OF_REQUESTS },
  { kind: "fail", title: "AEP fails", note: "503", much: OF_REQUESTS },
  { kind: "partial", title: "AEP refuses events", note: "207", much: OF_EVENTS },
  { kind: "slow", title: "AEP is slow", note: "", much: FOR_SECONDS },
  { kind: "down", title: "AEP is down", note: "connections are cut" },
  { kind: "token", title: "AEP wants a token", note: "old ones have expired" },
  { kind: "token_down", title: "No tokens", note: "Adobe’s endpoint answers 503" },
  { kind: "pubsub_down", title: "Pub/Sub is down", note: "takes no message" },
];

export function faults() {
  const switches = FAULTS.map(line);
  byId("faults").append(...switches.map(({ element }) => element));
  whenChanged(() => {
    const inForce = new Set(store.injections.map(({ kind }) => kind));
    for (const { kind, button } of switches) button.setAttribute("aria-checked", String(inForce.has(kind)));
  });
}

function line({ kind, title, note, much }) {
  const button = make("button", { type: "button", role: "switch", "aria-checked": "false", "aria-label": title });
  const select = much && make("select", { "aria-label": `${title}: how much, ${much.label}` },
    ...much.options.map(([value, name]) => make("option", { value }, name)));
  const isOn = () => button.getAttribute("aria-checked") === "true";
  const put = () => ask("inject", { kind, ...(much && { [much.name]: Number(select.value) }) });
  button.addEventListener("click", () => during(button, () => (isOn() ? ask("clear", { kind }) : put())));
  select?.addEventListener("change", () => isOn() && during(button, put));
  const element = make("li", {}, button, make("span", { class: "what" }, title, note ? make("small", {}, note) : null), select ?? null);
  element.querySelector(".what").addEventListener("click", () => button.click());
  return { kind, button, element };
}
