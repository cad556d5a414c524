// The lines of the sequence diagram: the shown records, and after a record that a finding is
// about, the finding itself. A finding without a record of its own comes after the last line.
(function (troth) {
  "use strict";

  const LINES = ["message", "expected", "found"];

  function linesOf(finding) {
    return LINES.filter((line) => finding[line] !== null);
  }

  troth.Items = class {
    constructor(store) {
      const { view, shown } = store;
      this.shown = shown;
      this.breaks = [];
      let extra = 0;
      const add = (place, number) => {
        const lines = linesOf(view.findings[number]);
        this.breaks.push({ place, number, lines, before: extra });
        extra += lines.length;
      };
      for (const row of [...view.findingsAt.keys()].sort((a, b) => a - b)) {
        if (!store.isShown(row)) continue;
        for (const number of view.findingsAt.get(row)) add(store.placeOf(row) + 1, number);
      }
      view.findings.forEach((finding, number) => {
        const row = finding.record;
        if (row === null || row >= view.rows.count) add(shown.length, number);
      });
      this.count = shown.length + extra;
    }

    // What stands at a place: {row} or {finding, line}.
    at(place) {
      let extra = 0;
      for (const one of this.breaks) {
        const start = one.place + one.before;
        if (place < start) break;
        if (place < start + one.lines.length) {
          return { row: -1, finding: one.number, line: one.lines[place - start] };
        }
        extra = one.before + one.lines.length;
      }
      return { row: this.shown[place - extra], finding: -1, line: "" };
    }

    // Where the record stands that is at a place among those shown.
    placeOfShown(place) {
      let extra = 0;
      for (const one of this.breaks) {
        if (one.place > place) break;
        extra = one.before + one.lines.length;
      }
      return place + extra;
    }
  };
})((window.troth = window.troth || {}));
