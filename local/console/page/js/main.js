// Connects the parts of the page.

import { charts } from "./charts.js";
import { facts, faults, functions, send } from "./controls.js";
import { eventDetail } from "./detail.js";
import { byId, tabs } from "./dom.js";
import { batches, events, letters } from "./lists.js";
import { failureBanner, flow } from "./overview.js";
import { follow } from "./server.js";

const detail = eventDetail({
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
  // The details follow the active row; the keyboard stays with the list.
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
failureBanner();
charts();
faults();
functions();
facts();

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input, textarea, select");
  // In the search field, the browser's own Escape comes first: it clears the field.
  if (event.key === "Escape" && detail.isOpen() && !(event.target.type === "search" && event.target.value)) detail.close();
  else if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    chooseTab(byId("tab-events"));
    byId("search").focus();
  }
});

follow();
