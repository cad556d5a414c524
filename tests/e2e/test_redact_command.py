"""`troth redact` as its users run it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2e.command_line import run_example, troth, trust_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keys = tmp_path / "keys"
    assert run_example("two_buyer", "--keys", keys, "--record", tmp_path / "run.replay").code == 0
    trust_file(keys, tmp_path / "trust")
    return tmp_path


def test_the_content_goes_and_the_verdict_stays(folder: Path) -> None:
    done = troth("redact", "run.replay", "-o", "out.replay", "--all", cwd=folder)
    assert done.code == 0
    assert "without payload, 0 with" in done.out
    assert "the image, with every literal of the script: 1" in done.out
    assert troth("verify", "out.replay", "--trust", "trust", cwd=folder).code == 0
    assert troth("redact", "run.replay", "--check", "out.replay", cwd=folder).out == done.out
    digests = {troth("canon", name, cwd=folder).out for name in ("run.replay", "out.replay")}
    assert len(digests) == 1


def test_what_was_chosen_is_said_in_json(folder: Path) -> None:
    arguments = ("--edge", "Seller -> Alice", "--label", "quote", "--session", "0", "--json")
    done = troth("redact", "run.replay", "-o", "out.replay", *arguments, cwd=folder)
    facts = json.loads(done.out)
    (part,) = facts["redacted"]
    assert (part["edge"], part["label"], part["messages"]) == ("Seller->Alice", "quote", 1)
    assert facts["in_clear"]["results_of_effects"] == 1


def test_what_is_no_redaction_is_refused(folder: Path) -> None:
    troth("redact", "run.replay", "-o", "out.replay", "--all", cwd=folder)
    done = troth("redact", "out.replay", "--check", "run.replay", cwd=folder)
    assert done.code == 2
    assert "redact.differs" in done.err
    assert troth("redact", "run.replay", "--check", "trust", cwd=folder).code == 2


def test_what_it_cannot_do_is_said_and_leaves_nothing(folder: Path) -> None:
    before = sorted(path.name for path in folder.iterdir())
    for arguments, code in (
        (("run.replay", "-o", "new", "--edge", "A->B"), "redact.nothing"),
        (("run.replay", "-o", "new"), "redact.arguments"),
        (("run.replay", "--all"), "redact.arguments"),
        (("run.replay", "-o", "new", "--all", "--label", "quote"), "redact.arguments"),
        (("run.replay", "-o", "new", "--all", "--check", "run.replay"), "redact.arguments"),
        (("run.replay", "-o", "run.replay", "--all"), "output.source"),
        (("trust", "-o", "new", "--all"), "artifact.magic"),
        (("run.replay", "-o", "missing/new", "--all"), "proof.io"),
        (("missing", "-o", "new", "--all"), "artifact.io"),
    ):
        done = troth("redact", *arguments, cwd=folder)
        assert (done.code, f"[{code}]" in done.err) == (1, True), done.err
    assert sorted(path.name for path in folder.iterdir()) == before
