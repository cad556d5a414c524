"""Arrivals, losses, feedback and the controller, each by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from troth.streaming.link.arrival import (
    ASKED_MAX,
    IN_ORDER_PACKETS,
    SETTLED_NS,
    TICK_NS,
    Arrivals,
    decode_feedback,
)
from troth.streaming.link.chunks import ChunkKind, decode, encode
from troth.streaming.link.congestion import (
    Decision,
    DelayController,
    DelayOptions,
    Feedback,
    Trend,
    replay,
)
from troth.streaming.link.fragments import Fragment, Shape
from troth.streaming.link.frames_in import FrameReceiver
from troth.streaming.link.outputs import Frame, Freeze
from troth.streaming.link.pacer import Pacer
from troth.streaming.link.report import Report, decode_report
from troth.streaming.link.rtt import RoundTrip
from troth.streaming.link.sent import Sent, SentPackets
from troth.streaming.transport_limits import (
    FRAMES_OPEN_MAX,
    HOLES_MAX,
    RTO_FIRST_NS,
    RTO_MAX_NS,
    RTO_MIN_NS,
)
from troth.vm.errors import Malformed

MS = 1_000_000
SECOND = 1_000_000_000


def _arrive(arrivals: Arrivals, numbers: list[int], start_ns: int = 0) -> int:
    now_ns = start_ns
    for number in numbers:
        now_ns += MS
        arrivals.add(number, 1_200, None, now_ns)
    return now_ns


def test_what_is_missing_is_lost_once_and_only_when_settled() -> None:
    arrivals = Arrivals()
    now_ns = _arrive(arrivals, [0, 1, 3, 4, 7, 8])
    assert (arrivals.expected, arrivals.received, arrivals.lost) == (9, 6, 0)
    arrivals.settle(now_ns + SETTLED_NS)
    assert arrivals.lost == 3
    assert (arrivals.bursts, arrivals.burst_max) == (1, 2)


def test_what_is_reordered_is_not_lost() -> None:
    arrivals = Arrivals()
    now_ns = _arrive(arrivals, [0, 2, 1, 5, 4, 3, 6])
    arrivals.settle(now_ns + SETTLED_NS)
    assert (arrivals.lost, arrivals.late) == (0, 3)


def test_what_comes_after_it_was_lost_was_only_late() -> None:
    arrivals = Arrivals()
    now_ns = _arrive(arrivals, [0, 2])
    arrivals.settle(now_ns + SETTLED_NS)
    assert arrivals.lost == 1
    arrivals.add(1, 1_200, None, now_ns + 2 * SETTLED_NS)
    assert (arrivals.lost, arrivals.late) == (0, 1)


@pytest.mark.parametrize("seed", range(3))
def test_loss_is_exact_under_repair_reordering_and_bursts(seed: int) -> None:
    draw, arrivals, lost, now_ns = Random(seed), Arrivals(), 0, 0
    held: list[int] = []
    for number in range(20_000):
        now_ns += MS // 2
        if draw.random() < 0.03 and number < 19_900:
            lost += 1
        elif draw.random() < 0.03:
            held.append(number)
        else:
            arrivals.add(number, 1_200, None, now_ns)
        if held and draw.random() < 0.3:
            arrivals.add(held.pop(0), 1_200, None, now_ns)
        arrivals.settle(now_ns)
    for number in held:
        arrivals.add(number, 1_200, None, now_ns)
    arrivals.settle(now_ns + SECOND)
    assert arrivals.lost == lost
    assert arrivals.received == arrivals.expected - lost


def test_a_leap_of_numbers_costs_bounded_memory() -> None:
    arrivals = Arrivals()
    _arrive(arrivals, [0, 1 << 40])
    assert len(arrivals._holes) <= HOLES_MAX
    arrivals.settle(SECOND)
    assert arrivals.lost == (1 << 40) - 1
    assert len(arrivals._gone) <= HOLES_MAX


def _reordering() -> tuple[Arrivals, int]:
    """What arrives over a path that has just put a packet in another order."""
    arrivals = Arrivals()
    return arrivals, _arrive(arrivals, [0, 2, 1])


def test_where_packets_come_in_order_what_is_missing_is_asked_for_at_once() -> None:
    arrivals = Arrivals()
    now_ns = _arrive(arrivals, [0, 2])
    assert arrivals.question_ns(40 * MS) == now_ns
    assert arrivals.missing(now_ns, 40 * MS, lambda _last: True) == [(1, 1)]


def test_a_path_that_reorders_is_trusted_again_after_a_long_order() -> None:
    arrivals, now_ns = _reordering()
    now_ns = _arrive(arrivals, list(range(3, IN_ORDER_PACKETS)), now_ns)
    now_ns = _arrive(arrivals, [IN_ORDER_PACKETS + 1], now_ns)
    assert arrivals.missing(now_ns, 40 * MS, lambda _last: True) == []
    now_ns = _arrive(arrivals, [IN_ORDER_PACKETS + 2], now_ns)
    assert arrivals.missing(now_ns, 40 * MS, lambda _last: True) == [(IN_ORDER_PACKETS, 1)]


def test_holes_are_asked_for_after_three_packets_and_a_little_time() -> None:
    arrivals, now_ns = _reordering()
    now_ns = _arrive(arrivals, [4, 5], now_ns)

    def ask(at_ns: int) -> list[tuple[int, int]]:
        return arrivals.missing(at_ns, 40 * MS, lambda _last: True)

    assert ask(now_ns) == []
    now_ns = _arrive(arrivals, [6, 7], now_ns)
    assert ask(now_ns) == [(3, 1)]
    assert ask(now_ns) == [], "it is on its way"
    assert ask(now_ns + 59 * MS) == []
    assert ask(now_ns + 60 * MS) == [(3, 1)], "the question may have been lost"
    assert ask(now_ns + 89 * MS) == []
    for asked in range(2, ASKED_MAX):
        at_ns = now_ns + 30 * (asked + 1) * MS
        assert ask(at_ns) == [(3, 1)], "two lost questions: the way back is bad"
    assert ask(now_ns + 999 * MS) == [], "so often is enough"


def test_a_hole_says_when_it_is_to_be_looked_at() -> None:
    (arrivals, now_ns), rtt_ns = _reordering(), 40 * MS
    assert arrivals.question_ns(rtt_ns) is None
    assert not arrivals.has_questions
    now_ns = _arrive(arrivals, [4], now_ns)
    assert arrivals.has_questions
    assert arrivals.question_ns(rtt_ns) == now_ns + 60 * MS, "unless three more come"
    opened_ns, now_ns = now_ns, _arrive(arrivals, [5, 6], now_ns)
    assert arrivals.question_ns(rtt_ns) == opened_ns + 2 * MS
    assert arrivals.missing(now_ns, rtt_ns, lambda _last: True) == [(3, 1)]
    assert not arrivals.has_questions, "nothing new to ask, whatever comes"
    assert arrivals.question_ns(rtt_ns) == now_ns + 60 * MS, "it is asked again then"
    _arrive(arrivals, [3], now_ns)
    assert arrivals.question_ns(rtt_ns) is None
    now_ns = _arrive(arrivals, [8, 9, 10, 11], now_ns)
    arrivals.settle(now_ns + SECOND)
    assert not arrivals.has_questions, "what is lost is not asked for"


def test_what_nobody_wants_is_not_asked_for() -> None:
    arrivals = Arrivals()
    now_ns = _arrive(arrivals, [0, 2, 3, 4, 5, 6])
    assert arrivals.missing(now_ns + SECOND, MS, lambda _last: False) == []
    assert arrivals.missing(now_ns + SECOND, MS, lambda _last: True) == []


def test_a_hole_in_front_of_a_repetition_may_be_of_the_next_frame() -> None:
    arrivals = Arrivals()
    arrivals.add(0, 1_200, 7, MS)
    arrivals.add(2, 1_200, None, 2 * MS)  # something is sent again
    arrivals.add(4, 1_200, 9, 3 * MS)
    wanted: list[int] = []

    def want(last: int) -> bool:
        wanted.append(last)
        return True

    assert arrivals.missing(3 * MS, 40 * MS, want) == [(1, 1), (3, 1)]
    assert wanted == [8, 9]


def test_feedback_names_every_arrival_and_its_time() -> None:
    arrivals = Arrivals()
    now_ns = _arrive(arrivals, [0, 1, 4, 3, 6])
    body = arrivals.feedback(now_ns + 5 * MS)
    assert body is not None
    first, count, start_ns, held_ns, arrived = decode_feedback(body)
    assert (first, count, start_ns) == (0, 7, MS)
    assert held_ns == 5 * MS
    assert [number for number, _ in arrived] == [0, 1, 3, 4, 6]
    real = {0: 1, 1: 2, 3: 4, 4: 3, 6: 5}
    assert all(abs(at - real[n] * MS) < TICK_NS for n, at in arrived)
    assert arrivals.feedback(now_ns) is None
    assert not arrivals.media_arrived
    _arrive(arrivals, [7], now_ns)
    again = arrivals.feedback(now_ns + MS)
    assert again is not None
    assert decode_feedback(again)[0] == 7


def test_feedback_after_a_pause_is_about_what_came_after_it() -> None:
    arrivals = Arrivals()
    _arrive(arrivals, [0, 1, 2])
    now_ns = _arrive(arrivals, [4, 5], SECOND)
    body = arrivals.feedback(now_ns)
    assert body is not None
    first, count, start_ns, _, arrived = decode_feedback(body)
    assert (first, count, start_ns) == (4, 2, SECOND + MS)
    assert all(abs(at - (SECOND + (n - 3) * MS)) < TICK_NS for n, at in arrived)


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b[:20], lambda b: b + b"\0\0"])
def test_feedback_that_does_not_fit_is_refused(change: Callable[[bytes], bytes]) -> None:
    arrivals = Arrivals()
    now_ns = _arrive(arrivals, [0, 1, 2])
    body = arrivals.feedback(now_ns)
    assert body is not None
    with pytest.raises(Malformed):
        decode_feedback(change(body))


def test_reports_go_over_the_wire_as_they_are() -> None:
    report = replace(Report(*range(1, 21)), clock_ahead_ns=-5)
    assert decode_report(report.encode()) == report
    with pytest.raises(Malformed):
        decode_report(report.encode()[:-1])
    assert report.loss_before_repair == report.packets_lost / report.packets_expected
    assert Report(0).loss_before_repair == Report(0).loss_after_repair == 0.0
    assert decode(encode(ChunkKind.REPORT, report.encode()))[0][1] == report.encode()


def test_a_sent_fragment_is_repeated_once_and_only_while_it_is_of_use() -> None:
    sent = SentPackets(RoundTrip())
    sent.add(1, Sent(0, 100, b"fragment", 50 * MS))
    sent.add(2, Sent(0, 100, None, 0))
    sent.add(3, Sent(0, 100, b"late", 50 * MS))
    assert sent.repeat(1, 10 * MS) == (b"fragment", 50 * MS)
    assert sent.repeat(1, 11 * MS) is None
    assert sent.repeat(2, 10 * MS) is None
    assert sent.repeat(3, 51 * MS) is None
    assert sent.repeat(99, 10 * MS) is None


def test_round_trips_of_no_time_are_not_believed() -> None:
    rtt = RoundTrip()
    assert rtt.timeout_ns == RTO_FIRST_NS
    rtt.add(0)
    rtt.add(-5)
    assert rtt.timeout_ns == RTO_FIRST_NS
    for _ in range(50):
        rtt.add(MS)
    assert rtt.timeout_ns == RTO_MIN_NS
    rtt.add(60 * SECOND)
    assert rtt.timeout_ns == RTO_MAX_NS
    rtt.reset()
    assert rtt.timeout_ns == RTO_FIRST_NS


# --- frames ---------------------------------------------------------------------------------


def _fragment(frame: int, position: int = 0, *, shards: int = 1, key: bool = False) -> Fragment:
    size = 64 * shards
    shape = Shape(size, 64, 0, key, 0)
    return Fragment(0, frame, shape, False, False, position, bytes([frame % 256]) * 64)


def test_a_frame_waits_for_those_before_it_until_its_time_is_over() -> None:
    frames = FrameReceiver(100 * MS)
    assert len(frames.receive(_fragment(0, key=True), 0)) == 1
    assert frames.receive(_fragment(2), 5 * MS) == []
    assert frames.requests(72 * MS) == [(0, 0)]
    assert frames.tick(104 * MS) == []
    assert frames.deadline_ns == 105 * MS
    assert frames.tick(105 * MS) == [Freeze(0, 1)]
    assert frames.counts.undecodable == 1
    assert frames.requests(321 * MS) == []
    assert frames.requests(322 * MS) == [(0, 0)]
    (shown,) = frames.receive(_fragment(3, key=True), 400 * MS)
    assert isinstance(shown, Frame)
    assert shown.number == 3
    assert frames.requests(999 * MS) == []
    assert frames.receive(_fragment(1), 999 * MS) == []
    assert frames.counts.too_late == 1


def test_a_doubtful_frame_asks_early_and_a_key_frame_behind_it_is_enough() -> None:
    frames = FrameReceiver(90 * MS)
    frames.receive(_fragment(0, key=True), 0)
    frames.receive(_fragment(2), 10 * MS)
    assert frames.deadline_ns == 70 * MS
    assert frames.requests(69 * MS) == []
    assert frames.requests(70 * MS) == [(0, 0)]
    assert frames.tick(80 * MS) == []
    assert frames.receive(_fragment(3, key=True), 85 * MS) == []
    freeze, shown = frames.tick(85 * MS)
    assert freeze == Freeze(0, 1)
    assert isinstance(shown, Frame)
    assert shown.number == 3
    assert frames.requests(999 * MS) == []


def test_fragments_that_contradict_each_other_are_refused() -> None:
    frames = FrameReceiver(100 * MS)
    frames.receive(_fragment(0, 0, shards=3), 0)
    with pytest.raises(Malformed):
        frames.receive(_fragment(0, 1, shards=4), 0)


def test_open_frames_are_bounded() -> None:
    frames = FrameReceiver(SECOND)
    for number in range(3 * FRAMES_OPEN_MAX):
        frames.receive(_fragment(number, 0, shards=2), 0)
    lane = frames._lanes[0]
    assert len(lane.open) <= FRAMES_OPEN_MAX
    assert frames.receive(_fragment(1 << 31, 0, shards=2), 0)[:1] == []
    assert len(lane.open) <= FRAMES_OPEN_MAX


# --- the pacer ------------------------------------------------------------------------------


def test_a_little_time_of_packets_leaves_at_once_and_none_before_its_time() -> None:
    pacer = Pacer()
    pacer.rate_bits = 8_000_000
    pacer.add([bytes(1_000)] * 20, 10 * SECOND)
    left: dict[int, int] = {}
    for now_ns in range(0, 30 * MS, MS // 2):
        while pacer.take(now_ns) is not None:
            left[now_ns // MS] = left.get(now_ns // MS, 0) + 1
    assert left == {0: 4, 4: 4, 8: 4, 12: 4, 16: 4}, "a packet takes a millisecond"


def test_a_packet_that_takes_long_leaves_alone() -> None:
    pacer = Pacer()
    pacer.rate_bits = 800_000
    pacer.add([bytes(1_000)] * 3, 10 * SECOND)
    assert pacer.take(0) is not None
    assert pacer.take(0) is None
    assert pacer.deadline_ns == 10 * MS
    assert pacer.take(10 * MS) is not None


# --- the controller -------------------------------------------------------------------------


def _path(
    controller: DelayController, capacities: list[int], report_ns: int = 50 * MS
) -> list[Decision]:
    """A fluid path: the queue grows by what is sent beyond the capacity, in every report."""
    queue_bits, decisions, now_ns = 0.0, [], 0
    for capacity in capacities:
        now_ns += report_ns
        sent = controller.decision.target_bits * report_ns / SECOND
        carried = min(queue_bits + sent, capacity * report_ns / SECOND)
        queue_bits += sent - carried
        delay_ns = 20 * MS + int(queue_bits / capacity * SECOND)
        decisions.append(controller.on_feedback(_feedback(now_ns, delay_ns, int(carried / 8))))
    return decisions


def _feedback(now_ns: int, delay_ns: int, size: int, **changed: object) -> Feedback:
    values = Feedback(
        now_ns=now_ns,
        rtt_ns=2 * delay_ns,
        delay_ns=delay_ns,
        delay_min_ns=delay_ns,
        received_packets=max(1, size // 1_200),
        received_bytes=size,
        lost_packets=0,
        interval_ns=50 * MS,
        limited=False,
    )
    return replace(values, **changed)  # type: ignore[arg-type]


def test_the_rate_finds_the_capacity_and_follows_it_down_and_up() -> None:
    controller = DelayController()
    high, low = 20_000_000, 5_000_000
    decisions = _path(controller, [high] * 400 + [low] * 200 + [high] * 300)
    found = [d.target_bits for d in decisions]
    assert 0.8 * high < sum(found[200:400]) / 200 < 1.1 * high
    assert max(found[440:600]) < 1.1 * low
    assert max(d.queue_ns for d in decisions[460:600]) < 40 * MS
    assert max(found[600:900]) > 0.8 * high


def test_the_same_feedback_gives_the_same_decisions() -> None:
    draw = Random(3)
    feedback = [
        _feedback(n * 50 * MS, 20 * MS + draw.randrange(40 * MS), draw.randrange(100_000))
        for n in range(1, 500)
    ]
    first, second = (replay(feedback, DelayController()) for _ in range(2))
    assert first == second
    assert len({d.target_bits for d in first}) > 20
    assert replay(feedback, DelayController(DelayOptions(highest_bits=1_000_000))) != first


def test_clocks_that_differ_make_no_difference() -> None:
    feedback = [_feedback(n * 50 * MS, 20 * MS + n % 7 * MS, 30_000) for n in range(1, 200)]
    off = 10**15
    moved = [
        replace(f, delay_ns=f.delay_ns - off, delay_min_ns=f.delay_min_ns - off) for f in feedback
    ]
    assert replay(feedback, DelayController()) == replay(moved, DelayController())


def test_who_sends_little_does_not_learn_that_much_may_be_sent() -> None:
    controller = DelayController()
    for number in range(1, 400):
        controller.on_feedback(_feedback(number * 50 * MS, 20 * MS, 6_000, limited=True))
    assert controller.decision.target_bits == DelayOptions().start_bits


def test_a_standing_queue_is_not_forgotten() -> None:
    """The lowest delay is that of a minute, so ten seconds of queue do not become the path."""
    controller = DelayController(DelayOptions(start_bits=10_000_000, lowest_bits=1_000_000))
    controller.on_feedback(_feedback(50 * MS, 20 * MS, 60_000))
    for number in range(2, 600):
        delay_ns = (80 + number % 4 * 4) * MS
        decision = controller.on_feedback(_feedback(number * 50 * MS, delay_ns, 60_000))
    assert decision.queue_ns >= 60 * MS
    assert decision.trend is Trend.DRAIN
    assert decision.target_bits < 9_000_000


def test_a_delay_that_stands_still_whatever_is_sent_is_the_path() -> None:
    controller = DelayController(DelayOptions(start_bits=10_000_000))
    controller.on_feedback(_feedback(50 * MS, 20 * MS, 60_000))
    decisions = [
        controller.on_feedback(_feedback(number * 50 * MS, 80 * MS, 60_000))
        for number in range(2, 60)
    ]
    assert any(decision.trend is Trend.DRAIN for decision in decisions[:10])
    assert decisions[-1].queue_ns == 0
    assert decisions[-1].target_bits >= 10_000_000


def test_a_delay_that_is_gone_too_soon_was_no_queue() -> None:
    controller = DelayController(DelayOptions(start_bits=10_000_000))
    delays = [20, 20, 70, 70, 20, 20]
    decisions = [
        controller.on_feedback(_feedback(number * 50 * MS, delay * MS, 60_000, limited=True))
        for number, delay in enumerate(delays, 1)
    ]
    assert [decision.trend for decision in decisions[3:5]] == [Trend.DRAIN, Trend.START]
    assert decisions[3].target_bits < 9_000_000
    assert decisions[4].target_bits == 10_000_000


def test_a_queue_that_drains_as_it_can_was_one() -> None:
    controller = DelayController(DelayOptions(start_bits=10_000_000))
    delays = [20, 20, 70, 70, *range(66, 20, -4), 20]
    decisions = [
        controller.on_feedback(_feedback(number * 50 * MS, delay * MS, 60_000, limited=True))
        for number, delay in enumerate(delays, 1)
    ]
    assert decisions[-1].trend is Trend.HOLD
    assert decisions[-1].target_bits < 9_600_000


def test_heavy_loss_without_delay_is_believed_too() -> None:
    controller = DelayController()
    before = controller.decision.target_bits
    for number in range(1, 100):
        controller.on_feedback(
            _feedback(number * 50 * MS, 20 * MS, 25_000, received_packets=20, lost_packets=20)
        )
    assert controller.decision.target_bits < before


def test_another_path_begins_anew() -> None:
    controller = DelayController()
    _path(controller, [20_000_000] * 100)
    controller.reset(5 * SECOND)
    assert controller.decision == DelayController().decision
