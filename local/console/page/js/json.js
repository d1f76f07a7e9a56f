// JSON for people: indented and coloured, of the text as it came. It is never parsed and written
// again, for that changes large numbers, and hides what is not quite JSON.

import { make } from "./dom.js";
import { number } from "./format.js";

const MAX_SHOWN = 100_000;
const TOKENS = /"(?:[^"\\]|\\.)*"|[^\s"{}[\]:,]+|[{}[\]:,]/g;

// [[kind, text], ...], or null if it is not JSON.
export function pretty(text) {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const found = text.match(TOKENS) ?? [];
  const out = [];
  let depth = 0;
  const line = () => out.push(["", `\n${"  ".repeat(depth)}`]);
  found.forEach((token, at) => {
    const next = found[at + 1];
    if (token === "{" || token === "[") {
      out.push(["", token]);
      depth += 1;
      if (next !== "}" && next !== "]") line();
    } else if (token === "}" || token === "]") {
      depth -= 1;
      if (found[at - 1] !== "{" && found[at - 1] !== "[") line();
      out.push(["", token]);
    } else if (token === ",") {
      out.push(["", token]);
      line();
    } else if (token === ":") {
      out.push(["", ": "]);
    } else if (token.startsWith('"')) {
      out.push([next === ":" ? "key" : "text", token]);
    } else {
      out.push([/^[-\d]/.test(token) ? "number" : "word", token]);
    }
  });
  return out;
}

// A block that can be scrolled by keyboard, with a button that copies the text as it came.
export function block(text, label) {
  const code = make("code", {});
  const isCut = fill(code, text);
  const copy = make("button", { type: "button", class: "copy", "aria-label": `Copy: ${label}` }, "Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = "Copied";
  });
  return make("div", { class: "block" },
    copy,
    make("pre", { tabindex: 0, role: "region", "aria-label": label }, code),
    isCut ? make("p", { class: "about" }, `The rest is not shown; “Copy” takes all ${number(text.length)} characters.`) : null);
}

// Whether there is more than is shown.
function fill(code, text) {
  let shown = 0;
  for (const [kind, part] of pretty(text) ?? [["", text]]) {
    const cut = part.slice(0, MAX_SHOWN - shown);
    code.append(kind ? make("span", { class: `json-${kind}` }, cut) : cut);
    shown += part.length;
    if (shown > MAX_SHOWN) return true;
  }
  return false;
}
