"""The scripts of docs/examples, as a user runs, records and verifies them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2e.command_line import EXAMPLES, example_names, printed_by, run_example, troth, trust_file

MODES = ["off", "sequence", "nullifier"]


def test_there_are_examples() -> None:
    assert {"hello", "two_buyer", "delegation", "drain", "nested_recursion", "ring"} <= set(
        example_names()
    )


@pytest.mark.parametrize("name", example_names())
def test_prints_what_its_header_says(name: str) -> None:
    done = run_example(name)
    assert (done.code, done.out, done.err) == (0, printed_by(name), "")


@pytest.mark.parametrize("seal", ["message", "round"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", example_names())
def test_recorded_run_verifies_from_file_and_keys_alone(
    name: str, mode: str, seal: str, tmp_path: Path
) -> None:
    keys, artifact = tmp_path / "keys", tmp_path / "a.replay"
    settings = ["--replay", mode, "--seal", seal]
    done = run_example(name, "--keys", keys, "--record", artifact, *settings)
    assert (done.code, done.out) == (0, printed_by(name))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    trust = trust_file(keys, elsewhere / "trust")
    moved = artifact.rename(elsewhere / "a.replay")
    for path in keys.iterdir():
        path.unlink()
    verdict = troth("verify", moved, "--trust", trust, "--json", cwd=elsewhere)
    assert verdict.code == 0, verdict.out + verdict.err
    report = json.loads(verdict.out)
    ran = {level["level"]: (level["ran"], level["ok"]) for level in report["levels"]}
    assert ran == dict.fromkeys((1, 2, 3, 4, 5), (True, True))


@pytest.mark.parametrize("name", example_names())
def test_checks_and_is_formatted(name: str) -> None:

    path = EXAMPLES / f"{name}.troth"
    assert troth("check", path).code == 0
    assert troth("fmt", "--check", path).code == 0
