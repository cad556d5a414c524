"""Candidates: addresses at which a party may be reached, as they travel in offers and answers.

They come from the other party through a gateway, so each is judged before anything is sent there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from troth.streaming.paths.addresses import Address, address_of, why_unusable
from troth.vm.errors import Invalid, Malformed

ENTRY_ITEMS: Final = 3


class CandidateKind(IntEnum):
    """How a candidate was learned. The lower, the less a path over it costs."""

    LAN = 0
    """Both parties are in one local network."""
    HOST = 1
    """An address of the machine itself."""
    SERVER_REFLEXIVE = 2
    """What a STUN server saw."""
    PEER_REFLEXIVE = 3
    """What the other party saw; never in an offer."""
    RELAY = 4
    """Through a relay; its address is the relay's, and it is of use with a lease only."""


OFFERED: Final = (CandidateKind.HOST, CandidateKind.SERVER_REFLEXIVE, CandidateKind.LAN)


@dataclass(frozen=True, slots=True)
class Candidate:
    kind: CandidateKind
    address: Address

    @property
    def text(self) -> str:
        return f"{self.kind.name.lower().replace('_', '-')} {self.address.text}"


@dataclass(frozen=True, slots=True)
class RefusedCandidate:
    """A candidate that is not tried, and why: for the log and for whoever asks."""

    candidate: Candidate
    reason: str

    @property
    def text(self) -> str:
        return self.candidate.text


def to_items(candidates: Iterable[Candidate]) -> list[list[int | str]]:
    """As they stand in a message: kind, host, port."""
    return [[int(c.kind), c.address.host, c.address.port] for c in candidates]


def from_items(items: object, candidates_max: int) -> tuple[Candidate, ...]:
    """Reads candidates of a message; whether they are of use is `sort_out`'s question.

    Raises:
        Malformed: code `path.candidate`.
    """
    if not isinstance(items, list | tuple) or len(items) > candidates_max:
        raise _malformed(f"a list of at most {candidates_max} candidates", "something else")
    return tuple(_candidate(item) for item in items)


def _candidate(item: object) -> Candidate:
    if not isinstance(item, list | tuple) or len(item) != ENTRY_ITEMS:
        raise _malformed("kind, host and port", "something else")
    kind, host, port = item
    if type(kind) is not int or kind not in tuple(map(int, OFFERED)):
        raise _malformed("a kind of candidate that can be offered", ascii(kind)[:20])
    if not isinstance(host, str) or type(port) is not int:
        raise _malformed("a text and a number", "something else")
    try:
        return Candidate(CandidateKind(kind), address_of(host, port))
    except Invalid as error:
        raise _malformed(error.expected or "an address", error.actual or "") from None


def sort_out(
    candidates: Sequence[Candidate], own: Sequence[Address]
) -> tuple[list[Candidate], list[RefusedCandidate]]:
    """Which are worth a check, each address once, and why others are not.

    `own` are the addresses of our own socket: whoever offers one of them would have us talk to
    ourselves.
    """
    good: dict[Address, Candidate] = {}
    refused = []
    for candidate in candidates:
        reason = why_unusable(candidate.address)
        if reason is None and candidate.address in own:
            reason = "it is our own"
        if reason is None and candidate.address in good:
            reason = "it was given twice"
        if reason is None:
            good[candidate.address] = candidate
        else:
            refused.append(RefusedCandidate(candidate, reason))
    return list(good.values()), refused


def _malformed(expected: str, actual: str) -> Malformed:
    return Malformed(
        "path.candidate",
        "these are no candidates",
        expected=expected,
        actual=actual,
        advice="Ask the other party for its version",
    )
