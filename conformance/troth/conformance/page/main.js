// Puts the page together, and makes the tables that a printer gets.
(function (troth) {
  "use strict";

  const { byId, element } = troth;
  const PRINTED_MAX = 400;

  // Around the selected record, or from the first one on.
  function printed(store) {
    const { view, shown } = store;
    const middle = store.selected < 0 ? 0 : store.placeOf(store.selected);
    const from = Math.max(0, Math.min(middle - PRINTED_MAX / 2, shown.length - PRINTED_MAX));
    const rows = [...shown.slice(from, from + PRINTED_MAX)].map((row) =>
      element(
        "tr",
        { class: view.findingsAt.has(row) ? "bad" : null },
        element("td", { class: "figure" }, troth.number(row)),
        element("td", {}, view.rows.session[row] < 0 ? "" : "s" + view.rows.session[row]),
        element("td", {}, view.name(row).toLowerCase()),
        element("td", {}, view.say(row)),
      ),
    );
    const title = rows.length < shown.length ? `Records ${from + 1} to ${from + rows.length} of ${shown.length} shown` : "Records";
    const section = byId("printed");
    troth.replace(section, element("h2", {}, title), element("table", {}, element("tbody", {}, ...rows)));
    section.hidden = false;
  }

  // Shows a finding where it stands among the records, or after the last of them.
  function inPlace(store, diagram, { view, finding }) {
    if (store.view !== store.views[Number(view)]) store.switchTo(Number(view));
    const row = store.view.findings[Number(finding)].record;
    if (row !== null && row < store.view.rows.count) {
      store.select(row);
    } else {
      store.clearFilter();
      store.flush();
      diagram.scrollTo(diagram.range);
      store.changed("scroll");
    }
    byId("sequence").focus({ preventScroll: true });
    byId("sequence").scrollIntoView({ block: "center" });
  }

  function start() {
    const data = JSON.parse(byId("data").textContent);
    const store = new troth.Store(data.views.map((raw) => new troth.View(raw)));
    for (const id of ["explorer", "tables"]) byId(id).hidden = false;
    const diagram = new troth.Diagram(store);
    new troth.Controls(store);
    new troth.Timeline(store, diagram);
    new troth.Detail(store);
    new troth.Types(store);
    new troth.Counters(store);
    new troth.Keys(store, diagram);
    for (const button of document.querySelectorAll("[data-finding]")) {
      button.hidden = false;
      button.addEventListener("click", () => inPlace(store, diagram, button.dataset));
    }
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => store.changed("theme"));
    window.addEventListener("beforeprint", () => printed(store));
    window.addEventListener("afterprint", () => (byId("printed").hidden = true));
    if (store.view.findingsAt.size > 0) store.nextFinding();
    store.changed("view");
    store.flush();
    document.documentElement.dataset.ready = "true";
    performance.mark("troth-ready");
  }

  // The verdict is painted first; reading a large file's records can take a moment.
  requestAnimationFrame(() => setTimeout(start));
})((window.troth = window.troth || {}));
