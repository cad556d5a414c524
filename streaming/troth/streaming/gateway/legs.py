"""Which programs a gateway and a party run with each other, and who begins them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from troth.streaming.gateway.messages import PartyKind

GATEWAY: Final = "Gateway"
"""The gateway's role in each of their protocols."""


@dataclass(frozen=True, slots=True)
class LegShape:
    """One protocol on a party's connection.

    Attributes:
        parties: what the party has registered as.
        role: the party's role; the other one is the gateway's.
        by_gateway: the gateway begins its runs; else the party does.
        at_once: runs that go on side by side on one connection, at most.
        longest_s: a run that goes on for longer is cut off; None lets it.
        strangers: the other end's key is not known yet, and is what the programs are about.
    """

    parties: tuple[PartyKind, ...]
    role: str
    by_gateway: bool
    at_once: int
    longest_s: float | None = None
    strangers: bool = False


BIND: Final = "bind"

LEGS: Final[Mapping[str, LegShape]] = {
    BIND: LegShape(tuple(PartyKind), "Party", False, at_once=1, longest_s=10, strangers=True),
    "revoke": LegShape(
        (PartyKind.CLIENT, PartyKind.HOST, PartyKind.RELAY), "Party", True, at_once=2, longest_s=60
    ),
    "lease": LegShape((PartyKind.CLIENT, PartyKind.HOST), "Party", by_gateway=False, at_once=64),
    "registration": LegShape((PartyKind.RELAY,), "Relay", by_gateway=False, at_once=1),
    "consent": LegShape((PartyKind.HOST,), "Host", False, at_once=1, longest_s=10),
    "asking": LegShape((PartyKind.CLIENT,), "Client", False, at_once=8, longest_s=60),
    "consulting": LegShape((PartyKind.HOST,), "Host", by_gateway=True, at_once=32, longest_s=60),
    "ending": LegShape(
        (PartyKind.CLIENT, PartyKind.HOST), "Party", by_gateway=False, at_once=32, longest_s=10
    ),
    "ended": LegShape(
        (PartyKind.CLIENT, PartyKind.HOST), "Party", by_gateway=True, at_once=32, longest_s=10
    ),
}
"""By the name of the protocol's file."""


class LegOwner:
    """What one run's program asks for: its effects are methods of the same names.

    Attributes:
        peer_keys: the keys that the machine at the other end has proved, while the run goes on.
    """

    peer_keys: Callable[[], frozenset[bytes]] = frozenset

    def leave(self) -> None:
        """The connection is about to be closed: the program is to come to its end."""

    def cut(self) -> None:
        """The connection is over, or a program has failed: an effect that waits is to fail."""

    def over(self, ok: bool) -> None:
        """The program has ended: as it should, or otherwise."""
