"""Results as text: what is no result is refused, and what is one says the same afterwards."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_surgery import EXAMPLES, record_script
from troth.conformance import verify
from troth.conformance.batch import (
    WORST_FIRST,
    BatchOptions,
    Tally,
    judged,
    not_judged,
    read_result,
)
from troth.conformance.image_pin import ImagePin
from troth.conformance.protocols import Pins
from troth.conformance.replay_meter import Budget
from troth.vm.errors import Malformed
from troth.vm.keys import TrustFile


@pytest.fixture(scope="module")
def form(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    sample = record_script(EXAMPLES / "hello.troth", tmp_path_factory.mktemp("run"))
    data = bytearray(sample.data)
    data[-1] ^= 1
    verdict = verify(io.BytesIO(data))
    assert verdict.findings
    result = judged(verdict)
    again = read_result(result.text, "")
    assert again == result
    found: dict[str, Any] = json.loads(result.text)
    return found


def test_a_result_is_of_its_file(form: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read_result(json.dumps(form), "another")
    moved = read_result(json.dumps(form), "another", remembered=True)
    assert moved.file == json.loads(moved.text)["file"] == "another"


def test_a_file_that_was_not_judged_has_a_result() -> None:
    result = not_judged("x\udcff", "batch.crash", "It ended.")
    assert read_result(result.text, "x\udcff") == result
    assert result.text.isascii()


WRONGS: tuple[object, ...] = (None, 1, 0, True, -1, 1.5, "", "valid", [], [1], {}, {"a": 1}, "\0")


@pytest.mark.parametrize("name", ["exit_code", "status", "reason", "findings"])
def test_every_field_that_is_used_is_checked(form: dict[str, Any], name: str) -> None:
    for wrong in WRONGS:
        if wrong == form[name] or (type(wrong) is type(form[name]) and name == "reason"):
            continue
        if name == "findings" and wrong == []:
            continue
        with pytest.raises(Malformed):
            read_result(json.dumps({**form, name: wrong}), "")
    with pytest.raises(Malformed):
        read_result(json.dumps({key: value for key, value in form.items() if key != name}), "")


@pytest.mark.parametrize("name", ["code", "offset", "context", "said", "record", "message"])
def test_every_field_of_a_finding_is_checked(form: dict[str, Any], name: str) -> None:
    (finding,) = form["findings"]
    for wrong in WRONGS:
        same = type(wrong) is type(finding[name]) and wrong != [1] and name != "code"
        if same or (wrong is None and name == "record"):
            continue
        with pytest.raises(Malformed):
            read_result(json.dumps({**form, "findings": [{**finding, name: wrong}]}), "")


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_arbitrary_text_is_no_result(text: bytes | str) -> None:
    with pytest.raises(Malformed) as caught:
        read_result(text, "")
    assert caught.value.code == "batch.reply"


def test_deep_nesting_is_no_result() -> None:
    with pytest.raises(Malformed):
        read_result("[" * 100_000, "")


def test_the_worst_comes_first() -> None:
    tally = Tally()
    assert tally.exit_code == 0
    assert tally.rows() == []
    verdict = judged(verify(io.BytesIO(b"")))
    assert verdict.exit_code == 4
    tally.add(verdict)
    assert tally.exit_code == 4
    tally.add(not_judged("x", "batch.crash", "It ended."))
    assert tally.exit_code == 1
    assert [word for word, _, _ in tally.rows()] == ["not judged", "incomplete"]
    assert sorted(WORST_FIRST) == [0, 1, 2, 3, 4, 5]
    assert json.loads(tally.to_json())["summary"]["counts"] == {"not judged": 1, "incomplete": 1}


def test_whatever_changes_a_verdict_changes_the_digest_of_the_options() -> None:
    options = [
        BatchOptions(),
        BatchOptions(trust=TrustFile(())),
        BatchOptions(pins=Pins()),
        BatchOptions(pins=Pins(ids=[bytes(32)])),
        BatchOptions(image=ImagePin(bytes(32), None)),
        BatchOptions(budget=Budget()),
        BatchOptions(budget=Budget(work=7)),
    ]
    assert len({option.digest() for option in options}) == len(options)
    assert BatchOptions().digest() == BatchOptions().digest()
