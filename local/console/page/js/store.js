// What the server has told: tables by key, the counts, the seconds of the plots.

import { soon } from "./frame.js";

const KEPT_SECONDS = 180;

class Table {
  constructor() {
    this.rows = new Map();
    this.version = 0;
    this.sorted = [];
    this.sortedAt = -1;
  }

  take({ changed, gone }) {
    for (const key of gone) this.rows.delete(key);
    for (const row of changed) this.rows.set(row.key, row);
    if (changed.length || gone.length) this.version += 1;
  }

  // Newest first. A row that changes is another object, so that who draws it can compare.
  newest() {
    if (this.sortedAt !== this.version) {
      this.sorted = [...this.rows.values()].sort((a, b) => b.order - a.order);
      this.sortedAt = this.version;
    }
    return this.sorted;
  }
}

export const store = {
  events: new Table(),
  batches: new Table(),
  letters: new Table(),
  counts: {},
  seconds: new Map(),
  injections: [],
  sending: { wanted: 0, answered: 0 },
  functions: {},
  facts: {},
  lag: 0, // what the server's clock is ahead of this one, in milliseconds
  now: () => Date.now() + store.lag,
};

const painters = [];

// `paint` is called in a frame of its own after each change, and once now.
export function whenChanged(paint) {
  painters.push(paint);
  soon(paint);
}

export function take(told, isSnapshot) {
  for (const name of ["events", "batches", "letters"]) {
    if (isSnapshot) store[name].rows.clear();
    store[name].take(told[name]);
    if (isSnapshot) store[name].version += 1;
  }
  if (isSnapshot) store.seconds.clear();
  for (const second of told.seconds) store.seconds.set(second.at, second);
  const oldest = told.now / 1000 - KEPT_SECONDS;
  for (const at of store.seconds.keys()) if (at < oldest) store.seconds.delete(at);
  for (const name of ["counts", "injections", "sending", "functions", "facts"]) store[name] = told[name];
  store.lag = told.now - Date.now();
  painters.forEach(soon);
}
