// A short word at the foot of the page, for what a click has done.

import { byId, say } from "./dom.js";

const SHOWN_MS = 6000;
let timer = 0;

export function tell(text, isBad = false) {
  const said = byId("said");
  say(said, text);
  said.classList.toggle("is-bad", isBad);
  clearTimeout(timer);
  timer = setTimeout(() => say(said, ""), SHOWN_MS);
}

// Runs what a button does: the button rests meanwhile, and what fails is said.
export async function during(button, work) {
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    tell(error.message, true);
  } finally {
    button.disabled = false;
  }
}
