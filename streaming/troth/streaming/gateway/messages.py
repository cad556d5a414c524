"""What a gateway and its parties say to each other. Metadata only: no media, no key of a session.

Each message is one msgpack array: its name, then its fields in the order in which they stand here.
`codec` has what each field may be.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class PartyKind(Enum):
    """What a connection is for."""

    CLIENT = "client"
    HOST = "host"
    RELAY = "relay"
    ADMIN = "admin"


class ConsentPolicy(Enum):
    """Whose offers a host lets through to itself. `ASK` and the others still answer each offer."""

    NOBODY = "nobody"
    LISTED = "listed"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Refused:
    """Gateway: not this, and why. `limit` names the limit that was hit, if one was."""

    request: int
    code: str
    text: str
    limit: str
    wait_ms: int


@dataclass(frozen=True, slots=True)
class Done:
    """Gateway: that request is carried out."""

    request: int


@dataclass(frozen=True, slots=True)
class Beat:
    """Any party, every few seconds: I am there."""


@dataclass(frozen=True, slots=True)
class BeatBack:
    """Gateway: I hear you."""

    unix_s: int


@dataclass(frozen=True, slots=True)
class Talk:
    """Either: a frame of the machine that runs the program of this leg, in that of its runs."""

    leg: str
    number: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Command:
    """Administrator: do this."""

    request: int
    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Gateway, to the administrator: what came of it, a table with its head."""

    request: int
    rows: tuple[tuple[str, ...], ...]


Message = (
    Refused | Done | Beat | BeatBack | Talk | Command | Report
)  # fmt: skip
