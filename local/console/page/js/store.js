// What the server has sent: tables by key, counts, and the seconds of the charts.

const waiting = new Set();
let requested = false;

export function onNextFrame(paint) {
  waiting.add(paint);
  if (requested) return;
  requested = true;
  // A page in the background gets no frames and needs none.
  requestAnimationFrame(() => {
    requested = false;
    const now = [...waiting];
    waiting.clear();
    for (const each of now) each();
  });
}

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

  // Newest first. A changed row is a new object, so that it can be compared when it is drawn.
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
  lag: 0, // how far the server's clock is ahead of this one, in milliseconds
  now: () => Date.now() + store.lag,
};

const painters = [];

// Calls `paint` in the next frame after each change, and once now.
export function onChange(paint) {
  painters.push(paint);
  onNextFrame(paint);
}

export function take(data, isSnapshot) {
  for (const name of ["events", "batches", "letters"]) {
    if (isSnapshot) store[name].rows.clear();
    store[name].take(data[name]);
    if (isSnapshot) store[name].version += 1;
  }
  if (isSnapshot) store.seconds.clear();
  for (const second of data.seconds) store.seconds.set(second.at, second);
  const oldest = data.now / 1000 - KEPT_SECONDS;
  for (const at of store.seconds.keys()) if (at < oldest) store.seconds.delete(at);
  for (const name of ["counts", "injections", "sending", "functions", "facts"]) store[name] = data[name];
  store.lag = data.now - Date.now();
  painters.forEach(onNextFrame);
}
