"""Sealed packets: each is opened once and each number is sealed once.

A packet is taken in this order: its connection, its number in the replay window, its seal, and
only then is its number committed. So nobody without the keys changes anything here but a count.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from nacl.exceptions import CryptoError

from troth.streaming.handshake.epochs import Opener, Sealer
from troth.streaming.handshake.initiator import Handshaken
from troth.streaming.handshake.replay import Freshness, ReplayWindow
from troth.streaming.link.counts import LinkCounts
from troth.streaming.wire import (
    HEADER_BYTES,
    TAG_BYTES,
    PacketKind,
    encode_header,
    unpack_header,
)

PACKET_OVERHEAD_BYTES: Final = HEADER_BYTES + TAG_BYTES


class Opened(NamedTuple):
    """What a sealed packet held. `newest` says that none with a higher number came before."""

    plain: bytes
    number: int
    path: int
    newest: bool


class SealedPackets:
    """Both directions of a link, from the end of its handshake on."""

    def __init__(self, done: Handshaken, counts: LinkCounts, now_ns: int) -> None:
        self.sealer = Sealer(done.sending, now_ns)
        self.replay = ReplayWindow()
        self._opener = Opener(done.receiving)
        self._counts = counts
        self._local = done.local_connection
        self._remote = done.remote_connection
        self._number = 0

    def open(self, datagram: bytes, now_ns: int) -> Opened | None:
        """What the peer sealed, or None and a count that says why not."""
        counts, replay = self._counts, self.replay
        if len(datagram) < PACKET_OVERHEAD_BYTES:
            counts.bad_header += 1
            return None
        _, epoch, path, connection, number = unpack_header(datagram)
        if connection != self._local:
            counts.wrong_connection += 1
            return None
        fresh = replay.check(number)
        if fresh is not Freshness.FRESH:
            counts.replayed += fresh is Freshness.DUPLICATE
            counts.old += fresh is Freshness.OLD
            return None
        try:
            header, sealed = datagram[:HEADER_BYTES], datagram[HEADER_BYTES:]
            plain = self._opener.open(header, epoch, number, sealed, now_ns)
        except CryptoError:
            counts.not_authentic += 1
            return None
        except KeyError:
            counts.wrong_epoch += 1
            return None
        newest = number > replay.highest
        replay.commit(number)
        return Opened(plain, number, path, newest)

    def seal(self, plain: bytes, path: int, now_ns: int) -> tuple[int, bytes]:
        """The number that the packet got, and the datagram."""
        sealer = self.sealer
        if sealer.advance(now_ns):
            self._counts.rekeyed += 1
        number = self._number
        self._number += 1
        header = encode_header(PacketKind.SEALED, sealer.epoch, path, self._remote, number)
        data = header + sealer.seal(header, number, plain)
        self._counts.packets_sent += 1
        self._counts.bytes_sent += len(data)
        return number, data

    def rekey(self, now_ns: int) -> None:
        """Goes to a new key for what is sealed, before it is time."""
        self.sealer.rekey(now_ns)
        self._counts.rekeyed += 1
