// What goes wrong on purpose, at the top of the page for as long as it does.

import { ask } from "./api.js";
import { byId, make, show } from "./dom.js";
import { during } from "./said.js";
import { store, whenChanged } from "./store.js";

export function banner() {
  const list = byId("in-force");
  const all = byId("clear-all");
  all.addEventListener("click", () => during(all, () => ask("clear")));
  let drawn = "[]";
  whenChanged(() => {
    const told = JSON.stringify(store.injections);
    if (told === drawn) return;
    drawn = told;
    list.replaceChildren(...store.injections.map(line));
    show(byId("trouble"), store.injections.length > 0);
    document.title = store.injections.length ? "⚠ pendo-to-aep, local" : "pendo-to-aep, local";
  });
}

function line({ kind, text }) {
  const clear = make("button", { type: "button", "aria-label": `Clear: ${text}`, title: "Clear" }, "×");
  clear.addEventListener("click", () => during(clear, () => ask("clear", { kind })));
  return make("li", { "data-kind": kind }, make("span", {}, text), clear);
}
