// Tables: what each edge carried, what was not delivered, and the sessions.
(function (troth) {
  "use strict";

  const { element } = troth;
  const LISTED = 100;
  const COLUMNS = ["sent", "received", "undelivered", "rejected", "overwritten", "discarded", "in flight", "peak"];
  const PEAK = COLUMNS.length - 1;

  function table(heads, rows, label) {
    const head = element("tr", {}, ...heads.map((name) => element("th", { scope: "col" }, name)));
    return element(
      "div",
      { class: "scrolled", tabindex: "0", role: "group", "aria-label": label },
      element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)),
    );
  }

  function figure(value, warns) {
    const kind = value === 0 ? "zero" : warns ? "warn" : null;
    return element("td", { class: "figure" + (kind === null ? "" : " " + kind) }, troth.number(value));
  }

  // Counters by protocol, sender and receiver: of one session, or of all together.
  function summed(view, session) {
    const sums = new Map();
    for (const [of, protocol, sender, receiver, ...counts] of view.raw.edges) {
      if (session !== null && of !== session) continue;
      const key = protocol + " " + sender + " " + receiver;
      const [sent, received, undelivered, rejected, overwritten, discarded, peak] = counts;
      const flying = Math.max(0, sent - received - undelivered - rejected - overwritten);
      const known = sums.get(key) || { edge: [protocol, sender, receiver], counts: COLUMNS.map(() => 0) };
      [sent, received, undelivered, rejected, overwritten, discarded, flying].forEach((value, place) => (known.counts[place] += value));
      known.counts[PEAK] = Math.max(known.counts[PEAK], peak);
      sums.set(key, known);
    }
    return [...sums.values()];
  }

  troth.Counters = class {
    constructor(store) {
      this.store = store;
      this.more = { undelivered: LISTED, sessions: LISTED };
      store.listen((what) => {
        if (what.filter || what.view || what.more) this.draw();
      });
    }

    draw() {
      troth.replace(troth.byId("edges"), ...this.edges());
      troth.replace(troth.byId("undelivered"), ...this.undelivered());
      troth.replace(troth.byId("sessions"), ...this.sessions());
    }

    scope() {
      const { session } = this.store.filter;
      return session === null ? "all sessions" : "session " + session;
    }

    edges() {
      const { store } = this;
      const found = summed(store.view, store.filter.session);
      if (found.length === 0) return [element("p", { class: "note" }, "No session has an edge.")];
      const several = store.view.raw.protocols.length > 1;
      const rows = found.slice(0, 1000).map(({ edge, counts }) => {
        const [protocol, sender, receiver] = edge;
        const name = store.view.role(protocol, sender) + " → " + store.view.role(protocol, receiver);
        const chosen = store.filter.edge !== null && store.filter.edge.join() === edge.join();
        const button = element("button", { type: "button", class: "jump", "aria-pressed": chosen ? "true" : "false", click: () => store.setFilter({ edge: chosen ? null : edge }) }, name);
        const of = several ? element("td", {}, (store.view.protocol(protocol) || { name: "?" }).name) : null;
        return element("tr", { class: chosen ? "chosen" : null }, element("th", { scope: "row" }, button), of, ...counts.map((value, place) => figure(value, place >= 2 && place < PEAK)));
      });
      const heads = ["edge", ...(several ? ["protocol"] : []), ...COLUMNS];
      const note = "Of " + this.scope() + ". In flight: sent, and neither received, refused, overwritten nor listed as undelivered where the file ends. Peak: the most in flight at once.";
      return [table(heads, rows, "Counters of each edge"), element("p", { class: "note" }, note)];
    }

    undelivered() {
      const { store } = this;
      const { view, filter } = store;
      const found = [];
      for (let row = 0; row < view.rows.count; row += 1) {
        if (!view.isKind(row, "UNDELIVERED")) continue;
        if (filter.session === null || view.rows.session[row] === filter.session) found.push(row);
      }
      if (found.length === 0) {
        return [element("p", { class: "note" }, "Nothing: no session that ended has left a message behind.")];
      }
      const items = found.slice(0, this.more.undelivered).map((row) => {
        const protocol = view.protocolNumber(view.rows.session[row]);
        const ends = view.role(protocol, view.rows.actor[row]) + " → " + view.role(protocol, view.rows.peer[row]);
        const jump = element("button", { type: "button", class: "jump", click: () => store.select(row) }, "record " + troth.number(row));
        return element("li", {}, jump, element("span", {}, " s" + view.rows.session[row] + "  " + ends + "  #" + view.rows.number[row] + "  "), element("code", {}, view.message(row)));
      });
      return [element("ul", { class: "listed" }, ...items), this.moreButton("undelivered", found.length)];
    }

    sessions() {
      const { store } = this;
      const { view } = store;
      const all = view.raw.sessions;
      if (all.length === 0) return [element("p", { class: "note" }, "No session was opened.")];
      const rows = all.slice(0, this.more.sessions).map(([protocol, status, detail, id, signers], number) => {
        const chosen = store.filter.session === number;
        const button = element("button", { type: "button", class: "jump", "aria-pressed": chosen ? "true" : "false", click: () => store.setFilter({ session: chosen ? null : number }) }, String(number));
        const known = view.protocol(protocol);
        const parties = signers.map((signer, role) => view.role(protocol, role) + " by " + (view.raw.principals[signer] || "principal " + signer) + (view.isElsewhere(number, role) ? ", elsewhere" : ""));
        return element(
          "tr",
          { class: chosen ? "chosen" : null },
          element("th", { scope: "row" }, button),
          element("td", {}, known === null ? "?" : known.name),
          element("td", { class: status === "closed" ? null : "warn" }, status + (detail === "" ? "" : ": " + detail)),
          figure(view.rowsOf(number).length, false),
          element("td", { class: "parties" }, parties.join(", ")),
          element("td", {}, element("code", { class: "id" }, id.slice(0, 16) + "…")),
        );
      });
      const heads = ["session", "protocol", "status", "records", "opened for", "id"];
      return [table(heads, rows, "Sessions"), this.moreButton("sessions", all.length)];
    }

    moreButton(name, total) {
      if (total <= this.more[name]) return null;
      const show = () => {
        this.more[name] += LISTED * 10;
        this.store.changed("more");
      };
      return element("button", { type: "button", click: show }, "Show more of " + troth.number(total));
    }
  };
})((window.troth = window.troth || {}));
