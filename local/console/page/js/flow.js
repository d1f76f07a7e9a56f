// The picture of the way: the count on each stage, and what it shows when it is pressed.

import { byId, say } from "./dom.js";
import { number, short } from "./format.js";
import { store, whenChanged } from "./store.js";

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
      say(element, number(value));
      const words = element.parentElement.querySelector("[data-words]");
      if (words) say(words, words.dataset.words.split("|")[value === 1 ? 0 : 1]);
      const line = element.closest("[data-if-any], [data-or-none]");
      line?.classList.toggle("has-none", value === 0);
    }
    const rate = recently("received");
    say(byId("rate"), short(rate));
    const { delivering = 0, waiting = 0, letters = 0 } = store.counts;
    const moves = {
      pendo: rate > 0,
      receive: rate > 0,
      topic: waiting > 0 || delivering > 0,
      deliver: delivering > 0 || recently("accepted") > 0,
    };
    for (const [name, isMoving] of Object.entries(moves)) stages[name].classList.toggle("moves", isMoving);
    stages.dead.classList.toggle("has-any", letters > 0);
    stages.topic.classList.toggle("holds", waiting > 0);
  }

  whenChanged(paint);
  setInterval(paint, 1000); // what no longer happens is told by nobody
}

// How many a second, over the last few that are whole.
function recently(what) {
  const now = Math.floor(store.now() / 1000);
  let sum = 0;
  for (let at = now - RECENT_SECONDS; at < now; at += 1) sum += store.seconds.get(at)?.[what] ?? 0;
  return sum / RECENT_SECONDS;
}
