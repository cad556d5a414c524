"""The gateway's store in SQLite: one file, or memory."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path
from typing import Any, Final

from troth.streaming.gateway.messages import ConsentPolicy
from troth.streaming.gateway.store import AuditEntry, Consent, Principal, SessionRecord
from troth.vm.errors import Place, Unusable

SCHEMA_VERSION: Final = 1
MEMORY: Final = ":memory:"
_KEY_BYTES: Final = 32
_ROWS_MAX: Final = 10_000

_SCHEMA: Final = """
CREATE TABLE principals (key BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, banned INTEGER NOT NULL);
CREATE TABLE consents (host BLOB PRIMARY KEY, policy TEXT NOT NULL, keys BLOB NOT NULL);
CREATE TABLE sessions (
    session BLOB PRIMARY KEY, client_key BLOB NOT NULL, host_key BLOB NOT NULL,
    client_lease_key BLOB NOT NULL, host_lease_key BLOB NOT NULL, opened_s INTEGER NOT NULL,
    relay TEXT NOT NULL, generation INTEGER NOT NULL, ended TEXT NOT NULL, revoked TEXT NOT NULL
);
CREATE INDEX sessions_by_client ON sessions (client_key);
CREATE INDEX sessions_by_host ON sessions (host_key);
CREATE INDEX sessions_by_time ON sessions (opened_s);
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at_s INTEGER NOT NULL, actor TEXT NOT NULL,
    action TEXT NOT NULL, subject TEXT NOT NULL, outcome TEXT NOT NULL, digest BLOB NOT NULL
);
"""
_SESSION_COLUMNS: Final = (
    "session, client_key, host_key, client_lease_key, host_lease_key, opened_s, relay, "
    "generation, ended, revoked"
)


class SqliteStore:
    """A `Store`. Each call is one transaction."""

    def __init__(self, path: Path | None = None) -> None:
        """Opens the file, or makes it; None keeps everything in memory.

        Raises:
            Unusable: code `gateway.store`.
        """
        name = MEMORY if path is None else str(path)
        try:
            self._database = sqlite3.connect(name, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._database.executescript(
                    f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
                )
        except sqlite3.Error as error:
            raise _unusable(name, str(error)) from error
        if version not in (0, SCHEMA_VERSION):
            self.close()
            raise _unusable(name, f"version {version} of the tables")

    def close(self) -> None:
        self._database.close()

    def principal(self, key: bytes) -> Principal | None:
        row = self._one("SELECT key, name, banned FROM principals WHERE key = ?", key)
        return None if row is None else Principal(row[0], row[1], bool(row[2]))

    def principal_named(self, name: str) -> Principal | None:
        row = self._one("SELECT key, name, banned FROM principals WHERE name = ?", name)
        return None if row is None else Principal(row[0], row[1], bool(row[2]))

    def keep_principal(self, principal: Principal) -> None:
        self._do(
            "INSERT INTO principals VALUES (?, ?, ?) "
            "ON CONFLICT (key) DO UPDATE SET name = excluded.name, banned = excluded.banned",
            principal.key, principal.name, int(principal.banned),
        )  # fmt: skip

    def consent(self, host_key: bytes) -> Consent:
        row = self._one("SELECT policy, keys FROM consents WHERE host = ?", host_key)
        if row is None:
            return Consent(ConsentPolicy.ASK)
        keys = tuple(row[1][at : at + _KEY_BYTES] for at in range(0, len(row[1]), _KEY_BYTES))
        return Consent(ConsentPolicy(row[0]), keys)

    def keep_consent(self, host_key: bytes, consent: Consent) -> None:
        self._do(
            "INSERT OR REPLACE INTO consents VALUES (?, ?, ?)",
            host_key, consent.policy.value, b"".join(consent.keys),
        )  # fmt: skip

    def session(self, session: bytes) -> SessionRecord | None:
        row = self._one(f"SELECT {_SESSION_COLUMNS} FROM sessions WHERE session = ?", session)
        return None if row is None else _record(row)

    def keep_session(self, record: SessionRecord) -> None:
        self._do(
            "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            record.session, record.client_key, record.host_key, record.client_lease_key,
            record.host_lease_key, record.opened_s, record.relay, record.generation,
            record.ended, record.revoked,
        )  # fmt: skip

    def sessions_of(self, key: bytes) -> list[SessionRecord]:
        return self._sessions("client_key = ? OR host_key = ?", key, key)

    def live_sessions(self) -> list[SessionRecord]:
        return self._sessions("ended = '' AND revoked = ''")

    def revoked_since(self, since_s: int) -> list[SessionRecord]:
        return self._sessions("revoked != '' AND opened_s >= ?", since_s)

    def audit(self, at_s: int, actor: str, action: str, subject: str, outcome: str) -> None:
        row = self._one("SELECT digest FROM audit ORDER BY number DESC LIMIT 1")
        digest = chained(row[0] if row else b"", at_s, actor, action, subject, outcome)
        self._do(
            "INSERT INTO audit (at_s, actor, action, subject, outcome, digest) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            at_s, actor, action, subject, outcome, digest,
        )  # fmt: skip

    def audit_entries(self, last: int) -> list[AuditEntry]:
        """The last so many, the oldest of them first."""
        rows = self._database.execute(
            "SELECT number, at_s, actor, action, subject, outcome, digest FROM audit "
            "ORDER BY number DESC LIMIT ?",
            (last,),
        ).fetchall()
        return [AuditEntry(*row) for row in reversed(rows)]

    def audit_is_whole(self) -> bool:
        """Whether every entry still follows from the one before it."""
        before = b""
        for _, *said, digest in self._database.execute("SELECT * FROM audit ORDER BY number"):
            before = chained(before, *said)
            if before != digest:
                return False
        return True

    def _sessions(self, condition: str, *values: object) -> list[SessionRecord]:
        rows = self._database.execute(
            f"SELECT {_SESSION_COLUMNS} FROM sessions WHERE {condition} "
            "ORDER BY opened_s DESC, session LIMIT ?",
            (*values, _ROWS_MAX),
        )
        return [_record(row) for row in rows]

    def _one(self, statement: str, *values: object) -> Any:
        return self._database.execute(statement, values).fetchone()

    def _do(self, statement: str, *values: object) -> None:
        self._database.execute(statement, values)


def chained(
    before: bytes, at_s: int, actor: str, action: str, subject: str, outcome: str
) -> bytes:  # fmt: skip
    """The digest of an entry and of all before it."""
    hashed = hashlib.blake2b(before, digest_size=_KEY_BYTES)
    for text in (str(at_s), actor, action, subject, outcome):
        data = text.encode(errors="surrogatepass")
        hashed.update(len(data).to_bytes(4, "big") + data)
    return hashed.digest()


def _record(row: Any) -> SessionRecord:
    return SessionRecord(
        session=row[0],
        client_key=row[1],
        host_key=row[2],
        client_lease_key=row[3],
        host_lease_key=row[4],
        opened_s=row[5],
        relay=row[6],
        generation=row[7],
        ended=row[8],
        revoked=row[9],
    )


def _unusable(name: str, reason: str) -> Unusable:
    return Unusable(
        "gateway.store",
        "the gateway's database cannot be used",
        place=Place(file=name),
        expected=f"an SQLite database of a gateway, version {SCHEMA_VERSION}",
        actual=reason,
        advice="Give another file, or the version of Troth that made this one",
    )
