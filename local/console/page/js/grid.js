// A list with rows of one height, of which only the visible ones are in the page: 10,000 rows cost no
// more than 30. Rows are identified by key; new rows above do not move what is being read.

import { make, setText, setShown } from "./dom.js";
import { several } from "./format.js";
import { onNextFrame } from "./store.js";

const BEYOND = 6; // rows drawn above and below the visible ones
let grids = 0;

export class Grid {
  // `columns`: {name, title, draw(cell, row)}. `onOpen(row)`: it was clicked. `onMove(row)`: the keyboard
  // made it the active one.
  constructor(holder, { label, columns, empty, onOpen = () => {}, onMove = () => {} }) {
    this.columns = columns;
    this.onOpen = onOpen;
    this.onMove = onMove;
    this.id = `grid-${(grids += 1)}`;
    this.rows = [];
    this.active = null;
    this.selected = null;
    this.newer = 0;
    this.drawn = new Map();
    this.spare = [];
    this.height = 40;
    this.painted = () => this.paint();

    const titles = columns.map(({ name, title }) =>
      make("span", { role: "columnheader", class: `cell ${name}` }, title));
    this.head = make("div", { role: "rowgroup", class: "head" },
      make("div", { role: "row", class: "row", "aria-rowindex": 1 }, ...titles));
    this.body = make("div", { role: "rowgroup", class: "body" });
    this.root = make("div", { role: "grid", class: "grid", tabindex: 0, "aria-label": label }, this.head, this.body);
    this.pill = make("button", { type: "button", class: "newer", onclick: () => this.toTop() });
    this.empty = make("p", { class: "empty" }, empty);
    setShown(this.pill, false);
    holder.append(this.root, this.pill, this.empty);

    this.root.addEventListener("scroll", () => {
      if (this.root.scrollTop < this.height / 2) this.newer = 0;
      onNextFrame(this.painted);
    }, { passive: true });
    this.root.addEventListener("keydown", (event) => this.pressed(event));
    this.root.addEventListener("focus", () => this.focused());
    this.body.addEventListener("click", (event) => this.clicked(event));
    new ResizeObserver(() => {
      this.height = parseFloat(getComputedStyle(this.root).getPropertyValue("--row")) || this.height;
      onNextFrame(this.painted);
    }).observe(this.root);
  }

  // Shows other rows, or the same ones changed. `isOther`: for another search, so it begins at the top.
  setRows(rows, { isOther = false } = {}) {
    const { scrollTop } = this.root;
    const at = Math.floor(scrollTop / this.height);
    const anchor = isOther || scrollTop < this.height / 2 ? undefined : this.rows[at]?.key;
    this.rows = rows;
    this.size();
    if (isOther) {
      this.toTop();
    } else if (anchor !== undefined) {
      const now = rows.findIndex((row) => row.key === anchor);
      if (now >= 0 && now !== at) {
        this.newer = Math.max(0, this.newer + now - at);
        this.root.scrollTop = scrollTop + (now - at) * this.height;
      }
    }
    onNextFrame(this.painted);
  }

  select(key) {
    this.selected = key;
    if (key !== null) this.active = key;
    onNextFrame(this.painted);
  }

  toTop() {
    this.root.scrollTop = 0;
    this.newer = 0;
    onNextFrame(this.painted);
  }

  size() {
    this.body.style.height = `${this.rows.length * this.height}px`;
    this.root.setAttribute("aria-rowcount", this.rows.length + 1);
  }

  paint() {
    this.size();
    setShown(this.empty, this.rows.length === 0);
    setShown(this.pill, this.newer > 0);
    if (this.newer > 0) setText(this.pill, `↑ ${several(this.newer, "newer row")}`);
    const inSight = this.root.clientHeight - this.head.offsetHeight;
    const first = Math.max(0, Math.floor(this.root.scrollTop / this.height) - BEYOND);
    const last = Math.min(this.rows.length, Math.ceil((this.root.scrollTop + inSight) / this.height) + BEYOND);
    const wanted = this.rows.slice(first, last);
    const keys = new Set(wanted.map((row) => row.key));
    for (const [key, element] of this.drawn) {
      if (keys.has(key)) continue;
      this.drawn.delete(key);
      element.remove();
      if (this.spare.length < 60) this.spare.push(element);
    }
    let active = "";
    wanted.forEach((row, place) => {
      const element = this.element(row);
      const index = first + place;
      element.style.transform = `translateY(${index * this.height}px)`;
      element.setAttribute("aria-rowindex", index + 2);
      element.setAttribute("aria-selected", String(row.key === this.selected));
      element.classList.toggle("is-active", row.key === this.active);
      // In visual order, for screen readers.
      if (this.body.children[place] !== element) this.body.insertBefore(element, this.body.children[place] ?? null);
      if (row.key === this.active) active = element.id;
    });
    if (active) this.root.setAttribute("aria-activedescendant", active);
    else this.root.removeAttribute("aria-activedescendant");
  }

  element(row) {
    let element = this.drawn.get(row.key);
    if (!element) {
      element = this.spare.pop() ?? this.blank();
      element.row = null;
      element.dataset.key = row.key;
      this.drawn.set(row.key, element);
    }
    if (element.row !== row) {
      element.row = row;
      this.columns.forEach(({ draw }, at) => draw(element.children[at], row));
    }
    return element;
  }

  blank() {
    const cells = this.columns.map(({ name }) => make("span", { role: "gridcell", class: `cell ${name}` }));
    this.made = (this.made ?? 0) + 1;
    return make("div", { role: "row", class: "row", id: `${this.id}-${this.made}` }, ...cells);
  }

  clicked(event) {
    if (event.target.closest("button")) return;
    const row = event.target.closest(".row")?.row;
    if (!row) return;
    this.active = row.key;
    onNextFrame(this.painted);
    this.onOpen(row);
  }

  focused() {
    if (this.rows.some((row) => row.key === this.active)) return;
    this.active = this.rows[Math.ceil(this.root.scrollTop / this.height)]?.key ?? null;
    onNextFrame(this.painted);
  }

  pressed(event) {
    if (event.target !== this.root || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.rows.findIndex((row) => row.key === this.active);
    const page = Math.max(1, Math.floor(this.root.clientHeight / this.height) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key === "Enter" && at >= 0) {
      event.preventDefault();
      this.onOpen(this.rows[at]);
    } else if (event.key in steps && this.rows.length) {
      event.preventDefault();
      const to = at < 0 ? 0 : Math.min(this.rows.length - 1, Math.max(0, at + steps[event.key]));
      this.active = this.rows[to].key;
      this.reveal(to);
      onNextFrame(this.painted);
      this.onMove(this.rows[to]);
    }
  }

  reveal(at) {
    const top = at * this.height;
    const inSight = this.root.clientHeight - this.head.offsetHeight;
    if (top < this.root.scrollTop) this.root.scrollTop = top;
    else if (top + this.height > this.root.scrollTop + inSight) this.root.scrollTop = top + this.height - inSight;
  }
}
