"""`troth diff` and `troth show` as their users run them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2e.command_line import EXAMPLES, run_example, troth


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        assert run_example("two_buyer", "--record", tmp_path / f"{name}.replay").code == 0
    return tmp_path


def test_two_runs_of_one_script_are_the_same(folder: Path) -> None:
    done = troth("diff", "one.replay", "two.replay", cwd=folder)
    assert done.code == 0
    assert "same (exit 0)" in done.out


def test_another_answer_of_the_host_is_where_they_part(folder: Path) -> None:
    effects = folder / "dear_effects.py"
    text = (EXAMPLES / "two_buyer_effects.py").read_text()
    effects.write_text(text.replace("120", "119"))
    arguments = ("--effects", effects, "--record", folder / "dear.replay")
    assert troth("run", EXAMPLES / "two_buyer.troth", *arguments, cwd=folder).code == 0
    done = troth("diff", "one.replay", "dear.replay", cwd=folder)
    assert done.code == 2
    assert "gave (120)" in done.out
    assert "gave (119)" in done.out
    report = json.loads(troth("diff", "one.replay", "dear.replay", "--json", cwd=folder).out)
    assert report["first"]["only_content"] is True
    assert report["first"]["a"]["said"] in done.out
    assert report["exit_code"] == 2


def test_a_file_that_stops_early_agrees_as_far_as_it_goes(folder: Path) -> None:
    data = (folder / "one.replay").read_bytes()
    (folder / "cut.replay").write_bytes(data[:2000])
    assert troth("diff", "one.replay", "cut.replay", cwd=folder).code == 4
    (folder / "bad.replay").write_bytes(data[:200] + b"\xff" + data[201:])
    done = troth("diff", "one.replay", "bad.replay", cwd=folder)
    assert done.code == 1
    assert troth("diff", "one.replay", "missing", cwd=folder).code == 1


def test_a_state_is_shown_in_prose_and_json(folder: Path) -> None:
    done = troth("show", "one.replay", "--at", "30", cwd=folder)
    assert done.code == 0
    assert "TwoBuyer.Bob, state 3: receive from Seller" in done.out
    state = json.loads(troth("show", "one.replay", "--at", "30", "--json", cwd=folder).out)
    ends = {one["role"]: one["position"] for one in state["sessions"][0]["endpoints"]}
    assert ends["Bob"].startswith("TwoBuyer.Bob, state 3")
    alone = ("show", "one.replay", "--at", "30", "--session", "0")
    assert "coroutines" not in troth(*alone, cwd=folder).out


def test_where_there_is_nothing_to_show_it_says_so(folder: Path) -> None:
    for arguments, code in (
        (("--at", "5000"), "show.record"),
        (("--at", "30", "--session", "7"), "show.session"),
    ):
        done = troth("show", "one.replay", *arguments, cwd=folder)
        assert (done.code, f"[{code}]" in done.err) == (1, True)
    assert troth("show", "one.replay", "--at", "-1", cwd=folder).code == 1
    assert troth("show", "one.replay", cwd=folder).code == 1
