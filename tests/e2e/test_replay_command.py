"""`troth verify` runs the image again, unless it is told not to."""

from __future__ import annotations

import json
from pathlib import Path

from e2e.command_line import EXAMPLES, run_example, troth


def _recorded(folder: Path, name: str = "hello") -> Path:
    target = folder / f"{name}.replay"
    assert run_example(name, "--record", target, "--seed", "1").code == 0
    return target


def test_level_5_is_part_of_every_verdict(tmp_path: Path) -> None:
    artifact = _recorded(tmp_path)
    done = troth("verify", artifact)
    assert done.code == 5
    assert "  5 replay       ok" in done.out.splitlines()
    assert "Levels 1 to 5 hold" in done.out


def test_it_can_be_left_out_or_bounded(tmp_path: Path) -> None:
    artifact = _recorded(tmp_path)
    done = troth("verify", artifact, "--no-replay")
    assert done.code == 5
    assert "  5 replay       not run: it was not asked for" in done.out.splitlines()
    assert troth("verify", artifact, "--budget", "100000").code == 5
    assert troth("verify", artifact, "--budget", "none").code == 1
    assert troth("verify", artifact, "--budget", "0").code == 1
    assert troth("verify", artifact, "--budget", "5", "--no-replay").code == 1


def test_a_budget_that_is_spent(tmp_path: Path) -> None:
    script = tmp_path / "long.troth"
    script.write_text(
        "main:\n    let n = 0\n    for i in range(100000):\n        n = n + 1\n    print n\n"
    )
    artifact = tmp_path / "long.replay"
    assert troth("run", script, "--record", artifact).code == 0
    assert troth("verify", artifact).code == 5
    done = troth("verify", artifact, "--budget", "1000", "--json")
    assert done.code == 2
    assert json.loads(done.out)["findings"][0]["code"] == "replay.budget"


def test_the_image_can_be_pinned(tmp_path: Path) -> None:
    artifact = _recorded(tmp_path)
    assert troth("verify", artifact, "--image", EXAMPLES / "hello.troth").code == 5
    done = troth("verify", artifact, "--image", EXAMPLES / "drain.troth", "--json")
    assert done.code == 2
    report = json.loads(done.out)
    assert report["findings"][0]["code"] == "replay.pinned"
    pinned = troth("verify", artifact, "--image", report["image"])
    assert pinned.code == 5
    assert "(in the file, pinned by you)" in pinned.out
    assert troth("verify", artifact, "--image", tmp_path / "none").code == 1
