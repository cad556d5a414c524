// The whole record at a glance: how many messages were in flight, what kinds of records there
// are, how long sessions lived, where findings and matches are, and which part is in sight.
(function (troth) {
  "use strict";

  const CURVE = 44;
  const STRIP = 8;
  const LIFE = 5;
  const LIVES_MAX = 12;
  const GROUPS = ["messages", "receives", "sessions", "machine", "seals", "file"];

  function colours() {
    const style = getComputedStyle(document.documentElement);
    return (name) => style.getPropertyValue("--" + name).trim();
  }

  troth.Timeline = class {
    constructor(store, diagram) {
      this.store = store;
      this.diagram = diagram;
      this.canvas = troth.byId("timeline");
      this.bins = null;
      this.canvas.addEventListener("pointerdown", (event) => this.grab(event));
      this.canvas.addEventListener("pointermove", (event) => this.drag(event));
      this.canvas.addEventListener("keydown", (event) => this.key(event));
      store.listen((what) => {
        if (what.filter || what.view || what.size || what.theme) this.bins = null;
        this.draw();
      });
    }

    get lives() {
      const { view, filter } = this.store;
      const all = view.raw.sessions.map((_, session) => session);
      const wanted = filter.session === null ? all : [filter.session];
      return wanted.length > LIVES_MAX ? [] : wanted;
    }

    // Per column of pixels: the most messages in flight, and how many records of each group.
    gather(width) {
      const { view, shown, filter } = this.store;
      const rows = view.rows;
      const total = Math.max(1, rows.count);
      const flight = new Float64Array(width);
      const groups = GROUPS.map(() => new Float64Array(width));
      const groupOf = {};
      for (const [kind, group] of Object.entries(view.groupOf)) groupOf[kind] = GROUPS.indexOf(group);
      const { SEND, ARRIVE, RECEIVE, UNDELIVERED, REJECT } = view.kinds;
      let flying = 0;
      for (let row = 0; row < rows.count; row += 1) {
        if (filter.session !== null && rows.session[row] !== filter.session) continue;
        const kind = rows.kind[row];
        // What left for another machine waits there, not here.
        if (kind === ARRIVE || (kind === SEND && !view.isElsewhere(rows.session[row], rows.peer[row]))) flying += 1;
        else if (kind === RECEIVE || kind === UNDELIVERED || kind === REJECT) flying -= 1;
        const column = Math.floor((row / total) * width);
        if (flying > flight[column]) flight[column] = flying;
      }
      for (const row of shown) {
        const group = groups[groupOf[rows.kind[row]]];
        if (group !== undefined) group[Math.floor((row / total) * width)] += 1;
      }
      return { width, flight, groups, step: Math.max(1, width / total), peak: flight.reduce((a, b) => Math.max(a, b), 0) };
    }

    x(row) {
      return (row / Math.max(1, this.store.view.rows.count)) * this.width;
    }

    draw() {
      const scale = window.devicePixelRatio || 1;
      this.width = Math.max(1, this.canvas.clientWidth);
      const lives = this.lives;
      const height = CURVE + STRIP + 6 + lives.length * (LIFE + 2);
      this.canvas.style.height = height + "px";
      if (this.canvas.width !== this.width * scale || this.canvas.height !== height * scale) {
        this.canvas.width = this.width * scale;
        this.canvas.height = height * scale;
      }
      if (this.bins === null || this.bins.width !== this.width) this.bins = this.gather(this.width);
      const pen = this.canvas.getContext("2d");
      pen.setTransform(scale, 0, 0, scale, 0, 0);
      pen.clearRect(0, 0, this.width, height);
      const colour = colours();
      this.drawCurve(pen, colour);
      this.drawStrip(pen, colour);
      this.drawLives(pen, colour, lives);
      this.drawMarks(pen, colour, height);
      this.drawWindow(pen, colour, height);
      this.describe();
    }

    drawCurve(pen, colour) {
      const { flight, peak, step } = this.bins;
      pen.fillStyle = colour("flight");
      for (let x = 0; x < flight.length; x += 1) {
        if (flight[x] === 0) continue;
        const tall = Math.max(1, (flight[x] / Math.max(1, peak)) * (CURVE - 6));
        pen.fillRect(x, CURVE - tall, step, tall);
      }
      pen.fillStyle = colour("line");
      pen.fillRect(0, CURVE, this.width, 1);
    }

    drawStrip(pen, colour) {
      const { groups } = this.bins;
      for (let x = 0; x < this.width; x += 1) {
        let all = 0;
        for (const group of groups) all += group[x];
        let y = CURVE + 3;
        for (let place = 0; all > 0 && place < groups.length; place += 1) {
          const tall = (groups[place][x] / all) * STRIP;
          pen.fillStyle = colour("group-" + GROUPS[place]);
          pen.fillRect(x, y, 1, tall);
          y += tall;
        }
      }
      if (this.store.view.rows.count < this.width) this.drawCells(pen, colour);
    }

    // With fewer records than pixels each record is a cell of its own.
    drawCells(pen, colour) {
      const { view, shown } = this.store;
      pen.clearRect(0, CURVE + 2, this.width, STRIP + 2);
      const step = this.width / view.rows.count;
      for (const row of shown) {
        pen.fillStyle = colour("group-" + view.groupOf[view.rows.kind[row]]);
        pen.fillRect(row * step, CURVE + 3, Math.max(1, step - 1), STRIP);
      }
    }

    drawLives(pen, colour, lives) {
      lives.forEach((session, place) => {
        const rows = this.store.view.rowsOf(session);
        if (rows.length === 0) return;
        const status = this.store.view.session(session)[1];
        pen.fillStyle = colour(status === "closed" ? "life" : "warn");
        const from = this.x(rows[0]);
        const to = Math.max(from + 2, this.x(rows[rows.length - 1] + 1));
        pen.fillRect(from, CURVE + STRIP + 6 + place * (LIFE + 2), to - from, LIFE);
      });
    }

    drawMarks(pen, colour, height) {
      const { view, matched, selected } = this.store;
      if (matched !== null) {
        pen.fillStyle = colour("match");
        for (const row of matched) pen.fillRect(this.x(row), 0, 1.5, 5);
      }
      pen.fillStyle = colour("bad");
      for (const finding of view.findings) {
        const row = finding.record === null ? view.rows.count : finding.record;
        const x = Math.min(this.width - 2, this.x(row));
        pen.fillRect(x, 0, 2, height);
        pen.beginPath();
        pen.moveTo(x - 4, 0);
        pen.lineTo(x + 6, 0);
        pen.lineTo(x + 1, 7);
        pen.fill();
      }
      if (selected >= 0) {
        pen.fillStyle = colour("accent");
        pen.fillRect(this.x(selected), 0, 1.5, height);
      }
    }

    drawWindow(pen, colour, height) {
      const { shown } = this.store;
      if (shown.length === 0) return;
      const last = shown.length - 1;
      const from = this.x(shown[Math.min(last, Math.floor(this.diagram.first))]);
      const to = this.x(shown[Math.min(last, Math.floor(this.diagram.first + this.diagram.visible))] + 1);
      pen.strokeStyle = colour("ink");
      pen.globalAlpha = 0.75;
      pen.strokeRect(from + 0.5, 0.5, Math.max(3, to - from) - 1, height - 1);
      pen.globalAlpha = 0.06;
      pen.fillStyle = colour("ink");
      pen.fillRect(from, 0, Math.max(3, to - from), height);
      pen.globalAlpha = 1;
    }

    describe() {
      const { view, shown } = this.store;
      const here = shown[Math.min(shown.length - 1, Math.max(0, Math.floor(this.diagram.first)))] || 0;
      this.canvas.setAttribute("aria-valuemin", "0");
      this.canvas.setAttribute("aria-valuemax", String(Math.max(0, view.rows.count - 1)));
      this.canvas.setAttribute("aria-valuenow", String(here));
      this.canvas.setAttribute("aria-valuetext", "from record " + here);
      const legend = troth.byId("timeline-legend");
      troth.replace(
        legend,
        troth.element("span", {}, "record 0"),
        troth.element("span", { class: "middle" }, "in flight, at most " + troth.number(this.bins.peak)),
        troth.element("span", {}, troth.number(Math.max(0, view.rows.count - 1))),
      );
    }

    // --- moving ---

    grab(event) {
      this.canvas.setPointerCapture(event.pointerId);
      this.go(event);
    }

    drag(event) {
      if (event.buttons & 1) this.go(event);
    }

    go(event) {
      const box = this.canvas.getBoundingClientRect();
      const share = (event.clientX - box.left) / Math.max(1, box.width);
      const row = Math.floor(share * this.store.view.rows.count);
      this.centre(this.store.placeOf(row));
    }

    centre(place) {
      this.diagram.scrollTo(this.diagram.items.placeOfShown(place) - this.diagram.visible / 2);
      this.store.changed("scroll");
    }

    key(event) {
      const page = this.diagram.visible;
      const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1, PageUp: -page * 4, PageDown: page * 4 };
      if (event.key in steps) this.diagram.scrollTo(this.diagram.first + steps[event.key]);
      else if (event.key === "Home") this.diagram.scrollTo(0);
      else if (event.key === "End") this.diagram.scrollTo(this.diagram.range);
      else return;
      event.preventDefault();
      event.stopPropagation();
      this.store.changed("scroll");
    }
  };
})((window.troth = window.troth || {}));
