"""A link under way: messages, input, frames, paths and endings, over the network in memory."""

from __future__ import annotations

import pytest

from link_pairs import CLIENT, HOST, MS, SECOND, Pair
from troth.streaming.link import (
    VIDEO,
    Closed,
    CloseReason,
    ControlMessage,
    Event,
    Frame,
    Freeze,
    InputEdge,
    InputState,
    KeyFrameWanted,
    PathProbed,
    PathState,
    PathSuspect,
    PeerMoved,
)
from troth.streaming.netem import PERFECT, Conditions, Nat, NatBehaviour, Step
from troth.streaming.transport_limits import (
    CONTROL_BUFFER_BYTES_MAX,
    CONTROL_MESSAGE_BYTES_MAX,
    ENDED_NS,
    FRAME_BYTES_MAX,
    INPUT_BYTES_MAX,
    LOST_NS,
)
from troth.vm.errors import LimitExceeded, Unusable

SLOW = [Step(0, Conditions(delay_ns=20 * MS))]
BAD = [Step(0, Conditions(delay_ns=20 * MS, loss=0.1, duplicate=0.05, reorder=0.1))]


def _connected(seed: int = 1, steps: list[Step] = SLOW, **changed: object) -> Pair:
    pair = Pair(seed, steps, **changed)  # type: ignore[arg-type]
    pair.connect()
    return pair


@pytest.mark.parametrize("seed", range(3))
def test_messages_arrive_once_in_order_both_ways(seed: int) -> None:
    pair = _connected(seed, BAD)
    there = [bytes([n]) * (n * n) for n in range(60)]
    back = [bytes([n]) * (37 * n) for n in range(60)]
    for one, other in zip(there, back, strict=True):
        pair.client.send_control(one)
        pair.host.send_control(other)
    pair.run(20 * SECOND)
    assert [m.data for m in pair.of(ControlMessage, pair.host_events)] == there
    assert [m.data for m in pair.of(ControlMessage)] == back
    assert pair.client.control_idle
    assert pair.host.control_idle


@pytest.mark.parametrize("lost", range(12))
def test_any_one_datagram_of_an_exchange_may_be_lost(lost: int) -> None:
    pair = _connected()
    seen = 0

    def tap(_source: object, _to: object, _data: bytes, _now_ns: int) -> bool:
        nonlocal seen
        seen += 1
        return seen - 1 != lost

    pair.world.taps.append(tap)
    pair.client.send_control(b"q" * 4_000)
    pair.run(SECOND)
    pair.host.send_control(b"a")
    pair.run(2 * SECOND)
    assert pair.of(ControlMessage, pair.host_events) == [ControlMessage(b"q" * 4_000)]
    assert pair.of(ControlMessage) == [ControlMessage(b"a")]


def test_a_long_message_goes_through_and_a_longer_one_is_refused() -> None:
    pair = _connected(steps=[Step(0, Conditions(delay_ns=MS))])
    pair.client.send_control(b"x" * CONTROL_MESSAGE_BYTES_MAX)
    with pytest.raises(LimitExceeded) as caught:
        pair.client.send_control(b"x" * (CONTROL_MESSAGE_BYTES_MAX + 1))
    assert caught.value.code == "transport.message"
    pair.client.send_control(b"x" * (CONTROL_BUFFER_BYTES_MAX - CONTROL_MESSAGE_BYTES_MAX))
    with pytest.raises(LimitExceeded) as caught:
        pair.client.send_control(b"x")
    assert caught.value.code == "transport.buffer"
    pair.run(2 * SECOND)
    assert [len(m.data) for m in pair.of(ControlMessage, pair.host_events)] == [
        CONTROL_MESSAGE_BYTES_MAX,
        CONTROL_BUFFER_BYTES_MAX - CONTROL_MESSAGE_BYTES_MAX,
    ]


def test_edges_all_arrive_and_of_states_only_newer_ones() -> None:
    pair = _connected(steps=BAD)
    for number in range(100):
        pair.client.send_input_edge(b"key %d" % number)
        pair.client.send_input_state(b"%d" % number)
        pair.run(4 * MS)
    pair.run(5 * SECOND)
    edges = pair.of(InputEdge, pair.host_events)
    assert [edge.data for edge in edges] == [b"key %d" % number for number in range(100)]
    states = [int(state.data) for state in pair.of(InputState, pair.host_events)]
    assert states == sorted(set(states))
    assert 60 < len(states) < 100


def test_a_large_message_does_not_hold_up_input() -> None:
    pair = _connected()
    pair.client.send_control(b"x" * 5_000_000)
    pair.run(100 * MS)
    pair.client.send_input_edge(b"key")
    pair.run(50 * MS)
    assert pair.of(InputEdge, pair.host_events) == [InputEdge(b"key")]
    assert pair.of(ControlMessage, pair.host_events) == []


def test_a_large_message_gives_way_to_input_on_a_narrow_path() -> None:
    narrow = Conditions(delay_ns=20 * MS, rate_bits=8_000_000, queue_bytes=512 << 10)
    pair = _connected(steps=[Step(0, narrow)])
    pair.client.send_control(b"x" * 4_000_000)
    waits = []
    for number in range(100):
        pair.client.send_input_edge(b"%d" % number)
        sent_ns = pair.now_ns
        while len(pair.of(InputEdge, pair.host_events)) <= number:
            pair.run(MS)
        waits.append(pair.now_ns - sent_ns)
        pair.run(20 * MS)
    waits.sort()
    assert waits[95] < 20 * MS + 30 * MS
    pair.run(10 * SECOND)
    assert len(pair.of(ControlMessage, pair.host_events)) == 1


def test_many_small_messages_are_not_as_slow_as_many_large_ones() -> None:
    """The way has become longer, so the window is at its least; it counts bytes."""
    pair = _connected(steps=[Step(0, Conditions(delay_ns=5 * MS))])
    pair.client.send_control(b"x" * 200_000)
    pair.run(5 * SECOND)
    longer = [Step(0, Conditions(delay_ns=60 * MS))]
    for a, b in ((CLIENT[0], HOST[0]), (HOST[0], CLIENT[0])):
        pair.network.set_steps(a, b, longer)
    for number in range(400):
        pair.client.send_control(b"%3d" % number + bytes(200))
        pair.run(2 * MS)
    pair.run(3 * SECOND)
    assert len(pair.of(ControlMessage, pair.host_events)) == 401


def test_input_is_short() -> None:
    pair = _connected()
    pair.client.send_input_state(bytes(INPUT_BYTES_MAX))
    pair.client.send_input_edge(bytes(INPUT_BYTES_MAX))
    for send in (pair.client.send_input_state, pair.client.send_input_edge):
        with pytest.raises(LimitExceeded):
            send(bytes(INPUT_BYTES_MAX + 1))


def test_nothing_of_media_or_input_before_the_handshake() -> None:
    pair = Pair()
    with pytest.raises(Unusable):
        pair.client.send_frame(VIDEO, b"x", key=True, now_ns=0)
    with pytest.raises(Unusable):
        pair.client.send_input_state(b"x")


@pytest.mark.parametrize("size", [1, 63, 64, 1_141, 1_142, 40_000, 200_001])
def test_frames_of_every_size_arrive_whole(size: int) -> None:
    pair = _connected(playout_ns=SECOND)
    data = bytes(range(256)) * (size // 256 + 1)
    number = pair.host.send_frame(VIDEO, data[:size], key=True, now_ns=pair.now_ns, captured_ns=9)
    pair.run(2 * SECOND)
    (frame,) = pair.of(Frame)
    assert (frame.lane, frame.number, frame.key, frame.captured_ns) == (VIDEO, number, True, 9)
    assert frame.data == data[:size]


def test_frames_have_limits() -> None:
    pair = _connected(steps=[Step(0, PERFECT)])
    for size in (0, FRAME_BYTES_MAX + 1):
        with pytest.raises(LimitExceeded) as caught:
            pair.host.send_frame(VIDEO, bytes(size), key=True, now_ns=pair.now_ns)
        assert caught.value.code == "transport.frame"
    pair.host.send_frame(VIDEO, bytes(FRAME_BYTES_MAX), key=True, now_ns=pair.now_ns)
    pair.host.send_frame(VIDEO, bytes(FRAME_BYTES_MAX), key=True, now_ns=pair.now_ns)
    with pytest.raises(LimitExceeded) as caught:
        pair.host.send_frame(VIDEO, bytes(FRAME_BYTES_MAX), key=True, now_ns=pair.now_ns)
    assert caught.value.code == "transport.queue"


def _stream(pair: Pair, count: int, size: int = 4_000, key_every: int = 1_000_000) -> None:
    sent = 0

    def send(now_ns: int) -> None:
        nonlocal sent
        key = sent % key_every == 0
        pair.host.send_frame(VIDEO, sent.to_bytes(4, "big") * (size // 4), key=key, now_ns=now_ns)
        sent += 1

    pair.world.every(16 * MS, send, until_ns=pair.now_ns + 16 * MS * count)
    pair.run(16 * MS * count + SECOND)
    assert sent == count


def _numbers(events: list[Event]) -> list[int]:
    return [event.number for event in events if isinstance(event, Frame)]


def test_frames_are_repaired_and_shown_in_order() -> None:
    pair = _connected(3, BAD)
    _stream(pair, 200)
    assert _numbers(pair.client_events) == list(range(200))
    counts = pair.client.media.frames.counts
    assert counts.by_repetition + counts.by_parity > 50
    assert all(f.data[:4] == f.number.to_bytes(4, "big") for f in pair.of(Frame))


@pytest.mark.parametrize("lost", [1, 3])
def test_the_end_of_a_frame_is_asked_for_though_nothing_comes_after_it(lost: int) -> None:
    pair = _connected()
    pair.run(SECOND)
    sent: list[int] = []

    def tap(source: tuple[str, int], _to: object, data: bytes, _now: int) -> bool:
        if source == HOST and len(data) > 600:
            sent.append(len(data))
            return not 8 - lost < len(sent) <= 8
        return True

    pair.world.taps.append(tap)
    begun_ns = pair.now_ns
    pair.host.send_frame(VIDEO, bytes(8_000), key=True, now_ns=begun_ns, parity=0)
    pair.run(SECOND // 2)
    assert len(sent) == 8 + lost, "each of the lost is sent again, once"
    (frame,) = pair.of(Frame)
    assert frame.repaired == lost
    assert frame.completed_ns - begun_ns < 90 * MS, "three ways of 20 ms, pacing, and a little"


def test_a_gap_asks_for_a_key_frame_and_shows_none_that_needs_it() -> None:
    pair = _connected(steps=SLOW)
    steps = [Step(0, PERFECT), Step(pair.now_ns + 500 * MS, Conditions(blackout=True))]
    steps.append(Step(pair.now_ns + 800 * MS, SLOW[0].conditions))
    pair.network.set_steps(HOST[0], CLIENT[0], steps)
    _stream(pair, 120)
    (freeze, *_) = pair.of(Freeze)
    shown = _numbers(pair.client_events)
    assert shown == list(range(freeze.number))
    assert pair.of(KeyFrameWanted, pair.host_events)[0] == KeyFrameWanted(VIDEO, freeze.number - 1)
    last = pair.host.send_frame(VIDEO, b"key", key=True, now_ns=pair.now_ns)
    pair.run(SECOND)
    assert _numbers(pair.client_events) == [*shown, last]
    asked = len(pair.of(KeyFrameWanted, pair.host_events))
    pair.run(SECOND)
    assert len(pair.of(KeyFrameWanted, pair.host_events)) == asked


def test_a_close_is_told_and_acknowledged() -> None:
    pair = _connected(2, BAD)
    pair.client.close(CloseReason.USER, "good night", pair.now_ns)
    pair.client.close(CloseReason.POLICY, "only the first counts", pair.now_ns)
    with pytest.raises(Unusable):
        pair.client.send_control(b"too late")
    pair.run(SECOND)
    (mine,), (theirs,) = pair.of(Closed), pair.of(Closed, pair.host_events)
    assert (mine.reason, mine.by_peer) == (CloseReason.USER, False)
    assert (theirs.reason, theirs.text, theirs.by_peer) == (CloseReason.USER, "good night", True)
    pair.run(5 * SECOND)
    assert pair.listener.links == ()
    assert pair.client.deadline_ns is None


def test_a_close_that_nobody_hears_ends_all_the_same() -> None:
    pair = _connected()
    pair.world.remove(HOST)
    pair.client.close(CloseReason.PROCESS_EXIT, "", pair.now_ns)
    pair.run(499 * MS)
    assert pair.of(Closed) == []
    pair.run(2 * MS)
    assert pair.of(Closed)[0].reason is CloseReason.PROCESS_EXIT


def test_silence_is_degraded_then_lost_then_the_end() -> None:
    pair = _connected()
    pair.world.remove(HOST)
    start_ns = pair.now_ns
    heard_ns = pair.client.paths.liveness.heard_ns
    pair.run(ENDED_NS + SECOND)
    states = pair.of(PathSuspect)
    assert [s.state for s in states if s.silent_ns] == [PathState.DEGRADED, PathState.LOST]
    assert states[-1].silent_ns == LOST_NS
    assert pair.of(Closed)[0].reason is CloseReason.CONNECTION_LOST
    assert heard_ns <= start_ns
    assert pair.client.deadline_ns is None


def test_an_idle_link_lives() -> None:
    pair = _connected(5, [Step(0, Conditions(delay_ns=20 * MS, loss=0.2))])
    pair.run(60 * SECOND)
    assert pair.of(Closed) == []
    assert pair.client.counts.packets_sent < 60 * 20


def test_a_peer_whose_address_changes_is_followed_with_its_keys() -> None:
    pair = _connected()
    pair.network.put_behind(CLIENT[0], Nat("5.5.5.5", NatBehaviour.SYMMETRIC))
    pair.client.send_control(b"from elsewhere")
    pair.run(SECOND)
    assert pair.of(ControlMessage, pair.host_events) == [ControlMessage(b"from elsewhere")]
    (moved,) = pair.of(PeerMoved, pair.host_events)
    assert moved.address == ("5.5.5.5", 20_000)
    _stream(pair, 10)
    assert len(_numbers(pair.client_events)) == 10


def test_a_copied_packet_from_elsewhere_moves_nothing() -> None:
    pair = _connected()
    pair.client.send_control(b"x")
    pair.client.tick(pair.now_ns)
    (packet,) = pair.client.datagrams()
    pair.listener.receive(packet.data, ("attacker", 1), pair.now_ns)
    pair.run(2 * SECOND)
    assert pair.of(PeerMoved, pair.host_events) == []
    assert pair.host.paths.address == CLIENT


def test_another_path_is_not_blamed_for_what_the_old_one_lost() -> None:
    """A sender that does not follow its target sends on through a blackout of two seconds."""
    pair = _connected()
    start_ns, frame = pair.now_ns, bytes(12_000)
    channel = pair.network.channel(HOST[0], CLIENT[0])

    def send(now_ns: int) -> None:
        key = bool(pair.of(KeyFrameWanted, pair.host.events()))
        pair.host.send_frame(VIDEO, frame, key=key or now_ns == start_ns, now_ns=now_ns)

    pair.world.every(SECOND // 60, send, until_ns=start_ns + 5 * SECOND)
    steps = [
        Step(start_ns, SLOW[0].conditions),
        Step(start_ns + SECOND, Conditions(blackout=True)),
        Step(start_ns + 3 * SECOND, Conditions(delay_ns=40 * MS)),
    ]
    pair.network.set_steps(HOST[0], CLIENT[0], steps)
    pair.run(3 * SECOND)
    pair.host.use_path(CLIENT, 1, pair.now_ns)
    assert pair.host.media.parity(VIDEO, 11) == 0, "the loss was the old path's"
    pair.run(SECOND)
    before = channel.counts.sent_bytes
    pair.run(SECOND)
    assert pair.host.media.parity(VIDEO, 11) == 0
    assert (channel.counts.sent_bytes - before) * 8 < 6_500_000, "frames and their headers"
    assert pair.host.media.controller.decision.target_bits > 6_000_000
    shown = [frame for frame in pair.of(Frame) if frame.completed_ns > start_ns + 4 * SECOND]
    assert len(shown) >= 50


def test_paths_are_probed_and_taken_with_unchanged_keys() -> None:
    pair = _connected()
    other = ("host", 2001)
    pair.world.place(other, pair.listener)
    before = pair.client.established
    pair.client.probe(other, 1, pair.now_ns)
    pair.client.probe(("nowhere", 1), 2, pair.now_ns)
    pair.run(SECOND)
    # The listener answers from its one address, so only a probe of that address proves it.
    assert pair.of(PathProbed) == []
    pair.client.probe(HOST, 3, pair.now_ns)
    pair.run(SECOND)
    (probed,) = pair.of(PathProbed)
    assert (probed.address, probed.path, probed.rtt_ns) == (HOST, 3, 40 * MS)
    pair.client.use_path(HOST, 3, pair.now_ns)
    pair.client.send_control(b"over path 3")
    pair.run(SECOND)
    assert pair.of(ControlMessage, pair.host_events) == [ControlMessage(b"over path 3")]
    assert pair.client.established == before
