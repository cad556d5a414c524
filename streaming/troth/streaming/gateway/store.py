"""What a gateway keeps over a restart, and what it asks of whoever keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from troth.streaming.gateway.messages import ConsentPolicy
from troth.streaming.relay.lease import Role


@dataclass(frozen=True, slots=True)
class Principal:
    """A key that has registered, under the one name that is its own."""

    key: bytes
    name: str
    banned: bool = False


@dataclass(frozen=True, slots=True)
class Consent:
    policy: ConsentPolicy
    keys: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """A session that a host has consented to. `generation` counts its leases."""

    session: bytes
    client_key: bytes
    host_key: bytes
    client_lease_key: bytes
    host_lease_key: bytes
    opened_s: int
    relay: str = ""
    generation: int = 0
    ended: str = ""
    revoked: str = ""

    def role_of(self, key: bytes) -> Role | None:
        if key == self.client_key:
            return Role.CLIENT
        return Role.HOST if key == self.host_key else None

    def key_of(self, role: Role) -> bytes:
        return self.client_key if role is Role.CLIENT else self.host_key

    def lease_key_of(self, role: Role) -> bytes:
        return self.client_lease_key if role is Role.CLIENT else self.host_lease_key

    @property
    def live(self) -> bool:
        return not self.ended and not self.revoked


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act of an administrator or of the gateway itself; each has the digest of the last."""

    number: int
    at_s: int
    actor: str
    action: str
    subject: str
    outcome: str
    digest: bytes


class Store(Protocol):
    """All of it is done when the call returns."""

    def principal(self, key: bytes) -> Principal | None: ...
    def principal_named(self, name: str) -> Principal | None: ...
    def keep_principal(self, principal: Principal) -> None: ...
    def consent(self, host_key: bytes) -> Consent: ...
    def keep_consent(self, host_key: bytes, consent: Consent) -> None: ...
    def session(self, session: bytes) -> SessionRecord | None: ...
    def keep_session(self, record: SessionRecord) -> None: ...
    def sessions_of(self, key: bytes) -> list[SessionRecord]: ...
    def live_sessions(self) -> list[SessionRecord]: ...
    def revoked_since(self, since_s: int) -> list[SessionRecord]: ...
    def audit(self, at_s: int, actor: str, action: str, subject: str, outcome: str) -> None: ...
    def audit_entries(self, last: int) -> list[AuditEntry]: ...
