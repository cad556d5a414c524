"""How a call's session ends, without sockets: each way within its bound, and nobody waits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

import event_socket_recordings as recordings
from event_socket_calls import (
    CONNECT_REPLY,
    LINGER_NOTICE,
    NOTICE,
    OK,
    CallDriver,
    event,
    set_up,
)
from troth.streaming.eventsocket.endings import Ending, Outcome
from troth.streaming.eventsocket.errors import CallHungUp, ConnectionEnded
from troth.streaming.eventsocket.latch import TRANSITIONS, Action, Phase, Signal, step
from troth.streaming.eventsocket.limits import Limits
from troth.streaming.eventsocket.outputs import Abandon

COMPLETE = event("CHANNEL_HANGUP_COMPLETE")
HANGUP = event("CHANNEL_HANGUP", Hangup_Cause="NORMAL_CLEARING")
OTHER = event("CHANNEL_HANGUP_COMPLETE", uuid="another-leg")
FINAL_NOTICE = (
    b"Content-Type: text/disconnect-notice\nContent-Disposition: disconnect\n"
    b"Content-Length: 2\n\nby"
)
SHUTDOWN = (
    b"Content-Type: text/disconnect-notice\nContent-Length: 31\n\nThe system is being shut down.\n"
)


def cut(driver: CallDriver, ending: Ending = Ending.CUT) -> CallDriver:
    driver.core.lost(ending, "", driver.now_ns)
    driver.drain()
    return driver


def finish(driver: CallDriver) -> Outcome:
    """Handler and hooks end; the switch answers `exit` or is gone."""
    driver.core.settled(driver.now_ns)
    driver.drain()
    if driver.closed is None:
        assert driver.written()[-1] == b"exit\n\n"
        cut(driver)
    assert driver.closed is not None
    assert driver.closed == driver.settled
    assert driver.core.deadline_ns() is None
    return driver.closed


# --- the table --------------------------------------------------------------------------------


def test_what_the_table_does_not_list_changes_nothing() -> None:
    for phase, signal in product(Phase, Signal):
        if (phase, signal) not in TRANSITIONS:
            assert step(phase, signal) == (phase, Action.NOTHING)


def test_every_phase_but_the_last_can_end_and_settles_once() -> None:
    for phase in Phase:
        seen = [phase]
        while seen[-1] is not Phase.CLOSED:
            signal = Signal.SETTLED if seen[-1] is Phase.SETTLING else Signal.END
            following, action = step(seen[-1], signal)
            assert (action is Action.SETTLE) == (following is Phase.SETTLING)
            assert following not in seen, "the table has no circles"
            seen.append(following)


# --- the two facts ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order",
    [
        [HANGUP, COMPLETE, LINGER_NOTICE],
        [HANGUP, LINGER_NOTICE, COMPLETE],
        [COMPLETE, LINGER_NOTICE],
        [LINGER_NOTICE, COMPLETE],
        [COMPLETE, NOTICE],
        [NOTICE, COMPLETE],
        [LINGER_NOTICE, LINGER_NOTICE, COMPLETE],
        [LINGER_NOTICE, FINAL_NOTICE, COMPLETE],
        [COMPLETE, COMPLETE, LINGER_NOTICE],
        [OTHER, LINGER_NOTICE, COMPLETE],
        [OTHER, COMPLETE, FINAL_NOTICE],
    ],
)
def test_the_latch_closes_when_both_are_in_whatever_the_order(order: list[bytes]) -> None:
    driver = set_up()
    for index, piece in enumerate(order):
        assert driver.settled is None, index
        driver.feed(piece)
    assert driver.settled == Outcome(Ending.LATCHED)
    driver.feed(LINGER_NOTICE, COMPLETE, OTHER)
    assert finish(driver) == Outcome(Ending.LATCHED)


@pytest.mark.parametrize("once", [LINGER_NOTICE, COMPLETE])
def test_x8_one_fact_twice_is_not_both(once: bytes) -> None:
    driver = set_up().feed(once, once, once)
    assert driver.settled is None
    assert driver.wait(11).settled is not None


def test_x3_the_end_of_another_leg_is_not_ours() -> None:
    driver = set_up().feed(OTHER, LINGER_NOTICE, OTHER)
    assert driver.settled is None
    assert not set_up().feed(OTHER).core.hung_up


@pytest.mark.parametrize("last", [COMPLETE, LINGER_NOTICE])
def test_x5_a_part_that_never_comes_has_a_time_limit(last: bytes) -> None:
    driver = set_up(Limits(latch_s=3)).feed(HANGUP, last)
    missing = "CHANNEL_HANGUP_COMPLETE" if last is LINGER_NOTICE else "text/disconnect-notice"
    driver.wait(2.9)
    assert driver.settled is None
    driver.wait(0.2)
    assert driver.settled == Outcome(Ending.TIME_LIMIT, (missing,), "latch_s=3 has passed")
    assert finish(driver).ending is Ending.TIME_LIMIT


def test_the_limit_counts_from_the_first_sign() -> None:
    driver = set_up(Limits(latch_s=3)).feed(HANGUP).wait(2).feed(COMPLETE).wait(0.9)
    assert driver.settled is None
    assert driver.wait(0.2).settled is not None


def test_a_live_call_has_no_limit() -> None:
    driver = set_up().wait(1_000_000)
    assert driver.settled is None
    assert driver.core.deadline_ns() is None


def test_events_after_the_hang_up_are_still_delivered() -> None:
    driver = set_up().feed(HANGUP, event("CHANNEL_STATE"), LINGER_NOTICE, COMPLETE)
    assert driver.events() == ["CHANNEL_HANGUP", "CHANNEL_STATE", "CHANNEL_HANGUP_COMPLETE"]


# --- other ends -------------------------------------------------------------------------------

MISSING = ("CHANNEL_HANGUP_COMPLETE", "text/disconnect-notice")


@pytest.mark.parametrize(
    ("fed", "how", "outcome"),
    [
        ([], Ending.CUT, Outcome(Ending.CUT, MISSING)),
        ([], Ending.RESET, Outcome(Ending.RESET, MISSING)),
        ([HANGUP], Ending.CUT, Outcome(Ending.CUT, MISSING)),
        ([HANGUP, FINAL_NOTICE], Ending.CUT, Outcome(Ending.CLOSED_EARLY, MISSING[:1])),
        ([COMPLETE], Ending.CUT, Outcome(Ending.CUT, MISSING[1:])),
        ([SHUTDOWN], Ending.CUT, Outcome(Ending.SHUTDOWN, MISSING[:1])),
    ],
)
def test_a_connection_that_ends_too_soon(fed: list[bytes], how: Ending, outcome: Outcome) -> None:
    driver = set_up().feed(*fed)
    cut(driver, how)
    assert driver.settled == outcome
    assert finish(driver) == outcome
    assert b"exit\n\n" not in driver.written()


def test_a_stream_that_ends_inside_of_a_message_says_so() -> None:
    driver = cut(set_up().feed(COMPLETE[:50]))
    assert driver.settled is not None
    assert driver.settled.ending is Ending.CUT
    assert "esl.malformed.cut" in driver.settled.detail


def test_shutdown_after_the_end_is_a_detail() -> None:
    driver = set_up().feed(COMPLETE, SHUTDOWN)
    assert driver.settled == Outcome(Ending.LATCHED, (), "the switch is shutting down")


def test_malformed_bytes_end_it_at_once_and_without_exit() -> None:
    driver = set_up().feed(event("A") + b"Content-Length: -1\n\n" + event("B"))
    assert driver.settled is not None
    assert driver.settled.ending is Ending.MALFORMED
    assert driver.events() == ["A"]
    finish(driver)
    assert b"exit\n\n" not in driver.written()


def test_a_rejection_ends_it() -> None:
    driver = CallDriver().feed(recordings.load("d9").received)
    assert driver.settled is not None
    assert driver.settled.ending is Ending.REJECTED


def test_leaving_is_no_failure() -> None:
    driver = set_up()
    driver.core.leave(0)
    driver.drain()
    assert finish(driver) == Outcome(Ending.LEFT)


@pytest.mark.parametrize("fed", [[], [CONNECT_REPLY], [CONNECT_REPLY, OK]])
def test_a_silent_switch_has_a_time_limit(fed: list[bytes]) -> None:
    driver = CallDriver(Limits(set_up_s=5)).feed(*fed)
    assert driver.wait(4.9).settled is None
    driver.wait(0.2)
    assert driver.settled is not None
    assert driver.settled.ending is Ending.SILENCE
    step_name = ("connect", "myevents", "linger")[len(fed)]
    assert driver.settled.missing == (f"the reply to {step_name}",)
    assert finish(driver).ending is Ending.SILENCE


def test_hooks_have_a_time_limit_and_exit_has_one() -> None:
    driver = set_up(Limits(hooks_s=7, exit_s=1)).feed(COMPLETE, NOTICE)
    driver.wait(6.9)
    assert driver.of(Abandon) == []
    driver.wait(0.2)
    assert driver.of(Abandon) == [Abandon()]
    driver.core.settled(driver.now_ns)
    driver.drain()
    assert driver.written()[-1] == b"exit\n\n"
    assert driver.closed is None
    assert driver.wait(1.1).closed == Outcome(Ending.LATCHED)


def test_a_hang_up_of_ours_starts_the_clock() -> None:
    driver = set_up(Limits(latch_s=3))
    driver.core.hanging_up(0)
    assert not driver.core.hung_up
    driver.wait(3.1)
    assert driver.settled is not None
    assert driver.settled.ending is Ending.TIME_LIMIT
    assert driver.settled.missing == MISSING


def test_nobody_waits_after_the_end() -> None:
    ends: list[Callable[[CallDriver], object]] = [
        lambda d: d.feed(COMPLETE, NOTICE),
        cut,
        lambda d: cut(d, Ending.RESET),
        lambda d: d.feed(b"\0\n\n"),
        lambda d: d.feed(HANGUP).wait(20),
    ]
    for end in ends:
        driver = set_up()
        serials = [driver.execute("a"), driver.command("b"), driver.execute("c")]
        driver.feed(OK)
        end(driver)
        serials += [driver.command("d"), driver.execute("e")]
        assert sorted(driver.errors()) == serials
        for error in driver.errors().values():
            assert isinstance(error, CallHungUp | ConnectionEnded)


# --- the recordings ---------------------------------------------------------------------------

ENDINGS = {
    "a1": Ending.LATCHED,
    "a2": Ending.LATCHED,
    "a4": Ending.LATCHED,
    "a5": Ending.LATCHED,
    "a7": Ending.LATCHED,
    "a8": Ending.LATCHED,
    "a9": Ending.LATCHED,
    "a11": Ending.LATCHED,
    "b1": Ending.LATCHED,
    "b2": Ending.LATCHED,
    "b4": Ending.CLOSED_EARLY,
    "b4b": Ending.CLOSED_EARLY,
    "b5": Ending.NO_CALL,
    "b6": Ending.CLOSED_EARLY,
    "b8": Ending.LATCHED,
    "c5a": Ending.LATCHED,
    "c5e": Ending.LATCHED,
    "c5f": Ending.LATCHED,
    "c7": Ending.LATCHED,
    "c9": Ending.NO_CALL,
    "c10": Ending.CUT,
}


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize("size", [1, 1_000, 1_000_000])
def test_recorded_calls_end_as_they_did(name: str, size: int) -> None:
    recording = recordings.load(name)
    lingers = b"\nlinger" in recording.sent
    driver = CallDriver(linger=lingers)
    for at in range(0, len(recording.received), size):
        driver.feed(recording.received[at : at + size])
    cut(driver)
    assert driver.settled is not None
    assert driver.settled.ending is ENDINGS[name], driver.settled
    finish(driver)
    if ENDINGS[name] is Ending.LATCHED:
        assert driver.settled.missing == ()
    elif ENDINGS[name] is Ending.CLOSED_EARLY:
        assert driver.settled.missing == ("CHANNEL_HANGUP_COMPLETE",)
