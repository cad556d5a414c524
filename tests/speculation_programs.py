"""Generated programs that speculate, and the same programs with the speculation taken out.

A speculator sends `LENGTH` numbers to one partner and takes `LENGTH` from another. What it does
is a plan: a list of steps, some of which are speculations with plans of their own. Plans are
legal at every point and never hold more than the buffers take, so their runs end well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from hypothesis import strategies as st

import builders as b
from troth.vm.events import Event, Printed
from troth.vm.fragment import FragmentBuilder
from troth.vm.image import Image
from troth.vm.instructions import (
    Abort,
    Fork,
    Instruction,
    Join,
    OpenOptions,
    Operator,
    ReplayMode,
    Seal,
)
from troth.vm.instructions import Open as OpenInstruction
from troth.vm.types import Term

LENGTH: Final = 8
OUT, IN, ACC, GIVEN, ONE = range(5)


def _chain(make: object, peer: str) -> Term:
    term: Term = b.END
    for _ in range(LENGTH):
        term = make(peer, ("n", [b.INT], term))  # type: ignore[operator]
    return term


CHAIN: Final = b.protocol("Chain", {"A": _chain(b.sends, "B"), "B": _chain(b.receives, "A")})


@dataclass(frozen=True, slots=True)
class Block:
    """A speculation: its steps, and whether it ends with a join."""

    steps: tuple[Step, ...]
    joins: bool


Step: TypeAlias = str | Block
"""`send`, `read`, `add`, `double`, `yield`, or a speculation."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What was sent and read so far, and how much more of each a speculation may hold."""

    sent: int
    read: int
    room: int
    reach: int


@st.composite
def _steps(draw: st.DrawFn, counts: Counts, depth: int) -> tuple[tuple[Step, ...], Counts]:
    done: list[Step] = []
    for _ in range(draw(st.integers(0, 6))):
        kinds = ["add", "double", "yield"]
        if counts.sent < LENGTH and counts.room:
            kinds += ["send", "send"]
        if counts.read < LENGTH and counts.reach:
            kinds += ["read", "read"]
        if depth:
            kinds.append("block")
        kind = draw(st.sampled_from(kinds))
        if kind == "block":
            steps, after = draw(_steps(counts, depth - 1))
            joins = draw(st.booleans())
            done.append(Block(steps, joins))
            counts = after if joins else counts
            continue
        done.append(kind)
        sent, read = counts.sent + (kind == "send"), counts.read + (kind == "read")
        room, reach = counts.room - (kind == "send"), counts.reach - (kind == "read")
        counts = Counts(sent, read, room, reach)
    return tuple(done), counts


@dataclass(frozen=True, slots=True)
class Case:
    """A whole case: what comes before the speculation, the speculation, and how sessions are."""

    before: tuple[Step, ...]
    body: tuple[Step, ...]
    sent: int
    read: int
    body_sent: int
    body_read: int
    capacity: int
    replay: ReplayMode
    seal: Seal
    naps: tuple[int, ...]

    def image(self, block: Sequence[Step], *, counted: bool) -> Image:
        """The program in which `block` is done between the beginning and the rest.

        `counted` says whether what the body sends and reads is really done by it.
        """
        sent = self.sent + (self.body_sent if counted else 0)
        read = self.read + (self.body_read if counted else 0)
        rest = ("send",) * (LENGTH - sent) + ("read",) * (LENGTH - read)
        options = OpenOptions(capacity=self.capacity, replay=self.replay, seal=self.seal)
        main: list[Instruction] = [
            OpenInstruction(0, (OUT, 5), options),
            OpenInstruction(0, (6, IN), options),
            b.spawn(7, 1, 5),
            b.spawn(7, 2, 6),
            b.set_(ACC, 1),
            b.set_(ONE, 1),
            b.set_(GIVEN, 0),
        ]
        lower([*self.before, *block, *rest], main)
        main += [b.print_(ACC), b.print_(GIVEN), b.close(OUT), b.close(IN), b.HALT]
        return b.image(
            [CHAIN],
            [
                b.program("main", main),
                b.program("taker", self._partner(b.recv(0, "A", "n", 1)), CHAIN_B),
                b.program("giver", [b.set_(1, 7), *self._partner(b.send(0, "B", "n", 1))], CHAIN_A),
            ],
        )

    def _partner(self, act: Instruction) -> list[Instruction]:
        code: list[Instruction] = []
        for nap in self.naps:
            code += [*b.naps(nap), act]
        return [*code, b.close(0), b.HALT]


CHAIN_A: Final = b.endpoint("Chain", "A")
CHAIN_B: Final = b.endpoint("Chain", "B")


def lower(steps: Sequence[Step], code: list[Instruction]) -> None:
    for step in steps:
        if isinstance(step, Block):
            place = len(code)
            code.append(Fork(0))
            lower(step.steps, code)
            if step.joins:
                # Nothing aborts it; where an abort would go on has to be somewhere all the same.
                code += [Join(), b.jump(len(code) + 4)]
            else:
                code.append(Abort())
            code[place] = Fork(len(code))
            if step.joins:
                code += [b.set_(7, "never"), b.fail(7)]
        elif step == "send":
            code.append(b.send(OUT, "B", "n", ACC))
        elif step == "read":
            code += [b.recv(IN, "A", "n", GIVEN), b.op(Operator.ADD, ACC, ACC, GIVEN)]
        elif step == "add":
            code.append(b.op(Operator.ADD, ACC, ACC, ONE))
        elif step == "double":
            code.append(b.op(Operator.ADD, ACC, ACC, ACC))
        else:
            code.append(b.YIELD)


def without(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps as if nothing in them were speculative: joined ones done, aborted ones not."""
    plain: list[Step] = []
    for step in steps:
        if not isinstance(step, Block):
            plain.append(step)
        elif step.joins:
            plain += without(step.steps)
    return tuple(plain)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    capacity = draw(st.sampled_from([1, 2, 3, LENGTH]))
    before = draw(st.lists(st.sampled_from(["send", "read", "add", "yield"]), max_size=5))
    sent, read = before.count("send"), before.count("read")
    body, after = draw(_steps(Counts(sent, read, capacity, capacity), 3))
    return Case(
        tuple(before),
        body,
        sent,
        read,
        after.sent - sent,
        after.read - read,
        capacity,
        draw(st.sampled_from(list(ReplayMode))),
        draw(st.sampled_from(list(Seal))),
        tuple(draw(st.lists(st.integers(0, 3), min_size=LENGTH, max_size=LENGTH))),
    )


def meaning(events: Sequence[Event]) -> tuple[bytes, list[str]]:
    """The canonical fragment and what was printed."""
    builder = FragmentBuilder(keep=True)
    for event in events:
        builder.add(event)
    return builder.encode(), [event.text for event in events if isinstance(event, Printed)]
