"""`troth run --processes`: many machines, each as if it had run alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifact_surgery import parse
from e2e.command_line import EXAMPLES, troth
from troth import conformance

DELEGATION = EXAMPLES / "delegation.troth"
HELLO = EXAMPLES / "hello.troth"
PRINTS = """main:
    print "first"
    yield
    print "last"
"""
FAILS = 'main:\n    print "before"\n    fail "on purpose"\n'


def test_many_scripts_and_seeds(tmp_path: Path) -> None:
    done = troth(
        *("run", DELEGATION, HELLO, "--processes", "2", "--seeds", "3-4"),
        *("--record", tmp_path / "records", "--keys", tmp_path / "keys"),
    )
    assert done.code == 0, done.err
    # In the order of the machines, whoever was the first to end.
    assert done.out == "done by worker: 42\n" * 2 + "hello, world\n" * 2
    names = ["delegation-3", "delegation-4", "hello-3", "hello-4"]
    assert sorted(path.stem for path in (tmp_path / "records").iterdir()) == names
    for name in names:
        assert conformance.verify(tmp_path / "records" / f"{name}.replay").levels[-1].ok
    # A machine among many makes what it makes alone.
    alone = tmp_path / "alone.replay"
    troth("run", HELLO, "--seed", "4", "--record", alone, "--keys", tmp_path / "keys")
    many = parse((tmp_path / "records" / "hello-4.replay").read_bytes())
    assert [r[1:] for r in parse(alone.read_bytes())[1:4]] == [r[1:] for r in many[1:4]]
    assert conformance.verify(alone).fragment == (
        conformance.verify(tmp_path / "records" / "hello-4.replay").fragment
    )


def test_one_that_fails_does_not_keep_the_others(tmp_path: Path) -> None:
    (tmp_path / "prints.troth").write_text(PRINTS)
    (tmp_path / "fails.troth").write_text(FAILS)
    done = troth("run", "fails.troth", "prints.troth", "--processes", "2", cwd=tmp_path)
    assert (done.code, done.out) == (1, "before\nfirst\nlast\n")
    assert "fails.troth: " in done.err
    assert "on purpose" in done.err
    assert done.err.endswith("1 of 2 machines did not end well\n")


def test_an_effect_that_is_missing_is_each_machines_error() -> None:
    buyer = EXAMPLES / "two_buyer.troth"
    done = troth("run", buyer, "--processes", "1", "--seeds", "1-2")
    assert (done.code, done.err.count("[effects.missing]")) == (1, 2)
    effects = EXAMPLES / "two_buyer_effects.py"
    done = troth("run", buyer, "--effects", effects, "--processes", "2", "--seeds", "1-2")
    assert (done.code, done.out) == (0, "agreed\nagreed\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((HELLO, DELEGATION), "[run.processes]"),
        ((HELLO, "--processes", "0"), "[run.processes]"),
        ((HELLO, "--processes", "257"), "[run.processes]"),
        ((HELLO, HELLO, "--processes", "2", "--record", "out"), "[run.processes]"),
        ((HELLO, "--processes", "2", "--seeds", "1-9999999999"), "[run.processes]"),
        ((HELLO, "--processes", "2", "--seeds", "1"), "such as 1-100"),
        ((HELLO, "--processes", "2", "--seeds", "1-2", "--seed", "3"), "[run.seed]"),
        ((HELLO, "missing.troth", "--processes", "2"), "missing.troth"),
    ],
)
def test_what_cannot_be(tmp_path: Path, arguments: tuple[str | Path, ...], said: str) -> None:
    done = troth("run", *arguments, cwd=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert said in done.err


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    done = troth("run", HELLO, "--processes", "1", "--record", tmp_path / "taken")
    assert (done.code, done.out) == (1, "")
    assert "[run.processes]" in done.err
