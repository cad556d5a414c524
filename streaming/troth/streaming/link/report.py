"""The counts of one end over one epoch, as they go to the peer."""

from __future__ import annotations

from dataclasses import dataclass, fields
from struct import Struct
from typing import Final

from troth.streaming.link.chunks import unpack_exactly


@dataclass(frozen=True, slots=True)
class Report:
    """One epoch at one end. Packets and frames are those received, unless they say sent.

    `packets_lost` is the loss before repair: packets whose number is missing, settled, and less
    those that came late after all. Repetitions have numbers of their own, so they are neither
    counted as loss nor hide one.
    """

    epoch: int
    packets_sent: int = 0
    bytes_sent: int = 0
    packets_received: int = 0
    bytes_received: int = 0
    packets_expected: int = 0
    packets_lost: int = 0
    packets_late: int = 0
    bursts: int = 0
    burst_packets_max: int = 0
    frames_shown: int = 0
    frames_lost: int = 0
    frames_undecodable: int = 0
    fragments_by_parity: int = 0
    fragments_by_repetition: int = 0
    jitter_ns: int = 0
    rtt_ns: int = 0
    playout_delay_ns: int = 0
    """How long whole pictures wait, so that what is sent again comes in time."""

    clock_ahead_ns: int = 0
    """How far the clock of whoever reads this is ahead of the reporter's; less than 0 is behind."""

    clock_error_ns: int = 0
    """How wrong that can be; 0 when nothing is known of it."""

    def encode(self) -> bytes:
        return _LAYOUT.pack(*(getattr(self, field.name) for field in fields(self)))

    @property
    def loss_before_repair(self) -> float:
        return self.packets_lost / self.packets_expected if self.packets_expected else 0.0

    @property
    def loss_after_repair(self) -> float:
        """The share of frames that were not shown."""
        lost = self.frames_lost + self.frames_undecodable
        total = self.frames_shown + lost
        return lost / total if total else 0.0


_LAYOUTS: Final = {"epoch": "I", "clock_ahead_ns": "q"}
_LAYOUT: Final = Struct(">" + "".join(_LAYOUTS.get(field.name, "Q") for field in fields(Report)))


def decode_report(body: bytes) -> Report:
    """Reads a REPORT chunk.

    Raises:
        Malformed: code `transport.chunk`.
    """
    return Report(*unpack_exactly(_LAYOUT, body))
