"""The threaded runner from outside: options, records, errors in lanes, keys made on the way."""

from __future__ import annotations

import _thread
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgpack
import pytest

import builders
from artifact_surgery import parse
from crowded_machines import crowded_script
from e2e.command_line import EXAMPLES, troth
from parity_samples import Backwards
from troth import conformance, vm
from troth.dsl.compile import compile_source
from troth.vm.coroutine import Coroutine
from troth.vm.lanes import Lane, plan_lanes
from troth.vm.loader import load
from troth.vm.machine import Machine, Outcome
from troth.vm.records import Kind
from troth.vm.run_lanes import LaneRunner
from troth.vm.shell_cores import cores
from troth.vm.shell_workers import WORKERS_MAX, SerialRoster, ThreadWorkers


def _record(path: Path, keys: Path, **options: Any) -> tuple[list[str], vm.RunResult]:
    image = compile_source(crowded_script(Random(5)), "crowd.troth")
    lines: list[str] = []
    settings = vm.RunOptions(record=path, keys=keys, seed=bytes(32), **options)
    return lines, vm.run(image, options=settings, write_line=lines.append)


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_a_threaded_run_differs_by_its_runners_name(tmp_path: Path, workers: int | None) -> None:
    keys, one, other = tmp_path / "keys", tmp_path / "one.replay", tmp_path / "other.replay"
    lines, result = _record(one, keys)
    threaded, outcome = _record(other, keys, runner="threaded", workers=workers)
    assert threaded == lines
    assert (outcome.ok, outcome.rounds, outcome.events) == (
        result.ok,
        result.rounds,
        result.events,
    )
    for a, b in zip(parse(one.read_bytes()), parse(other.read_bytes()), strict=True):
        if a[0] == Kind.HEADER:
            assert (a[7], b[7]) == ("cooperative", "threaded")
            assert (a[:7], a[8:11]) == (b[:7], b[8:11])
        elif a[0] != Kind.SEAL:  # the header is the first leaf of a log
            assert a == b
    verdict = conformance.verify(other)
    assert verdict.levels[-1].ok
    assert conformance.verify(one).fragment == verdict.fragment


def test_whoever_can_strand_a_session_shares_its_lane() -> None:
    """The job travels inside the hire: whoever ends that one ends the job, too."""
    script = (EXAMPLES / "delegation.troth").read_text()
    for line in ("    send s.Server ask(42)", "    recv h.Dispatcher take(job)"):
        assert line in script
        script = script.replace(line, f"    for nap in range(3):\n        yield\n{line}")
    loaded = load(compile_source(script, "delegation.troth"))
    together: set[frozenset[str]] = set()

    def plan(batch: Sequence[Coroutine]) -> list[Lane]:
        lanes = plan_lanes(batch)
        if any(end.session.cargo for coroutine in batch for end in coroutine.owned):
            together.update(frozenset(batch[place].code.name for place in lane) for lane in lanes)
        return lanes

    signer = builders.make_signer()
    machine = Machine(loaded, seed=bytes(32), signer=signer, roster=signer, workers=Backwards())
    machine._scheduler.lanes = LaneRunner(machine._context, Backwards(), plan)
    machine.start()
    builders.run(machine)
    assert machine.outcome() is Outcome.OK
    assert together == {frozenset({"client", "worker"})}


def test_resume_goes_on_with_threads(tmp_path: Path) -> None:
    keys, whole = tmp_path / "keys", tmp_path / "whole.replay"
    _, result = _record(whole, keys, runner="threaded", workers=2)
    data = whole.read_bytes()
    for part in (3, 5, 9):
        cut = tmp_path / "cut.replay"
        cut.write_bytes(data[: len(data) * part // 10])
        resumed = vm.resume(cut, keys=keys, write_line=lambda _: None)
        assert (resumed.ok, resumed.rounds) == (result.ok, result.rounds)
        assert parse(cut.read_bytes())[0][7] == "threaded"
        assert conformance.verify(cut).levels[-1].ok


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"runner": "parallel"}, "run.runner"),
        ({"runner": None}, "run.runner"),
        ({"workers": 2}, "run.workers"),
        ({"runner": "threaded", "workers": 0}, "run.workers"),
        ({"runner": "threaded", "workers": WORKERS_MAX + 1}, "run.workers"),
        ({"runner": "threaded", "workers": True}, "run.workers"),
        ({"policy": 5}, "run.policy"),
        ({"policy": "lottery"}, "machine.policy"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], code: str) -> None:
    with pytest.raises(vm.Unusable) as caught:
        vm.RunOptions(**options)
    assert caught.value.code == code


def test_the_most_workers_are_allowed() -> None:
    assert vm.RunOptions(runner="threaded", workers=WORKERS_MAX).workers == WORKERS_MAX
    assert cores() >= 1


# --- workers -------------------------------------------------------------------------------


def test_jobs_run_side_by_side_and_all_of_them() -> None:
    pool = ThreadWorkers(3)
    together = threading.Barrier(3, timeout=30)
    done: list[int] = []

    def job(number: int) -> Callable[[], None]:
        def run() -> None:
            together.wait()
            done.append(number)

        return run

    pool.run([job(number) for number in range(3)])
    pool.close()
    assert sorted(done) == [0, 1, 2]


def test_an_error_in_a_lane_comes_when_all_lanes_have_ended() -> None:
    pool = ThreadWorkers(2)
    ended: list[str] = []

    def slow() -> None:
        time.sleep(0.05)
        ended.append("slow")
        raise ValueError("second")

    def fails() -> None:
        raise KeyboardInterrupt("first")

    with pytest.raises(KeyboardInterrupt, match="first"):
        pool.run([fails, slow, lambda: ended.append("last")])
    assert sorted(ended) == ["last", "slow"]
    pool.run([lambda: ended.append("again")])
    pool.close()
    assert ended[-1] == "again"


def test_an_interruption_waits_until_nothing_is_running() -> None:
    pool = ThreadWorkers(2)
    begun = threading.Event()
    ended: list[str] = []

    def slow() -> None:
        if threading.current_thread() is threading.main_thread():
            assert begun.wait(30)
            return
        begun.set()
        time.sleep(0.05)
        _thread.interrupt_main()
        time.sleep(0.2)
        ended.append("slow")

    with pytest.raises(KeyboardInterrupt):
        pool.run([slow, slow])
    assert ended == ["slow"]
    pool.close()


def test_libraries_that_do_not_bear_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(msgpack, "Packer", type("P", (), {"__module__": "msgpack.fallback"}))
    with pytest.raises(vm.Unusable, match="pure Python"):
        ThreadWorkers(2)
    ThreadWorkers(1).close()
    monkeypatch.undo()
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    with pytest.raises(vm.Unusable, match="free-threaded"):
        ThreadWorkers(2)


def test_a_key_is_made_once_however_many_lanes_ask() -> None:
    made: list[str] = []

    class Slow:
        def principal(self, protocol: str, role: str) -> bytes:
            if role not in made:
                time.sleep(0.01)
                made.append(role)
            return f"{protocol}.{role}".encode()

        def name_of(self, principal: bytes) -> str:
            return principal.decode()

    roster = SerialRoster(Slow())
    pool = ThreadWorkers(4)
    found: list[bytes] = []
    pool.run([lambda: found.append(roster.principal("P", "A")) for _ in range(8)])
    pool.close()
    assert (made, found) == (["A"], [b"P.A"] * 8)
    assert roster.name_of(b"P.A") == "P.A"


# --- the command ---------------------------------------------------------------------------


def test_the_command_runs_with_threads(tmp_path: Path) -> None:
    record = tmp_path / "run.replay"
    done = troth(
        *("run", EXAMPLES / "delegation.troth", "--runner", "threaded", "--workers", "2"),
        *("--policy", "priority", "--priority", "worker=3", "--aging", "4", "--quantum", "5"),
        *("--record", record),
    )
    assert (done.code, done.out) == (0, "done by worker: 42\n")
    header = parse(record.read_bytes())[0]
    assert tuple(header[4:6]) == (5, "priority aging=4 worker=3")
    assert header[7] == "threaded"
    assert troth("verify", record).code == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--workers", "2"), "[run.workers]"),
        (("--runner", "threads"), "invalid choice"),
        (("--priority", "worker=3"), "[run.priority]"),
        (("--policy", "priority", "--priority", "nobody=3"), "[run.priority]"),
        (("--policy", "priority", "--priority", "worker"), "PROGRAM=N"),
        (("--policy", "priority", "--priority", "worker=-1"), "[machine.policy]"),
        (("--policy", "priority", "--aging", "0"), "[machine.policy]"),
        (("--quantum", "0"), "[run.quantum]"),
    ],
)
def test_the_command_refuses(arguments: tuple[str, ...], said: str) -> None:
    done = troth("run", EXAMPLES / "delegation.troth", *arguments)
    assert done.code == 1
    assert said in done.err
    assert done.out == ""
