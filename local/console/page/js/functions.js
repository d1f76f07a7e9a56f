// The hand that restarts a function, in order or by a crash.

import { ask } from "./api.js";
import { byId, make, say } from "./dom.js";
import { during, tell } from "./said.js";
import { store, whenChanged } from "./store.js";

export function functions() {
  const list = byId("functions");
  const lines = new Map();
  whenChanged(() => {
    const names = Object.keys(store.functions);
    for (const name of names) {
      if (!lines.has(name)) {
        lines.set(name, line(name));
        list.append(lines.get(name).element);
      }
      lines.get(name).paint(store.functions[name]);
    }
    if (!names.length && store.facts.receive && !list.firstChild) {
      list.append(make("li", { class: "about" }, "You started them yourself: restart them where they run."));
    }
  });
}

function line(name) {
  const state = make("small");
  const restart = make("button", { type: "button", "aria-label": `Restart ${name}`, title: "Ends in order, as for a new version, and starts again" }, "Restart");
  const crash = make("button", { type: "button", "aria-label": `Crash ${name}`, title: "Killed on the spot, and started again" }, "Crash");
  const act = (button, isKill) => button.addEventListener("click", () => during(button, async () => {
    await ask("restart", { target: name, is_kill: isKill });
    tell(`${name} runs again.`);
  }));
  act(restart, false);
  act(crash, true);
  const element = make("li", { "data-function": name }, make("span", { class: "what" }, name, state), restart, crash);
  return {
    element,
    paint(told) {
      say(state, told);
      element.classList.toggle("is-starting", told !== "running");
    },
  };
}
