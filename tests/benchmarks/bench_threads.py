"""The threaded runner: two workers over one, for what releases the interpreter lock and what not.

Sessions between disjoint coroutines, so every session is a lane. Signing and verifying releases
the lock, hashing short messages and executing bytecode does not. The processor time of a run
over its duration says how much really overlapped, whatever else the machine does meanwhile.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable
from functools import partial

from benchmarks.measure import Ratio, paired
from benchmarks.workloads import EXCHANGES, sign_and_verify, streams_image
from troth.dsl import compile_source
from troth.vm.image import Image
from troth.vm.instructions import Seal
from troth.vm.shell_options import Runner, RunOptions, seed_from_number
from troth.vm.shell_run import run

SESSIONS = 64
LONGER = 4 * EXCHANGES
"""Exchanges of a session in which opening and closing count for little."""
_COMPUTING = """
program count(times: int):
    let n = 0
    for i in range(times):
        n = n + i * 3 % 7
    print n

main:
    for i in range(64):
        spawn count(400)
"""


def measure(sessions: int, pairs: int) -> list[str]:
    streams = streams_image(sessions)
    longer = streams_image(sessions, LONGER)
    computing = compile_source(_COMPUTING, "computing.troth")
    cases: list[tuple[str, str, Image, Seal | None]] = [
        (f"{sessions} sessions, seal = message", ">= 1.5 on two idle cores", streams, Seal.MESSAGE),
        (f"{sessions} sessions of {LONGER} exchanges", ">= 1.5", longer, Seal.MESSAGE),
        (f"{sessions} sessions, seal = round", "none", streams, Seal.ROUND),
        ("64 coroutines that only compute", "none", computing, None),
    ]
    lines = [f"load average before: {os.getloadavg()[0]:.2f}"]
    control = _paired(
        "bare sign + verify: two threads over one",
        "the most there can be",
        partial(_bare, 2),
        partial(_bare, 1),
        pairs,
    )
    lines.append(control.line())
    for name, goal, image, seal in cases:
        one, two = _work(image, seal, 1), _work(image, seal, 2)
        exchanges = LONGER if image is longer else EXCHANGES
        ratio = _paired(f"{name}: two workers over one", goal, two, one, pairs, exchanges)
        overlap = statistics.median(_overlap(two) for _ in range(pairs))
        lines += [ratio.line(), f"  processors in use with two workers: {overlap:.2f}"]
    alone = _work(streams, Seal.MESSAGE, None)
    one = _work(streams, Seal.MESSAGE, 1)
    name = f"{sessions} sessions, seal = message: one worker over the cooperative runner"
    lines.append(_paired(name, "~1", one, alone, pairs).line())
    return lines


def _paired(
    name: str,
    goal: str,
    subject: Callable[[], None],
    baseline: Callable[[], None],
    pairs: int,
    exchanges: int = EXCHANGES,
) -> Ratio:
    count = SESSIONS * (2 * exchanges + 1)
    return paired(
        name, goal, subject, baseline, operations=count, baseline_operations=count, pairs=pairs
    )


def _work(image: Image, seal: Seal | None, workers: int | None) -> Callable[[], None]:
    options = RunOptions(
        seed=seed_from_number(1),
        seal=seal,
        runner=Runner.COOPERATIVE if workers is None else Runner.THREADED,
        workers=workers,
    )

    def work() -> None:
        result = run(image, options=options, write_line=_nowhere)
        if not result.ok:
            raise AssertionError(f"the run did not end well: {result.report.describe()}")

    return work


def _bare(threads: int) -> None:
    """What two threads give here and now when they do nothing but sign and verify."""
    count = SESSIONS * (2 * EXCHANGES + 1) // threads
    helpers = [threading.Thread(target=sign_and_verify, args=(count,)) for _ in range(threads - 1)]
    for helper in helpers:
        helper.start()
    sign_and_verify(count)
    for helper in helpers:
        helper.join()


def _nowhere(line: str) -> None:
    assert line


def _overlap(work: Callable[[], None]) -> float:
    """How many processors a run used on average."""
    wall, used = time.perf_counter(), time.process_time()
    work()
    return (time.process_time() - used) / (time.perf_counter() - wall)
