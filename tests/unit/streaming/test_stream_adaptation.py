"""The controller on made-up reports, and events and metrics in their words."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

import pytest

from troth.streaming.adaptation import (
    BITRATE_KBPS_MIN,
    PARITY_PERCENT_MAX,
    PARITY_PERCENT_MIN,
    LadderController,
    lowest_scale,
    scaled,
)
from troth.streaming.media.interfaces import Picture
from troth.streaming.media.viewing import Epoch
from troth.streaming.telemetry import EVENTS_KEPT, Clock, Telemetry

CALM: Final = Epoch(
    epoch=0,
    span_ms=250,
    received=15,
    shown=15,
    lost_before_repair_ppm=0,
    lost_after_repair_ppm=0,
    burst=0,
    delay_us=5_000,
    jitter_us=100,
    frozen_ms=0,
    bytes=600_000,
)


def test_a_queue_takes_the_bitrate_down_and_a_clear_way_up() -> None:
    controller = LadderController(20_000, 60, 20_000)
    assert controller.decide(CALM).cause == "clear"
    down = [controller.decide(replace(CALM, delay_us=60_000)).bitrate_kbps for _ in range(8)]
    assert down == sorted(down, reverse=True)
    assert down[-1] <= 5_500, "from 20 to 5 Mbit/s within two seconds"
    up = [controller.decide(CALM).bitrate_kbps for _ in range(60)]
    assert up == sorted(up)
    assert up[-1] >= 16_000, "80 % again within fifteen seconds"


def test_what_pictures_wait_on_purpose_is_no_queue() -> None:
    controller = LadderController(4_000, 60, 8_000)
    for _ in range(4):
        controller.decide(CALM)
    waiting = replace(CALM, delay_us=CALM.delay_us + 30_000, playout_delay_us=30_000)
    assert controller.decide(waiting).cause == "clear"
    assert controller.decide(replace(waiting, playout_delay_us=0)).cause == "queue"


def test_what_is_not_delivered_is_not_promised() -> None:
    controller = LadderController(1_000, 60, 50_000)
    quiet = replace(CALM, bytes=25_000)  # 800 kbit/s
    kbps = [controller.decide(quiet).bitrate_kbps for _ in range(50)]
    assert max(kbps) <= 1_200


def test_the_bitrate_has_a_floor_and_a_cap() -> None:
    controller = LadderController(20_000, 60, 20_000)
    for _ in range(100):
        decision = controller.decide(replace(CALM, lost_after_repair_ppm=100_000))
    assert decision.bitrate_kbps == BITRATE_KBPS_MIN
    assert controller.cap(2_000) == 2_000
    for _ in range(100):
        decision = controller.decide(CALM)
    assert decision.bitrate_kbps == 2_000


def test_the_frame_rate_goes_down_after_three_seconds_and_up_after_ten() -> None:
    controller = LadderController(20_000, 60, 20_000)
    controller.decide(CALM)
    bad = [controller.decide(replace(CALM, delay_us=90_000)).frames_per_second for _ in range(12)]
    assert bad == [60] * 11 + [45]
    good = [controller.decide(CALM).frames_per_second for _ in range(40)]
    assert good == [45] * 39 + [60]


def _ladder(
    kbps: int, frame_rate: int = 60, *, scale_percent_min: int = 50, height: int = 720
) -> LadderController:
    return LadderController(
        kbps, frame_rate, 20_000, pixels=1_280 * height, scale_percent_min=scale_percent_min
    )


def _steps(controller: LadderController, report: Epoch, epochs: int) -> list[tuple[int, int]]:
    """The different pairs of frame rate and scale, in order."""
    found: list[tuple[int, int]] = []
    for _ in range(epochs):
        decision = controller.decide(report)
        step = (decision.frames_per_second, decision.scale_percent)
        if found[-1:] != [step]:
            found.append(step)
    return found


def test_the_resolution_goes_down_after_the_frame_rate_and_up_before_it() -> None:
    controller = _ladder(20_000)
    controller.decide(CALM)
    bad = _steps(controller, replace(CALM, delay_us=90_000), 200)
    assert bad == [(60, 100), (45, 100), (30, 100), (15, 100), (15, 75), (15, 50)]
    good = _steps(controller, CALM, 400)
    assert good == [(15, 50), (15, 75), (15, 100), (30, 100), (45, 100), (60, 100)]


def test_a_step_of_resolution_takes_three_seconds_down_and_ten_up() -> None:
    controller = _ladder(20_000, 15)
    controller.decide(CALM)
    loss = replace(CALM, lost_after_repair_ppm=50_000)
    down = [controller.decide(loss).scale_percent for _ in range(12)]
    assert down == [100] * 11 + [75]
    up = [controller.decide(CALM).scale_percent for _ in range(40)]
    assert up == [75] * 39 + [100]


@pytest.mark.parametrize(
    ("height", "scales"),
    [
        # 300 kbit/s are just enough for 15 pictures of 1280 by 720 a second.
        (720, [100] * 200),
        # Nor does it go up again, though the way is clear: more would not be carried well.
        (1_080, [100] * 11 + [75] * 189),
    ],
)
def test_a_picture_that_the_bitrate_does_not_carry_is_smaller(
    height: int, scales: list[int]
) -> None:
    controller = _ladder(BITRATE_KBPS_MIN, 15, height=height)
    decided = [controller.decide(CALM, BITRATE_KBPS_MIN).scale_percent for _ in range(200)]
    assert decided == scales


def test_whoever_wants_the_whole_picture_keeps_it() -> None:
    controller = _ladder(20_000, 15, scale_percent_min=100)
    controller.decide(CALM)
    assert _steps(controller, replace(CALM, delay_us=90_000), 100) == [(15, 100)]


@pytest.mark.parametrize(
    ("width", "height", "wished", "lowest"),
    [
        (1_280, 720, 25, 25),
        (1_280, 720, 50, 50),
        (1_280, 720, -5, 25),
        (1_280, 720, 60, 75),
        (1_280, 720, 1 << 40, 100),
        (320, 180, 25, 50),
        (200, 120, 25, 100),
        (1, 1, 25, 100),
    ],
)
def test_a_picture_is_made_no_smaller_than_is_wished_and_than_can_be_read(
    width: int, height: int, wished: int, lowest: int
) -> None:
    assert lowest_scale(Picture(width, height, 60), wished) == lowest


def test_scaled_sides_are_even_and_the_whole_is_as_it_was_agreed() -> None:
    assert scaled(Picture(321, 181, 60), 75, 30) == Picture(240, 134, 30)
    assert scaled(Picture(321, 181, 60), 100, 60) == Picture(321, 181, 60)


def test_what_the_way_allows_is_not_exceeded() -> None:
    controller = LadderController(5_000, 60, 5_000)
    decision = controller.decide(CALM, 3_000)
    assert (decision.bitrate_kbps, decision.cause, decision.way_kbps) == (3_000, "way", 3_000)
    assert controller.decide(CALM, 0).bitrate_kbps == 3_150


def test_nothing_received_is_a_cause_of_its_own() -> None:
    silent = replace(CALM, received=0, shown=0, delay_us=0)
    assert LadderController(5_000, 60, 5_000).decide(silent).cause == "silence"


def test_parity_follows_loss_and_bursts_and_comes_down_slowly() -> None:
    controller = LadderController(5_000, 60, 5_000)
    assert controller.decide(CALM).parity_percent == PARITY_PERCENT_MIN
    lossy = replace(CALM, lost_before_repair_ppm=30_000, burst=3)
    assert controller.decide(lossy).parity_percent == PARITY_PERCENT_MIN + 9 + 4
    assert controller.decide(CALM).parity_percent == PARITY_PERCENT_MIN + 12
    worst = replace(CALM, lost_before_repair_ppm=900_000, burst=90)
    assert controller.decide(worst).parity_percent == PARITY_PERCENT_MAX
    for _ in range(60):
        decision = controller.decide(CALM)
    assert decision.parity_percent == PARITY_PERCENT_MIN


def test_events_are_lines_of_json_and_bounded() -> None:
    lines: list[str] = []
    clock = Clock(lambda: 5, lambda: 7)
    telemetry = Telemetry("Host", "ab", clock, lambda event: lines.append(event.line()))
    telemetry.emit("freeze", ms=300)
    telemetry.emit("session_end", "control", reason="x\x1b[2J" + "y" * 1000)
    first, second = (json.loads(line) for line in lines)
    assert first == {
        "event": "freeze", "ts_utc_us": 5, "ts_mono_us": 7, "role": "Host", "session_id": "ab",
        "path_id": 0, "plane": "media", "ms": 300,
    }  # fmt: skip
    assert len(second["reason"]) == 400
    assert "\x1b" not in lines[1]
    moved = telemetry.moved("adapt", 5, 4, what="bitrate_kbps")
    assert (moved["from"], moved["to"]) == (5, 4)
    for _ in range(EVENTS_KEPT + 10):
        telemetry.emit("freeze")
    assert len(telemetry.events) == EVENTS_KEPT


def test_metrics_are_prometheus_text() -> None:
    telemetry = Telemetry("Client", "ab", Clock(lambda: 0, lambda: 0))
    telemetry.count("handshake_fail_total", reason='a"b\n')
    telemetry.count("handshake_fail_total", reason='a"b\n')
    telemetry.gauges["loss_pre_repair"] = 0.25
    for delay_ms in (1, 3, 1000):
        telemetry.tally.queue_delay_ms.add(delay_ms)
    text = telemetry.prometheus()
    assert 'troth_stream_handshake_fail_total{role="Client",reason="a\\"b\\n"} 2\n' in text
    assert 'troth_stream_loss_pre_repair{role="Client"} 0.25\n' in text
    assert 'troth_stream_queue_delay_ms_bucket{role="Client",le="5"} 2\n' in text
    assert 'troth_stream_queue_delay_ms_bucket{role="Client",le="+Inf"} 3\n' in text
    assert 'troth_stream_queue_delay_ms_sum{role="Client"} 1004\n' in text
