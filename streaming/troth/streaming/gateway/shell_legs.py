"""All programs that run on one connection between a party and a gateway."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from troth.streaming.gateway.legs import GATEWAY, LEGS, LegOwner
from troth.streaming.gateway.messages import PartyKind, Talk
from troth.streaming.gateway.shell_leg import Leg, LegSide, effects_of
from troth.streaming.shell_protocols import load_protocol
from troth.vm.image import Image
from troth.vm.keys import KeyPair

Answer = Callable[[], LegOwner]
"""Makes the owner of a run that the other side begins."""


@dataclass(frozen=True, slots=True)
class LegsEnd:
    """This end of a connection.

    Attributes:
        gateway: this is the gateway's end.
        peer_key: tells the key that the other end has proved; None while it has not.
        record: the folder for the records of the programs; None keeps none.
        log: is told why a run came to nothing.
    """

    gateway: bool
    key: KeyPair
    peer_key: Callable[[], bytes | None]
    record: Path | None
    log: Callable[[str], None]


class Legs:
    """Runs programs until `end`. A run has the name of its protocol and a number of its own."""

    def __init__(
        self, end: LegsEnd, answers: Mapping[str, Answer], send: Callable[[Talk], None]
    ) -> None:
        self._end = end
        self._answers = answers
        self._send = send
        self._last: dict[str, int] = {}
        self._running: dict[tuple[str, int], tuple[Leg, LegOwner]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = False

    def begin(self, name: str, owner: LegOwner) -> Leg:
        """Begins a run with the other side."""
        return self._start(name, self._last.get(name, 0) + 1, owner)

    def take(self, talk: Talk) -> None:
        """A frame has come, maybe the first of a run. Raises nothing, whatever it is.

        What belongs to a run that is over, or would be one run too many, is dropped: the program
        that sent it does not meet ours, and ends.
        """
        found = self._running.get((talk.leg, talk.number))
        if found is not None:
            found[0].take(talk.frame)
        elif self._may_begin(talk):
            self._start(talk.leg, talk.number, self._answers[talk.leg]()).take(talk.frame)

    def running(self, name: str) -> int:
        return sum(leg == name for leg, _ in self._running)

    async def leave(self, seconds: float) -> None:
        """Gives the programs so long to come to an end while there is a connection."""
        for _, owner in list(self._running.values()):
            owner.leave()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def end(self) -> None:
        """The connection is over: programs are given time to say so in their records."""
        if not self._ended:
            self._ended = True
            for leg, owner in list(self._running.values()):
                owner.cut()
                self._keep(leg.end())
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _may_begin(self, talk: Talk) -> bool:
        if self._ended or talk.leg not in self._answers:
            return False
        shape = LEGS[talk.leg]
        return (
            shape.by_gateway is not self._end.gateway
            and talk.number > self._last.get(talk.leg, 0)
            and self.running(talk.leg) < shape.at_once
        )

    def _start(self, name: str, number: int, owner: LegOwner) -> Leg:
        end, image, shape, party = self._end, leg_image(name), LEGS[name], LEGS[name].role
        peer_key = None if shape.strangers else end.peer_key()
        assert shape.strangers or peer_key is not None, "the other end is known"
        role, peer_role = (GATEWAY, party) if end.gateway else (party, GATEWAY)
        side = LegSide(
            role,
            end.key,
            peer_role,
            peer_key,
            effects_of(image, owner),
            record_path(end.record, name, number, peer_key),
        )
        leg = Leg(image, side, lambda frame: self._send(Talk(name, number, frame)))
        owner.peer_keys = leg.peer_keys
        leg.on_failed = owner.cut
        self._last[name] = number
        self._running[name, number] = leg, owner
        leg.start()
        self._keep(self._watch(name, number))
        return leg

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, name: str, number: int) -> None:
        leg, owner = self._running[name, number]
        try:
            async with asyncio.timeout(LEGS[name].longest_s):
                await leg.over()
        except TimeoutError:
            # Whoever does not answer is not waited for: what there is stands in the record.
            owner.cut()
            await leg.end()
        del self._running[name, number]
        owner.over(leg.result is not None and leg.result.ok)
        if leg.problem:
            self._end.log(f"the program of {name}: {leg.problem}")


@lru_cache(maxsize=len(LEGS))
def leg_image(name: str) -> Image:
    """Compiled once: a gateway runs it for everybody."""
    return load_protocol(name).image


def compile_legs(*kinds: PartyKind) -> None:
    """Beforehand, so that the first run of a leg with such a party does not wait for it."""
    for name, shape in LEGS.items():
        if set(kinds) & set(shape.parties):
            leg_image(name)


def record_path(folder: Path | None, name: str, number: int, key: bytes | None) -> Path | None:
    """A file of its own for each run: the protocol, who is at the other end, when, which one."""
    if folder is None:
        return None
    # Whoever opens the file says what is wrong with a folder that cannot be made.
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    whose = "stranger" if key is None else key.hex()[:16]
    return folder / f"{name}-{whose}-{time.time_ns()}-{number}.replay"
