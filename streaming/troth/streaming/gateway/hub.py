"""What the parts of the gateway share: who is connected, what is open, and what is to be sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypedDict

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.limits import MINUTE_S, SECOND_NS, GatewayLimits
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.proofs import Challenge, Registration
from troth.streaming.gateway.store import Store
from troth.streaming.gateway.watchers import Watchers
from troth.streaming.happenings import Happenings
from troth.streaming.relay.buckets import BucketTable, TokenBucket
from troth.streaming.relay.lease import RandomBytes

KEYS_COUNTED_MAX: Final = 65_536


class Refusal(Enum):
    """Why the gateway refuses something: the stable code, and a sentence."""

    MESSAGE = "the message is not one that a gateway takes here"
    KIND = "there is no such kind of party"
    SIGNATURE = "the registration is not signed by its key"
    LEFT = "the party takes this for another gateway than it wants"
    NOT_ADMITTED = "this key may not register as that"
    BANNED = "this key was banned"
    NAME_TAKEN = "another key has this name"
    REPLACED = "the same key has registered again, elsewhere"
    LIMIT = "a limit was hit"
    SILENT = "nothing came for too long"
    PEER_OFFLINE = "no host of that name is connected"
    NO_CONSENT = "the host does not let this key call"
    DENIED = "the host said no"
    NO_ANSWER = "the host did not answer in time"
    NOT_DELIVERED = "the host did not take the offer in time"
    NO_OFFER = "there is no such offer"
    NO_SESSION = "there is no such session of this key"
    SESSION_OVER = "the session has ended"
    REVOKED = "the session was revoked"
    NO_RELAY = "no relay is there for this session"
    POLICY = "there is no such policy"
    COMMAND = "there is no such command, or not with these arguments"
    NO_SUBJECT = "there is nothing of that name"
    SHUTTING_DOWN = "the gateway is going down"

    @property
    def code(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Send:
    """Send this message on that connection."""

    connection: int
    message: m.Message


@dataclass(frozen=True, slots=True)
class Close:
    """Close that connection when what was sent is out."""

    connection: int


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame of that party's machine, for the one that runs the program of its leg here."""

    connection: int
    talk: m.Talk


class Order(TypedDict):
    """A session that a party is to stop, or that the other one has ended, and why."""

    session: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin a run of this leg's program with that party; `about` is for one that has a subject."""

    connection: int
    leg: str
    about: Order | None = None


GatewayOutput = Send | Close | Heard | Begin


@dataclass(slots=True, eq=False)
class Party:
    """A connection that has registered, or is about to. `challenge` is its own; `binding` says
    that its program has begun.

    A relay's `load` is its sessions, and how many it takes: none before its program has said so.
    `orders` are those that no program has taken yet; `ordered` says that one runs that will.
    """

    connection: int
    address: str
    challenge: Challenge
    opened_ns: int
    heard_ns: int
    messages: TokenBucket
    kind: PartyKind | None = None
    name: str = ""
    key: bytes = b""
    registration: Registration | None = None
    binding: bool = False
    load: tuple[int, int] = (0, 0)
    draining: bool = False
    orders: list[Order] = field(default_factory=list)
    ordered: bool = False
    banned: bool = False


class Rates:
    """How often a key, or an address, may do a thing; each by the name of its limit."""

    def __init__(self, limits: GatewayLimits) -> None:
        self._per_minute = {
            "registrations_per_minute": limits.registrations_per_minute,
            "offers_per_minute": limits.offers_per_minute,
            "leases_per_minute": limits.leases_per_minute,
        }
        # Tokens are sixtieths, so that a rate per minute is a whole number per second.
        self._tables = {
            name: BucketTable(rate, rate * MINUTE_S, KEYS_COUNTED_MAX)
            for name, rate in self._per_minute.items()
        }

    def wait_ns(self, limit: str, key: bytes | str, now_ns: int) -> int:
        """0 when it may be done now, which is counted; else how long to wait."""
        table = self._tables[limit]
        if table.take(key, now_ns, MINUTE_S):
            return 0
        return table.wait_ns(key, now_ns, MINUTE_S)


@dataclass(slots=True)
class GatewayCounters:
    """Everything since the start.

    Attributes:
        connections: connections that were taken.
        registrations: parties that proved a key.
        offers: offers of clients.
        offers_delivered: offers that a host has confirmed.
        sessions_opened: sessions that a host has agreed to.
        sessions_ended: sessions whose parties said that they are over.
        leases_issued: leases for relays.
        revocations: sessions taken away.
        malformed: connections closed because of what came on them.
        refused: what was refused, by code.
        limited: what was refused because of a limit, by its name.
    """

    connections: int = 0
    registrations: int = 0
    offers: int = 0
    offers_delivered: int = 0
    sessions_opened: int = 0
    sessions_ended: int = 0
    leases_issued: int = 0
    revocations: int = 0
    malformed: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    limited: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Hub:
    """`admitted` says which keys may register as what; None lets everybody."""

    store: Store
    signing_key: bytes
    public_key: bytes
    random: RandomBytes
    limits: GatewayLimits
    admitted: Mapping[PartyKind, frozenset[bytes] | None]
    unix_offset_ns: int
    parties: dict[int, Party] = field(default_factory=dict)
    by_key: dict[tuple[PartyKind, bytes], Party] = field(default_factory=dict)
    hosts: dict[str, Party] = field(default_factory=dict)
    relays: dict[str, Party] = field(default_factory=dict)
    counters: GatewayCounters = field(default_factory=GatewayCounters)
    out: list[GatewayOutput] = field(default_factory=list)
    happenings: Happenings = field(default_factory=Happenings)
    watchers: Watchers = field(default_factory=Watchers)
    rates: Rates = field(init=False)

    def __post_init__(self) -> None:
        self.rates = Rates(self.limits)

    def unix_s(self, now_ns: int) -> int:
        return (now_ns + self.unix_offset_ns) // SECOND_NS

    def send(self, party: Party, message: m.Message) -> None:
        self.out.append(Send(party.connection, message))

    def refusal(
        self,
        refusal: Refusal,
        request: int = 0,
        *,
        detail: str = "",
        limit: str = "",
        wait_ns: int = 0,
    ) -> m.Refused:
        """Why something is refused; it is counted."""
        counted = self.counters.refused
        counted[refusal.code] = counted.get(refusal.code, 0) + 1
        if limit:
            self.counters.limited[limit] = self.counters.limited.get(limit, 0) + 1
        self.happenings.note("refused", code=refusal.code, limit=limit)
        text = f"{refusal.value}: {detail}" if detail else refusal.value
        wait_ms = -(-wait_ns // 1_000_000)
        return m.Refused(request, refusal.code, text[:200], limit, wait_ms)

    def limit_refusal(self, limit: str, request: int = 0, wait_ns: int = 0) -> m.Refused:
        """It is refused because of the limit of that name."""
        most = getattr(self.limits, limit)
        return self.refusal(
            Refusal.LIMIT, request, detail=f"{limit} is {most}", limit=limit, wait_ns=wait_ns
        )

    def refuse(
        self, party: Party, refusal: Refusal, request: int = 0, *, detail: str = ""
    ) -> None:  # fmt: skip
        """Says why something is refused."""
        self.send(party, self.refusal(refusal, request, detail=detail))

    def over_limit(self, party: Party, request: int, limit: str, wait_ns: int = 0) -> None:
        self.send(party, self.limit_refusal(limit, request, wait_ns))

    def tell_ended(self, party: Party, session: bytes, reason: str) -> None:
        """Has a party told that the other one has ended a session."""
        about: Order = {"session": session, "reason": reason}
        self.out.append(Begin(party.connection, "ended", about))

    def connected(self, kind: PartyKind, key: bytes) -> Party | None:
        return self.by_key.get((kind, key))
