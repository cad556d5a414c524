// Everything about the selected record, and ways from it to what belongs to it.
(function (troth) {
  "use strict";

  const { element } = troth;

  function jump(store, row, text) {
    return element("button", { type: "button", class: "jump", click: () => store.select(row) }, text);
  }

  function fate(store, row) {
    const { view } = store;
    const mate = view.rows.mate[row];
    if (view.isMessage(row)) {
      if (mate < 0 && view.isElsewhere(view.rows.session[row], view.rows.peer[row])) {
        return ["fate", element("span", {}, "left for another machine, whose record is not in this file")];
      }
      if (mate < 0) return ["fate", element("span", { class: "warn" }, "not received in this file")];
      const word = view.isKind(mate, "RECEIVE") ? "received" : "given up as undelivered";
      return ["fate", word + ", " + troth.count(mate - row, "record") + " later: ", jump(store, mate, "record " + troth.number(mate))];
    }
    if (mate >= 0) return ["sent", jump(store, mate, "record " + troth.number(mate)), ", " + troth.count(row - mate, "record") + " before"];
    return null;
  }

  function session(store, row) {
    const { view } = store;
    const number = view.rows.session[row];
    if (number < 0) return null;
    const known = view.session(number);
    const of = known === null ? "" : " of " + (view.protocol(known[0]) || { name: "?" }).name;
    const only = store.filter.session === number;
    const toggle = element(
      "button",
      { type: "button", class: "jump", click: () => store.setFilter({ session: only ? null : number }) },
      only ? "show all" : "only this",
    );
    return ["session", number + of + " ", toggle];
  }

  // The time that the machine was last told before a record, as the recorder has it.
  function time(store, row) {
    const { view } = store;
    if (view.kinds.TIME === undefined) return null;
    for (let before = row; before >= 0; before -= 1) {
      if (view.isKind(before, "TIME")) {
        const told = view.rows.number[before] / 1000;
        return ["machine time", told.toLocaleString("en", { maximumFractionDigits: 3 }) + " ms, as recorded"];
      }
    }
    return null;
  }

  function message(store, row) {
    const { view } = store;
    const from = view.isMessage(row) ? row : view.rows.mate[row];
    const facts = [];
    const rows = view.rows;
    const protocol = view.protocolNumber(rows.session[row]);
    if (rows.peer[row] >= 0) {
      const turned = view.isKind(row, "RECEIVE") || view.isKind(row, "RECEIPT") || view.isKind(row, "PEER_RECEIPT");
      const pair = [view.role(protocol, rows.actor[row]), view.role(protocol, rows.peer[row])];
      if (turned) pair.reverse();
      facts.push(["edge", pair.join(" → ") + (rows.number[row] >= 0 ? "  #" + rows.number[row] : "")]);
    } else if (rows.actor[row] >= 0) {
      facts.push(["role", view.role(protocol, rows.actor[row])]);
    }
    if (from >= 0) {
      facts.push(["label", element("code", {}, view.label(from))]);
      facts.push(["payload", element("code", { class: "payload" }, view.text(from))]);
    } else if (view.text(row) !== "") {
      facts.push(["says", element("code", { class: "payload" }, view.text(row))]);
    }
    if (view.code(row) !== "") facts.push(["code", element("code", {}, view.code(row))]);
    return facts;
  }

  function findings(store, row) {
    return (store.view.findingsAt.get(row) || []).map((number) => {
      const finding = store.view.findings[number];
      const side = (name, said, whose) =>
        said === null ? null : element("div", { class: name }, element("dt", {}, name + " ", element("span", { class: "whose" }, whose)), element("dd", {}, said));
      return element(
        "div",
        { class: "detail-finding" },
        element("p", {}, element("code", {}, finding.code), " ", finding.message),
        element("dl", { class: "sides" }, side("expected", finding.expected, finding.expectedSide), side("found", finding.found, finding.foundSide)),
      );
    });
  }

  troth.Detail = class {
    constructor(store) {
      this.store = store;
      this.node = troth.byId("detail");
      store.listen((what) => {
        if (what.selected || what.filter || what.view) this.draw();
      });
    }

    draw() {
      const { store } = this;
      const row = store.selected;
      if (row < 0) {
        troth.replace(
          this.node,
          element("h2", {}, "Selected record"),
          element("p", { class: "note" }, "None. Choose a record in the sequence, or press ↓ there."),
        );
        return;
      }
      const facts = [
        session(store, row),
        ...message(store, row),
        fate(store, row),
        time(store, row),
        ["at byte", troth.number(store.view.rows.offset[row])],
      ].filter((fact) => fact !== null);
      troth.replace(
        this.node,
        element("h2", {}, "Record " + troth.number(row) + " ", element("span", { class: "tag" }, store.view.name(row).toLowerCase())),
        ...findings(store, row),
        element("dl", { class: "facts" }, ...facts.map(([name, ...said]) => element("div", {}, element("dt", {}, name), element("dd", {}, ...said)))),
      );
    }
  };
})((window.troth = window.troth || {}));
