// The actions: send webhooks, inject failures, restart functions; and the addresses.

import { byId, whileBusy, make, setText, setShown, notify } from "./dom.js";
import { number } from "./format.js";
import { post, get } from "./server.js";
import { store, onChange } from "./store.js";

export function send({ onOpen }) {
  const form = byId("send");
  const [sample, body, fresh, signature, count, progress, answer, stop] =
    ["sample", "body", "fresh", "signature", "count", "progress", "sent", "stop"].map(byId);
  const button = form.querySelector("[type=submit]");
  let samples = [];

  const chosen = () => {
    body.value = samples.find(({ name }) => name === sample.value)?.text ?? body.value;
  };
  sample.addEventListener("change", chosen);

  async function load() {
    samples = await get("samples");
    sample.replaceChildren(...samples.map(({ name }) => make("option", { value: name }, name.replaceAll("_", " "))));
    chosen();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    whileBusy(button, async () => {
      answer.replaceChildren();
      const data = await post("send", {
        text: body.value,
        signature: signature.value,
        count: count.valueAsNumber,
        fresh: fresh.checked || count.valueAsNumber > 1,
      });
      if (data.status === undefined) setText(answer, `Sending ${number(data.sending)}…`);
      else answer.replaceChildren(...sendResult(data, onOpen));
    });
  });
  stop.addEventListener("click", () => whileBusy(stop, () => post("stop")));

  let was = 0;
  onChange(() => {
    const { wanted, answered } = store.sending;
    setShown(progress, wanted > 0);
    setShown(stop, wanted > 0);
    if (wanted > 0) {
      progress.max = wanted;
      progress.value = answered;
      setText(answer, `Sent ${number(answered)} of ${number(wanted)}`);
    } else if (was > 0) {
      setText(answer, `The burst of ${number(was)} has finished.`);
    }
    was = wanted;
  });

  load().catch((error) => notify(error.message, true));
  return {
    // Opens the form with a body to edit.
    edit(text) {
      byId("edit").open = true;
      body.value = text;
      body.focus();
      body.scrollIntoView({ block: "center" });
    },
  };
}

function sendResult({ status, answer }, onOpen) {
  const word = answer?.status ?? answer?.error ?? "";
  const text = status ? `receive answered ${status}${word ? `: ${word}` : ""}` : "receive does not answer";
  if (!answer?.id) return [text];
  const open = make("button", { type: "button", class: "link", onclick: () => onOpen(answer.id) }, "Open the event");
  return [text, " ", open];
}

const OF_REQUESTS = { name: "share", label: "of the requests", options: [[1, "all"], [0.5, "half"], [0.1, "1 in 10"]] };
const OF_EVENTS = { name: "share", label: "of the events", options: [[0.1, "1 in 10"], [0.5, "half"], [1, "all"]] };
const LATER = { name: "seconds", label: "later", options: [[20, "20 s"], [60, "1 min"], [120, "2 min"]] };
const FOR_SECONDS = { name: "seconds", label: "for each request", options: [[2, "2 s"], [10, "10 s"], [40, "40 s"]] };

const FAULTS = [
  { kind: "throttle", title: "AEP throttles", note: "429", much: OF_REQUESTS },
  { kind: "fail", title: "AEP fails", note: "503", much: OF_REQUESTS },
  { kind: "partial", title: "AEP refuses events", note: "207", much: OF_EVENTS },
  { kind: "slow", title: "AEP is slow", note: "", much: FOR_SECONDS },
  { kind: "down", title: "AEP is down", note: "connections are cut" },
  { kind: "token", title: "AEP requires a token", note: "old tokens have expired" },
  { kind: "token_down", title: "Token endpoint is down", note: "503" },
  { kind: "pubsub_down", title: "Pub/Sub is down", note: "accepts no messages" },
];

const LATE_FAULTS = [
  { kind: "mapping", title: "The mapping fails", note: "of a required field" },
  { kind: "schema", title: "The schema refuses events", note: "it requires a field that they lack" },
  { kind: "lost", title: "Events are lost", note: "without a word", much: OF_EVENTS },
  { kind: "duplicated", title: "Events are stored twice", note: "", much: OF_EVENTS },
  { kind: "late", title: "Events are stored late", note: "", much: LATER },
  { kind: "diagnostics_off", title: "Error diagnostics are off", note: "AEP gives no reasons" },
];

export function faults() {
  const [now, later] = [FAULTS, LATE_FAULTS].map((kinds) => kinds.map(faultRow));
  const switches = [...now, ...later];
  byId("faults").append(...now.map(({ element }) => element));
  byId("late-faults").append(...later.map(({ element }) => element));
  onChange(() => {
    const active = new Set(store.injections.map(({ kind }) => kind));
    for (const { kind, button } of switches) button.setAttribute("aria-checked", String(active.has(kind)));
  });
}

function faultRow({ kind, title, note, much }) {
  const button = make("button", { type: "button", role: "switch", "aria-checked": "false", "aria-label": title });
  const select = much && make("select", { "aria-label": `${title}: how much, ${much.label}` },
    ...much.options.map(([value, name]) => make("option", { value }, name)));
  const isOn = () => button.getAttribute("aria-checked") === "true";
  const put = () => post("inject", { kind, ...(much && { [much.name]: Number(select.value) }) });
  button.addEventListener("click", () => whileBusy(button, () => (isOn() ? post("clear", { kind }) : put())));
  select?.addEventListener("change", () => isOn() && whileBusy(button, put));
  const element = make("li", {}, button, make("span", { class: "what" }, title, note ? make("small", {}, note) : null), select ?? null);
  element.querySelector(".what").addEventListener("click", () => button.click());
  return { kind, button, element };
}

export function functions() {
  const list = byId("functions");
  const lines = new Map();
  onChange(() => {
    const names = Object.keys(store.functions);
    for (const name of names) {
      if (!lines.has(name)) {
        lines.set(name, functionRow(name));
        list.append(lines.get(name).element);
      }
      lines.get(name).paint(store.functions[name]);
    }
    if (!names.length && store.facts.receive && !list.firstChild) {
      list.append(make("li", { class: "about" }, "You started them yourself: restart them where they run."));
    }
  });
}

function functionRow(name) {
  const state = make("small");
  const restart = make("button", { type: "button", "aria-label": `Restart ${name}`, title: "Shuts down as for a new version, and starts again" }, "Restart");
  const crash = make("button", { type: "button", "aria-label": `Crash ${name}`, title: "Killed, and started again" }, "Crash");
  const act = (button, isKill) => button.addEventListener("click", () => whileBusy(button, async () => {
    await post("restart", { target: name, is_kill: isKill });
    notify(`${name} is running again.`);
  }));
  act(restart, false);
  act(crash, true);
  const element = make("li", { "data-function": name }, make("span", { class: "what" }, name, state), restart, crash);
  return {
    element,
    paint(data) {
      setText(state, data);
      element.classList.toggle("is-starting", data !== "running");
    },
  };
}

export function facts() {
  let drawn = "";
  onChange(() => {
    const data = JSON.stringify(store.facts);
    if (data === drawn) return;
    drawn = data;
    byId("facts").replaceChildren(...Object.entries(store.facts).flatMap(([name, value]) =>
      [make("dt", {}, name), make("dd", { title: value }, value)]));
  });
}
