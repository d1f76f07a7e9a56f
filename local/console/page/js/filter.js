// Which events are shown. Pure: it knows rows and what is asked for, and no page.

// `status` may name several, as "waiting|retrying". Every word must be in one of the texts of a row.
export function filterOf({ words = "", status = "", type = "" }) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const statuses = status ? new Set(status.split("|")) : null;
  if (!wanted.length && !statuses && !type) return null;
  return (row) =>
    (!statuses || statuses.has(row.status)) &&
    (!type || row.type === type) &&
    wanted.every((word) => textOf(row).includes(word));
}

const texts = new WeakMap();

function textOf(row) {
  let text = texts.get(row);
  if (text === undefined) {
    text = [row.key, row.type, row.visitor, row.status, row.reason].join("\n").toLowerCase();
    texts.set(row, text);
  }
  return text;
}
