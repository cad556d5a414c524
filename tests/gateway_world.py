"""A gateway with parties connected to it in one process, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Final, TypeVar, cast

from relay_world import GATEWAY_PUBLIC, GATEWAY_SIGNING, RELAY_KEY, UNIX_S
from troth.streaming.gateway import messages as m
from troth.streaming.gateway.binding import (
    NO_RELAY_PART,
    PartyBinding,
    RelayPart,
    challenge_record,
)
from troth.streaming.gateway.client import GatewayLink
from troth.streaming.gateway.codec import FrameReader, encode
from troth.streaming.gateway.core import GatewayCore
from troth.streaming.gateway.hub import Begin, Close, Heard, Hub, Order, Send
from troth.streaming.gateway.introductions import IntroductionRecord, Opening
from troth.streaming.gateway.leasing import RELAY, RENEWAL, Ticket, Want
from troth.streaming.gateway.limits import SECOND_NS, GatewayLimits
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.registered_relays import Place, RelayDesk
from troth.streaming.gateway.rendezvous import Pending
from troth.streaming.gateway.revocation import RevocationDesk
from troth.streaming.gateway.shell_store import SqliteStore
from troth.vm.errors import Malformed
from troth.vm.keys import KeyPair, generate

EVERYBODY: Final[Mapping[PartyKind, frozenset[bytes] | None]] = dict.fromkeys(PartyKind)
CANDIDATES: Final = ((1, "203.0.113.5", 5_000),)
CHECK_PASSWORD: Final = "p" * 22

T = TypeVar("T", bound=m.Message)


def introduction(**changed: object) -> IntroductionRecord:
    """As a program has it."""
    values: dict[str, object] = {
        "proposal": b"hello",
        "candidates": [dict(zip(("kind", "host", "port"), c, strict=True)) for c in CANDIDATES],
        "check_name": "name",
        "check_password": CHECK_PASSWORD,
        "lease_key": b"\x09" + bytes(31),
        **changed,
    }
    return cast(IntroductionRecord, values)


class Connection:
    """One party's link, and everything that it got; `open` until the gateway closes it."""

    def __init__(self, number: int, link: GatewayLink, binding: PartyBinding) -> None:
        self.number = number
        self.link = link
        self.binding = binding
        self.reader = FrameReader()
        self.got: list[m.Message] = []
        self.heard: list[bytes] = []
        self.ended: list[Order] = []
        self.desks: list[RevocationDesk] = []
        self.open = True

    def all(self, kind: type[T]) -> list[T]:
        return [message for message in self.got if isinstance(message, kind)]

    def last(self, kind: type[T]) -> T:
        return self.all(kind)[-1]

    @property
    def refused(self) -> list[str]:
        return [message.code for message in self.all(m.Refused)]


class GatewayWorld:
    def __init__(
        self,
        limits: GatewayLimits | None = None,
        admitted: Mapping[PartyKind, frozenset[bytes] | None] = EVERYBODY,
        seed: int = 1,
    ) -> None:
        self.random = Random(seed)
        self.now_ns = 10 * SECOND_NS
        self.store = SqliteStore()
        self.admitted = admitted
        self.limits = limits or GatewayLimits()
        self.connections: list[Connection] = []
        self.core = self.restart()

    def restart(self) -> GatewayCore:
        """A new process with the same store; every connection is gone."""
        hub = Hub(
            store=self.store,
            signing_key=GATEWAY_SIGNING,
            public_key=GATEWAY_PUBLIC,
            random=self.random.randbytes,
            limits=self.limits,
            admitted=self.admitted,
            unix_offset_ns=UNIX_S * SECOND_NS,
        )
        for connection in self.connections:
            connection.open = False
        self.core = GatewayCore(hub, self.now_ns)
        return self.core

    def key(self, name: str) -> KeyPair:
        return generate(name, Random(name).randbytes(32))

    def connect(
        self,
        kind: PartyKind,
        name: str,
        *,
        address: str = "203.0.113.5",
        key: KeyPair | None = None,
    ) -> Connection:
        known = key or self.key(name)
        relay = NO_RELAY_PART
        if kind is PartyKind.RELAY:
            relay = RelayPart(RELAY_KEY.public, "192.0.2.30", 3_479)
        binding = PartyBinding(
            kind=kind, key=known, random=self.random.randbytes, gateway_key=GATEWAY_PUBLIC,
            relay=relay,
        )  # fmt: skip
        connection = self.arrive(binding, address)
        if connection.open:
            self.bind(connection)
        if kind is PartyKind.RELAY and connection.open:
            self.load(connection, 0, 100)
        return connection

    def arrive(self, binding: PartyBinding, address: str = "203.0.113.5") -> Connection:
        """A connection whose program has said its first word."""
        number = len(self.connections) + 1
        link = GatewayLink(binding.key, self.now_ns)
        connection = Connection(number, link, binding)
        self.connections.append(connection)
        self.core.connected(number, address, self.now_ns)
        self.settle()
        if connection.open:
            self.say(connection, m.Talk("bind", 1, b"hello"))
        return connection

    def bind(self, connection: Connection, *proved: bytes) -> None:
        """What the programs of party and gateway ask; `proved` are keys of the party's machine."""
        party, binding = self.core.hub.parties[connection.number], connection.binding
        binding.peer_keys = lambda: frozenset({GATEWAY_PUBLIC})
        answer = binding.answer_challenge(challenge_record(party.challenge))
        assert answer["refusal"] == ""
        keys = frozenset(proved or (binding.key.public_key,))
        found = self.core.register(party, answer["registration"], keys, self.now_ns)
        if isinstance(found, bytes):
            binding.bound(found)
            connection.link.bound()
        else:
            connection.got.append(found)
            self.drop(connection)
        self.settle()

    def load(self, relay: Connection, sessions: int, sessions_max: int) -> None:
        """What the relay's program tells that of the gateway."""
        party = self.core.hub.parties[relay.number]
        desk = RelayDesk(self.core.hub, party)
        place: Place = {
            "name": party.name, "address": "192.0.2.30:3479", "sessions_max": sessions_max,
        }  # fmt: skip
        assert desk.register_relay(place) == ""
        assert desk.take_beat(sessions)

    def say(self, connection: Connection, message: m.Message) -> None:
        connection.link.send(message)
        self.settle()

    def drop(self, connection: Connection) -> None:
        """The connection breaks."""
        connection.open = False
        self.core.closed(connection.number, self.now_ns)
        self.settle()

    def settle(self) -> None:
        for _ in range(1_000):
            moved = self._gateway_says()
            for connection in self.connections:
                data = connection.link.to_write()
                if data and connection.open:
                    moved = True
                    self._arrive(connection, data)
            if not moved:
                return
        raise AssertionError("they never stop talking")

    def _arrive(self, connection: Connection, data: bytes) -> None:
        try:
            messages = connection.reader.feed(data)
        except Malformed as error:
            self.core.malformed(connection.number, error)
            return
        for message in messages:
            self.core.received(connection.number, message, self.now_ns)

    def _gateway_says(self) -> bool:
        out = self.core.poll()
        for output in out:
            connection = self.connections[output.connection - 1]
            if isinstance(output, Send) and connection.open:
                found = connection.link.receive(encode(output.message), self.now_ns)
                connection.got += found
            elif isinstance(output, Heard):
                connection.heard.append(output.talk.frame)
            elif isinstance(output, Begin) and output.about is not None:
                assert output.leg == "ended"
                connection.ended.append(output.about)
            elif isinstance(output, Begin):
                assert output.leg == "revoke"
                party = self.core.hub.parties[output.connection]
                desk = RevocationDesk(
                    self.core.revocations, party, lambda: self.now_ns, lambda: None
                )  # fmt: skip
                connection.desks.append(desk)
            elif isinstance(output, Close):
                connection.open = False
                self.core.closed(connection.number, self.now_ns)
        return bool(out)

    def advance(self, seconds: float, *, beats: bool = True) -> None:
        end_ns = self.now_ns + round(seconds * SECOND_NS)
        while self.now_ns < end_ns:
            self.now_ns = min(end_ns, self.now_ns + SECOND_NS // 10)
            for connection in self.connections:
                if beats:
                    connection.link.tick(self.now_ns)
            self.core.tick(self.now_ns)
            self.settle()

    def end(self, connection: Connection, session: bytes, reason: str) -> None:
        """What the program of a party that ends a session asks."""
        party = self.core.hub.parties[connection.number]
        refused = self.core.end_session(party, session, reason)
        if refused is not None:
            connection.got.append(refused)
        self.settle()

    # --- what programs do --------------------------------------------------------------------

    def told(self, connection: Connection) -> list[Order]:
        """The next orders of the program that was begun last."""
        return connection.desks[-1].next_orders()

    def stopped(self, connection: Connection) -> None:
        """The party answers them."""
        connection.desks[-1].sessions_stopped()
        self.settle()

    def lease(
        self, connection: Connection, session: bytes, *excluded: str, renew: bool = False
    ) -> Ticket | None:
        """What a party gets that wants one; a refusal is among what it has got."""
        party, leasing = self.core.hub.parties[connection.number], self.core.leasing
        refused = leasing.refusal(party, session, self.now_ns)
        if refused is not None:
            connection.got.append(refused)
            return None
        want: Want = {"kind": RENEWAL if renew else RELAY, "except_relays": list(excluded)}
        relay = leasing.choose(session, want)
        return None if relay is None else leasing.issue(party, session, relay, self.now_ns)

    def handed(self, connection: Connection, session: bytes, known: str = "") -> Ticket | None:
        """What a party gets unasked that has a lease for the known relay."""
        party, leasing = self.core.hub.parties[connection.number], self.core.leasing
        relay = leasing.moved_to(session, known)
        return None if relay is None else leasing.issue(party, session, relay, self.now_ns)

    # --- whole steps ------------------------------------------------------------------------

    def offer(self, client: Connection, target: str) -> Pending | None:
        """What the program of a client asks; a refusal is among what the client has got."""
        party = self.core.hub.parties[client.number]
        found = self.core.rendezvous.ask(party, target, introduction(), self.now_ns)
        if isinstance(found, m.Refused):
            client.got.append(found)
            return None
        return found

    def session(self, client: Connection, host: Connection) -> bytes:
        """A session between the two, and its id."""
        pending = self.offer(client, host.link.key.name)
        assert pending is not None
        self.core.rendezvous.received(pending)
        answer = introduction(proposal=b"welcome")
        opening = self.core.rendezvous.accept(pending, answer, self.now_ns)
        assert isinstance(opening, Opening)
        return opening.session
