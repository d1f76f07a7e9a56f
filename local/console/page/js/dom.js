// Elements, tabs and messages. Text is set as text, never as HTML: anybody can send a webhook.

export const byId = (id) => document.getElementById(id);

// Makes an element: `make("p", {class: "x", onclick: f}, "text", another)`. False attributes are omitted.
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  set(element, attributes);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function draw(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  set(element, attributes);
  element.append(...children);
  return element;
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
}

// Writes only changes: an unchanged node costs no layout and keeps the selection in it.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setShown(element, isShown) {
  if (element.hidden === isShown) element.hidden = !isShown;
}

export function tabs(list, onShow = () => {}) {
  const all = [...list.querySelectorAll("[role=tab]")];

  function choose(tab, { focus = false } = {}) {
    for (const each of all) {
      const isChosen = each === tab;
      each.setAttribute("aria-selected", String(isChosen));
      each.tabIndex = isChosen ? 0 : -1;
      // Not by document: the tabs may not be in the page yet.
      const panel = list.parentElement.querySelector(`#${each.getAttribute("aria-controls")}`);
      panel.hidden = !isChosen;
    }
    if (focus) tab.focus();
    onShow(tab);
  }

  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) choose(tab);
  });
  list.addEventListener("keydown", (event) => {
    const at = all.indexOf(event.target.closest("[role=tab]"));
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(all[(to + all.length) % all.length], { focus: true });
  });
  return choose;
}

const SHOWN_MS = 6000;
let timer = 0;

export function notify(text, isBad = false) {
  const message = byId("message");
  setText(message, text);
  message.classList.toggle("is-bad", isBad);
  clearTimeout(timer);
  timer = setTimeout(() => setText(message, ""), SHOWN_MS);
}

// Runs the action of a button, which is disabled meanwhile, and shows errors.
export async function whileBusy(button, work) {
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    notify(error.message, true);
  } finally {
    button.disabled = false;
  }
}
