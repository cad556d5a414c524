// The toolbar: search, filters, zoom; and what of everything is shown.
(function (troth) {
  "use strict";

  const { element, byId } = troth;
  const SUGGESTED = 200;

  troth.Controls = class {
    constructor(store) {
      this.store = store;
      this.fillChoices();
      this.listen();
      store.listen((what) => {
        if (what.view) this.fillChoices();
        this.draw();
      });
    }

    // --- choices ---

    fillChoices() {
      const { view } = this.store;
      const used = [...new Set(view.raw.edges.map((edge) => edge.slice(1, 4).join()))].map((key) => key.split(",").map(Number));
      const several = view.raw.protocols.length > 1;
      const of = (protocol) => (several ? " (" + (view.protocol(protocol) || { name: "?" }).name + ")" : "");
      const edges = used.slice(0, 2000).map(([protocol, sender, receiver]) => [
        [protocol, sender, receiver].join(),
        view.role(protocol, sender) + " → " + view.role(protocol, receiver) + of(protocol),
      ]);
      const roles = view.raw.protocols.flatMap((protocol, number) => protocol.roles.map((role, place) => [number + "," + place, role + of(number)])).slice(0, 2000);
      const codes = [...new Set([...view.findings.map((finding) => finding.code), ...view.raw.rows.codes])];
      this.choose("edge", edges);
      this.choose("role", roles);
      this.choose("code", codes.map((code) => [code, code]));
      byId("code").closest("label").hidden = codes.length === 0;
      byId("session").closest("label").hidden = view.raw.sessionsSeen < 2;
      troth.replace(
        byId("session-list"),
        ...view.raw.sessions.slice(0, SUGGESTED).map((session, number) => element("option", { value: number }, (view.protocol(session[0]) || { name: "" }).name + " " + session[1])),
      );
      this.hideEmptyGroups();
    }

    choose(id, options) {
      const all = element("option", { value: "" }, "all");
      troth.replace(byId(id), all, ...options.map(([value, text]) => element("option", { value }, text)));
    }

    hideEmptyGroups() {
      const present = new Set(Object.values(this.store.view.groupOf));
      for (const box of document.querySelectorAll("[data-group]")) {
        box.closest("label").hidden = !present.has(box.dataset.group);
      }
    }

    // --- listening ---

    listen() {
      const { store } = this;
      const numbers = (text) => (text === "" ? null : text.split(",").map(Number));
      byId("edge").addEventListener("change", (event) => store.setFilter({ edge: numbers(event.target.value) }));
      byId("role").addEventListener("change", (event) => store.setFilter({ role: numbers(event.target.value) }));
      byId("code").addEventListener("change", (event) => store.setFilter({ code: event.target.value }));
      byId("session").addEventListener("input", (event) => this.session(event.target.value));
      byId("search").addEventListener("input", (event) => this.search(event.target.value));
      byId("search").addEventListener("keydown", (event) => this.searchKey(event));
      byId("only").addEventListener("change", (event) => store.setFilter({ only: event.target.checked }));
      byId("clear").addEventListener("click", () => store.clearFilter());
      byId("zoom-in").addEventListener("click", () => store.zoom(1));
      byId("zoom-out").addEventListener("click", () => store.zoom(-1));
      for (const box of document.querySelectorAll("[data-group]")) {
        box.addEventListener("change", () => this.groups());
      }
      const view = byId("view");
      if (view !== null) {
        view.addEventListener("change", () => store.switchTo(Number(view.value)));
      }
    }

    groups() {
      const boxes = [...document.querySelectorAll("[data-group]")];
      const hidden = boxes.filter((box) => !box.checked).map((box) => box.dataset.group);
      this.store.setFilter({ hidden: new Set(hidden) });
    }

    // A session by its number, or by the beginning of its id.
    session(text) {
      const wanted = text.trim().toLowerCase();
      const { view } = this.store;
      let session = null;
      if (/^\d{1,9}$/.test(wanted) && Number(wanted) < view.raw.sessionsSeen) session = Number(wanted);
      else if (/^[0-9a-f]{4,}$/.test(wanted)) {
        const found = view.raw.sessions.findIndex((one) => one[3].startsWith(wanted));
        if (found >= 0) session = found;
      }
      if (session !== this.store.filter.session) this.store.setFilter({ session });
    }

    search(query) {
      this.store.setFilter({ query });
    }

    searchKey(event) {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.store.nextMatch(event.shiftKey ? -1 : 1);
    }

    // --- showing what is set ---

    draw() {
      const { store } = this;
      const { filter, view } = store;
      const set = (id, value) => {
        const node = byId(id);
        if (document.activeElement !== node && node.value !== value) node.value = value;
      };
      if (byId("view") !== null) byId("view").value = String(store.views.indexOf(view));
      set("edge", filter.edge === null ? "" : filter.edge.join());
      set("role", filter.role === null ? "" : filter.role.join());
      set("code", filter.code);
      set("session", filter.session === null ? "" : String(filter.session));
      set("search", filter.query);
      byId("only").checked = filter.only;
      for (const box of document.querySelectorAll("[data-group]")) box.checked = !filter.hidden.has(box.dataset.group);
      byId("clear").disabled = !troth.isFiltered(filter);
      const all = view.rows.count;
      const shown = store.shown.length === all ? troth.count(all, "record") : troth.number(store.shown.length) + " of " + troth.count(all, "record");
      troth.replace(byId("counted"), document.createTextNode(shown));
      troth.replace(byId("matches"), document.createTextNode(this.matches()));
    }

    matches() {
      const { matched, selected } = this.store;
      if (matched === null) return "";
      if (matched.length === 0) return "no match";
      const place = matched.indexOf(selected);
      return place < 0 ? troth.count(matched.length, "match").replace("matchs", "matches") : place + 1 + " of " + troth.number(matched.length);
    }
  };
})((window.troth = window.troth || {}));
