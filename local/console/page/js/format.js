// Numbers, times, sizes and statuses for people.

import { make } from "./dom.js";

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });

export const number = (value) => whole.format(value);
export const short = (value) => (value < 10 ? tenth : whole).format(value);
export const time = (ms) => clock.format(ms);
export const moment = (ms) => day.format(ms);

export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${whole.format(ms)} ms`;
  if (ms < 60_000) return `${tenth.format(ms / 1000)} s`;
  return `${Math.floor(ms / 60_000)} min ${whole.format((ms % 60_000) / 1000)} s`;
}

export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${tenth.format(bytes / 1000)} kB` : `${tenth.format(bytes / 1_000_000)} MB`;
}

export const percent = (share) => (share > 0 && share < 0.01 ? "< 1%" : `${whole.format(share * 100)}%`);
export const several = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

export const STATUSES = {
  stored: { sign: "✓", tone: "good", means: "in the data lake" },
  accepted: { sign: "◦", tone: "good", means: "accepted by AEP, not in the data lake yet" },
  "failed later": { sign: "✕", tone: "bad", means: "accepted by AEP, and not stored: AEP says why" },
  "in a batch": { sign: "▸", tone: "busy", means: "deliver has it" },
  waiting: { sign: "·", tone: "calm", means: "in the topic, not yet delivered" },
  retrying: { sign: "↻", tone: "warn", means: "returned to the topic, to be redelivered" },
  dead: { sign: "✕", tone: "bad", means: "a dead letter, with its reason" },
  rejected: { sign: "⊘", tone: "odd", means: "receive answered 4xx and stored nothing" },
  "not stored": { sign: "!", tone: "bad", means: "receive answered 5xx or not at all" },
  answered: { sign: "–", tone: "calm", means: "a ping or an excluded type, not stored" },
};

export function chip(text, { sign, tone, means } = STATUSES[text]) {
  return make("span", { class: `chip is-${tone}`, title: means }, make("i", { "aria-hidden": "true" }, sign), text);
}
