"""`troth run --limit`: a budget at its limit and one past it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.command_line import troth

COUNTS = """\
main:
    let n = 0
    while n < 5:
        n = n + 1
    print n
"""


@pytest.fixture(name="script")
def _script(tmp_path: Path) -> Path:
    path = tmp_path / "counts.troth"
    path.write_text(COUNTS)
    return path


def _enough(script: Path, budget: int) -> bool:
    done = troth("run", script, "--limit", f"instructions_max={budget}")
    if done.code == 0:
        assert done.out == "5\n"
        return True
    assert done.code == 1
    assert done.out in ("", "5\n"), "the budget may be spent between the print and the end"
    assert "vm.fault.credits" in done.err
    assert f"at most instructions_max = {budget} instructions" in done.err
    return False


def test_the_budget_at_the_limit_and_one_past_it(script: Path) -> None:
    needed = next(budget for budget in range(1, 64) if _enough(script, budget))
    assert needed > 1
    assert not _enough(script, needed - 1)
    assert _enough(script, needed)


def test_a_record_keeps_the_limits_of_its_run(script: Path, tmp_path: Path) -> None:
    record = tmp_path / "spent.replay"
    done = troth("run", script, "--limit", "instructions_max=9", "--record", record)
    assert done.code == 1
    verified = troth("verify", record)
    assert verified.code == 5
    assert "5 replay       ok" in verified.out


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("instructions_max=0", 1, "limits.value"),
        ("instructions_max", 2, "an integer"),
        ("instructions=5", 2, "instructions_max"),
        ("instructions_max=many", 2, "an integer"),
    ],
)
def test_what_is_no_limit(script: Path, given: str, code: int, said: str) -> None:
    done = troth("run", script, "--limit", given)
    assert done.out == ""
    assert said in done.err
    assert done.code in (1, code)
