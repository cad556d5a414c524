// From the data in the page to columns: one typed array for each field of a record.
// The form of the rows is described in report_rows.py; a kind that this page has no picture for
// is a row with a text, like any other.
(function (troth) {
  "use strict";

  const NONE = -1;

  function bytesOf(base64) {
    // Slices were encoded one by one, each of a multiple of three bytes but for the last.
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let place = 0; place < text.length; place += 1) bytes[place] = text.charCodeAt(place);
    return bytes;
  }

  class Reader {
    constructor(bytes) {
      this.bytes = bytes;
      this.place = 0;
    }

    next() {
      const bytes = this.bytes;
      let byte = bytes[this.place++];
      if (byte < 128) return byte;
      let value = byte & 127;
      let scale = 128;
      do {
        byte = bytes[this.place++];
        value += (byte & 127) * scale;
        scale *= 128;
      } while (byte > 127);
      return value;
    }
  }

  function emptyColumns(count) {
    const whole = () => new Int32Array(count).fill(NONE);
    return {
      count,
      kind: new Uint16Array(count),
      offset: new Float64Array(count),
      session: whole(),
      actor: whole(),
      peer: whole(),
      label: whole(),
      number: new Float64Array(count).fill(NONE),
      code: whole(),
      text: new Int32Array(count),
      mate: whole(),
    };
  }

  function decode(rows) {
    const columns = emptyColumns(rows.count);
    const reader = new Reader(bytesOf(rows.data));
    let offset = 0;
    let session = 0;
    for (let row = 0; row < rows.count; row += 1) {
      const kind = reader.next();
      columns.kind[row] = kind;
      offset += reader.next();
      columns.offset[row] = offset;
      const letters = rows.shapes[kind];
      for (let place = 0; place < letters.length; place += 1) {
        const value = reader.next();
        switch (letters[place]) {
          case "s":
            session += value % 2 === 0 ? value / 2 : -(value + 1) / 2;
            columns.session[row] = session;
            break;
          case "a": columns.actor[row] = value - 1; break;
          case "p": columns.peer[row] = value - 1; break;
          case "l": columns.label[row] = value; break;
          case "n": columns.number[row] = value; break;
          case "c": columns.code[row] = value; break;
          default: columns.text[row] = value;
        }
      }
    }
    return columns;
  }

  // Finds the other end of every message: what was sent and where it was received or given up.
  function pair(columns, kinds) {
    const edges = new Map();
    const { SEND, ARRIVE, RECEIVE, UNDELIVERED } = kinds;
    for (let row = 0; row < columns.count; row += 1) {
      const kind = columns.kind[row];
      const isMessage = kind === SEND || kind === ARRIVE;
      if (!isMessage && kind !== RECEIVE && kind !== UNDELIVERED) continue;
      const received = kind === RECEIVE;
      const sender = received ? columns.peer[row] : columns.actor[row];
      const receiver = received ? columns.actor[row] : columns.peer[row];
      const key = (columns.session[row] * 65536 + sender) * 65536 + receiver;
      let sent = edges.get(key);
      if (sent === undefined) edges.set(key, (sent = new Map()));
      const number = columns.number[row];
      if (isMessage) {
        sent.set(number, row);
      } else if (sent.has(number)) {
        const from = sent.get(number);
        columns.mate[row] = from;
        columns.label[row] = columns.label[from];
        if (columns.mate[from] === NONE) columns.mate[from] = row;
      }
    }
  }

  // The rows of each session, as slices of one array.
  function bySession(columns) {
    let sessions = 0;
    for (let row = 0; row < columns.count; row += 1) {
      if (columns.session[row] < columns.count) {
        sessions = Math.max(sessions, columns.session[row] + 1);
      }
    }
    const starts = new Int32Array(sessions + 1);
    const inside = (row) => columns.session[row] >= 0 && columns.session[row] < sessions;
    for (let row = 0; row < columns.count; row += 1) {
      if (inside(row)) starts[columns.session[row] + 1] += 1;
    }
    for (let place = 0; place < sessions; place += 1) starts[place + 1] += starts[place];
    const next = starts.slice();
    const rows = new Int32Array(starts[sessions]);
    for (let row = 0; row < columns.count; row += 1) {
      if (inside(row)) rows[next[columns.session[row]]++] = row;
    }
    return (session) =>
      session < 0 || session >= sessions
        ? new Int32Array(0)
        : rows.subarray(starts[session], starts[session + 1]);
  }

  // One view, ready to be asked.
  troth.View = class {
    constructor(raw) {
      this.raw = raw;
      this.rows = decode(raw.rows);
      this.kinds = {};
      this.groupOf = {};
      this.kindName = {};
      for (const [kind, [name, group]] of Object.entries(raw.rows.kinds)) {
        this.kinds[name] = Number(kind);
        this.kindName[kind] = name;
        this.groupOf[kind] = group;
      }
      pair(this.rows, this.kinds);
      this.rowsOf = bySession(this.rows);
      this.findings = raw.findings;
      this.findingsAt = new Map();
      this.findings.forEach((finding, number) => {
        const row = finding.record;
        if (row === null || row >= this.rows.count) return;
        if (!this.findingsAt.has(row)) this.findingsAt.set(row, []);
        this.findingsAt.get(row).push(number);
      });
    }

    session(number) {
      return this.raw.sessions[number] || null;
    }

    // The number of a session's protocol; -1 where it is not known.
    protocolNumber(session) {
      const found = this.session(session);
      return found !== null && this.raw.protocols[found[0]] !== undefined ? found[0] : NONE;
    }

    protocol(number) {
      return this.raw.protocols[number] || null;
    }

    role(protocol, role) {
      const found = this.protocol(protocol);
      return (found !== null && found.roles[role]) || "role " + role;
    }

    label(row) {
      const label = this.rows.label[row];
      const found = this.protocol(this.protocolNumber(this.rows.session[row]));
      return (found !== null && found.labels[label]) || "label " + label;
    }

    text(row) {
      return this.raw.rows.texts[this.rows.text[row]];
    }

    code(row) {
      const code = this.rows.code[row];
      return code === NONE ? "" : this.raw.rows.codes[code];
    }

    isKind(row, name) {
      return this.rows.kind[row] === this.kinds[name];
    }

    // A message, of this machine or as it came from another one.
    isMessage(row) {
      return this.isKind(row, "SEND") || this.isKind(row, "ARRIVE");
    }

    // Whether another machine holds the role.
    isElsewhere(session, role) {
      const found = this.session(session);
      return found !== null && found[5].includes(role);
    }

    name(row) {
      return this.kindName[this.rows.kind[row]];
    }

    // What a message says, in short: of a receive, what was sent.
    message(row) {
      const from = this.isMessage(row) ? row : this.rows.mate[row];
      return from === NONE ? "" : this.label(from) + this.text(from);
    }

    // Every record in one line.
    say(row) {
      const rows = this.rows;
      const protocol = this.protocolNumber(rows.session[row]);
      const actor = rows.actor[row] === NONE ? "" : this.role(protocol, rows.actor[row]);
      const peer = rows.peer[row] === NONE ? "" : this.role(protocol, rows.peer[row]);
      if (this.isMessage(row)) {
        return actor + " to " + peer + ": " + this.message(row) + " #" + rows.number[row];
      }
      if (this.isKind(row, "RECEIVE")) {
        return actor + " takes #" + rows.number[row] + " of " + peer + ": " + this.message(row);
      }
      return this.text(row);
    }
  };
})((window.troth = window.troth || {}));
