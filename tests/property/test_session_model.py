"""The machine's sessions do what a tiny model of them says, over long random lives.

`TROTH_LONG=1` in the environment takes ten times as many steps.
"""

from __future__ import annotations

import os
from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from session_model import ACTS
from session_twin import WORLDS, Twin, can_be_corrupted, wander
from troth.vm import step_end, trouble
from troth.vm.buffer import Admission, EdgeBuffer, Envelope
from troth.vm.lifecycle import LifeEvent
from troth.vm.pauses import Pauses
from troth.vm.scheduler import Scheduler
from troth.vm.session import EdgeTrouble, EndpointState, Session
from troth.vm.timer import Timer
from troth.vm.turn import Turn

LONG: Final = bool(os.environ.get("TROTH_LONG"))
WALKS: Final = 20
STEPS: Final = 50_000 if LONG else 5_000


@pytest.mark.parametrize("seed", range(WALKS))
def test_a_long_life_is_what_the_model_says(seed: int) -> None:
    """Over all seeds 100,000 steps, and a million in a long run."""
    assert wander(seed, STEPS).steps >= STEPS


def _wander_a_little() -> None:
    for seed in range(4):
        wander(seed, 2_000)


def _ends_alone(
    turn: Turn, session: Session, event: LifeEvent, detail: str, by: str
) -> list[EndpointState]:
    return step_end._end_one(turn, session, event, detail, by)


def _forgets_what_it_withheld(scheduler: Scheduler, _withheld: object) -> None:
    _expire(scheduler, ())


_expire = Scheduler._expire


def _passes(parted: bool, corrupted: tuple[Envelope, ...]) -> EdgeTrouble:  # noqa: ARG001
    return EdgeTrouble(parted=False, corrupted=corrupted)


def _believed(parted: bool, corrupted: tuple[Envelope, ...]) -> EdgeTrouble:  # noqa: ARG001
    return EdgeTrouble(parted=parted, corrupted=())


WRONG: Final = {
    "nobody is woken when a session ends": (Turn, "wake_edge", lambda *_: None),
    "what is undelivered is not listed": (EdgeBuffer, "drain", lambda *_: ()),
    "a close eats messages": (Session, "drained", True),
    "an asked end never comes": (step_end, "expire", lambda *_: None),
    "a blocked sender overtakes": (EdgeBuffer, "admission", lambda *_, **__: Admission.WAIT),
    "notices are not counted": (step_end, "count_notice", lambda *_: None),
    "the sessions of a bundle end one by one": (step_end, "_end_together", _ends_alone),
    "a bundle closes with its first session": (Session, "together", property(lambda one: (one,))),
    "a clock never runs out": (Timer, "may_interrupt", False),
    "a choice that was made is late": (Timer, "void", False),
    "a partition lets everything pass": (trouble, "EdgeTrouble", _passes),
    "what was changed in flight is believed": (trouble, "EdgeTrouble", _believed),
    "who is timed out goes on": (Pauses, "hold", lambda _, ready: ready),
    "what is withheld never comes": (Scheduler, "_expire", _forgets_what_it_withheld),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_machine_that_is_wrong_is_found(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*WRONG[wrong])
    with pytest.raises((AssertionError, StopIteration)):
        _wander_a_little()


class Lives(RuleBasedStateMachine):
    """Every order of steps, also senseless ones, and shrunk to the few that matter."""

    def __init__(self) -> None:
        super().__init__()
        self.twin = Twin()
        self.twin.open_world(0)

    @precondition(lambda self: len(self.twin.live()) < 6)
    @rule(choice=st.integers(0, len(WORLDS) - 1))
    def open(self, choice: int) -> None:
        self.twin.open_world(choice)

    @rule(data=st.data())
    def act_together(self, data: st.DataObject) -> None:
        acts = [(puppet, data.draw(st.sampled_from(ACTS))) for puppet in self.twin.idle()]
        if acts:
            self.twin.act(*acts)

    @precondition(lambda self: self.twin.idle())
    @rule(data=st.data(), act=st.sampled_from(ACTS), after_ns=st.sampled_from((1, 20, 30)))
    def act_later(self, data: st.DataObject, act: str, after_ns: int) -> None:
        puppet = data.draw(st.sampled_from(self.twin.idle()))
        self.twin.act((puppet, act), after_ns=after_ns)

    @precondition(lambda self: self.twin.idle())
    @rule(data=st.data(), acts=st.lists(st.sampled_from(ACTS), min_size=1, max_size=8))
    def act(self, data: st.DataObject, acts: list[str]) -> None:
        puppet = data.draw(st.sampled_from(self.twin.idle()))
        for act in acts:
            if puppet in self.twin.idle():
                self.twin.act((puppet, act))

    @precondition(lambda self: self.twin.live())
    @rule(data=st.data(), asks=st.booleans())
    def host_ends(self, data: st.DataObject, asks: bool) -> None:
        talk = data.draw(st.sampled_from(self.twin.live()))
        if asks:
            self.twin.host_asks(talk)
        else:
            self.twin.host_cancels(talk)

    @precondition(lambda self: self.twin.live())
    @rule(
        data=st.data(),
        what=st.sampled_from(("part", "crash A", "crash B", "pause A", "pause B", "corrupt")),
    )
    def trouble(self, data: st.DataObject, what: str) -> None:
        talk, role = data.draw(st.sampled_from(self.twin.live())), what[-1]
        if what == "part":
            self.twin.part_or_heal(talk)
        elif what == "corrupt" and can_be_corrupted(talk):
            self.twin.corrupt(talk)
        elif role in talk.owners and what.startswith("pause"):
            self.twin.time_out(talk, role, 25)
        elif role in talk.owners:
            self.twin.crash(talk, role)

    @rule(duration_ns=st.sampled_from((1, 19, 20, 29, 30, 31, 1_000)))
    def wait(self, duration_ns: int) -> None:
        self.twin.wait(duration_ns)


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
