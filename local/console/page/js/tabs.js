// Tabs, as the ARIA practices have them: arrows move, and what is moved to is shown.

export function tabs(list, onShow = () => {}) {
  const all = [...list.querySelectorAll("[role=tab]")];

  function choose(tab, { focus = false } = {}) {
    for (const each of all) {
      const isChosen = each === tab;
      each.setAttribute("aria-selected", String(isChosen));
      each.tabIndex = isChosen ? 0 : -1;
      // The panel's own document, for tabs that are not yet in the page.
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
