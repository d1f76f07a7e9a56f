// One event, opened: what Pendo sent, what was made of it, what AEP got, and every step between.

import { look } from "./api.js";
import { byId, make, say, show } from "./dom.js";
import { duration, moment, number, several } from "./format.js";
import { block } from "./json.js";
import { replay } from "./letters.js";
import { during, tell } from "./said.js";
import { chip } from "./status.js";
import { store, whenChanged } from "./store.js";
import { tabs } from "./tabs.js";
import { timeline } from "./timeline.js";

// Where it lies over the page, the page below is out of reach.
const covers = matchMedia("(max-width: 1000px)");
const BELOW = ".top, .notice, .flow, .plots, .lists, .hands";

export function opened({ onClose, onEdit }) {
  const root = byId("opened");
  let key = null;
  let drawn = null; // the row that the details are of
  let isAsking = false;
  let parts = null;

  async function open(wanted, { focus = true } = {}) {
    if (wanted !== key) {
      key = wanted;
      drawn = null;
      parts = skeleton({ close, onEdit });
      root.replaceChildren(...parts.all);
      root.scrollTop = 0;
      show(root, true);
      cover();
    }
    if (focus) root.focus({ preventScroll: false });
    await refresh();
  }

  function close() {
    if (key === null) return;
    key = null;
    show(root, false);
    cover();
    onClose();
  }

  function cover() {
    byId("work").classList.toggle("has-opened", key !== null);
    for (const element of document.querySelectorAll(BELOW)) element.inert = key !== null && covers.matches;
  }

  async function refresh() {
    const row = store.events.rows.get(key);
    // One question at a time; what changes meanwhile is asked for after it.
    if (key === null || isAsking || (drawn !== null && drawn === row)) return;
    const asked = key;
    isAsking = true;
    try {
      const detail = await look(`event?key=${encodeURIComponent(asked)}`);
      if (asked === key) parts.update(detail);
    } catch (error) {
      if (asked === key) tell(error.message, true);
    } finally {
      isAsking = false;
      if (asked === key) drawn = row ?? null;
    }
    if (asked !== key || (row && store.events.rows.get(key) !== row)) await refresh();
  }

  covers.addEventListener("change", cover);
  whenChanged(() => {
    if (store.events.rows.has(key)) refresh();
  });
  return { open, close, isOpen: () => key !== null };
}

function skeleton({ close, onEdit }) {
  const title = make("h2", { id: "opened-title" }, "…");
  const status = make("span");
  const shut = make("button", { type: "button", class: "shut", "aria-label": "Close", title: "Close (Esc)", onclick: close }, "×");
  const facts = make("dl", { class: "about-event" });
  const edit = make("button", { type: "button" }, "Edit and send again");
  const again = make("button", { type: "button" }, "Replay");
  const steps = make("div");
  const names = [["sent", "Pendo sent"], ["event", "Normalised"], ["aep", "Sent to AEP"], ["xdm", "XDM"]];
  const list = make("div", { class: "tabs", role: "tablist", "aria-label": "Shapes of the event" }, ...names.map(([id, name], at) =>
    make("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `shape-${id}`, "aria-selected": String(at === 0), tabindex: at ? -1 : 0 }, name)));
  const panels = names.map(([id], at) =>
    make("div", { role: "tabpanel", id: `shape-${id}`, "aria-labelledby": `tab-${id}`, hidden: at > 0 }));
  const shapes = make("div", { class: "shapes" }, list, ...panels);
  tabs(list);

  let detail = null;
  edit.addEventListener("click", () => onEdit(detail.webhooks[0].body));
  again.addEventListener("click", () => during(again, () => replay(lettersOf(detail.key))));
  show(edit, false);
  show(again, false);

  const isNew = changes();
  return {
    all: [
      make("header", {}, title, status, shut),
      facts,
      make("div", { class: "do" }, edit, again),
      make("h3", {}, "What happened"), steps, shapes,
    ],
    update(told) {
      detail = told;
      say(title, told.type || "unreadable");
      if (isNew("status", told.status)) status.replaceChildren(chip(told.status));
      if (isNew("facts", factsOf(told))) facts.replaceChildren(...factsOf(told).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
      show(edit, told.webhooks.length > 0);
      show(again, lettersOf(told.key).length > 0);
      if (isNew("steps", told.steps)) steps.replaceChildren(timeline(told.steps));
      if (isNew("webhooks", told.webhooks)) panels[0].replaceChildren(...requests(told.webhooks));
      shape(panels[1], "event", told.event, "The normalised event, as it lies on the topic", "It did not become an event.");
      shape(panels[2], "aep", told.sent, "The message that AEP was sent", "AEP has not been sent it.");
      shape(panels[3], "xdm", told.xdm, "The XDM that it is in AEP", "There is no XDM of it: it did not become an event.");
    },
  };

  function shape(panel, name, text, label, otherwise) {
    if (isNew(name, text)) panel.replaceChildren(text === null ? make("p", { class: "about" }, otherwise) : block(text, label));
  }
}

// Says of each part whether it is not what it was: what is unchanged is left alone, with its scroll
// and what is selected in it.
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
  if (!webhooks.length) return [make("p", { class: "about" }, "It did not come by this console’s recorder, so there is no copy of the request.")];
  return webhooks.map((webhook, at) => make("section", { class: "request" },
    make("h4", {}, `${webhook.method} ${webhook.path}`, make("span", {}, answerOf(webhook))),
    make("dl", { class: "headers" }, ...webhook.headers.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
    block(webhook.body, webhooks.length > 1 ? `Body, ${several(webhooks.length - at, "request")} in` : "Body as Pendo sent it"),
    make("h4", {}, "Answer"),
    webhook.answer ? block(webhook.answer, `Answer of receive, request ${webhooks.length - at}`) : make("p", { class: "about" }, "An empty one.")));
}

const answerOf = ({ status, duration: ms }) => (status ? `answered ${status} after ${duration(ms)}` : `no answer in ${duration(ms)}`);
