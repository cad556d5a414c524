// What the page shows at this moment: one object that the parts read, and are told of changes to.
(function (troth) {
  "use strict";

  const ZOOM = [2, 5, 10, 16, 26, 38];
  const ZOOM_FIRST = 4;

  troth.Store = class {
    constructor(views) {
      this.views = views;
      this.zoomStep = ZOOM_FIRST;
      this.listeners = [];
      this.pending = false;
      this.show(0);
    }

    show(number) {
      this.view = this.views[number];
      this.filter = troth.noFilter();
      this.selected = -1;
      this.reveal = -1;
      this.refilter();
    }

    switchTo(number) {
      this.show(number);
      this.changed("view");
    }

    // Parts are called once for all changes of a moment, with what has changed.
    listen(listener) {
      this.listeners.push(listener);
    }

    changed(what) {
      this.what = Object.assign(this.what || {}, { [what]: true });
      if (this.pending) return;
      this.pending = true;
      requestAnimationFrame(() => this.flush());
    }

    flush() {
      const what = this.what || {};
      this.pending = false;
      this.what = null;
      for (const listener of this.listeners) listener(what);
    }

    get rowHeight() {
      return ZOOM[this.zoomStep];
    }

    zoom(step) {
      const next = step === 0 ? ZOOM_FIRST : this.zoomStep + step;
      this.zoomStep = Math.min(ZOOM.length - 1, Math.max(0, next));
      this.changed("zoom");
    }

    setFilter(changes) {
      Object.assign(this.filter, changes);
      this.refilter();
      if (this.selected >= 0) this.reveal = this.selected;
      this.changed("filter");
    }

    clearFilter() {
      this.setFilter(troth.noFilter());
    }

    refilter() {
      const { view, filter } = this;
      this.matches = troth.matcher(view, filter.query);
      this.shown = troth.filtered(view, filter);
      this.matched = this.matches === null ? null : this.shown.filter(this.matches);
      if (filter.only && this.matched !== null) this.shown = this.matched;
    }

    // Where a row stands among those shown, or would stand.
    placeOf(row) {
      let low = 0;
      let high = this.shown.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (this.shown[middle] < row) low = middle + 1;
        else high = middle;
      }
      return low;
    }

    isShown(row) {
      return this.shown[this.placeOf(row)] === row;
    }

    // Selects a record and brings it into sight; what hides it is switched off.
    select(row) {
      if (row < 0 || row >= this.view.rows.count) return;
      if (!this.isShown(row)) this.clearFilter();
      this.selected = row;
      this.reveal = row;
      this.changed("selected");
    }

    // So many records on among those shown.
    move(distance) {
      if (this.shown.length === 0) return;
      let place = this.placeOf(Math.max(0, this.selected));
      const exact = this.selected >= 0 && this.shown[place] === this.selected;
      if (exact) place += distance;
      else if (this.selected >= 0 && distance < 0) place += distance;
      this.select(this.shown[Math.min(this.shown.length - 1, Math.max(0, place))]);
    }

    // The next match in a direction, round and round.
    nextMatch(direction) {
      const found = this.matched;
      if (found === null || found.length === 0) return;
      const after = found.findIndex((row) => row > this.selected);
      const next = after < 0 ? 0 : after;
      let before = (after < 0 ? found.length : after) - 1;
      if (found[before] === this.selected) before -= 1;
      const place = direction > 0 ? next : (before + found.length) % found.length;
      this.select(found[place]);
    }

    nextFinding() {
      const rows = [...this.view.findingsAt.keys()].sort((a, b) => a - b);
      if (rows.length === 0) return;
      this.select(rows.find((row) => row > this.selected) ?? rows[0]);
    }

    // The session that positions are shown of.
    get sessionInSight() {
      const own = this.selected < 0 ? -1 : this.view.rows.session[this.selected];
      if (own >= 0) return own;
      if (this.filter.session !== null) return this.filter.session;
      return this.view.raw.sessions.length > 0 ? 0 : -1;
    }
  };
})((window.troth = window.troth || {}));
