"""The second verifier: it stands alone, accepts what runs leave behind, and refuses the rest."""

from __future__ import annotations

import ast
from pathlib import Path
from random import Random

import pytest

import second_verifier
from artifact_surgery import (
    collude,
    find,
    flipped,
    join,
    parse,
    record_script,
    with_field,
)
from mutation_corpus import CORPUS, artifact
from second_verifier.second_shapes import KINDS
from troth.vm.instructions import Seal
from troth.vm.records import Kind
from verify_samples import DROPS, LATEST, ROTATES

PACKAGE = Path(second_verifier.__file__).parent


def _imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module.partition(".")[0])
    return found


def test_it_uses_nothing_of_the_project() -> None:
    paths = sorted(PACKAGE.glob("*.py"))
    assert len(paths) > 5
    imported = set().union(*(_imported(path) for path in paths))
    assert "troth" not in imported
    allowed = {"second_verifier", "msgpack", "blake3", "nacl"}
    standard = {"__future__", "collections", "dataclasses", "hashlib", "math", "typing"}
    assert imported <= allowed | standard


def test_it_knows_every_kind_of_record() -> None:
    assert {number: kind.name for number, kind in KINDS.items()} == {
        int(kind): kind.name for kind in Kind
    }


@pytest.mark.parametrize("seal", [None, Seal.ROUND])
@pytest.mark.parametrize("script", [LATEST, DROPS, ROTATES], ids=["latest", "drops", "rotates"])
def test_it_accepts_lost_messages_and_generations(
    script: str, seal: Seal | None, tmp_path: Path
) -> None:
    source = tmp_path / "script.troth"
    source.write_text(script)
    sample = record_script(source, tmp_path, seal=seal)
    trust = {role: pair.public_key for role, pair in sample.keys.items()}
    assert second_verifier.judge(sample.data, trust) == ("valid", None, "everything holds")
    kinds = {record[0] for record in parse(sample.data)}
    assert kinds & {Kind.OVERWRITE, Kind.DROP, Kind.ROTATE}


@pytest.mark.slow
@pytest.mark.parametrize("name", CORPUS)
def test_it_accepts_what_a_run_leaves_behind(name: str) -> None:
    sample = artifact(name)
    trust = {role: pair.public_key for role, pair in sample.keys.items()}
    assert second_verifier.judge(sample.data, trust) == ("valid", None, "everything holds")


@pytest.mark.slow
@pytest.mark.parametrize("name", CORPUS)
def test_what_was_cut_off_is_incomplete(name: str) -> None:
    data = artifact(name).data
    for length in Random(name).sample(range(len(data)), 25):
        judged = second_verifier.judge(data[:length])
        assert judged.word == "incomplete", (length, judged)


def test_it_names_the_record_that_is_wrong() -> None:
    sample = artifact("delegation-sequence-message")
    records = parse(sample.data)
    place = find(records, Kind.RECEIVE, 1)
    changed = list(records)
    changed[place] = with_field(records[place], 6, flipped(records[place][6]))
    judged = second_verifier.judge(join(changed))
    assert judged == ("invalid", place, "not the consumption root")


def test_what_everybody_signed_must_still_make_sense() -> None:
    sample = artifact("delegation-sequence-message")
    records = parse(sample.data)
    place = find(records, Kind.NOTICE)
    changed = list(records)
    changed[place] = with_field(records[place], 3, ((1, 0, 2),))
    judged = second_verifier.judge(collude(changed, sample))
    assert judged == ("invalid", place, "does not count what was sent")


def test_another_key_for_a_trusted_name_is_invalid() -> None:
    sample = artifact("hello-sequence-message")
    judged = second_verifier.judge(sample.data, {"Client": bytes(32)})
    assert (judged.word, judged.reason) == ("invalid", "the trust file has another key")
