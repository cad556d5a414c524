// Where each role of a session stands in its local type after a record: the sends and receives
// up to there, followed from the first state. What does not fit leaves a role where it was, and
// the role is said to have left its type there.
(function (troth) {
  "use strict";

  function step(state, kind, label) {
    if (state === undefined || state[0] !== kind) return null;
    return state[2].find((move) => move[0] === label) || null;
  }

  // For each role: {state, row, astray}; `row` is the last record that moved it, `astray` the
  // first one that it could not follow. Null when nobody provides the protocol.
  troth.positionsAt = function (view, session, last) {
    const protocol = view.protocol(view.protocolNumber(session));
    if (protocol === null || protocol.types.length === 0) return null;
    const found = protocol.types.map(() => ({ state: 0, row: -1, astray: -1 }));
    const { SEND, RECEIVE } = view.kinds;
    for (const row of view.rowsOf(session)) {
      if (row > last) break;
      const kind = view.rows.kind[row];
      if (kind !== SEND && kind !== RECEIVE) continue;
      const role = view.rows.actor[row];
      const place = found[role];
      if (place === undefined || place.astray >= 0) continue;
      const state = protocol.types[role].states[place.state];
      const move = step(state, kind === SEND ? "send" : "recv", view.rows.label[row]);
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
    return (state[0] === "send" ? "may send to " : "waits for ") + state[1];
  };
})((window.troth = window.troth || {}));
