"""Artifacts that are kept: read and judged as they were when they were made."""

from __future__ import annotations

import pytest

import second_verifier
from artifact_surgery import parse
from golden_artifacts import (
    GOLDEN,
    KEPT,
    judged,
    kept,
    kept_trust,
    kept_verdicts,
    versions,
    written,
)
from troth.conformance.codes import EXIT_UNSUPPORTED
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.records import FORMAT_VERSION

ALL = [(version, name) for version in versions() for name in kept(version)]
ADVICE = (
    "the format has changed: while its version is not released, run `python -m golden_artifacts` "
    "in tests and look at the difference; once it is, it needs a new version"
)
WORDS = {0: "valid", 2: "invalid", 4: "incomplete"}


def test_the_versions_are_all_there() -> None:
    assert versions() == list(range(1, FORMAT_VERSION + 1))


@pytest.mark.parametrize(("version", "name"), ALL)
def test_the_verdict_is_the_one_on_record(version: int, name: str) -> None:
    wanted = kept_verdicts(version)
    assert wanted.keys() == kept(version).keys()
    assert judged(kept(version)[name], kept_trust(version)) == wanted[name]


@pytest.mark.parametrize("name", sorted(kept(FORMAT_VERSION)))
def test_the_second_verifier_says_the_same(name: str) -> None:
    code = kept_verdicts(FORMAT_VERSION)[name].exit_code
    trust = {key.name: key.public_key for key in kept_trust(FORMAT_VERSION).keys}
    # To the second verifier another version is one more contradiction.
    wanted = "invalid" if code == EXIT_UNSUPPORTED else WORDS[code]
    assert second_verifier.judge(kept(FORMAT_VERSION)[name], trust).word == wanted


def test_what_is_written_is_what_is_kept() -> None:
    made, stored = written(), kept(FORMAT_VERSION)
    assert made.keys() == stored.keys()
    differ = [name for name in made if made[name] != stored[name]]
    assert differ == [], ADVICE


def test_they_are_of_every_sort() -> None:
    verdicts = kept_verdicts(FORMAT_VERSION)
    assert {verdicts[name].exit_code for name in KEPT} == {0}
    assert {one.exit_code for one in verdicts.values()} == {0, 2, 3, 4}
    for word in (*ReplayMode, *Seal):
        assert sum(f"-{word}" in name for name in KEPT) >= 2
    kinds = {record[0] for name in KEPT for record in parse(kept(FORMAT_VERSION)[name])}
    assert len(kinds) >= 40


def test_they_are_small() -> None:
    sizes = [file.stat().st_size for file in GOLDEN.rglob("*.replay")]
    assert max(sizes) < 16_000
    assert sum(sizes) < 400_000
