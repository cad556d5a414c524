"""A relay, a gateway's key and parties in one process, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from nacl.bindings import crypto_sign_seed_keypair

from troth.streaming.paths.addresses import Address
from troth.streaming.relay.core import RelayCore
from troth.streaming.relay.lease import (
    ExchangeKey,
    Lease,
    Role,
    issue,
    new_exchange_key,
    relay_exchange_key,
)
from troth.streaming.relay.leg import RelayLeg
from troth.streaming.relay.limits import SECOND_NS, RelayLimits
from troth.streaming.relay.outputs import LegOutput, Transmit

UNIX_S: Final = 1_800_000_000
RELAY_ADDRESS: Final = Address("198.51.100.1", 3479)
GATEWAY_PUBLIC, GATEWAY_SIGNING = crypto_sign_seed_keypair(bytes(range(32)))
RELAY_KEY: Final = relay_exchange_key(b"relay seed".ljust(32, b"."))

Filter = Callable[[Address, Address, bytes], bool]


@dataclass(slots=True, eq=False)
class Party:
    """A party's leg with its address, and everything that came of it."""

    leg: RelayLeg
    address: Address
    said: list[LegOutput] = field(default_factory=list)
    got: list[bytes] = field(default_factory=list)


class RelayWorld:
    """Everything a party or the relay sends arrives at once, unless `lets_through` says no."""

    def __init__(self, seed: int = 1, limits: RelayLimits | None = None) -> None:
        self.random = Random(seed)
        self.now_ns = 5 * SECOND_NS
        self.limits = limits
        self.parties: list[Party] = []
        self.sent: list[tuple[Address, Address, bytes]] = []
        self.lets_through: Filter = lambda _source, _target, _data: True
        self.relay = self.new_relay()

    def new_relay(self) -> RelayCore:
        self.relay = RelayCore(
            name="relay",
            key=RELAY_KEY,
            gateway_keys=(GATEWAY_PUBLIC,),
            random=self.random.randbytes,
            now_ns=self.now_ns,
            unix_offset_ns=UNIX_S * SECOND_NS - 5 * SECOND_NS,
            limits=self.limits,
        )
        return self.relay

    @property
    def unix_s(self) -> int:
        return (self.now_ns + UNIX_S * SECOND_NS - 5 * SECOND_NS) // SECOND_NS

    def lease(self, role: Role, key: ExchangeKey, **changed: object) -> Lease:
        values: dict[str, object] = {
            "relay": "relay",
            "session": b"s" * 16,
            "role": role,
            "generation": 1,
            "lease_id": self.random.randbytes(16),
            "holder_key": key.public,
            "relay_key": RELAY_KEY.public,
            "not_before_s": self.unix_s,
            "expires_s": self.unix_s + 300,
            "bytes_per_s": 1_000_000,
            "packets_per_s": 2_000,
        }
        return Lease(**{**values, **changed})  # type: ignore[arg-type]

    def key(self) -> ExchangeKey:
        return new_exchange_key(self.random.randbytes)

    def party(self, role: Role, port: int, **changed: object) -> Party:
        key = self.key()
        token = issue(self.lease(role, key, **changed), GATEWAY_SIGNING)
        return self.holder(token, key, Address("203.0.113.7", port))

    def holder(self, token: bytes, key: ExchangeKey, address: Address) -> Party:
        leg = RelayLeg(relay=RELAY_ADDRESS, token=token, key=key, random=self.random.randbytes)
        party = Party(leg, address)
        self.parties.append(party)
        return party

    def pair(self, **changed: object) -> tuple[Party, Party]:
        """Client and host of one session, both bound."""
        client = self.party(Role.CLIENT, 40_000 + len(self.parties), **changed)
        host = self.party(Role.HOST, 40_000 + len(self.parties), **changed)
        for party in (client, host):
            party.leg.start(self.now_ns)
        self.settle()
        return client, host

    def send(self, party: Party, data: bytes) -> None:
        assert party.leg.send(data)
        self.settle()

    def advance(self, duration_ns: int, step_ns: int = SECOND_NS // 20) -> None:
        end_ns = self.now_ns + duration_ns
        while self.now_ns < end_ns:
            self.now_ns = min(end_ns, self.now_ns + step_ns)
            for party in self.parties:
                party.leg.tick(self.now_ns)
            self.relay.tick(self.now_ns)
            self.settle()

    def settle(self) -> None:
        """Delivers until nobody has anything more to say."""
        for _ in range(1_000):
            if not self._round():
                return
        raise AssertionError("they never stop talking")

    def _round(self) -> bool:
        moved = False
        for party in self.parties:
            for output in party.leg.poll():
                moved = True
                if isinstance(output, Transmit):
                    self._carry(party.address, output)
                else:
                    party.said.append(output)
        for output in self.relay.poll():
            moved = True
            self._carry(RELAY_ADDRESS, output)
        return moved

    def _carry(self, source: Address, output: Transmit) -> None:
        self.sent.append((source, output.address, output.data))
        if not self.lets_through(source, output.address, output.data):
            return
        if output.address == RELAY_ADDRESS:
            self.relay.receive(output.data, source, self.now_ns)
            return
        for party in self.parties:
            if party.address == output.address:
                inner = party.leg.receive(output.data, self.now_ns)
                if inner is not None:
                    party.got.append(inner)
