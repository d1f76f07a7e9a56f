// The lists of events, batches and dead letters.

import { byId, whileBusy, make, setText, setShown, notify } from "./dom.js";
import { STATUSES, chip, duration, moment, number, percent, several, size, time } from "./format.js";
import { Grid } from "./grid.js";
import { post } from "./server.js";
import { store, onChange } from "./store.js";

// Returns a predicate for rows, or null for all. `status` may be several, like "waiting|retrying"; every
// word must occur in one of the texts of a row.
function filterOf({ words = "", status = "", type = "" }) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const statuses = status ? new Set(status.split("|")) : null;
  if (!wanted.length && !statuses && !type) return null;
  return (row) =>
    (!statuses || statuses.has(row.status)) &&
    (!type || row.type === type) &&
    wanted.every((word) => textOf(row).includes(word));
}

const texts = new WeakMap();

function textOf(row) {
  let text = texts.get(row);
  if (text === undefined) {
    text = [row.key, row.type, row.visitor, row.status, row.reason].join("\n").toLowerCase();
    texts.set(row, text);
  }
  return text;
}

const MAX_TYPES = 200; // anybody can send any name
const EVENT_COLUMNS = [
  { name: "status", title: "Status", draw: (cell, row) => cell.replaceChildren(chip(row.status)) },
  { name: "type", title: "Type", draw: (cell, row) => setText(cell, row.type || "unreadable") },
  { name: "who", title: "Visitor", draw: drawVisitor },
  { name: "tries", title: "Tries", draw: (cell, row) => setText(cell, row.attempts ? number(row.attempts) : "–") },
  { name: "took", title: "Took", draw: (cell, row) => setText(cell, duration(row.latency)) },
  { name: "time", title: "Received", draw: drawTime },
];

export function events({ onOpen, onMove }) {
  const grid = new Grid(byId("event-list"), {
    label: "Events, newest first",
    columns: EVENT_COLUMNS,
    empty: "No events yet.",
    onOpen,
    onMove,
  });
  const [search, status, type] = ["search", "status", "type"].map(byId);
  status.append(
    make("option", { value: "waiting|retrying" }, "in the topic"),
    ...Object.keys(STATUSES).map((name) => make("option", { value: name }, name)),
  );
  let version = -1;

  function list(isOther) {
    const requested = { words: search.value, status: status.value, type: type.value };
    const all = store.events.newest();
    const matches = filterOf(requested);
    const rows = matches ? all.filter(matches) : all;
    grid.setRows(rows, { isOther });
    setShown(byId("unfilter"), matches !== null);
    setText(byId("shown"), matches ? `${number(rows.length)} of ${several(all.length, "event")}` : several(all.length, "event"));
    setText(grid.empty, all.length
      ? "No matching events. Show all, or change the search."
      : `No events yet. Send a sample, or point a webhook at ${store.facts.webhooks ?? "receive"}.`);
  }

  onChange(() => {
    if (version === store.events.version) return;
    version = store.events.version;
    addTypes(type);
    list(false);
  });
  byId("filter").addEventListener("input", () => list(true));
  byId("filter").addEventListener("submit", (event) => event.preventDefault());
  byId("filter").addEventListener("reset", () => setTimeout(() => list(true)));
  return {
    grid,
    showOnly(wanted) {
      [search.value, status.value, type.value] = ["", wanted, ""];
      list(true);
    },
  };
}

function drawVisitor(cell, row) {
  const text = row.reason ? `${row.visitor || "–"} · ${row.reason}` : row.visitor || "–";
  setText(cell, text);
  cell.title = text;
}

function drawTime(cell, { at }) {
  setText(cell, time(at));
  cell.title = moment(at);
}

const seen = new Set();

// Only adds, in sorted order: an open menu must not jump.
function addTypes(select) {
  for (const { type } of store.events.rows.values()) {
    if (!type || seen.has(type) || seen.size >= MAX_TYPES) continue;
    seen.add(type);
    const after = [...select.options].find((option) => option.value > type);
    select.insertBefore(make("option", { value: type }, type), after ?? null);
  }
}

const BATCH_COLUMNS = [
  { name: "number", title: "Request", draw: (cell, row) => setText(cell, `#${row.key}`) },
  { name: "status", title: "Answer", draw: (cell, row) => cell.replaceChildren(chip(...batchStatus(row))) },
  { name: "count", title: "Events", draw: drawCount },
  { name: "fill", title: "Full", draw: drawFill },
  { name: "size", title: "Size", draw: (cell, row) => setText(cell, row.size ? size(row.size) : "–") },
  { name: "took", title: "Took", draw: (cell, row) => setText(cell, duration(row.duration)) },
  { name: "time", title: "Sent", draw: drawTime },
];

export function batches() {
  const grid = new Grid(byId("batch-list"), {
    label: "Batches, newest first",
    columns: BATCH_COLUMNS,
    empty: "Nothing has been sent to AEP yet.",
  });
  let version = -1;
  onChange(() => {
    if (version === store.batches.version) return;
    version = store.batches.version;
    grid.setRows(store.batches.newest());
  });
}

function batchStatus({ status, refused }) {
  if (status === 0) return ["in progress", { sign: "▸", tone: "busy", means: "AEP has not answered yet" }];
  if (status === null) return ["no answer", { sign: "!", tone: "bad", means: "The connection ended before the answer did" }];
  if (status === 200 || (status === 207 && !refused)) return [`${status}`, { sign: "✓", tone: "good", means: "All were accepted" }];
  if (status === 207) return [`207, ${number(refused)} refused`, { sign: "◐", tone: "warn", means: "Some were accepted, some were not" }];
  return [`${status}`, { sign: "✕", tone: "bad", means: "None was accepted" }];
}

function drawCount(cell, { messages, accepted, refused }) {
  setText(cell, number(messages));
  cell.title = `${number(accepted)} accepted, ${number(refused)} refused`;
}

function drawFill(cell, { fill }) {
  if (!cell.firstChild) cell.append(make("i", { class: "meter", "aria-hidden": "true" }, make("i")), make("span"));
  cell.firstChild.firstChild.style.width = `${Math.min(fill, 1) * 100}%`;
  setText(cell.lastChild, percent(fill));
}

const DEAD_LETTER_COLUMNS = [
  { name: "reason", title: "Reason", draw: drawReason },
  { name: "type", title: "Type", draw: (cell, row) => setText(cell, row.type || "unreadable") },
  { name: "stage", title: "Stage", draw: (cell, row) => setText(cell, row.stage) },
  { name: "time", title: "Failed", draw: drawTime },
  { name: "do", title: "Replay", draw: drawReplay },
];

export function letters({ onOpen }) {
  const grid = new Grid(byId("letter-list"), {
    label: "Dead letters, newest first",
    columns: DEAD_LETTER_COLUMNS,
    empty: "No dead letters. To see one, let AEP refuse some events or send a body that is not an event.",
    onOpen: ({ event }) => onOpen(event),
  });
  const all = byId("replay-all");
  all.addEventListener("click", () => whileBusy(all, () => replay(null)).then(paint));
  let version = -1;

  function paint() {
    const count = store.letters.rows.size;
    all.disabled = count === 0;
    setText(all, count ? `Replay all ${number(count)}` : "Replay all");
    setText(byId("letters-bubble"), number(count));
    setShown(byId("letters-bubble"), count > 0);
    if (version === store.letters.version) return;
    version = store.letters.version;
    grid.setRows(store.letters.newest());
  }

  onChange(paint);
}

// Replays dead letters; all of them if `ids` is null.
export async function replay(ids) {
  const { replayed, unreadable, failed } = await post("replay", { ids });
  const data = [`${several(replayed, "dead letter")} replayed`];
  if (unreadable) data.push(`${number(unreadable)} unreadable, not replayed`);
  if (failed) data.push(`${number(failed)} failed, not replayed`);
  notify(`${data.join("; ")}.`, unreadable + failed > 0);
}

function drawReason(cell, { reason, detail }) {
  const text = detail ? `${reason}: ${detail}` : reason;
  cell.replaceChildren(make("b", {}, reason), detail ? ` ${detail}` : "");
  cell.title = text;
}

function drawReplay(cell, row) {
  const button = make("button", { type: "button", "aria-label": `Replay ${row.type} ${row.event}` }, "Replay");
  button.addEventListener("click", () => whileBusy(button, () => replay([row.key])));
  cell.replaceChildren(button);
}
