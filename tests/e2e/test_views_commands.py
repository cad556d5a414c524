"""Several parties' records, as users of the commands meet them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from artifact_surgery import key_pair
from e2e.command_line import Finished, troth
from troth.vm.instructions import Seal
from view_lies import talk


@pytest.fixture(name="folder", params=[None, Seal.ROUND], ids=["message", "round"])
def _folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    seal = request.param
    records = {
        "a.replay": talk(seal=seal)[0].data,
        "b.replay": talk(seal=seal)[1].data,
        "lie.replay": talk(word=8, seal=seal)[0].data,
    }
    for name, data in records.items():
        (tmp_path / name).write_bytes(data)
    keys = "".join(key_pair(name).public_text + "\n" for name in "AB")
    (tmp_path / "trust").write_text(keys)
    return tmp_path


def verify(folder: Path, *arguments: str) -> Finished:
    return troth("verify", *arguments, "--trust", "trust", cwd=folder)


def test_records_that_agree(folder: Path) -> None:
    done = verify(folder, "a.replay", "b.replay")
    assert done.code == 0
    assert done.out.startswith("2 records: valid (exit 0)\n")
    assert "A -> B: 4 sent, 4 arrived, 4 the same in both" in done.out
    form = json.loads(verify(folder, "b.replay", "a.replay", "--json").out)
    assert (form["exit_code"], form["messages_same"]) == (0, 7)
    assert form["files"] == ["b.replay", "a.replay"]
    assert [view["exit_code"] for view in form["views"]] == [0, 0]


def test_without_trust_it_is_self_consistent_only(folder: Path) -> None:
    done = troth("verify", "a.replay", "b.replay", cwd=folder)
    assert done.code == 5


def test_a_lie_is_proved_to_others(folder: Path) -> None:
    done = verify(folder, "lie.replay", "b.replay", "--proof-out", "lie.proof")
    assert done.code == 2
    assert "merge.equivocation.message (equivocated)" in done.out
    assert "lie.proof" in (folder / "lie.proof").name
    made = troth(
        "prove", "--equivocation", "lie.replay", "b.replay", "-o", "same.proof", cwd=folder
    )
    assert made.code == 0
    assert (folder / "same.proof").read_bytes() == (folder / "lie.proof").read_bytes()
    checked = troth("check-proof", "lie.proof", "--trust", "trust", cwd=folder)
    assert checked.code == 0
    assert "The signer for A signed both" in checked.out
    assert troth("check-proof", "lie.proof", cwd=folder).code == 5
    form = json.loads(
        troth("check-proof", "lie.proof", "--trust", "trust", "--json", cwd=folder).out
    )
    assert form["equivocation"]["role"] == "A"


def test_no_proof_of_what_did_not_happen(folder: Path) -> None:
    done = verify(folder, "a.replay", "b.replay", "--proof-out", "lie.proof")
    assert done.code == 0
    assert not (folder / "lie.proof").exists()
    made = troth("prove", "--equivocation", "a.replay", "b.replay", "-o", "lie.proof", cwd=folder)
    assert (made.code, made.out) == (1, "")
    assert "[prove.equivocation]" in made.err
    assert not (folder / "lie.proof").exists()


def test_a_proof_replaces_no_record_and_no_key(folder: Path) -> None:
    before = (folder / "b.replay").read_bytes()
    for target in ("b.replay", "lie.replay"):
        done = verify(folder, "lie.replay", "b.replay", "--proof-out", target)
        assert (done.code, done.out) == (1, "")
    assert (folder / "b.replay").read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("a.replay", "--proof-out", "x"),
        ("--batch", "a.replay", "b.replay", "--proof-out", "x"),
    ],
)
def test_a_proof_of_one_file_or_a_batch_makes_no_sense(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    done = verify(folder, *arguments)
    assert (done.code, done.out) == (1, "")
    assert "[verify.arguments]" in done.err


def test_a_file_that_is_not_there(folder: Path) -> None:
    done = verify(folder, "a.replay", "gone.replay", "--junit", "out.xml")
    assert (done.code, done.out) == (1, "")
    assert "[artifact.io]" in done.err
    assert 'errors="1"' in (folder / "out.xml").read_text()


def test_reports_for_continuous_integration(folder: Path) -> None:
    done = verify(folder, "lie.replay", "b.replay", "--junit", "out.xml", "--sarif", "out.sarif")
    assert done.code == 2
    (suite,) = ET.parse(folder / "out.xml").getroot()
    assert [len(case) for case in suite] == [0, 0, 1], "each file passes, together they do not"
    form = json.loads((folder / "out.sarif").read_text())
    (result,) = form["runs"][0]["results"]
    assert result["level"] == "error"
    assert "two different messages" in result["message"]["text"]


def test_each_by_itself(folder: Path) -> None:
    done = verify(folder, "--batch", "lie.replay", "b.replay")
    assert done.code == 0


def test_one_page_of_both(folder: Path) -> None:
    done = troth("report", "lie.replay", "b.replay", "--trust", "trust", "-o", "p.html", cwd=folder)
    assert (done.code, done.out) == (0, "p.html: lie.replay, b.replay are invalid\n")
    text = (folder / "p.html").read_text(encoding="utf-8")
    assert "2 records together: invalid" in text
    assert "troth/equivocation-proof@v1" in text
    assert text.count('aria-label="Verdict"') == 2
    kept = troth("report", "a.replay", "b.replay", "-o", "b.replay", cwd=folder)
    assert kept.code == 1
