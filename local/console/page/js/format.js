// Numbers, times and sizes as people read them.

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
