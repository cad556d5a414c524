// The keyboard: the list of records has the keys of a list, single letters work everywhere but
// where one types, and the theme has a button and a key.
(function (troth) {
  "use strict";

  const { byId } = troth;
  const THEMES = ["auto", "light", "dark"];

  function isTyping(target) {
    return target instanceof HTMLInputElement ? target.type !== "checkbox" : target instanceof HTMLSelectElement;
  }

  function toMate(store) {
    const mate = store.selected < 0 ? -1 : store.view.rows.mate[store.selected];
    if (mate >= 0) store.select(mate);
  }

  function inSession(store, direction) {
    if (store.selected < 0) return;
    const rows = store.view.rowsOf(store.view.rows.session[store.selected]);
    const next = rows[rows.indexOf(store.selected) + direction];
    if (next !== undefined) store.select(next);
  }

  function onlySession(store) {
    const session = store.selected < 0 ? -1 : store.view.rows.session[store.selected];
    if (store.filter.session !== null) store.setFilter({ session: null });
    else if (session >= 0) store.setFilter({ session });
  }

  const LETTERS = {
    m: toMate,
    "[": (store) => inSession(store, -1),
    "]": (store) => inSession(store, 1),
    f: (store) => store.nextFinding(),
    s: onlySession,
    n: (store) => store.nextMatch(1),
    N: (store) => store.nextMatch(-1),
    j: (store) => store.move(1),
    k: (store) => store.move(-1),
    "+": (store) => store.zoom(1),
    "=": (store) => store.zoom(1),
    "-": (store) => store.zoom(-1),
    0: (store) => store.zoom(0),
  };

  troth.Keys = class {
    constructor(store, diagram) {
      this.store = store;
      this.diagram = diagram;
      this.theme = 0;
      document.addEventListener("keydown", (event) => this.anywhere(event));
      byId("sequence").addEventListener("keydown", (event) => this.inList(event));
      byId("theme").addEventListener("click", () => this.nextTheme());
      byId("help-open").addEventListener("click", () => byId("help").showModal());
      byId("help-close").addEventListener("click", () => byId("help").close());
      for (const id of ["theme", "help-open"]) byId(id).hidden = false;
    }

    inList(event) {
      const page = Math.max(1, Math.floor(this.diagram.visible) - 1);
      const steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page };
      const { store } = this;
      if (event.key in steps) store.move(steps[event.key]);
      else if (event.key === "Home") store.select(store.shown[0] ?? -1);
      else if (event.key === "End") store.select(store.shown[store.shown.length - 1] ?? -1);
      else if (event.key === "Enter") toMate(store);
      else return;
      event.preventDefault();
    }

    anywhere(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
      if (event.key === "Escape") {
        if (troth.isFiltered(this.store.filter)) this.store.clearFilter();
        if (isTyping(event.target)) {
          event.target.value = "";
          byId("sequence").focus();
        }
        return;
      }
      if (isTyping(event.target)) return;
      if (event.key === "/") byId("search").focus();
      else if (event.key === "?") byId("help").showModal();
      else if (event.key === "t") this.nextTheme();
      else if (event.key in LETTERS) LETTERS[event.key](this.store);
      else return;
      event.preventDefault();
    }

    nextTheme() {
      this.theme = (this.theme + 1) % THEMES.length;
      const theme = THEMES[this.theme];
      if (theme === "auto") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = theme;
      troth.replace(byId("theme"), document.createTextNode("Theme: " + theme));
      this.store.changed("theme");
    }
  };
})((window.troth = window.troth || {}));
