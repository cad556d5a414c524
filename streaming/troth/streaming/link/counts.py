"""What a link has counted since it was made: all names are also those of the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

REJECTED: Final = (
    "bad_header",
    "wrong_connection",
    "bad_handshake",
    "premature",
    "replayed",
    "old",
    "not_authentic",
    "wrong_epoch",
    "bad_chunk",
)
"""The counts of datagrams that changed nothing."""


@dataclass(slots=True)
class LinkCounts:
    """Datagrams that changed nothing, by why; and what was sent."""

    bad_header: int = 0
    """Too short, too long, another version, or no kind that there is."""

    wrong_connection: int = 0
    bad_handshake: int = 0
    premature: int = 0
    """Sealed, before the handshake was done."""

    replayed: int = 0
    old: int = 0
    not_authentic: int = 0
    wrong_epoch: int = 0
    bad_chunk: int = 0
    """Authentic, and yet not well-formed: the peer is broken."""

    packets_sent: int = 0
    bytes_sent: int = 0
    repeated_fragments: int = 0
    rekeyed: int = 0
    key_frame_requests: int = 0
