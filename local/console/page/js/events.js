// The list of events, newest first, with its search and filters.

import { byId, make, say, show } from "./dom.js";
import { filterOf } from "./filter.js";
import { duration, moment, number, several, time } from "./format.js";
import { Grid } from "./grid.js";
import { STATUSES, chip } from "./status.js";
import { store, whenChanged } from "./store.js";

const MAX_TYPES = 200; // anybody may send any name
const COLUMNS = [
  { name: "status", title: "Status", draw: (cell, row) => cell.replaceChildren(chip(row.status)) },
  { name: "type", title: "Type", draw: (cell, row) => say(cell, row.type || "unreadable") },
  { name: "who", title: "Visitor", draw: drawVisitor },
  { name: "tries", title: "Tries", draw: (cell, row) => say(cell, row.attempts ? number(row.attempts) : "–") },
  { name: "took", title: "Took", draw: (cell, row) => say(cell, duration(row.latency)) },
  { name: "time", title: "Received", draw: drawTime },
];

export function events({ onOpen, onMove }) {
  const grid = new Grid(byId("event-list"), {
    label: "Events, newest first",
    columns: COLUMNS,
    empty: "Nothing has come yet.",
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
    const asked = { words: search.value, status: status.value, type: type.value };
    const all = store.events.newest();
    const matches = filterOf(asked);
    const rows = matches ? all.filter(matches) : all;
    grid.setRows(rows, { isOther });
    show(byId("unfilter"), matches !== null);
    say(byId("shown"), matches ? `${number(rows.length)} of ${several(all.length, "event")}` : several(all.length, "event"));
    say(grid.empty, all.length
      ? "No event is like that. Show all, or search for less."
      : `Nothing has come yet. Send a sample, or point a webhook at ${store.facts.webhooks ?? "receive"}.`);
  }

  whenChanged(() => {
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
  say(cell, text);
  cell.title = text;
}

function drawTime(cell, row) {
  say(cell, time(row.at));
  cell.title = moment(row.at);
}

const seen = new Set();

// Only ever adds, in its place: a menu that is open must not jump.
function addTypes(select) {
  for (const { type } of store.events.rows.values()) {
    if (!type || seen.has(type) || seen.size >= MAX_TYPES) continue;
    seen.add(type);
    const after = [...select.options].find((option) => option.value > type);
    select.insertBefore(make("option", { value: type }, type), after ?? null);
  }
}
