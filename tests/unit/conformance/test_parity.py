"""`troth parity`: what it finds, and how it makes a difference smaller."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from crowded_machines import crowded_script
from e2e.command_line import EXAMPLES, troth
from parity_samples import all_apart
from troth.conformance import shell_parity
from troth.conformance.parity import (
    BACKWARDS,
    LeastSchedule,
    Made,
    Setting,
    compare,
    least_schedule,
    least_script,
)
from troth.vm import run_lanes
from troth.vm.coroutine import Coroutine
from troth.vm.lanes import Lane


def _made(record: bytes = b"r", fragment: bytes = b"f", ended: str = "ok") -> Made:
    return Made(record, fragment, (), ended)


def test_a_runner_that_makes_other_bytes_is_told() -> None:
    schedules = [Setting(), Setting(quantum=1)]

    def execute(setting: Setting) -> Made:
        odd = setting.workers == 2 and setting.quantum == 1
        return _made(b"odd" if odd else bytes([setting.quantum]))

    parity = compare(execute, schedules, [Setting(workers=n) for n in (1, 2)], confluent=True)
    assert [(p.base, p.other) for p in parity.parted] == [
        (Setting(quantum=1), Setting(quantum=1, workers=2))
    ]
    assert not parity.holds
    assert [len(one.same) for one in parity.schedules] == [2, 1]


def test_fragments_count_for_confluent_programs_that_end_well() -> None:
    def execute(setting: Setting) -> Made:
        return _made(fragment=bytes([setting.quantum]))

    schedules = [Setting(), Setting(quantum=1)]
    assert not compare(execute, schedules, [], confluent=True).holds
    assert compare(execute, schedules, [], confluent=False).holds
    assert compare(execute, schedules, [], confluent=False).fragments == 2

    def fails(setting: Setting) -> Made:
        return _made(fragment=bytes([setting.quantum]), ended="failed")

    assert compare(fails, schedules, [], confluent=True).holds


def test_hash_seeds_are_tried_once() -> None:
    asked: list[Setting] = []

    def execute(setting: Setting) -> Made:
        asked.append(setting)
        return _made()

    once = [Setting(hash_seed=7)]
    compare(execute, [Setting(), Setting(quantum=1)], [], once, confluent=True)
    assert asked == [Setting(), Setting(hash_seed=7), Setting(quantum=1)]
    assert Setting(workers=BACKWARDS).runner == "lanes last first"
    assert Setting(workers=1, hash_seed=3).runner == "threaded with 1 worker, hash seed 3"


@pytest.mark.parametrize("culprit", [1, 2, 17, 40])
def test_the_first_round_that_matters(culprit: int) -> None:
    assert least_schedule(lambda rounds: culprit in rounds, 40) == LeastSchedule(culprit, True)
    both = least_schedule(lambda rounds: {1, culprit} <= set(rounds), 40)
    assert both == LeastSchedule(culprit, culprit == 1)
    assert least_schedule(lambda _: False, 40) is None


def test_the_least_script_keeps_what_belongs_together() -> None:
    head = "program x():\n    pass"
    main = [f"    open P as a{n}, b{n}\n    spawn x(a{n})\n    spawn y(b{n})" for n in range(9)]
    script = "\n".join([head, "main:", *main, ""])

    def parts(text: str) -> bool:
        opened = [n for n in range(9) if f"as a{n}," in text]
        spawned = [n for n in range(9) if f"x(a{n})" in text and f"y(b{n})" in text]
        assert opened == spawned, "no session without its programs"
        return {2, 7} <= set(opened)

    least = least_script(parts, script)
    assert least == "\n".join([head, "main:", main[2], main[7], ""])
    assert least_script(lambda _: True, "no main") == "no main"


# --- the command ---------------------------------------------------------------------------


def test_the_command_on_an_example() -> None:
    done = troth(
        *("parity", EXAMPLES / "delegation.troth", "--workers", "1,3"),
        *("--quanta", "64,2", "--hash-seeds", "1"),
    )
    assert done.code == 0, done.err
    assert "delegation.troth: parity holds (exit 0); 26 runs\n" in done.out
    assert "threaded with 3 workers, hash seed 1\n" in done.out
    assert "confluent: " in done.out


def test_a_script_with_effects_and_a_limit() -> None:
    example = EXAMPLES / "two_buyer.troth"
    few = ("--workers", "2", "--quanta", "5", "--hash-seeds", "1")
    done = troth("parity", example, "--effects", EXAMPLES / "two_buyer_effects.py", *few)
    assert done.code == 0, done.err
    assert "not known to be confluent" in done.out
    assert "[effects.missing]" in troth("parity", example, *few).err
    done = troth("parity", EXAMPLES / "hello.troth", *few, "--limit", "rounds_max=1")
    assert (done.code, "ended limit.rounds" in done.out) == (0, True)


@pytest.mark.parametrize(
    "wrong", [("--workers", "0"), ("--quanta", "x"), ("--limit", "speed=1"), ("--seed", "x")]
)
def test_wrong_arguments(wrong: tuple[str, ...]) -> None:
    assert troth("parity", EXAMPLES / "hello.troth", *wrong).code == 1


def _arguments(file: Path) -> argparse.Namespace:
    return argparse.Namespace(
        file=file, effects=None, seed=1, workers=(2,), quanta=(8,), hash_seeds=0, limit=[]
    )


GUARDS = """\
guard till

protocol P(A, B):
    A -> B: hello()

program greets(s: P.A):
    send s.B hello()
    close s

program greeted(s: P.B):
    recv s.A hello()
    close s

program takes(n: int):
    acquire till
    print n
    yield
    release till

main:
    open P as a, b
    spawn greets(a)
    open P as c, d
    spawn greets(c)
    spawn takes(1)
    spawn greeted(b)
    spawn greeted(d)
    spawn takes(2)
"""


def _without_guards(batch: Sequence[Coroutine]) -> list[Lane]:
    """Sessions as they should be, guards forgotten."""
    lanes: dict[object, Lane] = {}
    for place, coroutine in enumerate(batch):
        key = next((end.session for end in coroutine.owned), coroutine)
        lanes.setdefault(key, []).append(place)
    return list(lanes.values())


def test_a_broken_planner_is_found_and_made_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "guards.troth"
    script.write_text(GUARDS)
    assert shell_parity.parity_command(_arguments(script)) == 0
    assert "parity holds" in capsys.readouterr().out
    monkeypatch.setattr(run_lanes, "plan_lanes", _without_guards)
    assert shell_parity.parity_command(_arguments(script)) == 2
    said = capsys.readouterr().out
    assert "parity does not hold (exit 2)" in said
    assert "PARTED: lanes last first" in said
    assert "\n  B lanes last first" in said
    assert re.search("least schedule: round [1-9] of those with several lanes, .*alone is", said)
    _, _, least = said.partition("least script: what is left of its main\n")
    assert least == "      spawn takes(1)\n      spawn takes(2)\n"


def test_a_planner_that_knows_no_sessions_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "crowd.troth"
    script.write_text(crowded_script(Random(3)))
    monkeypatch.setattr(run_lanes, "plan_lanes", all_apart)
    assert shell_parity.parity_command(_arguments(script)) == 2
    assert "first difference: " in capsys.readouterr().out
