// Where the parts listen, for who wants to send something by other means.

import { byId, make } from "./dom.js";
import { store, whenChanged } from "./store.js";

export function facts() {
  let drawn = "";
  whenChanged(() => {
    const told = JSON.stringify(store.facts);
    if (told === drawn) return;
    drawn = told;
    byId("facts").replaceChildren(...Object.entries(store.facts).flatMap(([name, value]) =>
      [make("dt", {}, name), make("dd", { title: value }, value)]));
  });
}
