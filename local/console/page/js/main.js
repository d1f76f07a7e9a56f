// The page: its parts, and what connects them.

import { banner } from "./banner.js";
import { batches } from "./batches.js";
import { byId } from "./dom.js";
import { events } from "./events.js";
import { facts } from "./facts.js";
import { faults } from "./faults.js";
import { flow } from "./flow.js";
import { functions } from "./functions.js";
import { letters } from "./letters.js";
import { opened } from "./opened.js";
import { plots } from "./plots.js";
import { send } from "./send.js";
import { follow } from "./stream.js";
import { tabs } from "./tabs.js";

const detail = opened({
  onClose() {
    list.grid.select(null);
    list.grid.root.focus({ preventScroll: true });
  },
  onEdit(text) {
    detail.close();
    sender.edit(text);
  },
});

function open(key, options) {
  list.grid.select(key);
  detail.open(key, options);
}

const list = events({
  onOpen: ({ key }) => open(key),
  // What is read follows what is chosen; the keyboard stays with the list.
  onMove: ({ key }) => detail.isOpen() && open(key, { focus: false }),
});
const sender = send({ onOpen: (key) => open(key) });
const chooseTab = tabs(document.querySelector(".lists .tabs"));
batches();
letters({ onOpen: (key) => open(key) });
flow({
  showEvents(status) {
    chooseTab(byId("tab-events"));
    list.showOnly(status);
  },
  showLetters: () => chooseTab(byId("tab-letters")),
});
banner();
plots();
faults();
functions();
facts();

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input, textarea, select");
  // In a search, the browser's own Escape comes first: it empties the field.
  if (event.key === "Escape" && detail.isOpen() && !(event.target.type === "search" && event.target.value)) detail.close();
  else if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    chooseTab(byId("tab-events"));
    byId("search").focus();
  }
});

follow();
