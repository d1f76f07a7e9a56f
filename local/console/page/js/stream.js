// The server's stream: it is followed, and looked for again when it ends.

import { byId, say, show } from "./dom.js";
import { take } from "./store.js";

const AGAIN_MS = 2000;

export function follow() {
  tell("connecting", "Connecting…");
  const source = new EventSource("api/stream");
  source.addEventListener("snapshot", ({ data }) => {
    tell("live", "Live");
    take(JSON.parse(data), true);
  });
  source.addEventListener("change", ({ data }) => take(JSON.parse(data), false));
  source.addEventListener("error", () => {
    tell("gone", "Not running");
    // Not left to the browser: it gives up for good after some answers, and waits long after others.
    source.close();
    setTimeout(follow, AGAIN_MS);
  });
}

let wasGone = false;

function tell(state, text) {
  // While it is looked for, the page goes on saying that it is gone.
  if (state === "connecting" && wasGone) return;
  wasGone = state === "gone";
  const connection = byId("connection");
  connection.dataset.state = state;
  say(connection, text);
  show(byId("gone"), wasGone);
  document.body.classList.toggle("is-gone", wasGone);
}
