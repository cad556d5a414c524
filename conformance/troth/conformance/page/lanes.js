// The lanes of the sequence diagram: one for each role of each protocol in sight.
(function (troth) {
  "use strict";

  const LANES_MAX = 48;
  const GAP_MIN = 132;
  const GAP_MIN_NARROW = 78;
  const GAP_MAX = 300;

  troth.lanesOf = function (view, filter) {
    const used = new Set();
    if (filter.session !== null) {
      used.add(view.protocolNumber(filter.session));
    } else if (filter.edge !== null) {
      used.add(filter.edge[0]);
    } else if (filter.role !== null) {
      used.add(filter.role[0]);
    } else {
      for (const session of view.raw.sessions) used.add(session[0]);
    }
    const lanes = [];
    const index = new Map();
    let cut = false;
    for (const number of [...used].sort((a, b) => a - b)) {
      const protocol = view.protocol(number);
      if (protocol === null) continue;
      protocol.roles.forEach((role, place) => {
        if (lanes.length >= LANES_MAX) {
          cut = true;
          return;
        }
        index.set(number * 65536 + place, lanes.length);
        lanes.push({ protocol: number, role: place, name: role, of: protocol.name });
      });
    }
    return { lanes, index, cut, several: used.size > 1 };
  };

  // Where lanes stand, from the left of the lanes' area.
  troth.placeLanes = function (lanes, room, narrow) {
    const count = Math.max(1, lanes.length);
    const gap = Math.min(GAP_MAX, Math.max(narrow ? GAP_MIN_NARROW : GAP_MIN, room / count));
    return { gap, width: gap * count, x: (lane) => gap * (lane + 0.5) };
  };

  troth.lane = function (placed, protocol, role) {
    if (protocol < 0 || role < 0) return -1;
    return placed.index.get(protocol * 65536 + role) ?? -1;
  };

  troth.drawLaneHeads = function (store, placed, place, gutter) {
    const session = store.filter.session === null ? null : store.view.session(store.filter.session);
    const heads = placed.lanes.map((lane, number) => {
      const signer = session === null ? undefined : store.view.raw.principals[session[4][lane.role]];
      const below = placed.several ? lane.of : signer === undefined ? null : "by " + signer;
      const head = troth.element(
        "div",
        { class: "lane-head" },
        troth.element("strong", {}, lane.name),
        below === null ? null : troth.element("span", {}, below),
      );
      head.style.left = gutter + place.x(number) - place.gap / 2 + "px";
      head.style.width = place.gap + "px";
      return head;
    });
    if (placed.cut) {
      heads.push(troth.element("div", { class: "lane-note" }, "more roles: filter by session"));
    }
    troth.replace(troth.byId("lanes"), ...heads);
  };
})((window.troth = window.troth || {}));
