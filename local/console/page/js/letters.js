// The dead letters: why each is one, and the way back.

import { ask } from "./api.js";
import { byId, make, say, show } from "./dom.js";
import { moment, number, several, time } from "./format.js";
import { Grid } from "./grid.js";
import { during, tell } from "./said.js";
import { store, whenChanged } from "./store.js";

const COLUMNS = [
  { name: "reason", title: "Reason", draw: drawReason },
  { name: "type", title: "Type", draw: (cell, row) => say(cell, row.type || "unreadable") },
  { name: "stage", title: "From", draw: (cell, row) => say(cell, row.stage) },
  { name: "time", title: "Died", draw: drawTime },
  { name: "do", title: "Way back", draw: drawReplay },
];

export function letters({ onOpen }) {
  const grid = new Grid(byId("letter-list"), {
    label: "Dead letters, newest first",
    columns: COLUMNS,
    empty: "No dead letters. To see one, let AEP refuse some events, or send a body that is no event.",
    onOpen: ({ event }) => onOpen(event),
  });
  const all = byId("replay-all");
  all.addEventListener("click", () => during(all, () => replay(null)).then(paint));
  let version = -1;

  function paint() {
    const count = store.letters.rows.size;
    all.disabled = count === 0;
    say(all, count ? `Replay all ${number(count)}` : "Replay all");
    say(byId("letters-bubble"), number(count));
    show(byId("letters-bubble"), count > 0);
    if (version === store.letters.version) return;
    version = store.letters.version;
    grid.setRows(store.letters.newest());
  }

  whenChanged(paint);
  return grid;
}

// `ids` null: all of them.
export async function replay(ids) {
  const { replayed, unreadable, failed } = await ask("replay", { ids });
  const told = [`${several(replayed, "letter")} sent back through the front`];
  if (unreadable) told.push(`${number(unreadable)} cannot be read as events, and stay`);
  if (failed) told.push(`${number(failed)} failed, and stay`);
  tell(`${told.join("; ")}.`, unreadable + failed > 0);
}

function drawReason(cell, { reason, detail }) {
  const text = detail ? `${reason}: ${detail}` : reason;
  cell.replaceChildren(make("b", {}, reason), detail ? ` ${detail}` : "");
  cell.title = text;
}

function drawTime(cell, { at }) {
  say(cell, time(at));
  cell.title = moment(at);
}

function drawReplay(cell, row) {
  const button = make("button", { type: "button", "aria-label": `Replay ${row.type} ${row.event}` }, "Replay");
  button.addEventListener("click", () => during(button, () => replay([row.key])));
  cell.replaceChildren(button);
}
