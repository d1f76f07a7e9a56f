// The details of one event: its timeline, the webhook, the normalised event, AEP's message and the XDM.

import { byId, whileBusy, make, setText, setShown, tabs, notify } from "./dom.js";
import { chip, duration, moment, number, several } from "./format.js";
import { replay } from "./lists.js";
import { get } from "./server.js";
import { store, onChange } from "./store.js";

// Where it covers the page, the page below is inert.
const covers = matchMedia("(max-width: 1000px)");
const BELOW = ".top, .notice, .flow, .charts, .lists, .actions";

export function eventDetail({ onClose, onEdit }) {
  const root = byId("detail");
  let key = null;
  let drawn = null; // the row whose details are shown
  let isAsking = false;
  let parts = null;

  async function open(wanted, { focus = true } = {}) {
    if (wanted !== key) {
      key = wanted;
      drawn = null;
      parts = skeleton({ close, onEdit });
      root.replaceChildren(...parts.all);
      root.scrollTop = 0;
      setShown(root, true);
      cover();
    }
    if (focus) root.focus({ preventScroll: false });
    await refresh();
  }

  function close() {
    if (key === null) return;
    key = null;
    setShown(root, false);
    cover();
    onClose();
  }

  function cover() {
    byId("work").classList.toggle("has-detail", key !== null);
    for (const element of document.querySelectorAll(BELOW)) element.inert = key !== null && covers.matches;
  }

  async function refresh() {
    const row = store.events.rows.get(key);
    // One request at a time; later changes are requested after it.
    if (key === null || isAsking || (drawn !== null && drawn === row)) return;
    const requested = key;
    isAsking = true;
    try {
      const detail = await get(`event?key=${encodeURIComponent(requested)}`);
      if (requested === key) parts.update(detail);
    } catch (error) {
      if (requested === key) notify(error.message, true);
    } finally {
      isAsking = false;
      if (requested === key) drawn = row ?? null;
    }
    if (requested !== key || (row && store.events.rows.get(key) !== row)) await refresh();
  }

  covers.addEventListener("change", cover);
  onChange(() => {
    if (store.events.rows.has(key)) refresh();
  });
  return { open, close, isOpen: () => key !== null };
}

function skeleton({ close, onEdit }) {
  const title = make("h2", { id: "detail-title" }, "…");
  const status = make("span");
  const shut = make("button", { type: "button", class: "shut", "aria-label": "Close", title: "Close (Esc)", onclick: close }, "×");
  const facts = make("dl", { class: "about-event" });
  const edit = make("button", { type: "button" }, "Edit and send again");
  const again = make("button", { type: "button" }, "Replay");
  const steps = make("div");
  const names = [["sent", "Webhook"], ["event", "Normalised"], ["aep", "Sent to AEP"], ["xdm", "XDM"]];
  const list = make("div", { class: "tabs", role: "tablist", "aria-label": "Shapes of the event" }, ...names.map(([id, name], at) =>
    make("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `shape-${id}`, "aria-selected": String(at === 0), tabindex: at ? -1 : 0 }, name)));
  const panels = names.map(([id], at) =>
    make("div", { role: "tabpanel", id: `shape-${id}`, "aria-labelledby": `tab-${id}`, hidden: at > 0 }));
  const shapes = make("div", { class: "shapes" }, list, ...panels);
  tabs(list);

  let detail = null;
  edit.addEventListener("click", () => onEdit(detail.webhooks[0].body));
  again.addEventListener("click", () => whileBusy(again, () => replay(lettersOf(detail.key))));
  setShown(edit, false);
  setShown(again, false);

  const isNew = changes();
  return {
    all: [
      make("header", {}, title, status, shut),
      facts,
      make("div", { class: "do" }, edit, again),
      make("h3", {}, "Timeline"), steps, shapes,
    ],
    update(data) {
      detail = data;
      setText(title, data.type || "unreadable");
      if (isNew("status", data.status)) status.replaceChildren(chip(data.status));
      if (isNew("facts", factsOf(data))) facts.replaceChildren(...factsOf(data).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
      setShown(edit, data.webhooks.length > 0);
      setShown(again, lettersOf(data.key).length > 0);
      if (isNew("steps", data.steps)) steps.replaceChildren(timeline(data.steps));
      if (isNew("webhooks", data.webhooks)) panels[0].replaceChildren(...requests(data.webhooks));
      shape(panels[1], "event", data.event, "The normalised event on the topic", "It did not become an event.");
      shape(panels[2], "aep", data.sent, "The message sent to AEP", "It has not been sent to AEP.");
      shape(panels[3], "xdm", data.xdm, "The XDM in AEP", "There is no XDM because it did not become an event.");
    },
  };

  function shape(panel, name, text, label, otherwise) {
    if (isNew(name, text)) panel.replaceChildren(text === null ? make("p", { class: "about" }, otherwise) : block(text, label));
  }
}

// Returns whether a part has changed: unchanged parts are not redrawn, and keep scroll and selection.
function changes() {
  const known = new Map();
  return (name, value) => {
    const text = JSON.stringify(value);
    if (known.get(name) === text) return false;
    known.set(name, text);
    return true;
  };
}

const lettersOf = (key) => [...store.letters.rows.values()].filter(({ event }) => event === key).map((letter) => letter.key);

function factsOf({ key, visitor, at, latency, attempts, reason }) {
  return [
    ["Id", key],
    ["Visitor", visitor || "none"],
    ["Received", moment(at)],
    ["Took", duration(latency)],
    ["Tries", number(attempts)],
    ...(reason ? [["Reason", reason]] : []),
  ];
}

function requests(webhooks) {
  if (!webhooks.length) return [make("p", { class: "about" }, "It did not pass through this console’s recording proxy, so there is no copy of the request.")];
  return webhooks.map((webhook, at) => make("section", { class: "request" },
    make("h4", {}, `${webhook.method} ${webhook.path}`, make("span", {}, answerOf(webhook))),
    make("dl", { class: "headers" }, ...webhook.headers.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
    block(webhook.body, webhooks.length > 1 ? `Body, ${several(webhooks.length - at, "request")} in` : "Body sent by Pendo"),
    make("h4", {}, "Answer"),
    webhook.answer ? block(webhook.answer, `Answer of receive, request ${webhooks.length - at}`) : make("p", { class: "about" }, "Empty.")));
}

const answerOf = ({ status, duration: ms }) => (status ? `answered ${status} after ${duration(ms)}` : `no answer in ${duration(ms)}`);

const SIGNS = { info: "·", good: "✓", warn: "↻", bad: "✕" };

function timeline(steps) {
  const start = steps[0]?.at ?? 0;
  return make("ol", { class: "timeline" }, ...steps.map((step) =>
    make("li", { class: `is-${step.level}` },
      make("time", { datetime: new Date(step.at).toISOString(), title: moment(step.at) }, since(step.at - start)),
      make("i", { "aria-hidden": "true" }, SIGNS[step.level]),
      make("p", {}, step.text, step.detail ? make("span", {}, step.detail) : null))));
}

const since = (ms) => (ms < 1 ? "0 ms" : `+${duration(ms)}`);

const MAX_SHOWN = 100_000;
const TOKENS = /"(?:[^"\\]|\\.)*"|[^\s"{}[\]:,]+|[{}[\]:,]/g;

// Returns JSON as [[kind, text], ...], indented and coloured, or null if it is not JSON. The text is never
// parsed and written again: that would change large numbers and hide what is not quite JSON.
function pretty(text) {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const found = text.match(TOKENS) ?? [];
  const out = [];
  let depth = 0;
  const line = () => out.push(["", `\n${"  ".repeat(depth)}`]);
  found.forEach((token, at) => {
    const next = found[at + 1];
    if (token === "{" || token === "[") {
      out.push(["", token]);
      depth += 1;
      if (next !== "}" && next !== "]") line();
    } else if (token === "}" || token === "]") {
      depth -= 1;
      if (found[at - 1] !== "{" && found[at - 1] !== "[") line();
      out.push(["", token]);
    } else if (token === ",") {
      out.push(["", token]);
      line();
    } else if (token === ":") {
      out.push(["", ": "]);
    } else if (token.startsWith('"')) {
      out.push([next === ":" ? "key" : "text", token]);
    } else {
      out.push([/^[-\d]/.test(token) ? "number" : "word", token]);
    }
  });
  return out;
}

// Makes a block that can be scrolled by keyboard, with a button that copies the original text.
function block(text, label) {
  const code = make("code", {});
  const isCut = fill(code, text);
  const copy = make("button", { type: "button", class: "copy", "aria-label": `Copy: ${label}` }, "Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = "Copied";
  });
  return make("div", { class: "block" },
    copy,
    make("pre", { tabindex: 0, role: "region", "aria-label": label }, code),
    isCut ? make("p", { class: "about" }, `The rest is not shown; “Copy” copies all ${number(text.length)} characters.`) : null);
}

// Returns whether the text was cut.
function fill(code, text) {
  let shown = 0;
  for (const [kind, part] of pretty(text) ?? [["", text]]) {
    const cut = part.slice(0, MAX_SHOWN - shown);
    code.append(kind ? make("span", { class: `json-${kind}` }, cut) : cut);
    shown += part.length;
    if (shown > MAX_SHOWN) return true;
  }
  return false;
}
