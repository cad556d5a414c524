// The sequence diagram. Only what is in sight is in the document: a window of records over a
// spacer that is as high as all of them would be, up to what browsers can scroll.
(function (troth) {
  "use strict";

  const HEAD = 44;
  const SPACER_MAX = 8_000_000;
  const TEXT_HEIGHT_MIN = 16;
  const NARROW = 620;

  troth.Diagram = class {
    constructor(store) {
      this.store = store;
      this.scroller = troth.byId("sequence");
      this.layer = troth.byId("layer");
      this.body = troth.byId("rows");
      this.spacer = troth.byId("spacer");
      this.first = 0;
      this.rebuild();
      this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
      this.scroller.addEventListener("click", (event) => this.clicked(event));
      new ResizeObserver(() => store.changed("size")).observe(this.scroller);
      store.listen((what) => this.update(what));
    }

    rebuild() {
      this.items = new troth.Items(this.store);
      this.placed = troth.lanesOf(this.store.view, this.store.filter);
    }

    update(what) {
      if (what.filter || what.view) this.rebuild();
      if (what.zoom) this.keepMiddle();
      else this.measure();
      if (this.store.reveal >= 0) this.revealRow(this.store.reveal);
      this.store.reveal = -1;
      this.draw();
    }

    measure() {
      this.height = this.scroller.clientHeight;
      this.visible = Math.max(1, (this.height - HEAD) / this.store.rowHeight);
      this.range = Math.max(0, this.items.count - this.visible);
      this.travel = Math.min(this.range * this.store.rowHeight, SPACER_MAX);
      this.spacer.style.height = this.travel + "px";
      this.layer.style.height = this.height + "px";
      this.first = Math.min(this.first, this.range);
    }

    keepMiddle() {
      const middle = this.first + this.visible / 2;
      this.measure();
      this.scrollTo(middle - this.visible / 2);
      if (this.store.selected >= 0) this.store.reveal = this.store.selected;
    }

    scrolled() {
      const share = this.travel > 0 ? this.scroller.scrollTop / this.travel : 0;
      const first = share * this.range;
      // A position that was set by us comes back rounded: then ours is the exact one.
      if (Math.abs(first - this.first) * this.travel > this.range * 1.5) this.first = first;
      this.store.changed("scroll");
    }

    scrollTo(first) {
      this.first = Math.min(this.range, Math.max(0, first));
      this.scroller.scrollTop = this.range > 0 ? (this.first / this.range) * this.travel : 0;
    }

    revealRow(row) {
      if (!this.store.isShown(row)) return;
      const place = this.items.placeOfShown(this.store.placeOf(row));
      const below = this.store.view.findingsAt.has(row) ? 4 : 1;
      if (place < this.first || place + below > this.first + this.visible) {
        this.scrollTo(place - Math.min(this.visible / 2, this.visible - below));
      }
    }

    clicked(event) {
      const y = event.clientY - this.scroller.getBoundingClientRect().top - HEAD;
      if (y < 0) return;
      const place = Math.floor(this.first + y / this.store.rowHeight);
      if (place >= this.items.count) return;
      const item = this.items.at(place);
      const row = item.row >= 0 ? item.row : this.store.view.findings[item.finding].record;
      if (row !== null) this.store.select(row);
    }

    layout() {
      const narrow = this.scroller.clientWidth < NARROW;
      const several = this.store.view.raw.sessionsSeen > 1 && this.store.filter.session === null;
      const columns = { narrow, number: narrow ? 46 : 68, session: several ? (narrow ? 34 : 46) : 0 };
      columns.kind = narrow ? 0 : 84;
      this.columns = columns;
      this.gutter = columns.number + columns.session + columns.kind;
      const room = this.scroller.clientWidth - this.gutter - 8;
      this.place = troth.placeLanes(this.placed.lanes, room, narrow);
      this.width = Math.max(this.scroller.clientWidth, this.gutter + this.place.width);
      this.layer.style.width = this.width + "px";
    }

    draw() {
      this.layout();
      troth.drawLaneHeads(this.store, this.placed, this.place, this.gutter);
      const height = this.store.rowHeight;
      const from = Math.max(0, Math.floor(this.first));
      const to = Math.min(this.items.count, Math.ceil(this.first + this.visible) + 1);
      const texts = [];
      const strokes = troth.lifelines(this);
      for (let place = from; place < to; place += 1) {
        const item = this.items.at(place);
        const y = (place - this.first) * height;
        if (item.row >= 0) {
          strokes.push(...troth.rowStrokes(this, item.row, y));
          if (height >= TEXT_HEIGHT_MIN || item.row === this.store.selected) {
            texts.push(troth.rowTexts(this, item.row, y));
          }
        } else if (height >= TEXT_HEIGHT_MIN) {
          texts.push(this.callout(item, y));
        }
      }
      const svg = troth.svg("svg", { width: this.width, height: this.height, "aria-hidden": "true" }, ...strokes);
      troth.replace(this.body, svg, ...texts, this.items.count === 0 ? this.nothing() : null);
      this.announce();
    }

    callout(item, y) {
      const finding = this.store.view.findings[item.finding];
      const isFirst = item.line === "message";
      const side = isFirst ? finding.code : item.line;
      const node = troth.element(
        "div",
        { class: "callout " + item.line, "aria-hidden": "true" },
        troth.element("b", {}, side),
        troth.element("span", {}, finding[item.line]),
      );
      node.style.top = y + "px";
      node.style.height = this.store.rowHeight + "px";
      node.style.left = this.columns.narrow ? "0" : this.columns.number + this.columns.session + "px";
      node.style.width = this.scroller.clientWidth - (this.columns.narrow ? 0 : this.columns.number + this.columns.session) + "px";
      return node;
    }

    nothing() {
      const empty = this.store.view.rows.count === 0;
      const says = empty
        ? "This file holds no record that could be read."
        : "No record passes these filters. Press Escape to see all of them again.";
      return troth.element("p", { class: "nothing" }, says);
    }

    announce() {
      const { selected } = this.store;
      const node = selected >= 0 ? troth.byId("row-" + selected) : null;
      if (node !== null) this.scroller.setAttribute("aria-activedescendant", node.id);
      else this.scroller.removeAttribute("aria-activedescendant");
    }
  };
})((window.troth = window.troth || {}));
