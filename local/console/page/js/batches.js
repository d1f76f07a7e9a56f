// The list of batches: one line for each request to AEP.

import { byId, make, say } from "./dom.js";
import { duration, moment, number, percent, size, time } from "./format.js";
import { Grid } from "./grid.js";
import { chip } from "./status.js";
import { store, whenChanged } from "./store.js";

const COLUMNS = [
  { name: "number", title: "Request", draw: (cell, row) => say(cell, `#${row.key}`) },
  { name: "status", title: "AEP said", draw: (cell, row) => cell.replaceChildren(chip(...said(row))) },
  { name: "count", title: "Events", draw: drawCount },
  { name: "fill", title: "Full", draw: drawFill },
  { name: "size", title: "Size", draw: (cell, row) => say(cell, row.size ? size(row.size) : "–") },
  { name: "took", title: "Took", draw: (cell, row) => say(cell, duration(row.duration)) },
  { name: "time", title: "Sent", draw: drawTime },
];

export function batches() {
  const grid = new Grid(byId("batch-list"), {
    label: "Batches, newest first",
    columns: COLUMNS,
    empty: "AEP has been sent nothing yet.",
  });
  let version = -1;
  whenChanged(() => {
    if (version === store.batches.version) return;
    version = store.batches.version;
    grid.setRows(store.batches.newest());
  });
  return grid;
}

function said({ status, refused }) {
  if (status === 0) return ["under way", { sign: "▸", tone: "busy", means: "AEP has not answered yet" }];
  if (status === null) return ["no answer", { sign: "!", tone: "bad", means: "The connection ended before the answer did" }];
  if (status === 200 || (status === 207 && !refused)) return [`${status}`, { sign: "✓", tone: "good", means: "All were accepted" }];
  if (status === 207) return [`207, ${number(refused)} refused`, { sign: "◐", tone: "warn", means: "Some were accepted, some were not" }];
  return [`${status}`, { sign: "✕", tone: "bad", means: "None was accepted" }];
}

function drawCount(cell, { messages, accepted, refused }) {
  say(cell, number(messages));
  cell.title = `${number(accepted)} accepted, ${number(refused)} refused`;
}

function drawFill(cell, { fill }) {
  if (!cell.firstChild) cell.append(make("i", { class: "meter", "aria-hidden": "true" }, make("i")), make("span"));
  cell.firstChild.firstChild.style.width = `${Math.min(fill, 1) * 100}%`;
  say(cell.lastChild, percent(fill));
}

function drawTime(cell, { at }) {
  say(cell, time(at));
  cell.title = moment(at);
}
