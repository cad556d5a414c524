"""The literal table of a session's life, and the closed taxonomy of faults."""

from __future__ import annotations

import re

import pytest

from troth.vm.errors import Invalid, LimitExceeded, Unusable
from troth.vm.events import Status
from troth.vm.faults import FAULT_CODES, MESSAGE_CHARACTERS_MAX, fault, summary, trap
from troth.vm.lifecycle import LIVE, TRANSITIONS, LifeEvent, mermaid, next_status

LEGAL = {
    ("ACTIVE", "NOTICE", "DRAINING"),
    ("ACTIVE", "CANCEL", "CANCELLED"),
    ("ACTIVE", "FAULT", "FAULTED"),
    ("ACTIVE", "END_ASKED", "DRAINING"),
    ("DRAINING", "NOTICE", "DRAINING"),
    ("DRAINING", "LAST_NOTICE", "DRAINING"),
    ("DRAINING", "END_ASKED", "DRAINING"),
    ("DRAINING", "LATCH_ZERO", "CLOSED"),
    ("DRAINING", "LINGER_EXPIRED", "CLOSED"),
    ("DRAINING", "CANCEL", "CANCELLED"),
    ("DRAINING", "FAULT", "FAULTED"),
}

CODES = (
    "acquire arithmetic buffer channel close crash credits elsewhere fail index invoke key label "
    "limit open pc register replay.duplicate replay.generation replay.sequence speculation timer "
    "transfer type verification"
)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("event", LifeEvent)
def test_only_the_listed_transitions_are_legal(status: Status, event: LifeEvent) -> None:
    expected = {
        target for source, name, target in LEGAL if (source, name) == (status.name, event.name)
    }
    transition = next_status(status, event)
    found = {transition[0].name} if transition is not None else set()
    assert found == expected


def test_final_statuses_have_no_way_out() -> None:
    for status, _ in TRANSITIONS:
        assert status in LIVE


def test_every_status_can_be_reached() -> None:
    reached = {Status.ACTIVE} | {target for target, _ in TRANSITIONS.values()}
    assert reached == set(Status)


def test_the_diagram_has_one_arrow_for_each_transition() -> None:
    diagram = mermaid()
    assert diagram.startswith("stateDiagram-v2\n    [*] --> active\n")
    assert len(re.findall(r"^    [a-z]+ --> [a-z]+: ", diagram, re.M)) == len(TRANSITIONS)
    assert "    draining --> closed: latch zero / " in diagram
    assert diagram.count("--> [*]") == len(Status) - len(LIVE)


def test_the_fault_codes_are_frozen() -> None:
    assert list(FAULT_CODES) == [f"vm.fault.{code}" for code in CODES.split()]


@pytest.mark.parametrize("code", FAULT_CODES)
def test_every_fault_has_a_title_and_one_sentence_of_advice(code: str) -> None:
    info = FAULT_CODES[code]
    assert info.title[0].islower()
    assert info.advice[0].isupper()
    assert not info.advice.endswith(".")
    assert ". " not in info.advice


def test_a_fault_brings_the_advice_of_its_code() -> None:
    error = fault("vm.fault.index", "no such item", expected="less", actual="more")
    assert error.advice == FAULT_CODES["vm.fault.index"].advice
    assert summary(error) == "no such item; expected less; found more"


def test_a_fault_with_an_unknown_code_is_a_bug() -> None:
    with pytest.raises(KeyError):
        fault("vm.fault.nonsense", "no such code")


def test_what_a_fault_says_is_bounded() -> None:
    assert len(summary(fault("vm.fault.fail", "x" * MESSAGE_CHARACTERS_MAX))) == 2000
    long = summary(fault("vm.fault.fail", "x" * (MESSAGE_CHARACTERS_MAX + 1)))
    assert len(long) == MESSAGE_CHARACTERS_MAX
    assert long.endswith("x…")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (fault("vm.fault.fail", "m"), "vm.fault.fail"),
        (Unusable("key.missing", "m"), "vm.fault.key"),
        (LimitExceeded("limit.anything", "m"), "vm.fault.limit"),
        (Invalid("codec.int", "m"), "vm.fault.type"),
    ],
)
def test_a_trap_maps_every_error_into_the_taxonomy(error: Invalid, code: str) -> None:
    trapped = trap(error, coroutine=b"\x01" * 16, program="p", pc=3, line=0)
    assert trapped.code == code
    assert (trapped.place.program, trapped.place.pc, trapped.place.line) == ("p", 3, None)
    assert trapped.place.coroutine == "01" * 16
    assert trapped.advice
