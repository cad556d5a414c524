"""What an administrator can do. Every command is in the audit log, with what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.hub import Hub, Party, Refusal
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.revocation import Revocations
from troth.streaming.gateway.store import Principal, SessionRecord

ROWS_MAX: Final = 200
REASON_CHARACTERS_MAX: Final = 100


class Administration:
    def __init__(self, hub: Hub, revocations: Revocations) -> None:
        self._hub = hub
        self._revocations = revocations

    def command(self, admin: Party, message: m.Command, now_ns: int) -> None:
        """Carries a command out, and writes it down first: what fails half-way is known, too."""
        run = COMMANDS.get(message.name)
        subject = " ".join(message.arguments)
        problem = Refusal.COMMAND if run is None else None
        self._note(admin, message.name, subject, "refused" if problem else "accepted", now_ns)
        if run is not None:
            problem = run(self, admin, message, now_ns)
        if problem is not None:
            self._note(admin, message.name, subject, problem.code, now_ns)
            self._hub.refuse(admin, problem, message.request)

    def _note(self, admin: Party, action: str, subject: str, outcome: str, now_ns: int) -> None:
        at_s = self._hub.unix_s(now_ns)
        self._hub.store.audit(at_s, admin.name, action[:40], subject[:200], outcome)

    def revoke_session(self, admin: Party, message: m.Command, now_ns: int) -> Refusal | None:
        """`revoke SESSION [REASON]`"""
        record = self._session(message.arguments)
        if record is None:
            return Refusal.NO_SUBJECT
        self._revocations.revoke([record], _reason(message), admin, message.request, now_ns)
        return None

    def ban(self, admin: Party, message: m.Command, now_ns: int) -> Refusal | None:
        """`ban NAME [REASON]`: its sessions are revoked, and it does not come back."""
        principal = self._principal(message.arguments)
        if principal is None:
            return Refusal.NO_SUBJECT
        live = [r for r in self._hub.store.sessions_of(principal.key) if r.live]
        self._revocations.ban(principal)
        self._revocations.revoke(live, _reason(message), admin, message.request, now_ns)
        return None

    def unban(self, admin: Party, message: m.Command, _now_ns: int) -> Refusal | None:
        """`unban NAME`"""
        principal = self._principal(message.arguments)
        if principal is None:
            return Refusal.NO_SUBJECT
        self._hub.store.keep_principal(Principal(principal.key, principal.name))
        self._hub.send(admin, m.Done(message.request))
        return None

    def drain(self, admin: Party, message: m.Command, _now_ns: int) -> Refusal | None:
        """`drain RELAY`: it gets no more sessions, and is told so; those that it has go on."""
        relay = self._hub.relays.get(message.arguments[0]) if message.arguments else None
        if relay is None:
            return Refusal.NO_SUBJECT
        relay.draining = True
        self._hub.send(admin, m.Done(message.request))
        return None

    def sessions(self, admin: Party, message: m.Command, now_ns: int) -> Refusal | None:
        """`sessions`: those that are open."""
        head = ("session", "client", "host", "relay", "since")
        rows = [
            (
                r.session.hex(), self._name(r.client_key), self._name(r.host_key), r.relay or "-",
                f"{self._hub.unix_s(now_ns) - r.opened_s} s",
            )
            for r in self._hub.store.live_sessions()[:ROWS_MAX]
        ]  # fmt: skip
        self._hub.send(admin, m.Report(message.request, (head, *rows)))
        return None

    def parties(self, admin: Party, message: m.Command, _now_ns: int) -> Refusal | None:
        """`parties`: who is connected."""
        head = ("kind", "name", "load")
        rows = [
            (p.kind.value, p.name, f"{p.load[0]}/{p.load[1]}" if p.kind is PartyKind.RELAY else "-")
            for p in list(self._hub.parties.values())[:ROWS_MAX]
            if p.kind is not None
        ]
        self._hub.send(admin, m.Report(message.request, (head, *sorted(rows))))
        return None

    def audit(self, admin: Party, message: m.Command, _now_ns: int) -> Refusal | None:
        """`audit`: the last entries of the log."""
        head = ("number", "unix_s", "actor", "action", "subject", "outcome")
        rows = [
            (str(e.number), str(e.at_s), e.actor, e.action, e.subject, e.outcome)
            for e in self._hub.store.audit_entries(ROWS_MAX)
        ]
        self._hub.send(admin, m.Report(message.request, (head, *rows)))
        return None

    def _session(self, arguments: tuple[str, ...]) -> SessionRecord | None:
        try:
            session = bytes.fromhex(arguments[0]) if arguments else b""
        except ValueError:
            return None
        record = self._hub.store.session(session)
        return record if record is not None and not record.revoked else None

    def _principal(self, arguments: tuple[str, ...]) -> Principal | None:
        return self._hub.store.principal_named(arguments[0]) if arguments else None

    def _name(self, key: bytes) -> str:
        principal = self._hub.store.principal(key)
        return key.hex()[:16] if principal is None else principal.name


def _reason(message: m.Command) -> str:
    return " ".join(message.arguments[1:])[:REASON_CHARACTERS_MAX] or "revoked"


Run = Callable[[Administration, Party, m.Command, int], Refusal | None]

COMMANDS: Final[Mapping[str, Run]] = {
    "revoke": Administration.revoke_session,
    "ban": Administration.ban,
    "unban": Administration.unban,
    "drain": Administration.drain,
    "sessions": Administration.sessions,
    "parties": Administration.parties,
    "audit": Administration.audit,
}
