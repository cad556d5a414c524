"""A STUN server that says from which address a request came, and nothing else.

It keeps nothing of a request, and its answers are hardly longer than requests: of little use to
anybody who gives a false address, and less since every address gets only so many a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from troth.streaming.paths.addresses import Address
from troth.streaming.paths.stun import (
    BINDING,
    Attribute,
    MessageClass,
    StunMessage,
    decode,
    encode,
    xor_address,
)
from troth.streaming.relay.buckets import BucketTable, TokenBucket
from troth.vm.errors import Malformed

PER_SOURCE_S: Final = 10
PER_SOURCE_BURST: Final = 40
SOURCES_MAX: Final = 8_192
ALL_S: Final = 5_000
_UNKNOWN_ATTRIBUTE: Final = b"\x00\x00\x04\x14Unknown Attribute"


@dataclass(slots=True)
class StunCounters:
    """What a STUN server has seen.

    Attributes:
        requests: datagrams that came.
        answered: bindings that were answered.
        malformed: datagrams that are no STUN message.
        not_for_us: STUN messages that ask for something else.
        limited: requests over the limit of an address.
    """

    requests: int = 0
    answered: int = 0
    malformed: int = 0
    not_for_us: int = 0
    limited: int = 0


class StunServer:
    """Give it each datagram; send back what it returns."""

    def __init__(self, now_ns: int) -> None:
        self.counters = StunCounters()
        self._sources = BucketTable(PER_SOURCE_S, PER_SOURCE_BURST, SOURCES_MAX)
        self._all = TokenBucket(ALL_S, ALL_S, now_ns)

    def answer(self, datagram: bytes, source: Address, now_ns: int) -> bytes | None:
        """The answer, or None for what deserves none. Never raises."""
        self.counters.requests += 1
        if not self._sources.take(source.host, now_ns) or not self._all.take(1, now_ns):
            self.counters.limited += 1
            return None
        try:
            request = decode(datagram)
        except Malformed:
            self.counters.malformed += 1
            return None
        if request.message_class is not MessageClass.REQUEST or request.method != BINDING:
            self.counters.not_for_us += 1
            return None
        self.counters.answered += 1
        return encode(_answer(request, source))


def _answer(request: StunMessage, source: Address) -> StunMessage:
    message_class = MessageClass.SUCCESS
    value = xor_address(source, request.transaction)
    attributes: tuple[tuple[int, bytes], ...] = ((Attribute.XOR_MAPPED_ADDRESS, value),)
    if request.unknown:
        message_class = MessageClass.ERROR
        listed = b"".join(kind.to_bytes(2, "big") for kind in request.unknown)
        attributes = (
            (Attribute.ERROR_CODE, _UNKNOWN_ATTRIBUTE),
            (Attribute.UNKNOWN_ATTRIBUTES, listed),
        )
    return StunMessage(
        message_class=message_class,
        method=BINDING,
        transaction=request.transaction,
        attributes=attributes,
    )
