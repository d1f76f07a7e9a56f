// The overview: the counts of each stage, and the injected failures.

import { byId, whileBusy, make, setText, setShown } from "./dom.js";
import { number, short } from "./format.js";
import { post } from "./server.js";
import { store, onChange } from "./store.js";

const RECENT_SECONDS = 3;

export function flow({ showEvents, showLetters }) {
  const counts = [...document.querySelectorAll("[data-count]")];
  const stages = Object.fromEntries(
    [...document.querySelectorAll("[data-stage]")].map((stage) => [stage.dataset.stage, stage]),
  );
  for (const button of document.querySelectorAll("[data-show]")) {
    button.addEventListener("click", () => showEvents(button.dataset.show));
  }
  byId("show-letters").addEventListener("click", showLetters);

  function paint() {
    for (const element of counts) {
      const value = store.counts[element.dataset.count] ?? 0;
      setText(element, number(value));
      const words = element.parentElement.querySelector("[data-words]");
      if (words) setText(words, words.dataset.words.split("|")[value === 1 ? 0 : 1]);
      const line = element.closest("[data-if-any], [data-or-none]");
      line?.classList.toggle("has-none", value === 0);
    }
    const rate = recently("received");
    setText(byId("rate"), short(rate));
    const { delivering = 0, waiting = 0, letters = 0, ingesting = 0 } = store.counts;
    const moves = {
      pendo: rate > 0,
      receive: rate > 0,
      topic: waiting > 0 || delivering > 0,
      deliver: delivering > 0 || recently("accepted") > 0,
      aep: ingesting > 0,
    };
    for (const [name, isMoving] of Object.entries(moves)) stages[name].classList.toggle("moves", isMoving);
    stages.dead.classList.toggle("has-any", letters > 0);
    stages.topic.classList.toggle("holds", waiting > 0);
  }

  onChange(paint);
  setInterval(paint, 1000); // the rate falls without any update
}

// Returns the rate per second over the last complete seconds.
function recently(what) {
  const now = Math.floor(store.now() / 1000);
  let sum = 0;
  for (let at = now - RECENT_SECONDS; at < now; at += 1) sum += store.seconds.get(at)?.[what] ?? 0;
  return sum / RECENT_SECONDS;
}

export function failureBanner() {
  const list = byId("active-faults");
  const all = byId("clear-all");
  all.addEventListener("click", () => whileBusy(all, () => post("clear")));
  let drawn = "[]";
  onChange(() => {
    const data = JSON.stringify(store.injections);
    if (data === drawn) return;
    drawn = data;
    list.replaceChildren(...store.injections.map(failureRow));
    setShown(byId("trouble"), store.injections.length > 0);
    document.title = store.injections.length ? "⚠ pendo-to-aep, local" : "pendo-to-aep, local";
  });
}

function failureRow({ kind, text }) {
  const clear = make("button", { type: "button", "aria-label": `Clear: ${text}`, title: "Clear" }, "×");
  clear.addEventListener("click", () => whileBusy(clear, () => post("clear", { kind })));
  return make("li", {}, make("span", {}, text), clear);
}
