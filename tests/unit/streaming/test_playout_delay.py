"""Pictures wait a little where repairs are frequent, and nowhere else."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from link_pairs import CLIENT, HOST, MS, SECOND, Pair
from troth.streaming.link import VIDEO, EpochReport, Frame, KeyFrameWanted
from troth.streaming.link.fragments import Fragment, Shape
from troth.streaming.link.frames_in import FrameReceiver
from troth.streaming.link.playout_delay import MARGIN_NS, MEMORY_NS, PlayoutDelay
from troth.streaming.netem import Bursts, Conditions, Step
from troth.streaming.transport_limits import PLAYOUT_DELAY_MAX_NS

FRAME_NS = SECOND // 60
AHEAD_NS = 5 * SECOND
"""The viewer's clock is so far ahead of the host's."""


def _watch(
    delay: PlayoutDelay, waits_ns: dict[int, int], count: int, first: int = 0, *, again: bool = True
) -> None:
    """Frames of 20 ms on their way, some of them with a wait of so long."""
    for number in range(first, first + count):
        captured_ns = number * FRAME_NS
        completed_ns = captured_ns + AHEAD_NS + 20 * MS + waits_ns.get(number, 0)
        delay.saw(number, captured_ns, completed_ns, again=again and number in waits_ns)


def test_frequent_repairs_are_hidden_by_what_they_take_beyond_two_frames() -> None:
    delay = PlayoutDelay()
    _watch(delay, {60: 42 * MS, 90: 42 * MS}, 100)
    assert delay.delay_ns == 0, "two are not frequent"
    _watch(delay, {120: 42 * MS}, 30, 100)
    expected_ns = 42 * MS - 2 * FRAME_NS + MARGIN_NS
    assert delay.delay_ns == pytest.approx(expected_ns, abs=100)
    captured_ns = 130 * FRAME_NS
    whole_ns = captured_ns + AHEAD_NS + 20 * MS
    assert delay.due_ns(captured_ns, whole_ns) == whole_ns + delay.delay_ns
    assert delay.due_ns(captured_ns, whole_ns + 5 * MS) == whole_ns + delay.delay_ns
    assert delay.due_ns(captured_ns, whole_ns + 50 * MS) == whole_ns + 50 * MS, "late is late"


def test_the_delay_goes_when_the_repairs_do() -> None:
    delay = PlayoutDelay()
    _watch(delay, dict.fromkeys(range(60, 120, 20), 45 * MS), 120)
    assert delay.delay_ns > 10 * MS
    _watch(delay, {}, MEMORY_NS // FRAME_NS + 300, 120)
    assert delay.delay_ns == 0


@pytest.mark.parametrize("wait_ns", [30 * MS, 120 * MS])
def test_what_is_not_noticed_or_too_long_to_hide_delays_nothing(wait_ns: int) -> None:
    delay = PlayoutDelay()
    _watch(delay, dict.fromkeys(range(60, 200, 10), wait_ns), 200)
    assert delay.delay_ns == 0


def test_a_queue_is_no_repair() -> None:
    delay = PlayoutDelay()
    _watch(delay, dict.fromkeys(range(60, 200, 10), 42 * MS), 200, again=False)
    assert delay.delay_ns == 0


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**64 - 1),
            st.integers(0, 2**63),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_whatever_a_peer_says_a_frame_waits_no_longer_than_the_limit(
    frames: list[tuple[int, int, int, bool]],
) -> None:
    delay = PlayoutDelay()
    for number, captured_ns, completed_ns, again in frames:
        delay.saw(number, captured_ns, completed_ns, again=again)
        assert 0 <= delay.delay_ns <= PLAYOUT_DELAY_MAX_NS
        due_ns = delay.due_ns(captured_ns, completed_ns)
        assert completed_ns <= due_ns <= completed_ns + PLAYOUT_DELAY_MAX_NS


def _frame(number: int, *, repeated: bool = False, lane: int = VIDEO) -> Fragment:
    shape = Shape(64, 64, 0, number == 0, number * FRAME_NS)
    return Fragment(lane, number, shape, False, repeated, 0, bytes(64))


def _delayed() -> tuple[FrameReceiver, int]:
    """A receiver that delays its frames, and the number of the next."""
    frames = FrameReceiver(150 * MS)
    for number in range(120):
        late = number in (60, 80, 100)
        now_ns = number * FRAME_NS + (62 if late else 20) * MS
        frames.tick(now_ns)
        frames.receive(_frame(number, repeated=late), now_ns)
    frames.tick(120 * FRAME_NS + 19 * MS)
    assert frames.delay.delay_ns > 8 * MS
    return frames, 120


def test_a_whole_frame_is_shown_when_it_is_time_and_says_when_that_is() -> None:
    frames, number = _delayed()
    whole_ns = number * FRAME_NS + 20 * MS
    assert frames.receive(_frame(number), whole_ns) == []
    due_ns = frames.release_ns
    assert due_ns == frames.deadline_ns == whole_ns + frames.delay.delay_ns
    assert frames.tick(due_ns - 1) == []
    (shown,) = frames.tick(due_ns)
    assert isinstance(shown, Frame)
    assert (shown.number, shown.completed_ns, shown.shown_ns) == (number, whole_ns, due_ns)
    assert frames.release_ns is None


def test_sound_does_not_wait_for_pictures() -> None:
    frames, number = _delayed()
    (shown,) = frames.receive(_frame(0, lane=1), number * FRAME_NS + 20 * MS)
    assert isinstance(shown, Frame)
    assert shown.lane == 1


def test_a_frame_that_waits_for_its_time_is_not_given_up() -> None:
    frames, number = _delayed()
    frames.receive(_frame(number), number * FRAME_NS + 20 * MS)
    lost = frames.counts.lost
    (shown,) = frames.tick(number * FRAME_NS + SECOND)
    assert isinstance(shown, Frame)
    assert frames.counts.lost == lost


def _frozen_ms(seed: int, conditions: Conditions, frames: int) -> tuple[float, float, int, int]:
    """Milliseconds frozen, the middle latency, frames not shown, the longest delay reported."""
    pair = Pair(seed, [Step(0, Conditions(delay_ns=20 * MS))])
    pair.connect()
    for here, there in ((HOST, CLIENT), (CLIENT, HOST)):
        pair.network.set_steps(here[0], there[0], [Step(0, conditions)])
    sent: list[int] = []
    key = True

    def capture(now_ns: int) -> None:
        nonlocal key
        key = key or any(isinstance(event, KeyFrameWanted) for event in pair.host_events)
        pair.host_events.clear()
        pair.host.send_frame(VIDEO, bytes(8_333), key=key, now_ns=now_ns)
        sent.append(now_ns)
        key = False

    pair.world.every(FRAME_NS, capture, until_ns=pair.now_ns + frames * FRAME_NS)
    for _ in range(frames + 30):
        pair.run(FRAME_NS)
    shown = pair.of(Frame)
    gaps = [later.shown_ns - sooner.shown_ns - FRAME_NS for sooner, later in pairwise(shown)]
    reports = pair.of(EpochReport)
    return (
        sum(gap for gap in gaps if gap > 2 * FRAME_NS) / MS,
        median(frame.shown_ns - sent[frame.number] for frame in shown) / MS,
        len(sent) - len(shown),
        max(report.own.playout_delay_ns for report in reports),
    )


def test_bursts_freeze_less_than_a_round_trip_each(monkeypatch: pytest.MonkeyPatch) -> None:
    bursts = Conditions(delay_ns=20 * MS, bursts=Bursts.of(0.02, 5))
    delayed = [_frozen_ms(seed, bursts, 600) for seed in (1, 2)]
    monkeypatch.setattr(PlayoutDelay, "due_ns", lambda _self, _captured, completed: completed)
    at_once = [_frozen_ms(seed, bursts, 600) for seed in (1, 2)]
    assert sum(one[0] for one in delayed) < 0.7 * sum(one[0] for one in at_once)
    assert all(latency_ms < 36 for _, latency_ms, _, _ in delayed), "less than a frame more"
    assert all(missing == 0 for _, _, missing, _ in delayed)
    assert all(longest > 0 for _, _, _, longest in delayed)


def test_without_loss_nothing_waits() -> None:
    frozen, latency_ms, missing, longest = _frozen_ms(
        Random(5).randrange(99), Conditions(delay_ns=20 * MS, jitter_ns=5 * MS), 120
    )
    assert (frozen, missing, longest) == (0, 0, 0)
    assert latency_ms < 26
