"""Who signed it, and is it the protocol I meant: each answer its own verdict and exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2e.command_line import EXAMPLES, run_example, troth, trust_file


@pytest.fixture(name="recorded")
def _recorded(tmp_path: Path) -> tuple[Path, Path]:
    keys, artifact = tmp_path / "keys", tmp_path / "hello.replay"
    assert run_example("hello", "--keys", keys, "--record", artifact).code == 0
    return artifact, trust_file(keys, tmp_path / "trust")


def _status(*arguments: str | Path) -> tuple[int, str]:
    done = troth("verify", *arguments, "--json")
    report = json.loads(done.out)
    assert report["exit_code"] == done.code
    return done.code, report["status"]


def test_all_trusted_is_valid(recorded: tuple[Path, Path]) -> None:
    artifact, trust = recorded
    assert _status(artifact, "--trust", trust) == (0, "valid")


def test_without_a_trust_file_it_is_only_consistent_with_itself(
    recorded: tuple[Path, Path],
) -> None:
    assert _status(recorded[0]) == (5, "self-consistent")


def test_a_missing_key_is_only_consistent_with_itself(
    recorded: tuple[Path, Path], tmp_path: Path
) -> None:
    artifact, trust = recorded
    some = tmp_path / "some"
    some.write_text(
        "".join(line for line in trust.read_text().splitlines(True) if "Client+" in line)
    )
    assert _status(artifact, "--trust", some) == (5, "self-consistent")


def test_another_key_under_a_trusted_name_is_forged(
    recorded: tuple[Path, Path], tmp_path: Path
) -> None:
    artifact, trust = recorded
    assert troth("keygen", "Server", "--out", tmp_path / "others").code == 0
    wrong = tmp_path / "wrong"
    wrong.write_text(
        "".join(line for line in trust.read_text().splitlines(True) if "Client+" in line)
        + (tmp_path / "others" / "Server.pub").read_text()
    )
    assert _status(artifact, "--trust", wrong) == (2, "invalid")


def test_a_valid_artifact_of_somebody_else_is_refused(
    recorded: tuple[Path, Path], tmp_path: Path
) -> None:
    _, trust = recorded
    other = tmp_path / "other.replay"
    done = run_example("hello", "--keys", tmp_path / "other-keys", "--record", other)
    assert done.code == 0
    assert _status(other, "--trust", trust) == (2, "invalid")


def test_the_protocol_can_be_pinned(recorded: tuple[Path, Path]) -> None:
    artifact, trust = recorded
    right, wrong = EXAMPLES / "hello.troth", EXAMPLES / "drain.troth"
    assert _status(artifact, "--trust", trust, "--protocol", right) == (0, "valid")
    assert _status(artifact, "--trust", trust, "--protocol", wrong) == (2, "invalid")


def test_no_such_file_is_a_usage_error(tmp_path: Path) -> None:
    done = troth("verify", tmp_path / "none.replay")
    assert done.code == 1
    assert "none.replay" in done.err
