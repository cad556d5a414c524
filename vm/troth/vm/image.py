"""The program image: protocols, effects and programs, immutable and content-addressed.

`encode_image` gives the canonical bytes, `image_id` their BLAKE3 hash (both in `image_codec`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from troth.vm.instructions import (
    Acquire,
    Branch,
    BufferMode,
    Cancel,
    Close,
    Halt,
    Instruction,
    Invoke,
    Op,
    Open,
    OpenBundle,
    Operator,
    PayloadForm,
    Policy,
    Release,
    ReplayMode,
    Spawn,
    Timer,
    Transfer,
)
from troth.vm.types import CRASH, Field, LocalType, ValueType


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """What the protocol itself fixes for one directed edge; `None` leaves the session default."""

    sender: str
    receiver: str
    replay: ReplayMode | None = None
    buffer: BufferMode | None = None
    capacity: int | None = None
    policy: Policy | None = None
    resize_max: int | None = None
    payload: PayloadForm | None = None
    rotate: int | None = None


@dataclass(frozen=True, slots=True)
class Protocol:
    """`local_types[i]` is the type of `roles[i]`; `edges` are sorted by (sender, receiver)."""

    name: str
    roles: tuple[str, ...]
    local_types: tuple[LocalType, ...]
    edges: tuple[EdgeSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class BundleChild:
    """One session of a bundle: `players[i]` is the bundle's role that plays its role i."""

    name: str
    protocol: int
    players: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    """Sessions that are opened and closed together, between the same principals."""

    name: str
    roles: tuple[str, ...]
    children: tuple[BundleChild, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    name: str
    parameters: tuple[Field, ...]
    result: ValueType
    revertible: bool = False
    """A program may go back behind it: what the host did then does no harm."""


@dataclass(frozen=True, slots=True)
class Program:
    """`parameters` fill registers 0, 1, …; `lines[pc]` is the source line or 0.

    `register_names` maps registers that are source variables to their names ("" for others).
    """

    name: str
    parameters: tuple[Field, ...]
    register_count: int
    code: tuple[Instruction, ...]
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """`entry` is the index of the program that a run starts (`main`), or None for a library."""

    protocols: tuple[Protocol, ...]
    effects: tuple[Effect, ...]
    programs: tuple[Program, ...]
    entry: int | None
    source: str = ""
    """The script's base name, for messages only."""
    guards: tuple[str, ...] = ()
    """The names of the machine-wide guards that its programs use."""
    bundles: tuple[Bundle, ...] = ()


_IRREVOCABLE: Final[dict[type, str]] = {
    Open: "opening a session",
    OpenBundle: "opening a bundle",
    Close: "close",
    Cancel: "cancel",
    Acquire: "acquire",
    Release: "release",
    Timer: "starting a clock",
    Transfer: "handing over an endpoint",
    Spawn: "spawn",
    Halt: "the end of the program",
}


def irrevocable(image: Image, instruction: Instruction) -> str | None:
    """What an instruction does that nobody could take back, in words; None if it does not."""
    if isinstance(instruction, Op) and instruction.operator is Operator.PRINT:
        return "print"
    if isinstance(instruction, Invoke) and not image.effects[instruction.effect].revertible:
        return f"the effect {image.effects[instruction.effect].name}"
    if isinstance(instruction, Branch) and any(case.label == CRASH for case in instruction.cases):
        return "going on after a crash"
    return _IRREVOCABLE.get(type(instruction))
