"""Many calls at once against the fake switch, some of them reset at random moments, on record.

`python -m event_socket_load --calls 1000 --record FOLDER` in `tests` prints how the calls and
their handlers ended, how many records both verifiers accept, what was left behind, and what a call
took. It ends with 1 when anything was left, or a record does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from second_verifier import VALID, judge
from troth import conformance
from troth.streaming.eventsocket import (
    Call,
    CallHungUp,
    ConnectionEnded,
    Ending,
    HandlerEnd,
    Limits,
    Recording,
    ServerOptions,
    SessionReport,
    start_server,
)
from troth.streaming.eventsocket.testing import EndOrder, Fault, Script, call

RESET_SHARE: Final = 0.01
HANDLER_S: Final = 0.5
PATIENT: Final = Limits(set_up_s=120, reply_s=120, latch_s=60)
"""What is looked for is what is left behind, on however busy a machine."""
RANDOM_ENDS: Final = (EndOrder.NATURAL, EndOrder.NOTICE_FIRST, EndOrder.NOTICE_TWICE)
TYPED: Final = frozenset({CallHungUp.__name__, ConnectionEnded.__name__})


@dataclass(slots=True)
class Load:
    """What became of the calls, and what was left of them."""

    reports: list[SessionReport] = field(default_factory=list)
    results: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    tasks_left: int = 0
    sockets_left: int = 0
    seconds: float = 0
    processor_seconds: float = 0

    @property
    def endings(self) -> Counter[str]:
        return Counter(report.outcome.ending.value for report in self.reports)

    @property
    def handlers(self) -> Counter[str]:
        return Counter(report.handler.value for report in self.reports)

    def problems(self, calls: int) -> list[str]:
        """What must not be; empty when all is well."""
        found = []
        if len(self.reports) != calls:
            found.append(f"{len(self.reports)} sessions of {calls} have ended")
        if self.tasks_left or self.sockets_left:
            found.append(f"left: {self.tasks_left} tasks, {self.sockets_left} sockets")
        untyped = set(self.results) - TYPED - {"a result"}
        if untyped:
            found.append(f"a handler ended with {', '.join(untyped)}")
        started = len(self.reports) - self.handlers[HandlerEnd.NOT_STARTED.value]
        if self.results.total() != started:
            found.append(f"{self.results.total()} handlers of {started} have ended")
        odd = set(self.endings) - {Ending.LATCHED.value, Ending.RESET.value}
        if odd:
            found.append(f"sessions ended otherwise: {', '.join(odd)}")
        unkept = [one.record_failure for one in self.reports if one.record_failure is not None]
        return [*found, *unkept[:5]]


def script_of(number: int, draw: random.Random) -> Script:
    """The caller's number is in it, and the digits say whose call a handler has."""
    common: dict[str, Any] = {"uuid": f"call-{number}", "digits": (str(number),)}
    end, hang_up_in = draw.choice(RANDOM_ENDS), draw.choice((None, "playback"))
    if number % round(1 / RESET_SHARE) != 0:
        return Script(**common, end=end, hang_up_in=hang_up_in)
    # Whatever the machine has to do beside, the handler is at it for longer than that.
    after_s = draw.uniform(0, HANDLER_S * 0.8)
    inside = draw.choice((None, "answer", "play_and_get_digits", "playback"))
    return Script(**common, fault=Fault.RESET, fault_after_s=after_s, fault_in=inside)


async def load(calls: int, seed: int, record: Recording | None = None) -> Load:
    """Runs so many calls at once: all are handed over before the first handler is done."""
    found, draw = Load(), random.Random(seed)
    all_here = asyncio.Event()

    async def handler(call: Call) -> None:
        try:
            await call.answer()
            digits = await call.play_and_get_digits("menu")
            assert call.uuid == f"call-{digits}"
            await all_here.wait()
            found.at_once = max(found.at_once, server.sessions_open)
            await call.playback("x", loops=2)
            await asyncio.sleep(HANDLER_S)
            await call.hangup()
            found.results["a result"] += 1
        except Exception as error:
            found.results[type(error).__name__] += 1
            raise

    tasks, files = asyncio.all_tasks(), open_sockets()
    began, processor = time.perf_counter(), time.process_time()
    options = ServerOptions(limits=PATIENT, record=record or False, on_report=found.reports.append)
    async with await start_server(handler, port=0, options=options) as server:
        scripts = [script_of(number, draw) for number in range(calls)]
        lines = await asyncio.gather(*(call(server.port, script) for script in scripts))
        all_here.set()
        await asyncio.gather(*(one.finished() for one in lines))
        await server.drained()
    found.seconds = time.perf_counter() - began
    found.processor_seconds = time.process_time() - processor
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    found.tasks_left = len(asyncio.all_tasks() - tasks)
    found.sockets_left = max(0, open_sockets() - files)
    return found


def verified(reports: Sequence[SessionReport]) -> tuple[int, list[str]]:
    """How many records hold for both verifiers and say the same ending as the report."""
    held, odd = 0, []
    for report in reports:
        assert report.record is not None, "the calls were recorded"
        path = Path(report.record)
        levels = [level.ok for level in conformance.verify(path).levels]
        data = path.read_bytes()
        if levels == [True] * 4 + [False] and judge(data).word == VALID:
            held += 1
        else:
            odd.append(f"{path.name} ({report.outcome.ending.value}): levels {levels}")
    return held, odd


def open_sockets() -> int:
    folder = "/proc/self/fd"
    names = (os.path.join(folder, name) for name in os.listdir(folder))
    return sum(os.path.islink(name) and os.readlink(name).startswith("socket:") for name in names)


def allow_files(count: int) -> None:
    """Both ends of every call are in this process, and its record."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, count), hard), hard))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m event_socket_load")
    parser.add_argument("--calls", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--record", metavar="FOLDER", help="record each call there, and verify it")
    given = parser.parse_args(arguments)
    allow_files(6 * given.calls)
    record = None if given.record is None else Recording(folder=given.record)
    found = asyncio.run(load(given.calls, given.seed, record))
    print(f"seed {given.seed}: {given.calls} calls, {found.at_once} at once")
    print(f"sessions: {json.dumps(found.endings)}; handlers: {json.dumps(found.results)}")
    print(f"left: {found.tasks_left} tasks, {found.sockets_left} sockets")
    each = found.processor_seconds / given.calls * 1e3
    print(f"{found.seconds:.1f} s; {each:.1f} ms of processor a call, the fake switch's with it")
    problems = found.problems(given.calls)
    if record is not None:
        held, odd = verified(found.reports)
        size = sum(Path(one.record or "").stat().st_size for one in found.reports)
        print(f"records: {held} of {given.calls} hold for both verifiers, {size / 1e3:.0f} kB")
        problems += odd
    for line in problems[:20]:
        print(line)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
