"""Level 5 with pins, without the image, on files that stop early, and when nobody asks for it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Final, cast

import pytest

from artifact_surgery import EXAMPLES, find, join, parse, reseal, with_field
from replay_forgery import agreeing
from replay_samples import level_5, record_run
from troth.conformance import (
    Budget,
    ImagePin,
    Verdict,
    load_image_pin,
    load_pins,
    to_json,
    to_prose,
    verify,
)
from troth.dsl import compile_source
from troth.dsl.compile import ScriptErrors
from troth.vm.errors import Unusable
from troth.vm.image import Image
from troth.vm.image_codec import encode_image
from troth.vm.loader import load
from troth.vm.records import Kind
from verify_samples import sample, sealed_often

HELLO: Final = EXAMPLES / "hello.troth"


def _hello() -> Image:
    return compile_source(HELLO.read_text(encoding="utf-8"), "hello.troth")


def _verdict(data: bytes, **options: Any) -> Verdict:
    return verify(io.BytesIO(data), trust=sample("hello").trust, **options)


def test_nobody_has_to_ask_for_it() -> None:
    verdict = _verdict(sample("hello").data)
    assert (level_5(verdict).name, level_5(verdict).ran, level_5(verdict).ok) == (
        "replay",
        True,
        True,
    )
    assert "  5 replay       ok" in to_prose(verdict).splitlines()


def test_it_can_be_left_out() -> None:
    verdict = _verdict(sample("hello").data, replay=None)
    assert verdict.exit_code == 0
    assert verdict.reason == (
        "Levels 1 to 4 hold, and every acting principal is trusted; "
        "level 5 did not run: it was not asked for."
    )
    assert not level_5(verdict).ran
    assert "  5 replay       not run: it was not asked for" in to_prose(verdict).splitlines()


# --- the image -----------------------------------------------------------------------------


def test_without_the_image_it_cannot_run_and_says_so() -> None:
    recorded = record_run(_hello(), with_image=False)
    pins = load_pins([str(HELLO)])
    verdict = _verdict(recorded.data, protocols=pins)
    assert verdict.exit_code == 0
    why = "the file does not hold the image; give it with --image"
    assert (level_5(verdict).ran, level_5(verdict).why) == (False, why)
    assert verdict.reason.endswith(f"; level 5 did not run: {why}.")
    assert not verdict.image_in_file


def test_a_pinned_image_takes_its_place() -> None:
    """And brings the protocols for level 4."""
    recorded = record_run(_hello(), with_image=False)
    verdict = _verdict(recorded.data, image=load_image_pin(str(HELLO)))
    assert [level.ok for level in verdict.levels] == [True] * 5
    assert (verdict.image_in_file, verdict.image_pinned) == (False, True)
    image = load(_hello()).id.hex()
    assert f"image {image} (not in the file, pinned by you)" in to_prose(verdict).splitlines()
    assert json.loads(to_json(verdict))["image_pinned"] is True


def test_an_id_alone_pins_what_the_file_brings() -> None:
    image_id = load(_hello()).id.hex()
    verdict = _verdict(sample("hello").data, image=load_image_pin(image_id))
    assert verdict.exit_code == 0
    assert level_5(verdict).ok
    without = record_run(_hello(), with_image=False)
    verdict = _verdict(without.data, image=load_image_pin(image_id))
    assert not level_5(verdict).ran


def test_another_image_is_refused() -> None:
    other = EXAMPLES / "drain.troth"
    verdict = _verdict(sample("hello").data, image=load_image_pin(str(other)))
    assert verdict.exit_code == 2
    (finding,) = verdict.findings
    assert (finding.code, finding.record) == ("replay.pinned", 0)
    assert finding.actual == load(_hello()).id.hex()
    assert level_5(verdict).why.startswith("replay.pinned at byte ")


def test_a_laxer_image_does_not_pass_for_the_pinned_one() -> None:
    """The parties record another program under its own id, or under the id that is expected."""
    lax = compile_source(HELLO.read_text().replace('"world"', '"moon"'), "hello.troth")
    forged = record_run(lax)
    pin = load_image_pin(str(HELLO))
    assert [f.code for f in _verdict(forged.data, image=pin).findings] == ["replay.pinned"]
    records = parse(forged.data)
    records[0] = with_field(records[0], 2, pin.id)
    data = agreeing(records, forged)
    assert [f.code for f in _verdict(data, image=pin).findings] == ["structure.image"]
    del records[find(records, Kind.IMAGE)]
    (finding,) = _verdict(agreeing(records, forged), image=pin).findings
    assert (finding.code, finding.record) == ("replay.divergence", find(records, Kind.SEND))
    assert "world" in str(finding.expected)


def test_a_pinned_image_is_loaded_under_the_limits_of_the_run() -> None:
    recorded = record_run(_hello(), with_image=False)
    records = parse(recorded.data)
    limits = list(records[0][6])
    limits[2] = 1
    records[0] = with_field(records[0], 6, tuple(limits))
    verdict = _verdict(agreeing(records, recorded), image=load_image_pin(str(HELLO)))
    assert [finding.code for finding in verdict.findings] == ["structure.image"]


def test_an_entry_that_the_pinned_image_does_not_have() -> None:
    recorded = record_run(_hello(), with_image=False)
    records = parse(recorded.data)
    records[0] = with_field(records[0], 10, 99)
    records[find(records, Kind.SPAWN)] = with_field(records[find(records, Kind.SPAWN)], 2, 99)
    verdict = _verdict(agreeing(records, recorded), image=load_image_pin(str(HELLO)))
    assert [finding.code for finding in verdict.findings] == ["structure.reference"]
    records.insert(1, records.pop(find(records, Kind.PRINCIPAL)))
    verdict = _verdict(agreeing(records, recorded), image=load_image_pin(str(HELLO)))
    assert verdict.exit_code == 2
    assert not level_5(verdict).ran


def test_what_can_be_pinned(tmp_path: Path) -> None:
    image = _hello()
    pin = ImagePin(load(image).id, image)
    assert load_image_pin(str(HELLO)).id == pin.id
    compiled = tmp_path / "hello.image"
    compiled.write_bytes(encode_image(image))
    assert load_image_pin(str(compiled)).id == pin.id
    artifact = tmp_path / "hello.replay"
    artifact.write_bytes(sample("hello").data)
    assert load_image_pin(str(artifact)).id == pin.id
    assert load_image_pin(pin.id.hex()) == ImagePin(pin.id, None)
    with pytest.raises(Unusable, match=r"verify\.image"):
        load_image_pin(str(tmp_path / "nothing.troth"))
    broken = tmp_path / "broken.troth"
    broken.write_text("main:\n    send\n")
    with pytest.raises(ScriptErrors):
        load_image_pin(str(broken))


# --- files that stop early -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["hello", "delegation"])
def test_a_cut_file_is_followed_as_far_as_it_goes(name: str) -> None:
    recorded = sealed_often(name, 3)
    records = parse(recorded.data)
    for count in range(len(records)):
        verdict = verify(io.BytesIO(join(records[:count])), trust=recorded.trust)
        assert verdict.exit_code == 4
        assert all(finding.code.startswith("incomplete.") for finding in verdict.findings)
        if count > 2:
            assert (level_5(verdict).ran, level_5(verdict).ok) == (True, True)
        if count <= find(records, Kind.END):
            assert level_5(verdict).why == "as far as the file goes"


def test_what_is_made_up_after_the_last_seal_of_a_cut_file() -> None:
    """Nobody has signed that print, so only running the program again can tell."""
    recorded = sample("hello")
    records = parse(recorded.data)[: find(parse(recorded.data), Kind.END)]
    place = find(records, Kind.PRINT)
    records[place] = with_field(records[place], 2, "goodbye")
    verdict = _verdict(join(records))
    assert verdict.exit_code == 2
    assert [finding.code for finding in verdict.findings] == ["replay.divergence", "incomplete.end"]
    assert verdict.findings[0].record == place


# --- together with the other levels ----------------------------------------------------------


def test_what_an_earlier_level_finds_comes_first() -> None:
    """A print that somebody changed: level 2 misses the root, level 5 names the record."""
    records = parse(sample("hello").data)
    place = find(records, Kind.PRINT)
    records[place] = with_field(records[place], 2, "goodbye")
    verdict = _verdict(join(records))
    assert [finding.code for finding in verdict.findings] == [
        "integrity.root",
        "replay.divergence",
    ]
    assert verdict.findings[1].record == place


def test_it_stops_where_an_earlier_level_finds_something() -> None:
    recorded = sample("hello")
    records = parse(recorded.data)
    place = find(records, Kind.RECEIVE)
    records[place] = with_field(records[place], 6, bytes(32))
    verdict = _verdict(reseal(records, list(recorded.keys.values())))
    assert [finding.level for finding in verdict.findings] == [3]
    assert (level_5(verdict).ran, level_5(verdict).ok) == (True, False)
    assert level_5(verdict).why == f"not beyond record {place}, where level 3 fails"


class _Failing(io.BytesIO):
    """A disk that stops answering in the middle of a file."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 600:
            raise OSError(5, "Input/output error")
        return super().read(min(size or 0, 64))


def test_a_file_that_cannot_be_read_is_not_the_programs_fault() -> None:
    with pytest.raises(Unusable, match=r"artifact\.io"):
        verify(cast(io.BytesIO, _Failing(sample("hello").data)))


def test_the_budget_can_be_chosen() -> None:
    verdict = _verdict(sample("hello").data, replay=Budget(work=1, work_per_record=0))
    assert [finding.code for finding in verdict.findings] == ["replay.budget"]
    assert verdict.exit_code == 2
    assert (
        _verdict(sample("hello").data, replay=Budget(work=1000, work_per_record=0)).exit_code == 0
    )
