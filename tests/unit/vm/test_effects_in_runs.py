"""Runs whose effects overlap, are slow, are cancelled or fail; and their records.

Whatever happened outside, the record is valid at all five levels: the order in which the machine
was told is in it.
"""

from __future__ import annotations

import asyncio
import io
import random
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from e2e.command_line import troth
from troth import conformance, dsl, vm
from troth.vm.events import Cancelled, Event, Invoked

SECONDS_MAX: Final = 60

ASKERS: Final = """\
effect ask(n: int) -> int

program asker(n: int):
    let answer = call ask(n)
    print answer

main:
    for n in range(COUNT):
        spawn asker(n)
"""

CANCELS: Final = """\
effect slow(n: int) -> int
effect wait() -> unit

protocol P(A, B):
    A -> B: hello(n: int)

program a(s: P.A):
    let n = call slow(1)
    send s.B hello(n)
    close s

program b(s: P.B):
    let _u = call wait()
    cancel s "changed my mind"

main:
    open P as x, y
    spawn a(x)
    spawn b(y)
"""


def _image(text: str) -> vm.Image:
    return dsl.compile_source(text, "script.troth")


def _run(
    text: str, effects: Mapping[str, object] | ModuleType, **options: Any
) -> tuple[list[str], vm.RunResult]:
    lines: list[str] = []
    chosen = vm.RunOptions(effects=effects, **options)
    result = vm.run(_image(text), options=chosen, write_line=lines.append)
    return lines, result


def _is_valid(record: Path) -> bool:
    """Valid as far as that can be said without a trust file."""
    verdict = conformance.verify(str(record))
    assert [finding.code for finding in verdict.findings] == []
    assert len(verdict.levels) == 5
    assert all(level.ran and level.ok for level in verdict.levels), verdict.levels
    return verdict.status is conformance.Word.SELF_CONSISTENT


# --- order ---------------------------------------------------------------------------------


def _ordinary(n: int) -> int:
    return n * n


@vm.effect(timeout_seconds=SECONDS_MAX)
def _timed(n: int) -> int:
    return n * n


@vm.effect(concurrent=False)
async def _in_turn(n: int) -> int:
    await asyncio.sleep(0)
    return n * n


def test_effects_that_are_not_concurrent_repeat_exactly(tmp_path: Path) -> None:
    """Whichever thread they run on: the same rounds, events and answers."""
    text = ASKERS.replace("COUNT", "20")
    seen = set()
    for index, function in enumerate((_ordinary, _timed, _in_turn, _ordinary)):
        record = tmp_path / f"{index}.replay"
        lines, result = _run(
            text, {"ask": function}, seed=bytes(32), keys=tmp_path / "keys", record=record
        )
        assert result.ok
        assert lines == [str(n * n) for n in range(20)]
        assert _is_valid(record)
        seen.add((result.rounds, result.events, *_completions(record)))
    assert len(seen) == 1


def _completions(record: Path) -> list[str]:
    shown = troth("inspect", record, "--events").out.splitlines()
    found = [line.split("COMPLETE", 1)[1] for line in shown if "COMPLETE" in line]
    assert found
    return found


@pytest.mark.parametrize("seal", ["message", "round"])
def test_the_order_in_which_effects_end_is_recorded(tmp_path: Path, seal: str) -> None:
    count = 6
    barrier = threading.Barrier(count, timeout=SECONDS_MAX)
    gates = [threading.Event() for _ in range(count)]
    order = list(range(count))
    random.Random(5).shuffle(order)

    @vm.effect(concurrent=True)
    def ask(n: int) -> int:
        if barrier.wait() == 0:
            gates[order[0]].set()
        assert gates[n].wait(SECONDS_MAX)
        return n

    lines: list[str] = []

    def write_line(text: str) -> None:
        """Each effect may end once the one before it has been told."""
        lines.append(text)
        following = order.index(int(text)) + 1
        if following < count:
            gates[order[following]].set()

    record = tmp_path / "run.replay"
    options = vm.RunOptions(effects={"ask": ask}, record=record, seal=vm.Seal(seal))
    result = vm.run(
        _image(ASKERS.replace("COUNT", str(count))), options=options, write_line=write_line
    )
    assert result.ok
    assert lines == [str(n) for n in order]
    assert _is_valid(record)


def test_the_clock_stands_still_while_effects_are_awaited() -> None:
    """The session lingers for a millisecond, its effect may take as long as it likes."""
    text = """\
effect ask() -> int
protocol P(A, B):
    A -> B: hello(n: int)
program a(s: P.A):
    send s.B hello(1)
    close s
program b(s: P.B):
    recv s.A hello(n)
    let m = call ask()
    close s
    print n + m
main:
    open P as x, y with linger = 1ms
    spawn a(x)
    spawn b(y)
"""

    async def ask() -> int:
        for _ in range(100):
            await asyncio.sleep(0)
        return 41

    lines, result = _run(text, {"ask": ask})
    assert (lines, result.ok) == (["42"], True)


def test_an_effect_may_know_its_identity() -> None:
    told: list[str] = []
    asked: list[str] = []

    def ask(n: int, *, effect_id: str) -> int:
        told.append(effect_id)
        return n

    def on_events(events: list[Event]) -> None:
        asked.extend(event.effect_id.hex() for event in events if isinstance(event, Invoked))

    options = vm.RunOptions(effects={"ask": ask}, seed=bytes(32))
    image = _image(ASKERS.replace("COUNT", "3"))
    for _ in range(2):
        vm.run(image, options=options, on_events=on_events, write_line=lambda _text: None)
    assert told == asked
    assert len(set(told)) == 3
    assert told[3:] == told[:3]


def test_effects_from_a_module() -> None:
    module = ModuleType("answers")
    vars(module)["anything"] = vm.effect(name="ask")(_ordinary)
    lines, result = _run(ASKERS.replace("COUNT", "3"), module)
    assert (lines, result.ok) == (["0", "1", "4"], True)


# --- failing, slow, cancelled --------------------------------------------------------------


def test_a_timeout_fails_the_effect_and_is_recorded(tmp_path: Path) -> None:
    gate = threading.Event()

    @vm.effect(timeout_seconds=0.01)
    def ask(n: int) -> int:
        gate.wait(SECONDS_MAX)
        return n

    record = tmp_path / "run.replay"
    try:
        text = ASKERS.replace("COUNT", "2")
        lines, result = _run(text, {"ask": ask}, record=record)
    finally:
        gate.set()
    assert (lines, result.ok) == ([], False)
    said = " ".join(result.report.describe().split())
    assert "the effect ask failed: it took longer than its timeout of 0.01 seconds" in said
    assert _is_valid(record)


class _Slow:
    """An effect that ends when it is cancelled or told to, and one that waits for it to begin."""

    def __init__(self, **traits: Any) -> None:
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.cancelled = False

        @vm.effect(**traits)
        async def slow(n: int) -> int:
            self.begun.set()
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
            return n

        async def wait() -> None:
            await self.begun.wait()

        self.effects = {"slow": slow, "wait": wait}


def test_an_effect_goes_on_when_its_session_is_cancelled(tmp_path: Path) -> None:
    """Its program may want the result all the same; here it finds out when it sends."""
    slow = _Slow()
    record = tmp_path / "run.replay"

    async def main() -> vm.RunResult:
        def on_events(events: list[Event]) -> None:
            if any(isinstance(event, Cancelled) for event in events):
                slow.go.set()

        options = vm.RunOptions(effects=slow.effects, record=record)
        return await vm.run_async(_image(CANCELS), options=options, on_events=on_events)

    result = asyncio.run(main())
    assert not slow.cancelled
    assert not result.ok
    assert "vm.fault.channel" in result.report.describe()
    assert _is_valid(record)


def test_a_cancellable_effect_ends_with_its_sessions(tmp_path: Path) -> None:
    slow = _Slow(cancellable=True)
    record = tmp_path / "run.replay"
    lines, result = _run(CANCELS, slow.effects, record=record)
    assert slow.cancelled
    assert (lines, result.ok) == ([], False)
    said = " ".join(result.report.describe().split())
    assert "it was cancelled: all sessions of the program that asked have broken off" in said
    assert _is_valid(record)


HOLDS_TWO: Final = """\
effect slow(n: int) -> int
effect wait() -> unit

protocol P(A, B):
    A -> B: hello(n: int)

program a(s: P.A, t: P.A):
    let n = call slow(1)
    send t.B hello(n)
    close t
    cancel s "too late"

program b(s: P.B):
    let _u = call wait()
    cancel s "changed my mind"

program c(s: P.B):
    recv s.A hello(n)
    print n
    close s

main:
    open P as x, y
    open P as v, w
    spawn a(x, v)
    spawn b(y)
    spawn c(w)
"""


def test_a_cancellable_effect_goes_on_while_one_session_does(tmp_path: Path) -> None:
    slow = _Slow(cancellable=True)

    async def main() -> list[str]:
        lines: list[str] = []

        def on_events(events: list[Event]) -> None:
            if any(isinstance(event, Cancelled) for event in events):
                slow.go.set()

        options = vm.RunOptions(effects=slow.effects, record=tmp_path / "run.replay")
        await vm.run_async(
            _image(HOLDS_TWO), options=options, on_events=on_events, write_line=lines.append
        )
        return lines

    assert asyncio.run(main()) == ["1"]
    assert not slow.cancelled
    assert _is_valid(tmp_path / "run.replay")


@pytest.mark.parametrize("kind", ["here", "worker", "loop"])
def test_an_interruption_leaves_a_readable_record(tmp_path: Path, kind: str) -> None:
    def here(n: int) -> int:
        if n == 2:
            raise KeyboardInterrupt
        return n

    async def turn(n: int) -> int:
        return here(n)

    functions: dict[str, Callable[..., object]] = {
        "here": here,
        "worker": vm.effect(concurrent=True)(lambda n: here(n)),  # noqa: PLW0108
        "loop": turn,
    }
    record = tmp_path / "run.replay"
    with pytest.raises(KeyboardInterrupt) as caught:
        _run(ASKERS.replace("COUNT", "5"), {"ask": functions[kind]}, record=record)
    assert "is incomplete" in caught.value.__notes__[0]
    verdict = conformance.verify(str(record))
    assert verdict.exit_code == 4
    assert {finding.code for finding in verdict.findings} <= {"incomplete.end"}


# --- asynchronous runs ---------------------------------------------------------------------


def test_a_run_on_an_event_loop_lets_others_run() -> None:
    async def main() -> tuple[bool, int]:
        ticks = 0
        over = False

        async def tick() -> None:
            nonlocal ticks
            while not over:
                ticks += 1
                await asyncio.sleep(0)

        async def ask(n: int) -> int:
            seen = ticks
            while ticks < seen + 3:
                await asyncio.sleep(0)
            return n

        ticking = asyncio.create_task(tick())
        image = _image(ASKERS.replace("COUNT", "4"))
        options = vm.RunOptions(effects={"ask": ask})
        result = await vm.run_async(image, options=options, write_line=lambda _text: None)
        over = True
        await ticking
        return result.ok, ticks

    ok, ticks = asyncio.run(main())
    assert ok
    assert ticks >= 3


def test_a_long_computation_on_an_event_loop_lets_others_run() -> None:
    text = "main:\n    let n = 0\n    while n < 200000:\n        n = n + 1\n    print n\n"

    async def main() -> int:
        run = asyncio.create_task(vm.run_async(_image(text), write_line=lambda _text: None))
        turns = 0
        while not run.done():
            turns += 1
            await asyncio.sleep(0)
        return turns

    assert asyncio.run(main()) > 3


def test_a_cancelled_run_cleans_up(tmp_path: Path) -> None:
    record = tmp_path / "run.replay"
    slow = _Slow()

    async def main() -> None:
        options = vm.RunOptions(effects={"ask": slow.effects["slow"]}, record=record)
        image = _image(ASKERS.replace("COUNT", "3"))
        run = asyncio.create_task(vm.run_async(image, options=options))
        await slow.begun.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await run
        assert "is incomplete" in caught.value.__notes__[0]
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert slow.cancelled
    assert conformance.verify(io.BytesIO(record.read_bytes())).exit_code == 4


def test_asynchronous_effects_are_under_way_while_an_ordinary_one_is_called() -> None:
    """On a loop of the caller, too: the ordinary function holds it up only after they began."""
    begun: list[int] = []

    async def ask(n: int) -> int:
        begun.append(n)
        await asyncio.sleep(0)
        return n

    def count(n: int) -> int:
        return n + len(begun)

    text = (
        "effect ask(n: int) -> int\neffect count(n: int) -> int\n"
        "program asker(n: int):\n    let answer = call ask(n)\n    print answer\n"
        "main:\n    spawn asker(1)\n    spawn asker(2)\n    yield\n"
        "    let seen = call count(40)\n    print seen\n"
    )

    async def main() -> list[str]:
        lines: list[str] = []
        options = vm.RunOptions(effects={"ask": ask, "count": count})
        await vm.run_async(_image(text), options=options, write_line=lines.append)
        return lines

    assert sorted(asyncio.run(main())) == ["1", "2", "42"]
