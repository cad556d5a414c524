// Where each role of a session stands in its local type after a record: what it did up to there,
// followed from the first state. What does not fit leaves a role where it was, and the role is
// said to have left its type there.
(function (troth) {
  "use strict";

  // What is no message has this in the place of a label: the two ways of a clock, and a crash.
  const NO_LABEL = -1;

  function step(state, kind, label) {
    if (state === undefined || state[0] !== kind) return null;
    return state[2].find((move) => move[0] === label) || null;
  }

  // The ways of a timed state are sorted: `timeout`, `within`.
  function clock(state) {
    return state !== undefined && state[0] === "timed" && state[2].length === 2 ? state[2] : null;
  }

  // The move that a record makes from where its role is. A clock that is started leaves `late` in
  // the place, for when it runs out.
  function moveOf(view, row, place, state) {
    const { SEND, RECEIVE, TIMER, EXPIRE, DETECT } = view.kinds;
    const ways = clock(state);
    switch (view.rows.kind[row]) {
      case SEND: return step(state, "send", view.rows.label[row]);
      case RECEIVE: return step(state, "recv", view.rows.label[row]);
      case DETECT: return step(state, "recv", NO_LABEL);
      case TIMER:
        place.late = ways && ways[0];
        return ways && ways[1];
      case EXPIRE: return place.late;
      default: return undefined;
    }
  }

  // For each role: {state, row, astray}; `row` is the last record that moved it, `astray` the
  // first one that it could not follow. Null when nobody provides the protocol.
  troth.positionsAt = function (view, session, last) {
    const protocol = view.protocol(view.protocolNumber(session));
    if (protocol === null || protocol.types.length === 0) return null;
    const found = protocol.types.map(() => ({ state: 0, row: -1, astray: -1, late: null }));
    for (const row of view.rowsOf(session)) {
      if (row > last) break;
      const role = view.rows.actor[row];
      const place = found[role];
      if (place === undefined || place.astray >= 0) continue;
      const move = moveOf(view, row, place, protocol.types[role].states[place.state]);
      if (move === undefined) continue;
      if (move === null) {
        place.astray = row;
      } else {
        place.state = move[1];
        place.row = row;
      }
    }
    return found;
  };

  troth.describeState = function (state) {
    if (state === undefined) return "no such state";
    if (state[0] === "end") return "at the end";
    if (state[0] === "timed") return "starts the clock of a choice for " + state[1];
    return (state[0] === "send" ? "may send to " : "waits for ") + state[1];
  };
})((window.troth = window.troth || {}));
