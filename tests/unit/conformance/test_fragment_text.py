"""The text of a fragment says all of it, and the first difference is where two depart."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifact_surgery import EXAMPLES, record_image, record_script
from troth.conformance.fragment_text import HEAD, Difference, first_difference, fragment_text
from troth.conformance.shell_canon import build_fragment
from troth.dsl import compile_source
from troth.vm.fragment import pack_item
from verify_samples import CANCELLED, FAULTED


def _fragment(data: bytes, folder: Path) -> bytes:
    path = folder / "artifact.replay"
    path.write_bytes(data)
    return build_fragment(path, keep=True).encode()


@pytest.mark.parametrize("name", ["hello", "delegation", "drain", "nested_recursion"])
def test_runs_have_a_text_that_says_what_was_done(name: str, tmp_path: Path) -> None:
    sample = record_script(EXAMPLES / f"{name}.troth", tmp_path)
    text = fragment_text(_fragment(sample.data, tmp_path))
    assert text.startswith(f"{HEAD}\nsession ")
    assert text.count("\n  status closed") == text.count("\nsession ")
    assert " send " in text
    assert " receive " in text
    again = record_script(EXAMPLES / f"{name}.troth", tmp_path)
    assert fragment_text(_fragment(again.data, tmp_path)) == text
    other = record_script(EXAMPLES / f"{name}.troth", tmp_path, seed=2)
    assert fragment_text(_fragment(other.data, tmp_path)) != text


@pytest.mark.parametrize("script", [CANCELLED, FAULTED])
def test_other_ways_to_end(script: str, tmp_path: Path) -> None:
    data = record_image(compile_source(script, "x.troth"), tmp_path, ok=False).data
    text = fragment_text(_fragment(data, tmp_path))
    assert "status cancelled" in text or "status faulted" in text
    assert "detail" in text


def test_hostile_names_stay_in_their_lines() -> None:
    hostile = 'a"\n  role Bob\x1b[31m\u202e'
    edge = (hostile, "B", "sequence", "bounded", 1, "block", 1, "inline")
    session = (
        bytes(32), bytes(32), hostile, (hostile, "B"), (bytes(32), bytes(32)), (edge,), "message",
        0, bytes(16), ((hostile, (("cancel", hostile),)), ("B", ())), (), 4, 0, hostile, hostile,
        ((hostile, "B", 0, 1),), ((hostile, "B", 0, 2),), ((hostile, "B", "code", bytes(32)),),
    )  # fmt: skip
    text = fragment_text(pack_item((1, (session,))))
    assert all(line.isprintable() for line in text.splitlines())
    assert sum(line.strip().startswith("role ") for line in text.splitlines()) == 2
    shown = '"a\\u{22}\\u{a}  role Bob\\u{1b}[31m\\u{202e}"'
    assert f"  role {shown}\n    0 cancel {shown}\n" in text


def test_the_first_difference_is_found_with_its_place() -> None:
    known = f"{HEAD}\nsession 1\n  role A\n    0 send\n    1 send\n  role B\n    0 receive\n"
    assert first_difference(known, known) is None
    changed = known.replace("1 send", "1 receive")
    assert first_difference(known, changed) == Difference(
        5, "session 1, role A", "1 send", "1 receive"
    )
    shorter = known.removesuffix("    0 receive\n")
    assert first_difference(known, shorter) == Difference(7, "session 1, role B", "0 receive", "")
    assert first_difference(shorter, known) == Difference(7, "session 1, role B", "", "0 receive")
    assert first_difference("", known) == Difference(1, "", "", HEAD)
