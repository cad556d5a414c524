"""What a report shows, as plain values: the page is made from these and from nothing else.

A `Report` holds one `View` for each record of a run: what one party has, with its verdict. All
text that a view holds beside its verdict has been escaped for showing already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from troth.conformance.report_curves import Curves
from troth.conformance.verdict import Verdict
from troth.conformance.views_verdict import MergedVerdict

ROWS_MAX: Final = 1_000_000
"""Records that are shown one by one; later ones are in the verdict and the counters only."""

TEXT_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of what records say, as far as it is kept for the page, each text once."""

TEXT_CHARACTERS_MAX: Final = 400
"""Characters of one such text."""

SESSIONS_MAX: Final = 10_000
"""Sessions that have a line and counters of their own; later ones are counted by protocol."""

EDGES_MAX: Final = 100_000
"""Edges that have counters of their own, those of all sessions together."""

PROTOCOLS_MAX: Final = 256
"""Protocols whose local types are shown."""

NAME_BYTES_MAX: Final = 1024 * 1024
"""Bytes of the names of protocols, roles and labels, together; later ones are numbers."""

SIGNERS_MAX: Final = 64
"""Roles of a session whose principals are named."""

STATES_MAX: Final = 20_000
"""States and branches of all local types that are shown, together."""

PICTURED_MAX: Final = 300
"""States and branches of the largest local type that is drawn; a larger one is listed."""

PICTURES_MAX: Final = 64
"""Local types that are drawn."""


@dataclass(frozen=True, slots=True)
class Edge:
    """What one edge carried; `session` is None for all sessions without counters of their own."""

    session: int | None
    protocol: int
    sender: int
    receiver: int
    sent: int
    received: int
    undelivered: int
    rejected: int
    overwritten: int
    discarded: int
    peak: int
    """The most messages that were in flight at once."""

    @property
    def in_flight(self) -> int:
        ended = self.received + self.undelivered + self.rejected + self.overwritten
        return max(0, self.sent - ended)


@dataclass(frozen=True, slots=True)
class Session:
    """One session; `signers` are the principals that OPEN names, by role.

    `elsewhere` are the roles that other machines hold.
    """

    id: str
    protocol: int
    status: str
    detail: str
    signers: tuple[int, ...]
    elsewhere: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Move:
    """One branch of a state: `label` is its place in the protocol's list, `text` as written."""

    label: int
    next: int
    text: str


@dataclass(frozen=True, slots=True)
class State:
    """`kind` is `send`, `recv` or `end`."""

    kind: str
    peer: str
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A local type drawn, in pixels: the parts that become SVG elements.

    Attributes:
        states: number, centre x and y, how much wider than a circle, whether an end.
        texts: lines, left, top, width, height, whether sent.
        strokes: a path, the corners of an arrow's head, whether sent.
        start: x and y of the dot, a path, the corners of an arrow's head; None without states.
    """

    width: float
    height: float
    states: tuple[tuple[int, float, float, float, bool], ...]
    texts: tuple[tuple[tuple[str, ...], float, float, float, float, bool], ...]
    strokes: tuple[tuple[str, str, bool], ...]
    start: tuple[float, float, str, str] | None


@dataclass(frozen=True, slots=True)
class LocalType:
    """What a protocol asks of one role. `picture` is None for a type too large to draw."""

    states: tuple[State, ...]
    picture: Picture | None


@dataclass(frozen=True, slots=True)
class Protocol:
    """`local_types` is empty when nobody provides the protocol, or it is too large to show."""

    name: str
    id: str
    roles: tuple[str, ...]
    labels: tuple[str, ...]
    local_types: tuple[LocalType, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """The records in a compact form, which `report_rows` describes."""

    data: bytes
    count: int
    seen: int
    """How many records were read; more than `count` when there were too many to show."""
    shapes: Mapping[int, str]
    kinds: Mapping[int, tuple[str, str]]
    """Name and group of each kind that occurs."""
    texts: tuple[str, ...]
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class View:
    """One record of a run and what came of verifying it."""

    name: str
    verdict: Verdict
    facts: tuple[tuple[str, str], ...]
    principals: tuple[str, ...]
    protocols: tuple[Protocol, ...]
    sessions: tuple[Session, ...]
    sessions_seen: int
    edges: tuple[Edge, ...]
    rows: Rows
    left_out: tuple[str, ...]
    """What a limit of the page kept out of it, a sentence each."""
    curves: Curves = field(default_factory=Curves)


@dataclass(frozen=True, slots=True)
class Report:
    """All views of one run; the first one is shown first.

    `merged` says how several of them fit together.
    """

    title: str
    views: tuple[View, ...]
    version: str = ""
    """Of the program that makes the page."""
    merged: MergedVerdict | None = None
