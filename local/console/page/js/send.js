// The hand that sends: a sample as it is or edited, rightly signed or not, once or many times.

import { ask, look } from "./api.js";
import { byId, make, say, show } from "./dom.js";
import { number } from "./format.js";
import { during, tell } from "./said.js";
import { store, whenChanged } from "./store.js";

export function send({ onOpen }) {
  const form = byId("send");
  const [sample, body, fresh, signature, count, progress, answer, stop] =
    ["sample", "body", "fresh", "signature", "count", "progress", "sent", "stop"].map(byId);
  const button = form.querySelector("[type=submit]");
  let samples = [];

  const chosen = () => {
    body.value = samples.find(({ name }) => name === sample.value)?.text ?? body.value;
  };
  sample.addEventListener("change", chosen);

  async function load() {
    samples = await look("samples");
    sample.replaceChildren(...samples.map(({ name }) => make("option", { value: name }, name.replaceAll("_", " "))));
    chosen();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    during(button, async () => {
      answer.replaceChildren();
      const told = await ask("send", {
        text: body.value,
        signature: signature.value,
        count: count.valueAsNumber,
        fresh: fresh.checked || count.valueAsNumber > 1,
      });
      if (told.status === undefined) say(answer, `Sending ${number(told.sending)}…`);
      else answer.replaceChildren(...said(told, onOpen));
    });
  });
  stop.addEventListener("click", () => during(stop, () => ask("stop")));

  let was = 0;
  whenChanged(() => {
    const { wanted, answered } = store.sending;
    show(progress, wanted > 0);
    show(stop, wanted > 0);
    if (wanted > 0) {
      progress.max = wanted;
      progress.value = answered;
      say(answer, `Sent ${number(answered)} of ${number(wanted)}`);
    } else if (was > 0) {
      say(answer, `The burst of ${number(was)} is over.`);
    }
    was = wanted;
  });

  load().catch((error) => tell(error.message, true));
  return {
    // Takes a body to edit, of an event that came.
    edit(text) {
      byId("edit").open = true;
      body.value = text;
      body.focus();
      body.scrollIntoView({ block: "center" });
    },
  };
}

function said({ status, answer }, onOpen) {
  const word = answer?.status ?? answer?.error ?? "";
  const text = status ? `receive answered ${status}${word ? `: ${word}` : ""}` : "receive does not answer";
  if (!answer?.id) return [text];
  const open = make("button", { type: "button", class: "link", onclick: () => onOpen(answer.id) }, "Open it");
  return [text, " ", open];
}
