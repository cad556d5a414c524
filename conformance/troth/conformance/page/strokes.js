// How one record is drawn: its lines and marks on the lanes, and its texts beside them.
// A message's line ends in an open head where it enters the receiver's buffer; the dot further
// down is where the receiver takes it, and the bar between them is the time it waited.
(function (troth) {
  "use strict";

  const WORDS_MIN = 120;
  const { svg, element } = troth;

  troth.lifelines = function (diagram) {
    return diagram.placed.lanes.map((_, lane) => {
      const x = diagram.gutter + diagram.place.x(lane);
      return svg("line", { class: "lifeline", x1: x, x2: x, y1: 0, y2: diagram.height });
    });
  };

  function ends(diagram, row) {
    const { view } = diagram.store;
    const protocol = view.protocolNumber(view.rows.session[row]);
    const x = (role) => {
      const lane = troth.lane(diagram.placed, protocol, role);
      return lane < 0 ? -1 : diagram.gutter + diagram.place.x(lane);
    };
    return { actor: x(view.rows.actor[row]), peer: x(view.rows.peer[row]) };
  }

  function middle(diagram, y) {
    const height = diagram.store.rowHeight;
    return y + (height >= 24 ? height - 8 : height / 2);
  }

  troth.rowStrokes = function (diagram, row, y) {
    const { store } = diagram;
    const { view } = store;
    const marks = [];
    const height = store.rowHeight;
    if (row === store.selected || view.findingsAt.has(row)) {
      const bad = view.findingsAt.has(row) ? " bad" : "";
      const chosen = row === store.selected ? " selected" : "";
      marks.push(svg("rect", { class: "band" + bad + chosen, x: 0, y, width: diagram.width, height }));
    } else if (store.selected >= 0 && view.rows.mate[store.selected] === row) {
      marks.push(svg("rect", { class: "band mate", x: 0, y, width: diagram.width, height }));
    }
    const { actor, peer } = ends(diagram, row);
    const at = middle(diagram, y);
    if (view.isMessage(row) && actor >= 0 && peer >= 0) {
      marks.push(...sent(diagram, row, actor, peer, at));
    } else if (view.isKind(row, "RECEIVE") && actor >= 0) {
      marks.push(...received(diagram, row, actor, peer, at));
    } else if (actor >= 0) {
      const size = height < 10 ? 2 : 4;
      const points = `${actor},${at - size} ${actor + size},${at} ${actor},${at + size} ${actor - size},${at}`;
      marks.push(svg("polygon", { class: "mark " + tone(view, row), points }));
    } else if (view.rows.session[row] >= 0 && height >= 10) {
      marks.push(rule(diagram, at));
    }
    return marks;
  };

  function rule(diagram, at) {
    return svg("line", { class: "rule", x1: diagram.gutter, x2: diagram.width, y1: at, y2: at });
  }

  // Where the other end of a message is, if it is shown; otherwise above or below everything.
  function mateY(diagram, row) {
    const { store } = diagram;
    const mate = store.view.rows.mate[row];
    if (mate < 0 || !store.isShown(mate)) return null;
    const place = diagram.items.placeOfShown(store.placeOf(mate));
    const y = middle(diagram, (place - diagram.first) * store.rowHeight);
    return Math.min(diagram.height + 10, Math.max(-10, y));
  }

  function sent(diagram, row, from, to, at) {
    const { view } = diagram.store;
    const way = to > from ? 1 : -1;
    const mate = view.rows.mate[row];
    const away = view.isElsewhere(view.rows.session[row], view.rows.peer[row]);
    const lost = mate < 0 ? (away ? "" : " in-flight") : view.isKind(mate, "RECEIVE") ? "" : " lost";
    const marks = [svg("line", { class: "arrow" + lost, x1: from, x2: to - way * 6, y1: at, y2: at })];
    const head = diagram.store.rowHeight < 10 ? 2 : 4;
    const path = `M${to - way * (6 + head)},${at - head} L${to - way * 6},${at} L${to - way * (6 + head)},${at + head}`;
    marks.push(svg("path", { class: "arrow-head" + lost, d: path }));
    if (lost === "" && mate >= 0) marks.push(...bar(diagram, row, to, way, at));
    return marks;
  }

  function bar(diagram, row, lane, way, from) {
    const until = mateY(diagram, row);
    if (until === null) return [];
    const y = Math.min(from, until);
    const x = lane - way * 4 - (way < 0 ? 0 : 2);
    return [svg("rect", { class: "wait", x, y, width: 2, height: Math.abs(until - from) })];
  }

  function received(diagram, row, lane, peer, at) {
    const small = diagram.store.rowHeight < 10;
    const marks = [svg("circle", { class: "taken", cx: lane, cy: at, r: small ? 1.5 : 3.5 })];
    const way = peer >= 0 && peer > lane ? -1 : 1;
    const from = mateY(diagram, row);
    // A message that was sent within sight has drawn the bar already.
    if (from !== null && from < 0) {
      const x = lane - way * 4 - (way < 0 ? 0 : 2);
      marks.push(svg("rect", { class: "wait", x, y: 0, width: 2, height: Math.max(0, at) }));
    }
    return marks;
  }

  function tone(view, row) {
    if (view.findingsAt.has(row)) return "bad";
    return ["FAULT", "REJECT", "UNDELIVERED", "CANCEL", "FAIL", "REFUSE", "PEER_CANCEL", "PEER_FAIL"].includes(view.name(row)) ? "warn" : "plain";
  }

  // --- texts ---

  function cell(text, name, left, width) {
    // An element around the words alone hides the lines that run behind them.
    const node = element("span", { class: name }, element("i", {}, text));
    node.style.left = left + "px";
    node.style.width = width + "px";
    return node;
  }

  function banded(store, row) {
    return row === store.selected || store.view.findingsAt.has(row) || (store.selected >= 0 && store.view.rows.mate[store.selected] === row);
  }

  troth.rowTexts = function (diagram, row, y) {
    const { store, columns } = diagram;
    const { view } = store;
    const chosen = row === store.selected;
    const matched = store.matches !== null && store.matches(row);
    const session = view.rows.session[row];
    const node = element("div", {
      class: "row " + view.groupOf[view.rows.kind[row]] + (matched ? " matched" : "") + (banded(store, row) ? " on-band" : ""),
      id: "row-" + row,
      role: "option",
      "aria-selected": chosen ? "true" : "false",
      "aria-label": label(view, row),
    });
    node.style.top = y + "px";
    node.style.height = Math.max(18, store.rowHeight) + "px";
    node.append(cell(troth.number(row), "number", 0, columns.number - 8));
    if (columns.session > 0 && session >= 0) {
      node.append(cell("s" + session, "session", columns.number, columns.session - 6));
    }
    if (columns.kind > 0) {
      const left = columns.number + columns.session;
      node.append(cell(view.name(row).toLowerCase(), "kind", left, columns.kind - 8));
    }
    node.append(words(diagram, row));
    return node;
  };

  function label(view, row) {
    const session = view.rows.session[row];
    const where = session >= 0 ? ", session " + session : "";
    const wrong = view.findingsAt.has(row) ? ", finding: " + view.findings[view.findingsAt.get(row)[0]].message : "";
    return "record " + row + ", " + view.name(row).toLowerCase() + where + ": " + view.say(row) + wrong;
  }

  // What a record says beside its lane, which names the role already; with its kind where there
  // is no column for that.
  function shortened(diagram, row) {
    const { view } = diagram.store;
    const kind = view.name(row).toLowerCase();
    const actor = view.rows.actor[row];
    let said = view.say(row);
    if (actor >= 0) {
      const role = view.role(view.protocolNumber(view.rows.session[row]), actor);
      if (said === role || said.startsWith(role + " ")) said = said.slice(role.length).trim();
    }
    if (said === "") return kind;
    return diagram.columns.kind === 0 ? kind + " " + said : said;
  }

  // Where the words of a message have their place: between its lanes, and where these are close
  // together beyond them, since nothing else is written on the line.
  function room(diagram, actor, peer, isSend) {
    const left = Math.min(actor, peer) + 10;
    const width = Math.abs(actor - peer) - 26;
    const more = Math.max(0, WORDS_MIN - width);
    const start = isSend ? left - more / 2 : actor > peer ? left - more : left;
    const from = Math.max(diagram.gutter, start);
    return [from, Math.min(diagram.width, start + width + more) - from];
  }

  function words(diagram, row) {
    const { view } = diagram.store;
    const { actor, peer } = ends(diagram, row);
    const isSend = view.isMessage(row);
    if ((isSend || view.isKind(row, "RECEIVE")) && actor >= 0 && peer >= 0) {
      const said = isSend ? view.message(row) : "#" + view.rows.number[row] + " " + view.message(row);
      const side = actor > peer ? " right" : "";
      const [left, width] = room(diagram, actor, peer, isSend);
      return cell(said, isSend ? "said" : "took" + side, left + (side === "" && !isSend ? 4 : 0), width);
    }
    const said = shortened(diagram, row);
    if (actor >= 0) {
      const behind = diagram.width - actor - 14;
      const before = actor - diagram.gutter - 14;
      if (behind >= 240 || behind >= before) return cell(said, "beside", actor + 10, behind);
      return cell(said, "beside right", diagram.gutter + 4, before);
    }
    const across = diagram.scroller.clientWidth - diagram.gutter - 12;
    return cell(said, "across", diagram.gutter + 6, Math.max(80, across));
  }
})((window.troth = window.troth || {}));
