// The server: requests to its API, and the stream of changes, which reconnects when it ends.

import { byId, setText, setShown } from "./dom.js";
import { take } from "./store.js";

export async function post(path, body = {}) {
  return answer(fetch(`api/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  }));
}

export async function get(path) {
  return answer(fetch(`api/${path}`));
}

async function answer(requested) {
  let response;
  try {
    response = await requested;
  } catch {
    throw new Error("The console does not answer: is python -m local still running?");
  }
  const data = await response.json();
  if (!response.ok) throw new Error(data.error);
  return data;
}

const AGAIN_MS = 2000;

export function follow() {
  showConnection("connecting", "Connecting…");
  const source = new EventSource("api/stream");
  source.addEventListener("snapshot", ({ data }) => {
    showConnection("live", "Live");
    take(JSON.parse(data), true);
  });
  source.addEventListener("change", ({ data }) => take(JSON.parse(data), false));
  source.addEventListener("error", () => {
    showConnection("gone", "Not running");
    // Not left to the browser, which gives up after some responses and waits long after others.
    source.close();
    setTimeout(follow, AGAIN_MS);
  });
}

let wasGone = false;

function showConnection(state, text) {
  // While reconnecting, the page still says that it is gone.
  if (state === "connecting" && wasGone) return;
  wasGone = state === "gone";
  const connection = byId("connection");
  connection.dataset.state = state;
  setText(connection, text);
  setShown(byId("gone"), wasGone);
  document.body.classList.toggle("is-gone", wasGone);
}
