"""The sender of a reliable stream: what it has under way, and what another path changes."""

from __future__ import annotations

from troth.streaming.link import chunks
from troth.streaming.link.rtt import RoundTrip
from troth.streaming.link.stream import SELECTED_BITS, StreamReceiver, StreamSender
from troth.streaming.transport_limits import (
    CONTROL_WINDOW_FIRST,
    CONTROL_WINDOW_LEAST,
    CONTROL_WINDOW_SEGMENTS,
    MILLISECOND_NS,
)

ROOM = 1_000


def _full(sender: StreamSender, count: int) -> None:
    for _ in range(count):
        sender.send(b"x" * ROOM)


def _numbers(bodies: list[bytes]) -> list[int]:
    return [chunks.unpack(chunks.SEGMENT, body)[1] for body in bodies]


def _take(receiver: StreamReceiver, bodies: list[bytes]) -> list[bytes]:
    taken: list[bytes] = []
    for body in bodies:
        _, number, flags = chunks.unpack(chunks.SEGMENT, body)
        taken += receiver.receive(number, flags, body[chunks.SEGMENT.size :])
    return taken


def test_on_another_path_everything_under_way_is_sent_at_once() -> None:
    rtt = RoundTrip()
    sender, receiver = StreamSender(0, ROOM, rtt), StreamReceiver(0)
    _full(sender, 2 * CONTROL_WINDOW_FIRST)
    now_ns = MILLISECOND_NS
    first = _numbers(sender.due(now_ns))
    for _ in range(6):
        # The path is blocked: what is repeated is repeated more and more slowly.
        now_ns += 2_000 * MILLISECOND_NS
        sender.due(now_ns)
    rtt.reset()
    sender.on_path_change()
    assert sender.deadline_ns == 0
    again = sender.due(now_ns)
    assert _numbers(again)[: len(first)] == first
    assert len(again) == CONTROL_WINDOW_FIRST
    assert len(_take(receiver, again)) == len(again)
    sender.acknowledged(receiver.acknowledgement(), now_ns + MILLISECOND_NS)
    assert sender.arrived == len(again)
    assert rtt.smoothed_ns == 0, "what was sent twice is no sample"


def test_of_small_messages_as_many_are_under_way_as_there_is_room_for() -> None:
    sender = StreamSender(0, ROOM, RoundTrip())
    for _ in range(1_000):
        sender.send(b"small")
    most = CONTROL_WINDOW_SEGMENTS - SELECTED_BITS
    assert len(sender.due(0)) == most, "not more than a receiver holds"
    large = StreamSender(0, ROOM, RoundTrip())
    _full(large, 1_000)
    assert len(large.due(0)) <= CONTROL_WINDOW_FIRST


def test_never_further_ahead_than_the_receiver_holds() -> None:
    sender, receiver = StreamSender(0, ROOM, RoundTrip()), StreamReceiver(0)
    for _ in range(2_000):
        sender.send(b"small")
    lost, now_ns = None, 0
    for _ in range(20):
        now_ns += MILLISECOND_NS
        bodies = sender.due(now_ns)
        lost = lost or bodies[0]
        _take(receiver, [body for body in bodies if body != lost])
        sender.acknowledged(receiver.acknowledgement(), now_ns)
    assert sender.arrived == 0
    assert _take(receiver, [lost] if lost else [])
    assert receiver.duplicates == 0


def test_marks_of_what_has_arrived() -> None:
    sender, receiver = StreamSender(0, ROOM, RoundTrip()), StreamReceiver(0)
    assert (sender.queued, sender.arrived) == (0, 0)
    sender.send(b"a")
    sender.send(b"b" * ROOM * 2)
    assert (sender.queued, sender.arrived) == (3, 0)
    bodies = sender.due(0)
    _take(receiver, bodies[1:])
    sender.acknowledged(receiver.acknowledgement(), 1)
    assert sender.arrived == 0, "the first is still missing"
    _take(receiver, bodies[:1])
    sender.acknowledged(receiver.acknowledgement(), 2)
    assert sender.arrived == sender.queued == 3


def test_what_is_only_late_is_sent_again_no_more_than_a_window_at_a_time() -> None:
    rtt = RoundTrip()
    sender = StreamSender(0, ROOM, rtt)
    _full(sender, CONTROL_WINDOW_FIRST)
    assert sender.backlog_ns == 0, "nothing is known of the round trip"
    rtt.add(10 * MILLISECOND_NS)
    assert sender.backlog_ns == 10 * MILLISECOND_NS, "a window waits, and takes a round trip"
    now_ns = MILLISECOND_NS
    assert len(sender.due(now_ns)) == CONTROL_WINDOW_FIRST
    assert sender.backlog_ns == 0
    sent = 0
    for _ in range(2_000):
        now_ns += MILLISECOND_NS
        sent += len(sender.due(now_ns))
        deadline_ns = sender.deadline_ns
        assert deadline_ns is not None
        assert deadline_ns > now_ns, "it does not ask to be looked at again and again"
    assert CONTROL_WINDOW_LEAST <= sent <= 4 * CONTROL_WINDOW_FIRST
