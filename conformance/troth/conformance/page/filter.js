// Which records are shown, and which of them match a search.
(function (troth) {
  "use strict";

  troth.noFilter = function () {
    return { session: null, edge: null, role: null, code: "", hidden: new Set(), query: "", only: false };
  };

  troth.isFiltered = function (filter) {
    return (
      filter.session !== null || filter.edge !== null || filter.role !== null ||
      filter.code !== "" || filter.hidden.size > 0 || filter.query !== ""
    );
  };

  function onEdge(view, row, edge) {
    const rows = view.rows;
    if (rows.peer[row] < 0 || view.protocolNumber(rows.session[row]) !== edge[0]) return false;
    const turned = view.isKind(row, "RECEIVE") || view.isKind(row, "RECEIPT");
    const sender = turned ? rows.peer[row] : rows.actor[row];
    const receiver = turned ? rows.actor[row] : rows.peer[row];
    return sender === edge[1] && receiver === edge[2];
  }

  function ofRole(view, row, role) {
    const rows = view.rows;
    if (view.protocolNumber(rows.session[row]) !== role[0]) return false;
    return rows.actor[row] === role[1] || rows.peer[row] === role[1];
  }

  function hasCode(view, row, code) {
    if (view.code(row) === code) return true;
    const findings = view.findingsAt.get(row) || [];
    return findings.some((number) => view.findings[number].code === code);
  }

  // The rows that the filter lets through, in order; a search is no filter by itself.
  troth.filtered = function (view, filter) {
    const rows = view.rows;
    const found = new Int32Array(rows.count);
    let count = 0;
    for (let row = 0; row < rows.count; row += 1) {
      if (filter.hidden.size > 0 && filter.hidden.has(view.groupOf[rows.kind[row]])) continue;
      if (filter.session !== null && rows.session[row] !== filter.session) continue;
      if (filter.edge !== null && !onEdge(view, row, filter.edge)) continue;
      if (filter.role !== null && !ofRole(view, row, filter.role)) continue;
      if (filter.code !== "" && !hasCode(view, row, filter.code)) continue;
      found[count++] = row;
    }
    return found.slice(0, count);
  };

  // A test of rows for a query. Each text is looked at once, however many rows have it.
  troth.matcher = function (view, query) {
    const wanted = query.trim().toLowerCase();
    if (wanted === "") return null;
    const has = (text) => text.toLowerCase().includes(wanted);
    const texts = Uint8Array.from(view.raw.rows.texts, (text) => (has(text) ? 1 : 0));
    const codes = view.raw.rows.codes.map(has);
    const kinds = new Map(Object.entries(view.kindName).map(([kind, name]) => [Number(kind), has(name)]));
    const labels = view.raw.protocols.map((protocol) => protocol.labels.map(has));
    const roles = view.raw.protocols.map((protocol) => protocol.roles.map(has));
    // `label(value` is found across the two, as it is shown.
    const open = wanted.indexOf("(");
    const before = open < 0 ? "" : wanted.slice(0, open);
    const after = open < 0 ? "" : wanted.slice(open);
    const opens = open < 0 ? null : Uint8Array.from(view.raw.rows.texts, (text) => (text.toLowerCase().startsWith(after) ? 1 : 0));
    const ends = view.raw.protocols.map((protocol) => protocol.labels.map((label) => label.toLowerCase().endsWith(before)));
    const exact = /^#?\d+$/.test(wanted) ? Number(wanted.replace("#", "")) : null;
    const isNumber = wanted.startsWith("#");
    return (row) => {
      const rows = view.rows;
      if (texts[rows.text[row]] === 1 || kinds.get(rows.kind[row])) return true;
      if (rows.code[row] >= 0 && codes[rows.code[row]]) return true;
      if (exact !== null && (isNumber ? rows.number[row] : row) === exact) return true;
      const protocol = view.protocolNumber(rows.session[row]);
      if (protocol < 0) return false;
      if (rows.label[row] >= 0 && labels[protocol][rows.label[row]]) return true;
      const mate = rows.mate[row];
      if (mate >= 0 && texts[rows.text[mate]] === 1) return true;
      if (opens !== null && ends[protocol][rows.label[row]]) {
        if (opens[rows.text[row]] === 1 || (mate >= 0 && opens[rows.text[mate]] === 1)) return true;
      }
      return Boolean(roles[protocol][rows.actor[row]] || roles[protocol][rows.peer[row]]);
    };
  };
})((window.troth = window.troth || {}));
