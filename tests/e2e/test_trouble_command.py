"""`troth run --trouble`: what comes over a run is planned, recorded and verified."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from e2e.command_line import troth
from troth.dsl.trouble_words import planned
from troth.vm.trouble_kind import Trouble
from troth.vm.trouble_schedule import Planned

COUNT: Final = """
protocol Count(Teller, Listener):
    rec More:
        choice at Teller:
            Teller -> Listener: number(n: int)
            continue More
        or:
            Teller -> Listener: done()

program teller(s: Count.Teller):
    for i in range(4):
        send s.Listener number(i)
        yield
    send s.Listener done()
    close s

program listener(s: Count.Listener):
    loop:
        recv s.Teller:
            number(n):
                print n
            done():
                break
    close s

main:
    open Count as t, l
    spawn teller(t)
    spawn listener(l)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "count.troth"
    path.write_text(COUNT)
    return path


def test_a_crash_is_on_record_and_verifies(script: Path, tmp_path: Path) -> None:
    record = tmp_path / "crash.replay"
    done = troth("run", script, "--trouble", "3: crash Teller", "--record", record)
    assert (done.code, "vm.fault.crash" in done.err) == (1, True)
    assert troth("verify", record).code == 5, "true, by keys that nobody knows"
    assert "TROUBLE" in troth("inspect", record, "--events").out


def test_a_partition_heals_and_nothing_is_lost(script: Path, tmp_path: Path) -> None:
    record = tmp_path / "healed.replay"
    plan = ("--trouble", "2: partition Teller Listener", "--trouble", "99: heal Teller Listener")
    done = troth("run", script, *plan, "--record", record)
    assert (done.code, done.out.split()) == (0, ["0", "1", "2", "3"])
    assert troth("verify", record).code == 5


def test_a_partition_that_nobody_heals_ends_the_run_and_says_who_waits(script: Path) -> None:
    done = troth("run", script, "--trouble", "2: partition Teller Listener")
    assert done.code == 1
    assert "Teller and Listener are parted" in " ".join(done.err.split())


def test_what_cannot_come_is_said(script: Path) -> None:
    done = troth(
        "run", script, "--trouble", "1: crash Nobody", "--trouble", "1: timeout Teller 5ms"
    )
    assert (done.code, done.out.split()) == (0, ["0", "1", "2", "3"])
    assert "troth: this could not come: 1: crash Nobody: " in done.err
    assert "timeout" not in done.err


def test_why_it_could_not_come_is_said(script: Path) -> None:
    """What is said last of a session that is over hides nothing that was known before."""
    plan = {
        "1: corrupt Nobody Teller": "these roles do not send to each other",
        "2: crash 7.Teller": "there was no session 7",
        "9000: corrupt Teller Listener": "there is no such session going on",
    }
    done = troth("run", script, *(word for text in plan for word in ("--trouble", text)))
    assert done.code == 0
    for text, reason in plan.items():
        assert f"troth: this could not come: {text}: {reason}" in done.err


def test_a_plan_that_cannot_be_read_is_refused(script: Path) -> None:
    done = troth("run", script, "--trouble", "crash Teller")
    assert (done.code, "N: crash ROLE" in done.err) == (1, True)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("3: crash A", Planned(3, Trouble.CRASH, "A")),
        ("3:crash 2.A", Planned(3, Trouble.CRASH, "A", session=2)),
        ("0: partition A B", Planned(0, Trouble.PARTITION, "A", "B")),
        ("7: heal A B", Planned(7, Trouble.HEAL, "A", "B")),
        ("7: corrupt A B", Planned(7, Trouble.CORRUPT, "A", "B")),
        ("7: timeout A 5ms", Planned(7, Trouble.TIMEOUT, "A", for_ns=5_000_000)),
        ("7: timeout A", None),
        ("7: timeout A 0ms", None),
        ("7: crash A B", None),
        ("7: partition A", None),
        ("7: flood A", None),
        ("crash A", None),
    ],
)
def test_words_of_trouble(text: str, meant: Planned | None) -> None:
    assert planned(text) == meant
    if meant is not None:
        assert planned(meant.text) == meant
