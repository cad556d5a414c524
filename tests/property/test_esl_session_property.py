"""Whatever a switch sends and whatever a handler asks: one end, and an answer to everybody."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from event_socket_calls import (
    CONNECT_REPLY,
    LINGER_NOTICE,
    NOTICE,
    OK,
    CallDriver,
    event,
    refusal,
    response,
)
from troth.streaming.eventsocket.endings import Ending
from troth.streaming.eventsocket.latch import Phase
from troth.streaming.eventsocket.limits import Limits
from troth.streaming.eventsocket.outputs import Answered, Completed, Failed, Write

LIMITS = Limits(
    header_bytes_max=4_000, stray_replies_max=4, pending_commands_max=3, applications_max=3,
    forgotten_replies_max=2,
)  # fmt: skip

pieces = st.sampled_from(
    [
        CONNECT_REPLY, OK, OK, OK, NOTICE, LINGER_NOTICE, refusal("-ERR no"), response("x"),
        event("CHANNEL_HANGUP"), event("CHANNEL_HANGUP_COMPLETE"), event("X", None),
        event("CHANNEL_HANGUP_COMPLETE", "another"), event("CHANNEL_EXECUTE_COMPLETE"),
        *(event("CHANNEL_EXECUTE_COMPLETE", Application_UUID=f"app-{n}") for n in range(1, 5)),
        b"Content-Type: auth/request\n\n", b"Content-Type: x\n\n",
    ]
)  # fmt: skip
actions = st.one_of(
    pieces,
    st.binary(max_size=5),
    st.sampled_from(["command", "execute", "forget", "wait", "hanging up"]),
)
ends = st.sampled_from(["cut", "reset", "leave", "wait"])


def act(driver: CallDriver, action: bytes | str, serials: list[int], given_up: set[int]) -> None:
    if isinstance(action, bytes):
        driver.feed(action)
    elif action == "command":
        serials.append(driver.command("c"))
    elif action == "execute":
        serials.append(driver.execute("a"))
    elif action == "forget" and serials:
        given_up.add(serials[-1])
        driver.core.forget(serials[-1], driver.now_ns)
        driver.drain()
    elif action == "wait":
        driver.wait(1)
    elif action == "hanging up":
        driver.core.hanging_up(driver.now_ns)


@given(st.booleans(), st.lists(actions, max_size=40), ends)
def test_every_session_ends_once_and_answers_everybody(
    prepared: bool, chosen: list[bytes | str], end: str
) -> None:
    driver, serials, given_up = CallDriver(LIMITS), list[int](), set[int]()
    if prepared:
        driver.feed(CONNECT_REPLY, OK, OK)
    for action in chosen:
        act(driver, action, serials, given_up)
    if end == "wait":
        driver.core.hanging_up(driver.now_ns)
        driver.wait(1_000)
    elif end == "leave":
        driver.core.leave(driver.now_ns)
    else:
        driver.core.lost(Ending.CUT if end == "cut" else Ending.RESET, "", driver.now_ns)
    driver.drain()
    assert driver.settled is not None
    serials.append(driver.command("after the end"))
    driver.core.settled(driver.now_ns)
    driver.drain()
    driver.wait(1_000)
    assert driver.closed == driver.settled
    assert driver.core.phase is Phase.CLOSED
    answers = Counter(
        output.serial
        for output in driver.outputs
        if isinstance(output, Answered | Completed | Failed)
    )
    assert all(count == 1 for count in answers.values())
    assert {*serials} - given_up <= answers.keys()


@given(st.lists(pieces | st.sampled_from(["command"]), max_size=30))
def test_never_more_than_one_command_is_in_flight(chosen: list[bytes | str]) -> None:
    driver = CallDriver(LIMITS)
    replies = 0
    for action in chosen:
        act(driver, action, [], set())
        if (isinstance(action, bytes) and b"/reply" in action) or action == response("x"):
            replies += 1
        assert len(driver.of(Write)) <= replies + 1


@given(st.data(), st.lists(pieces, max_size=20))
def test_the_end_does_not_depend_on_chunks(data: st.DataObject, chosen: list[bytes]) -> None:
    stream = b"".join([CONNECT_REPLY, OK, OK, *chosen])
    whole = CallDriver(LIMITS).feed(stream)
    pieced = CallDriver(LIMITS)
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        pieced.feed(stream[:size])
        stream = stream[size:]
    assert pieced.settled == whole.settled
    assert pieced.events() == whole.events()
