"""Finding out how the media socket looks from outside, by asking STUN servers from that socket.

Two servers, or two ports of one, tell more than an address: when both see the same, the network's
translator keeps one mapping for all; when they differ, an address learned from a server is of no
use to the other party, and a relay will be needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from troth.streaming.paths.addresses import Address, why_unusable
from troth.streaming.paths.limits import MILLISECOND_NS, SECOND_NS
from troth.streaming.paths.stun import (
    BINDING,
    TRANSACTION_BYTES,
    MessageClass,
    StunMessage,
    decode,
    encode,
    is_stun,
    mapped_address,
)
from troth.streaming.relay.lease import RandomBytes
from troth.streaming.relay.outputs import Transmit
from troth.vm.errors import Malformed

FIRST_NS: Final = 250 * MILLISECOND_NS
LONGEST_NS: Final = SECOND_NS
TIME_NS: Final = 4 * SECOND_NS
SERVERS_MAX: Final = 4


class NatMapping(Enum):
    """How the translator in front of this machine gives out addresses."""

    NONE = "no translator: the address outside is our own"
    ENDPOINT_INDEPENDENT = "one address outside, whomever we talk to"
    ENDPOINT_DEPENDENT = "another address outside for each destination"
    ONE_ANSWER = "one server answered: too few to compare"
    BLOCKED = "no server answered: UDP may be blocked"
    UNKNOWN = "not known yet"


@dataclass(slots=True)
class _Query:
    server: Address
    transaction: bytes
    next_ns: int
    pause_ns: int
    seen: Address | None = None


class StunGatherer:
    """Asks each server until it answers or the time is over."""

    def __init__(self, servers: tuple[Address, ...], random: RandomBytes, now_ns: int) -> None:
        self._end_ns = now_ns + TIME_NS
        self._queries = [
            _Query(server, random(TRANSACTION_BYTES), now_ns, FIRST_NS)
            for server in servers[:SERVERS_MAX]
        ]
        self._over = not self._queries

    @property
    def done(self) -> bool:
        return self._over or all(query.seen is not None for query in self._queries)

    @property
    def deadline_ns(self) -> int | None:
        if self.done:
            return None
        waiting = [query.next_ns for query in self._queries if query.seen is None]
        return min([self._end_ns, *waiting])

    @property
    def reflexive(self) -> tuple[Address, ...]:
        """What servers have seen, each address once, in the order of the servers."""
        seen = (query.seen for query in self._queries if query.seen is not None)
        return tuple(dict.fromkeys(seen))

    def mapping(self, own: tuple[Address, ...]) -> NatMapping:
        """What the answers say about the translator; `own` are the socket's own addresses."""
        answers = [query.seen for query in self._queries if query.seen is not None]
        if not answers:
            return NatMapping.BLOCKED if self.done else NatMapping.UNKNOWN
        if answers[0] in own:
            return NatMapping.NONE
        if len(answers) == 1:
            return NatMapping.ONE_ANSWER if self.done else NatMapping.UNKNOWN
        same = len(frozenset(answers)) == 1
        return NatMapping.ENDPOINT_INDEPENDENT if same else NatMapping.ENDPOINT_DEPENDENT

    def tick(self, now_ns: int) -> list[Transmit]:
        """What to send now, from the media socket."""
        if now_ns >= self._end_ns:
            self._over = True
        out = []
        for query in self._queries:
            if not self._over and query.seen is None and now_ns >= query.next_ns:
                query.next_ns = now_ns + query.pause_ns
                query.pause_ns = min(2 * query.pause_ns, LONGEST_NS)
                out.append(Transmit(query.server, _request(query.transaction)))
        return out

    def receive(self, datagram: bytes, source: Address) -> bool:
        """Takes an answer of a server; False for what is none, which then is somebody else's."""
        if not is_stun(datagram):
            return False
        try:
            message = decode(datagram)
            query = self._asked(message, source)
            if query is None:
                return False
            if message.message_class is MessageClass.SUCCESS:
                address = mapped_address(message)
                query.seen = address if why_unusable(address) is None else query.seen
        except Malformed:
            return False
        return True

    def _asked(self, message: StunMessage, source: Address) -> _Query | None:
        """Both the transaction and the address must be those of a question."""
        for query in self._queries:
            if query.transaction == message.transaction and query.server == source:
                return query
        return None


def _request(transaction: bytes) -> bytes:
    return encode(
        StunMessage(
            message_class=MessageClass.REQUEST, method=BINDING, transaction=transaction
        )
    )  # fmt: skip


MAPPING_ADVICE: Final[Mapping[NatMapping, str]] = {
    NatMapping.NONE: "A direct path should work, unless a firewall keeps it",
    NatMapping.ENDPOINT_INDEPENDENT: "A direct path should work when both sides send",
    NatMapping.ENDPOINT_DEPENDENT: "Expect a relay when the other side has such a translator, too",
    NatMapping.ONE_ANSWER: "Give a second STUN server to learn more",
    NatMapping.BLOCKED: "See that UDP may leave and come back; no relay works without it either",
    NatMapping.UNKNOWN: "Wait for the servers",
}
