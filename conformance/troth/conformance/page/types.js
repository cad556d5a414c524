// The local type of each role of the session in sight, with where the role stands.
(function (troth) {
  "use strict";

  const { element, svg } = troth;
  const RADIUS = 18;
  const FONT = 13;
  const LINE = 17;
  const PADDING = 7;
  const LISTED_MAX = 40;
  const SCALE = 0.86;

  function drawState([number, x, y, flat, isEnd], here, astray) {
    const kind = "state" + (number === here ? (astray ? " here astray" : " here") : "");
    const nodes = (isEnd ? [0, 4] : [0]).map((inset) =>
      svg("rect", {
        class: kind,
        x: x - flat / 2 - RADIUS + inset,
        y: y - RADIUS + inset,
        width: flat + 2 * (RADIUS - inset),
        height: 2 * (RADIUS - inset),
        rx: RADIUS - inset,
      }),
    );
    nodes.push(svg("text", { class: "state-number" + (number === here ? " here" : ""), x, y: y + FONT * 0.36, "text-anchor": "middle" }, number));
    return nodes;
  }

  function drawText([lines, left, top, width, height, isSend]) {
    const first = top + height / 2 - ((lines.length - 1) * LINE) / 2 + FONT * 0.36;
    const nodes = [svg("rect", { class: "ground", x: left, y: top, width, height })];
    lines.forEach((line, place) => {
      nodes.push(svg("text", { class: isSend ? "send-text" : "receive-text", x: left + PADDING, y: first + place * LINE }, line));
    });
    return nodes;
  }

  function picture(drawn, here, astray, said) {
    const nodes = [svg("title", {}, said)];
    for (const [path, head, isSend] of drawn.strokes) {
      const kind = isSend ? "send" : "receive";
      nodes.push(svg("path", { class: kind, d: path }), svg("polygon", { class: kind + "-mark", points: head }));
    }
    if (drawn.start !== null) {
      const [x, y, path, head] = drawn.start;
      nodes.push(svg("circle", { class: "start-mark", cx: x, cy: y, r: 4 }), svg("path", { class: "start", d: path }), svg("polygon", { class: "start-mark", points: head }));
    }
    for (const state of drawn.states) nodes.push(...drawState(state, here, astray));
    for (const text of drawn.texts) nodes.push(...drawText(text));
    // The layout leaves room for a title, which stands elsewhere here.
    const top = 34;
    return svg("svg", { class: "picture", role: "img", "font-size": FONT, width: drawn.width * SCALE, height: (drawn.height - top) * SCALE, viewBox: `0 ${top} ${drawn.width} ${drawn.height - top}` }, ...nodes);
  }

  function listing(states, here) {
    const from = Math.max(0, here - LISTED_MAX / 2);
    const lines = states.slice(from, from + LISTED_MAX).map((state, place) => {
      const number = from + place;
      const moves = state[2].map((move) => move[2] + " → " + move[1]).join(", ");
      return element("li", { class: number === here ? "here" : null, value: number }, troth.describeState(state) + (moves === "" ? "" : ": " + moves));
    });
    return element("ol", { class: "states", start: from }, ...lines);
  }

  // Scrolls a picture so that the state where the role stands is in the middle.
  function centre(box) {
    const here = box.querySelector(".here");
    if (here === null) return;
    const frame = box.getBoundingClientRect();
    const place = here.getBoundingClientRect();
    box.scrollTop += place.top + place.height / 2 - (frame.top + frame.height / 2);
    box.scrollLeft += place.left + place.width / 2 - (frame.left + frame.width / 2);
  }

  troth.Types = class {
    constructor(store) {
      this.store = store;
      this.node = troth.byId("types");
      this.opened = new Map();
      store.listen((what) => {
        if (what.selected || what.filter || what.view) this.draw();
      });
    }

    draw() {
      const { store } = this;
      const session = store.sessionInSight;
      const title = element("h2", {}, "Local types");
      if (session < 0) {
        troth.replace(this.node, title, element("p", { class: "note" }, "No session was opened."));
        return;
      }
      const last = store.selected >= 0 ? store.selected : store.view.rows.count;
      const places = troth.positionsAt(store.view, session, last);
      const protocol = store.view.protocol(store.view.protocolNumber(session));
      const when = store.selected >= 0 ? "after record " + troth.number(store.selected) : "at the end of the file";
      const note = element("p", { class: "note" }, "Session " + session + (protocol === null ? "" : " of " + protocol.name) + ", " + when + ".");
      if (places === null) {
        const why = "The file does not hold this protocol. Make the report with --protocol and its script to see where each role stands.";
        troth.replace(this.node, title, note, element("p", { class: "note" }, why));
        return;
      }
      troth.replace(this.node, title, note, ...places.map((place, role) => (store.view.isElsewhere(session, role) ? this.elsewhere(protocol, role) : this.role(protocol, role, place))));
      for (const box of this.node.querySelectorAll("details[open] .scrolled")) centre(box);
    }

    // Only its own record shows what a role has received.
    elsewhere(protocol, role) {
      const name = protocol.roles[role] || "role " + role;
      return element("p", { class: "note" }, element("strong", {}, name), " is held by another machine: its record shows where it stands.");
    }

    role(protocol, role, place) {
      const { store } = this;
      const local = protocol.types[role];
      const state = local.states[place.state];
      const name = protocol.roles[role] || "role " + role;
      const said = "state " + place.state + ", " + troth.describeState(state);
      const key = protocol.id + " " + role;
      const moved = place.row < 0 ? null : element("button", { type: "button", class: "jump", click: () => store.select(place.row) }, "since record " + troth.number(place.row));
      const astray = place.astray < 0 ? null : element("p", { class: "astray" }, "Does not follow its type from here: ", element("button", { type: "button", class: "jump", click: () => store.select(place.astray) }, "record " + troth.number(place.astray)));
      const many = protocol.types.length > 4;
      const details = element(
        "details",
        { class: "role", open: this.opened.get(key) ?? !many },
        element("summary", {}, element("strong", {}, name), element("span", {}, said)),
        moved,
        astray,
        element("div", { class: "scrolled", tabindex: "0", role: "group", "aria-label": "What the protocol asks of " + name }, local.picture === null ? listing(local.states, place.state) : picture(local.picture, place.state, place.astray >= 0, name + ": " + said)),
      );
      details.addEventListener("toggle", () => {
        this.opened.set(key, details.open);
        if (details.open) centre(details.querySelector(".scrolled"));
      });
      return details;
    }
  };
})((window.troth = window.troth || {}));
