"""What a link is told when it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from troth.streaming.handshake.identity import Identity
from troth.streaming.link.congestion import Controller, DelayController
from troth.streaming.transport_limits import DATAGRAM_BYTES_MAX, PLAYOUT_NS
from troth.vm.errors import Unusable
from troth.vm.keys import VerifierKey

DATAGRAM_BYTES_MIN = 512


def _default_controller() -> Controller:
    return DelayController()


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """Options of a link.

    Attributes:
        identity: our principal and our static key for Noise.
        peers: the principals that the peer may be. None takes anybody: then look at the key in
            `Established` before anything else is done.
        context: what both sides must agree on, for instance the id of the session.
        playout_ns: a frame that is not whole so long after its first fragment is given up.
        datagram_bytes: the largest datagram that the path carries.
        controller: makes what decides how much is sent.
        parity: whether frames get parity when packets are lost.
    """

    identity: Identity
    peers: tuple[VerifierKey, ...] | None
    context: bytes = b""
    playout_ns: int = PLAYOUT_NS
    datagram_bytes: int = DATAGRAM_BYTES_MAX
    controller: Callable[[], Controller] = field(default=_default_controller)
    parity: bool = True

    def __post_init__(self) -> None:
        if not DATAGRAM_BYTES_MIN <= self.datagram_bytes <= 9_000:
            raise Unusable(
                "transport.options",
                f"datagram_bytes is {self.datagram_bytes}",
                expected=f"{DATAGRAM_BYTES_MIN} to 9000",
                actual=str(self.datagram_bytes),
                advice="Leave it out to get 1200, which paths carry",
            )
