"""The two ends have clocks of their own, and the link knows how far apart they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from link_pairs import CLIENT, CLIENT_OPTIONS, HOST, MS, SECOND, Pair, entropy
from skewed_clocks import ClockOf, Skewed, clock_of
from troth.streaming.link import VIDEO, EpochReport, Frame, SecureLink
from troth.streaming.link.clocks import ClockMap
from troth.streaming.media.viewing import LaneCounts, Viewing
from troth.streaming.netem import Conditions, Step

FRAME_NS = SECOND // 30


def _streamed(shows: ClockOf, conditions: Conditions, seconds: int) -> Pair:
    pair = Pair(5, [Step(0, conditions)])
    pair.client = SecureLink.connect(CLIENT_OPTIONS, HOST, entropy=entropy(9), now_ns=shows(0))
    pair.world.place(CLIENT, Skewed(pair.client, shows))
    pair.connect()

    def capture(now_ns: int) -> None:
        pair.host.send_frame(VIDEO, bytes(3_000), key=True, now_ns=now_ns)

    pair.world.every(FRAME_NS, capture, until_ns=pair.now_ns + seconds * SECOND)
    for _ in range(seconds * 10):
        pair.run(SECOND // 10)
    return pair


@pytest.mark.parametrize(
    ("ahead_s", "gain_us"), [(0, 0), (3_600, 0), (-0.5, 0), (40, 100), (40, -100)]
)
@pytest.mark.parametrize("jitter_ms", [0, 15])
def test_both_ends_know_the_offset_whatever_the_clocks_show(
    ahead_s: float, gain_us: int, jitter_ms: int
) -> None:
    shows = clock_of(int(ahead_s * SECOND), gain_us * 1_000)
    pair = _streamed(shows, Conditions(delay_ns=20 * MS, jitter_ns=jitter_ms * MS), 12)
    now_ns, shown_ns = pair.now_ns, shows(pair.now_ns)
    at_host = pair.host.media.peer_clock(now_ns)
    at_client = pair.client.media.peer_clock(shown_ns)
    assert at_host is not None
    assert at_client is not None
    allowed_ns = 2 * MS + jitter_ms * MS // 4
    assert abs(at_host.ahead_ns - (shown_ns - now_ns)) < allowed_ns
    assert abs(at_client.ahead_ns + (shown_ns - now_ns)) < allowed_ns
    assert allowed_ns < at_host.error_ns < 40 * MS
    frame = pair.of(Frame)[-1]
    latency_ns = frame.shown_ns - (frame.captured_ns - at_client.ahead_ns)
    assert 18 * MS < latency_ns < (30 + jitter_ms) * MS, "end to end, and not one clock's"
    reports = pair.of(EpochReport)
    assert reports[-1].peer is not None
    assert reports[-1].peer.clock_error_ns > 0


def test_nothing_is_known_before_anything_was_reported() -> None:
    assert ClockMap().offset(SECOND) is None
    pair = Pair(1)
    pair.connect()
    assert pair.client.media.peer_clock(pair.now_ns) is None


def test_the_shortest_exchange_counts_and_one_that_took_no_time_is_none() -> None:
    clock = ClockMap()
    clock.exchanged(0, 1_000, 100 * MS, 50 * MS)
    assert clock.offset(SECOND) is None
    clock.exchanged(0, 5 * SECOND + 90 * MS, 0, 100 * MS)  # 80 of these waited on the way there
    clock.exchanged(200 * MS, 5 * SECOND + 210 * MS, 0, 220 * MS)
    found = clock.offset(SECOND)
    assert found is not None
    assert found.ahead_ns == 5 * SECOND
    assert 10 * MS <= found.error_ns <= 12 * MS


def test_a_drift_is_followed_between_exchanges() -> None:
    clock = ClockMap()
    for second in range(20):
        sent_ns = second * SECOND
        arrived_ns = sent_ns + 10 * MS + 3 * SECOND + 50_000 * second
        clock.exchanged(sent_ns, arrived_ns, 0, sent_ns + 20 * MS)
    found = clock.offset(30 * SECOND)
    assert found is not None
    assert found.ahead_ns == pytest.approx(3 * SECOND + 50_000 * 30, abs=20_000)


@given(st.lists(st.tuples(*[st.integers(0, 2**64 - 1)] * 4), max_size=80))
def test_whatever_a_peer_reports_there_is_an_end_to_it(
    exchanges: list[tuple[int, int, int, int]],
) -> None:
    clock = ClockMap()
    for sent_ns, arrived_ns, held_ns, now_ns in exchanges:
        clock.exchanged(sent_ns, arrived_ns, held_ns, now_ns)
        found = clock.offset(now_ns)
        assert found is None or found.error_ns > 0
    assert len(clock._best) <= 60


def test_a_viewer_counts_from_end_to_end_once_the_clocks_are_known() -> None:
    viewing, lane = Viewing(0), LaneCounts(0, 0, 0)
    viewing.shown(0, 5_000_000, 10_000, ahead_us=None)
    assert not viewing.delays_us
    unknown = viewing.report(20_000, lane)
    assert (unknown.shown, unknown.latency_us, unknown.delay_us) == (1, 0, -4_990_000)
    viewing.shown(1, 5_020_000, 45_000, ahead_us=5_000_000)
    viewing.shown(2, 5_050_000, 46_000, ahead_us=5_000_000)
    assert list(viewing.delays_us) == [25_000, 1], "nothing is shown before it was captured"
    assert viewing.report(50_000, lane).latency_us == 25_000
