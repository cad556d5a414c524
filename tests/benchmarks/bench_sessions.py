"""Many sessions at once, and many after each other: memory of each, and the cost of one more.

What is compared is measured in one run: bytes per session that idles, and the time to open and
close one more session when 100 or 100,000 others are open.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Sequence
from typing import Final

import builders as b
from troth.vm.events import Status
from troth.vm.host_signer import HostSigner
from troth.vm.instructions import Instruction, JumpIf, Operator, ReplayMode
from troth.vm.limits import Limits
from troth.vm.machine import Machine
from troth.vm.substitutes import Substitutes

DUO: Final = b.protocol(
    "Duo",
    {
        "A": b.sends("B", ("m", [b.INT], b.receives("B", ("k", [b.INT], b.END)))),
        "B": b.receives("A", ("m", [b.INT], b.sends("A", ("k", [b.INT], b.END)))),
    },
)
GOAL_BYTES: Final = 4096
LIMITS: Final = Limits(sessions_max=200_000, coroutines_max=200_000)
COUNT, ONE, NONE, MORE = 3, 4, 5, 6

CONVERSE: Final[Sequence[Instruction]] = [
    b.send(0, "B", "m", ONE),
    b.recv(1, "A", "m", 2),
    b.send(1, "A", "k", ONE),
    b.recv(0, "B", "k", 2),
    b.close(0),
    b.close(1),
]


def _times(count: int, body: Sequence[Instruction]) -> list[Instruction]:
    """A part of a program that does `body` so often; it must stand at its beginning."""
    return [
        b.set_(COUNT, count),
        b.set_(ONE, 1),
        b.set_(NONE, 0),
        *body,
        b.op(Operator.SUB, COUNT, COUNT, ONE),
        b.op(Operator.GT, MORE, COUNT, NONE),
        JumpIf(MORE, 3),
    ]


class _QuickSigner(HostSigner):
    """Signatures cost most of a session's time and none of its memory: here they are zeros."""

    def sign(self, principal: bytes, statement: bytes) -> bytes:  # noqa: ARG002
        return bytes(64)


def _believe(principal: bytes, statement: bytes, signature: bytes) -> bool:  # noqa: ARG001
    return True


def _machine(main: Sequence[Instruction], *others: Sequence[Instruction]) -> Machine:
    """Whatever the programs leave open stays open: they never halt."""
    ends = [b.endpoint("Duo", "A"), b.endpoint("Duo", "B")]
    programs = [b.program("main", [*main, b.YIELD, b.jump(len(main))])]
    programs += [b.program(f"p{n}", code, *ends) for n, code in enumerate(others)]
    keys = _QuickSigner({}, b.KEY_SOURCE)
    machine = Machine(
        b.load_unchecked(b.image([DUO], programs)),
        seed=b.SEED,
        signer=keys,
        roster=keys,
        limits=LIMITS,
        substitutes=Substitutes(verify=_believe),
    )
    machine.start()
    return machine


def _run_to(machine: Machine, opened: int) -> None:
    while len(machine._scheduler.sessions.live) < opened:
        machine.run_round(0)
        machine.poll_events()


def bytes_per_session(count: int, *, parked: bool, replay: ReplayMode | None = None) -> float:
    """Of sessions that idle; `parked` counts a coroutine for each that waits for its message."""
    open_one = b.open_(0, 0, 1, replay=replay)
    body = [open_one, b.spawn(2, 1, 0, 1)] if parked else [open_one]
    wait: list[Instruction] = [b.recv(1, "A", "m", 2), b.HALT]
    machine = _machine(_times(count, body), wait)
    gc.collect()
    tracemalloc.start()
    _run_to(machine, count)
    machine.run_round(0)
    machine.poll_events()
    gc.collect()
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return used / count


def seconds_for_more(opened: int, more: int) -> float:
    """Of the processor's time, to open, use and close so many sessions one after another while
    `opened` others are open.
    """
    first = _times(opened, [b.open_(0, 0, 1)])
    second = _times(more, [b.open_(0, 0, 1), *CONVERSE])
    shift = len(first)
    second[-1] = JumpIf(MORE, shift + 3)
    machine = _machine([*first, *second])
    _run_to(machine, opened)
    closed = machine._scheduler.sessions.ended
    before = closed[Status.CLOSED]
    start = time.process_time()
    while closed[Status.CLOSED] < more:
        machine.run_round(0)
        machine.poll_events()
    return (time.process_time() - start) / (more - before)


def memory_after(count: int) -> int:
    """Bytes that a machine holds after it has opened and closed so many sessions."""
    machine = _machine(_times(count, [b.open_(0, 0, 1), *CONVERSE]))
    tracemalloc.start()
    while machine._scheduler.sessions.ended[Status.CLOSED] < count:
        machine.run_round(0)
        machine.poll_events()
    gc.collect()
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return used


def measure(sizes: Sequence[int], more: int) -> list[str]:
    largest = sizes[-1]
    lines = [
        f"an idle session of two, {mode.value}, {largest:,} open: "
        f"{bytes_per_session(largest, parked=False, replay=mode):,.0f} bytes "
        f"(goal at most {GOAL_BYTES:,})"
        for mode in ReplayMode
    ]
    parked = bytes_per_session(largest, parked=True)
    lines.append(f"the same with a coroutine parked in each: {parked:,.0f} bytes")
    costs = [seconds_for_more(size, more) for size in sizes]
    lines += [
        f"open, use and close one more with {size:,} open: ratio {cost / costs[0]:.2f} to "
        f"{sizes[0]:,} open ({cost * 1e6:,.0f} us)"
        for size, cost in zip(sizes, costs, strict=True)
    ]
    return lines


def measure_life(counts: Sequence[int]) -> list[str]:
    first = memory_after(counts[0])
    return [
        f"memory after {count:,} sessions one after another: ratio "
        f"{memory_after(count) / first:.2f} to {counts[0]:,} ({first:,} bytes)"
        for count in counts[1:]
    ]
