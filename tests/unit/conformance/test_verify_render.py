"""The verdict in prose and JSON: complete, and safe to show whatever the artifact says."""

from __future__ import annotations

import io
import json
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_surgery import find, join, parse, reseal, sign_all, with_field
from troth.conformance import Verdict, to_json, to_prose, verify
from troth.conformance.inspection import Inspection, to_text
from troth.vm.escape import escape
from troth.vm.records import Kind
from verify_samples import sample

HOSTILE: Final = "evil\x1b[2J\x1b]0;owned\x07\r\n\u202etxt.exe\u200b\x00\x9b31m\ufeff"


def _broken() -> Verdict:
    records = parse(sample("hello").data)
    index = find(records, Kind.SEND)
    records[index] = with_field(records[index], 5, 1)
    pairs = list(sample("hello").keys.values())
    data = reseal(sign_all(records, pairs), pairs)
    return verify(io.BytesIO(data), trust=sample("hello").trust)


def _poisoned(value: Any) -> Any:
    """The same with every text replaced by a hostile one; codes stay, they are not the file's."""
    if is_dataclass(value) and not isinstance(value, type):
        changed = {
            field.name: _poisoned(getattr(value, field.name))
            for field in fields(value)
            if field.name not in ("code", "docs")
        }
        return replace(value, **changed)
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, tuple):
        return tuple(_poisoned(item) for item in value)
    return value


def _is_safe(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


def test_hostile_text_never_reaches_the_terminal() -> None:
    poisoned = _poisoned(_broken())
    prose = to_prose(poisoned)
    assert _is_safe(prose)
    assert "\\u{1b}[2J" in prose
    line = to_json(poisoned)
    assert line.isascii()
    assert line.isprintable()


def test_hostile_names_in_a_real_artifact() -> None:
    records = parse(sample("hello").data)
    index = find(records, Kind.PRINCIPAL)
    records[index] = with_field(records[index], 1, HOSTILE)
    records[find(records, Kind.PRINT)] = (Kind.PRINT, 1, HOSTILE)
    pairs = list(sample("hello").keys.values())
    data = reseal(records, pairs)
    verdict = verify(io.BytesIO(data), trust=sample("hello").trust, replay=None)
    assert verdict.exit_code == 0, "a name is only a name: the key is trusted as Client"
    assert _is_safe(to_prose(verdict))
    lines: list[str] = []
    inspection = Inspection(io.BytesIO(data), lines.append)
    assert _is_safe(to_text(inspection, HOSTILE))
    assert all(line.isprintable() for line in lines)
    assert any("owned" in line for line in lines)


@given(st.text())
def test_escaped_text_is_printable_and_tells_texts_apart(text: str) -> None:
    shown = escape(text, characters_max=len(text) + 1)
    assert shown == "" or shown.isprintable()
    assert _unescape(shown) == text


def _unescape(shown: str) -> str:
    out, rest = "", shown
    while rest:
        if rest.startswith("\\\\"):
            out, rest = out + "\\", rest[2:]
        elif rest.startswith("\\u{"):
            code, _, rest = rest[3:].partition("}")
            out += chr(int(code, 16))
        else:
            out, rest = out + rest[0], rest[1:]
    return out


def test_long_text_is_cut() -> None:
    assert escape("a" * 500, characters_max=10) == "aaaaaaaaaa… (+490 characters)"


def test_json_carries_what_the_prose_says() -> None:
    verdict = _broken()
    report = json.loads(to_json(verdict))
    assert report["status"] == "invalid"
    assert report["exit_code"] == 2
    (first, *_) = report["findings"]
    assert first["code"] == "protocol.label"
    assert first["category"] == "type violation"
    assert first["position"].endswith("> reply: not possible here")
    assert {"advice", "docs", "level", "context", "expected_side", "actual_side"} <= set(first)
    assert [level["level"] for level in report["levels"]] == [1, 2, 3, 4, 5]
    assert report["counts"]["records"] == verdict.counts.records
    assert {field.name for field in fields(Verdict)} <= set(report)


def test_prose_names_the_essentials() -> None:
    verdict = _broken()
    prose = to_prose(verdict)
    first = verdict.findings[0]
    for text in (
        "invalid (exit 2)",
        "first finding: protocol.label (type violation, level 4)",
        f"byte {first.offset}, record {first.record}",
        "role Client",
        "edge Client -> Server",
        "[local type]",
        "[recorded]",
        "> reply: not possible here",
        first.docs,
        "One process hosted all of these principals",
        "by the file's own protocol Hello id",
    ):
        assert text in prose


@pytest.mark.parametrize("name", ["hello", "cancelled", "faulted", "hidden", "nobody"])
def test_inspection_shows_every_kind_of_run(name: str) -> None:
    lines: list[str] = []
    data = sample(name).data
    inspection = Inspection(io.BytesIO(data), lines.append)
    text = to_text(inspection, "x.replay")
    assert inspection.broken is None
    assert len(lines) == len(parse(data))
    assert f"x.replay: {len(data)} bytes, {len(lines)} records" in text


def test_inspection_of_what_is_broken() -> None:
    data = sample("hello").data
    cut = Inspection(io.BytesIO(data[:-5]))
    assert cut.broken is not None
    assert "stops at byte" in cut.broken
    garbage = Inspection(io.BytesIO(b"garbage!" * 9))
    assert garbage.broken is not None
    records = parse(data)
    del records[find(records, Kind.SPAWN)]
    moved = Inspection(io.BytesIO(join(records)))
    assert moved.broken is not None
    assert "stopped early" in to_text(moved, "x")


def test_a_broken_seal_is_said_with_the_record_that_the_program_does_not_write() -> None:
    records = parse(sample("hello").data)
    place = find(records, Kind.PRINT)
    records[place] = with_field(records[place], 2, "made up")
    verdict = verify(io.BytesIO(join(records)), trust=sample("hello").trust)
    assert verdict.findings[0].code == "integrity.root"
    assert verdict.reason.endswith(
        f"is not what was sealed. Record {place} is not what running the image again gives."
    )
    alone = verify(io.BytesIO(join(records)), trust=sample("hello").trust, replay=None)
    assert alone.reason.endswith("is not what was sealed.")


@pytest.mark.parametrize("taken", [True, False])
def test_a_turn_that_waits_for_a_message_that_is_there_says_so(taken: bool) -> None:
    """So a RECEIVE that was left out looks otherwise than a message that was."""
    records = parse(sample("hello").data)
    gone = [find(records, Kind.RECEIVE)]
    if not taken:
        gone.append(find(records, Kind.SEND))
    for place in sorted(gone, reverse=True):
        del records[place]
    pairs = list(sample("hello").keys.values())
    verdict = verify(io.BytesIO(reseal(records, pairs)), trust=sample("hello").trust)
    turn = next(one for one in verdict.findings if one.code == "protocol.turn")
    expected = "Hello.Server, state 0: receive from Client"
    if taken:
        expected += "; greet #0 was sent and waits to be received"
    assert turn.expected == expected
