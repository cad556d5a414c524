"""A call's set-up, commands and applications, without sockets: groups O, A and part of E and X."""

from __future__ import annotations

import pytest

import event_socket_recordings as recordings
from event_socket_calls import (
    CONNECT_REPLY,
    NOTICE,
    OK,
    UUID,
    CallDriver,
    event,
    refusal,
    response,
    set_up,
)
from troth.streaming.eventsocket.endings import Ending
from troth.streaming.eventsocket.errors import (
    CallHungUp,
    CommandRefused,
    ConnectionEnded,
    Progress,
)
from troth.streaming.eventsocket.limits import Limits
from troth.streaming.eventsocket.outputs import Completed, Remark
from troth.streaming.eventsocket.replies import Expected


def complete(uuid: str, **headers: str) -> bytes:
    return event("CHANNEL_EXECUTE_COMPLETE", Application_UUID=uuid, **headers)


# --- set-up -----------------------------------------------------------------------------------


def test_o1_set_up_is_three_commands_one_at_a_time() -> None:
    driver = CallDriver()
    assert driver.written() == [b"connect\n\n"]
    driver.feed(CONNECT_REPLY)
    assert driver.written()[1:] == [b"myevents\n\n"]
    driver.feed(OK)
    assert driver.written()[2:] == [b"linger\n\n"]
    driver.feed(OK)
    assert driver.written()[3:] == []


def test_o2_the_handler_starts_after_the_reply_to_linger() -> None:
    driver = CallDriver().feed(CONNECT_REPLY, OK)
    assert not driver.is_ready
    assert driver.feed(OK).is_ready


def test_o3_the_call_is_what_the_reply_to_connect_says() -> None:
    driver = set_up()
    assert driver.core.uuid == UUID
    assert driver.core.headers.variable("some_var") == "a b"
    assert driver.core.headers.variable("no_var") is None


def test_x9_a_refused_linger_is_remarked_and_ends_nothing() -> None:
    driver = CallDriver().feed(CONNECT_REPLY, OK, refusal("-ERR command not found"))
    assert driver.is_ready
    assert not driver.core.lingers
    assert driver.of(Remark) == [Remark("linger refused", "-ERR command not found")]
    assert driver.settled is None


def test_x9_as_recorded_without_full() -> None:
    driver = CallDriver().feed(recordings.load("c6").received)
    assert driver.is_ready
    assert driver.core.lingers is False


@pytest.mark.parametrize("answers", [[refusal("-ERR no")], [CONNECT_REPLY, refusal("-ERR no")]])
def test_a_refused_connect_or_myevents_ends_the_session(answers: list[bytes]) -> None:
    driver = CallDriver().feed(*answers)
    assert driver.settled is not None
    assert driver.settled.ending is Ending.REFUSED
    assert not driver.is_ready


def test_x11_a_call_that_is_over_before_connect() -> None:
    driver = CallDriver().feed(recordings.load("c9").received)
    driver.core.lost(Ending.CUT, "", driver.now_ns)
    driver.drain()
    assert driver.settled is not None
    assert driver.settled.ending is Ending.NO_CALL
    assert driver.settled.missing == ("the reply to connect",)


def test_x11_a_bare_reply_to_connect_is_enough() -> None:
    driver = CallDriver().feed(OK, OK, OK)
    assert driver.is_ready
    assert driver.core.uuid is None


def test_a_call_hung_up_during_set_up_has_no_handler() -> None:
    driver = CallDriver().feed(CONNECT_REPLY, OK, event("CHANNEL_HANGUP"), OK)
    assert not driver.is_ready
    driver.feed(event("CHANNEL_HANGUP_COMPLETE"), NOTICE)
    assert driver.settled is not None
    assert driver.settled.ending is Ending.LATCHED


def test_without_linger_it_is_not_asked_for() -> None:
    driver = CallDriver(linger=False).feed(CONNECT_REPLY, OK)
    assert driver.is_ready
    assert driver.written() == [b"connect\n\n", b"myevents\n\n"]


def test_a_synchronous_socket_lingers_no_longer_than_it_must() -> None:
    static = CONNECT_REPLY.replace(b"async", b"static")
    assert CallDriver().feed(static, OK).written()[-1] == b"linger 1\n\n"
    assert CallDriver(linger_s=4).feed(static, OK).written()[-1] == b"linger 4\n\n"
    assert CallDriver(linger_s=4).feed(CONNECT_REPLY, OK).written()[-1] == b"linger 4\n\n"


# --- applications -----------------------------------------------------------------------------


def test_a1_an_application_is_done_after_reply_and_completion() -> None:
    driver = set_up()
    first, second = driver.execute("foo"), driver.execute("bar")
    assert driver.written()[3:] == [
        b"sendmsg\nevent-lock: true\ncall-command: execute\nexecute-app-name: foo\n"
        b"execute-app-arg: \nEvent-UUID: app-1\n\n"
    ]
    driver.feed(OK)
    assert driver.completed() == []
    driver.feed(OK, complete("app-1"))
    assert driver.completed() == [first]
    driver.feed(complete("app-2"))
    assert driver.completed() == [first, second]


def test_a2_nothing_else_drives_an_application_on() -> None:
    driver = set_up()
    serial = driver.execute("foo")
    inner = b"Event-Name: CHANNEL_EXECUTE\nApplication-UUID: app-1\n\n"
    driver.feed(
        OK,
        b"Content-Type: command/reply\nContent-Length: %d\n\n%b" % (len(inner), inner),
        b"Content-Type: api/response\n\n",
        b"Content-Type: text/disconnect-notice\nContent-Length: 9\n\nLingering",
        OK,
    )
    assert (driver.completed(), driver.errors()) == ([], {})
    assert len(driver.of(Remark)) == 3
    driver.feed(complete("app-1"))
    assert driver.completed() == [serial]


def test_a3_and_a4_loops_stand_first_and_the_lock_can_be_left_out() -> None:
    driver = set_up()
    driver.execute("foo", loops=3, lock=False)
    assert driver.written()[-1].startswith(
        b"sendmsg\nloops: 3\nevent-lock: false\ncall-command: execute\n"
    )


def test_a5_applications_and_commands_wait_for_each_other() -> None:
    driver = set_up()
    first = driver.execute("foo")
    api = driver.command("api bar")
    assert len(driver.written()) == 4
    driver.feed(OK, complete("app-1"), response("x"))
    assert driver.completed() == [first]
    # `command` expects a command's reply, so that of an api is not its own.
    assert driver.answered() == []
    driver.feed(OK)
    assert driver.answered() == [api]


def test_a6_and_a7_the_call_becomes_what_the_completion_says() -> None:
    driver = set_up()
    driver.execute("read")
    done_event = complete("app-1", variable_app_var="x")
    driver.feed(OK, done_event.replace(b"variable-app-var", b"variable_app_var"))
    (done,) = driver.of(Completed)
    assert done.completion.variable("app_var") == "x"
    assert driver.core.headers.variable("app_var") == "x"
    assert driver.core.headers.variable("some_var") is None


def test_a8_a_dump_replaces_what_is_known() -> None:
    driver = set_up()
    from_dump = f"Event-Name: CHANNEL_DATA\nUnique-ID: {UUID}\nvariable_new: 1%202\n\n"
    driver.core.command("api uuid_dump", b"api uuid_dump x\n\n", 0, expected=Expected.RESPONSE)
    driver.drain()
    driver.feed(response(from_dump))
    assert driver.core.headers.variable("new") == "1 2"
    other = from_dump.replace(UUID, "another")
    driver.core.command("api uuid_dump", b"api uuid_dump y\n\n", 0, expected=Expected.RESPONSE)
    driver.drain()
    driver.feed(response(other.replace("1%202", "no")))
    assert driver.core.headers.variable("new") == "1 2"


def test_a9_a_refused_application_raises_at_once() -> None:
    driver = set_up()
    serial = driver.execute("foo")
    driver.feed(refusal("-ERR invalid command"))
    error = driver.errors()[serial]
    assert isinstance(error, CommandRefused)
    assert (error.reply_text, error.command) == ("-ERR invalid command", "foo")
    driver.feed(complete("app-1"))
    assert driver.completed() == []


def test_x4_the_completion_of_another_application_finishes_nobody() -> None:
    driver = set_up()
    serial = driver.execute("foo")
    driver.feed(OK, complete("else"), event("CHANNEL_EXECUTE_COMPLETE", Application="socket"))
    driver.feed(event("CHANNEL_EXECUTE_COMPLETE", Application="foo"))
    assert driver.completed() == []
    assert driver.feed(complete("app-1")).completed() == [serial]


def test_x4_nested_applications_finish_each_by_its_own() -> None:
    driver = set_up()
    outer, inner = driver.execute("a", lock=False), driver.execute("b", lock=False)
    driver.feed(OK, OK, complete("app-2"))
    assert driver.completed() == [inner]
    assert driver.feed(complete("app-1")).completed() == [inner, outer]


def round_of(uuid: str, began_us: int, ended_us: int) -> bytes:
    return event(
        "CHANNEL_EXECUTE", Application_UUID=uuid, Event_Date_Timestamp=str(began_us)
    ) + complete(uuid, Event_Date_Timestamp=str(ended_us))


def test_x4_a_looped_application_is_done_after_its_last_round() -> None:
    driver = set_up()
    serial = driver.execute("playback", loops=3)
    driver.feed(OK, round_of("app-1", 0, 2_000_000), round_of("app-1", 2_000_000, 4_000_000))
    assert driver.completed() == []
    assert driver.feed(round_of("app-1", 4_000_000, 6_000_000)).completed() == [serial]
    assert driver.of(Completed)[0].completion.rounds == 3


def test_x4_a_loop_that_the_switch_stops_early_is_done() -> None:
    driver = set_up()
    serial = driver.execute("playback", loops=30)
    driver.feed(OK, round_of("app-1", 0, 400_000))
    assert driver.completed() == [serial]


def test_an_application_after_the_hang_up_is_not_sent() -> None:
    driver = set_up().feed(event("CHANNEL_HANGUP", Hangup_Cause="USER_BUSY"))
    serial = driver.execute("playback", "x")
    error = driver.errors()[serial]
    assert isinstance(error, CallHungUp)
    assert error.cause == "USER_BUSY"
    assert driver.written()[-1] == b"linger\n\n"


def test_a_hang_up_during_an_application_is_not_mistaken_for_its_end() -> None:
    driver = set_up()
    serial = driver.execute("playback", "x")
    driver.feed(OK, event("CHANNEL_HANGUP", Hangup_Cause="NORMAL_CLEARING"))
    driver.feed(complete("app-1", Answer_State="hangup", Application_Response="PLAYBACK ERROR"))
    error = driver.errors()[serial]
    assert isinstance(error, CallHungUp)
    assert error.completion is not None
    assert error.completion.response == "PLAYBACK ERROR"


def test_hangup_itself_is_done_when_the_call_is_over() -> None:
    driver = set_up()
    serial = driver.execute("hangup")
    driver.feed(OK, event("CHANNEL_HANGUP"), complete("app-1", Answer_State="hangup"))
    assert driver.completed() == [serial]


def test_an_unknown_application_ends_with_the_call() -> None:
    """The switch says +OK, hangs up, and never completes it (as recorded)."""
    driver = set_up()
    serial = driver.execute("nosuchapp")
    driver.feed(OK, event("CHANNEL_HANGUP", Hangup_Cause="DESTINATION_OUT_OF_ORDER"))
    driver.feed(event("CHANNEL_EXECUTE_COMPLETE", Application="socket"))
    assert serial not in driver.errors()
    driver.feed(event("CHANNEL_HANGUP_COMPLETE"), NOTICE)
    error = driver.errors()[serial]
    assert isinstance(error, CallHungUp)
    assert error.cause == "DESTINATION_OUT_OF_ORDER"


# --- commands ---------------------------------------------------------------------------------


def test_one_command_is_in_flight() -> None:
    driver = set_up()
    serials = [driver.command(f"c{number}") for number in range(3)]
    assert driver.written()[3:] == [b"c0\n\n"]
    driver.feed(OK)
    assert driver.written()[3:] == [b"c0\n\n", b"c1\n\n"]
    driver.feed(OK, OK)
    assert driver.answered() == serials


def test_e6_two_api_calls_one_after_the_other() -> None:
    driver = set_up()
    first = driver.core.command("api", b"api foo\n\n", 0, expected=Expected.RESPONSE)
    second = driver.core.command("api", b"api foo bar baz\n\n", 0, expected=Expected.RESPONSE)
    driver.drain()
    reply = b"Content-Type: api/response\nReply-Text: +OK\n\n"
    assert driver.written()[3:] == [b"api foo\n\n"]
    driver.feed(reply)
    assert driver.written()[3:] == [b"api foo\n\n", b"api foo bar baz\n\n"]
    driver.feed(reply)
    assert driver.answered() == [first, second]
    assert len(driver.written()) == 5


def test_x6_a_late_reply_goes_to_nobody() -> None:
    driver = set_up()
    driver_first = driver.command("slow")
    second = driver.command("quick")
    driver.core.forget(driver_first, 0)
    driver.drain()
    assert driver.written()[-1] == b"quick\n\n"
    driver.feed(refusal("-ERR late"))
    assert (driver.answered(), driver.errors()) == ([], {})
    driver.feed(OK)
    assert driver.answered() == [second]


def test_x6_a_command_that_was_not_sent_leaves_no_tombstone() -> None:
    driver = set_up()
    first, second = driver.command("a"), driver.command("b")
    driver.core.forget(second, 0)
    driver.feed(OK)
    assert driver.answered() == [first]
    assert driver.written()[-1] == b"a\n\n"
    third = driver.command("c")
    assert driver.feed(OK).answered() == [first, third]


def test_an_application_that_is_given_up_leaves_nothing() -> None:
    driver = set_up()
    first = driver.execute("slow")
    driver.core.forget(first, 0)
    second = driver.execute("next")
    driver.feed(OK, OK, complete("app-1"))
    assert (driver.completed(), driver.errors()) == ([], {})
    assert driver.feed(complete("app-2")).completed() == [second]


def test_a_forged_reply_shifts_nothing() -> None:
    """As recorded: the value of a variable ends the reply and makes a second one."""
    driver = set_up()
    first = driver.command("getvar evil")
    driver.feed(b"Content-Type: command/reply\nReply-Text: a\n\n" + refusal("+OK forged"))
    second = driver.command("c")
    driver.feed(refusal("+OK true"))
    assert driver.answered() == [first, second]
    assert driver.of(Remark) == [Remark("stray reply", "+OK forged")]


def test_a_switch_that_answers_without_end_is_stopped() -> None:
    driver = set_up(Limits(stray_replies_max=3)).feed(OK, OK, OK)
    assert driver.settled is None
    driver.feed(OK)
    assert driver.settled is not None
    assert driver.settled.ending is Ending.MALFORMED
    assert "stray_replies_max=3" in driver.settled.detail


def test_waiting_commands_are_bounded() -> None:
    driver = set_up(Limits(pending_commands_max=2))
    serials = [driver.command(f"c{number}") for number in range(4)]
    assert {serial: error.code for serial, error in driver.errors().items()} == {
        serials[3]: "esl.limit.pending_commands_max"
    }


def test_forgotten_replies_are_bounded() -> None:
    driver = set_up(Limits(forgotten_replies_max=2))
    for _ in range(2):
        driver.core.forget(driver.command("c"), 0)
    last = driver.command("c")
    assert driver.written()[3:] == [b"c\n\n"] * 2
    driver.feed(OK)
    assert driver.written()[3:] == [b"c\n\n"] * 3
    assert driver.feed(OK, OK).answered() == [last]


def test_applications_are_bounded() -> None:
    driver = set_up(Limits(applications_max=1))
    driver.execute("a")
    last = driver.execute("b")
    assert driver.errors()[last].code == "esl.limit.applications_max"


def test_a_late_reply_of_the_switch_ends_the_session() -> None:
    driver = set_up(Limits(reply_s=2))
    serial = driver.command("c")
    driver.wait(1.9)
    assert driver.settled is None
    driver.wait(0.2)
    assert driver.settled is not None
    assert driver.settled.ending is Ending.SILENCE
    error = driver.errors()[serial]
    assert isinstance(error, ConnectionEnded)
    assert error.progress is Progress.UNCONFIRMED


def test_progress_says_how_far_it_got() -> None:
    driver = set_up()
    accepted, unconfirmed, unsent = driver.execute("a"), driver.execute("b"), driver.command("c")
    driver.feed(OK)
    driver.core.lost(Ending.RESET, "", 0)
    driver.drain()
    after = driver.command("d")
    progress = {
        serial: error.progress
        for serial, error in driver.errors().items()
        if isinstance(error, ConnectionEnded)
    }
    assert progress == {
        accepted: Progress.ACCEPTED,
        unconfirmed: Progress.UNCONFIRMED,
        unsent: Progress.NOT_SENT,
        after: Progress.NOT_SENT,
    }
