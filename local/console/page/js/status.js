// The statuses of events: their order, their signs (not by colour alone), and what they mean.

import { make } from "./dom.js";

export const STATUSES = {
  accepted: { sign: "✓", tone: "good", means: "AEP has taken it" },
  "in a batch": { sign: "▸", tone: "busy", means: "deliver has it" },
  waiting: { sign: "·", tone: "calm", means: "in the topic, not yet delivered" },
  retrying: { sign: "↻", tone: "warn", means: "handed back to the topic; it comes again" },
  dead: { sign: "✕", tone: "bad", means: "a dead letter, with its reason" },
  rejected: { sign: "⊘", tone: "odd", means: "receive answered 4xx, and stored nothing" },
  "not stored": { sign: "!", tone: "bad", means: "receive answered 5xx, or not at all: Pendo was promised nothing" },
  answered: { sign: "–", tone: "calm", means: "a ping, or a type that is left out: it goes nowhere" },
};

export function chip(text, { sign, tone, means } = STATUSES[text]) {
  return make("span", { class: `chip is-${tone}`, title: means }, make("i", { "aria-hidden": "true" }, sign), text);
}
