"""Pixels say which frame they are, tones which group; input loses no edge; viewing counts right."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.streaming.lane import Content, Lane, pack_content, unpack_content
from troth.streaming.media.frame_codec import PIXELS_MAX, FrameHead, pack, unpack
from troth.streaming.media.input_acts import (
    KEYS_DOWN_MAX,
    QUEUE_ACTS_MAX,
    ActQueue,
    PressedKeys,
    RecordedInput,
    ScriptedUser,
)
from troth.streaming.media.interfaces import Act, ActKind, Picture
from troth.streaming.media.pixels import draw, read_number
from troth.streaming.media.synthetic import SyntheticScreen, SyntheticVideo
from troth.streaming.media.tones import GROUP_BYTES, SyntheticTones, ToneMeter
from troth.streaming.media.viewing import FREEZE_US, LaneCounts, Outcome, Viewing, percentile
from troth.streaming.session.arrivals import Arrivals, is_content
from troth.streaming.session.limits import CONTENTS_KEPT
from troth.vm.errors import LimitExceeded, Malformed, Unusable

PICTURE: Final = Picture(160, 96, 60)


def source(kbps: int = 2000) -> SyntheticVideo:
    video = SyntheticVideo()
    video.start(PICTURE, kbps)
    return video


@given(st.integers(0, 2**64 - 1), st.integers(40, 200), st.integers(32, 120))
@settings(max_examples=25)
def test_a_number_is_read_back_from_pixels(number: int, width: int, height: int) -> None:
    pixels = draw(number, width, height)
    assert len(pixels) == width * height
    assert read_number(pixels, width, height) == number


def test_a_cell_that_changed_is_noticed() -> None:
    pixels = bytearray(draw(77, 160, 96))
    for row in range(12):
        pixels[row * 160 : row * 160 + 16] = bytes(255 - p for p in pixels[row * 160 :][:16])
    with pytest.raises(Malformed) as refused:
        read_number(bytes(pixels), 160, 96)
    assert refused.value.code == "media.frame"


def test_frames_are_shown_in_order_and_say_so_themselves() -> None:
    video, screen = source(), SyntheticScreen()
    frames = [video.capture(at) for at in range(5)]
    assert [frame.key for frame in frames] == [True, False, False, False, False]
    assert [screen.present(frame.data) for frame in frames] == [0, 1, 2, 3, 4]


def test_without_the_frame_before_only_a_key_frame_helps() -> None:
    video, screen = source(), SyntheticScreen()
    screen.present(video.capture(0).data)
    video.capture(1)
    with pytest.raises(Malformed) as refused:
        screen.present(video.capture(2).data)
    assert refused.value.code == "media.reference"
    assert screen.last == 0
    assert video.force_key_frame() == 3
    assert screen.present(video.capture(3).data) == 3


def test_frames_follow_the_bitrate() -> None:
    video = source(4800)
    video.capture(0)
    assert len(video.capture(1).data) == 4800 * 125 // 60
    video.adapt(9600, 30)
    assert len(video.capture(2).data) == 9600 * 125 // 30


def test_another_size_begins_with_a_key_frame_and_the_same_size_changes_nothing() -> None:
    video, screen = source(), SyntheticScreen()
    screen.present(video.capture(0).data)
    video.resize(160, 90)
    smaller = video.capture(1)
    assert smaller.key
    assert screen.present(smaller.data) == 1
    video.resize(160, 90)
    same = video.capture(2)
    assert not same.key
    assert screen.present(same.data) == 2
    with pytest.raises(Unusable) as refused:
        video.resize(4, 4)
    assert refused.value.code == "media.picture"


def test_another_monitor_begins_with_a_key_frame_and_looks_different() -> None:
    video = source()
    video.capture(0)
    video.select(1)
    assert video.capture(1).key
    with pytest.raises(Unusable) as refused:
        video.select(2)
    assert refused.value.code == "media.monitor"


@given(st.binary(max_size=80))
@settings(max_examples=60)
def test_garbage_is_refused_and_nothing_else_happens(data: bytes) -> None:
    with pytest.raises(Malformed):
        SyntheticScreen().present(data)


def presented(data: bytes) -> int | str:
    """The number that was shown, or the code of the refusal."""
    try:
        return SyntheticScreen().present(data)
    except Malformed as error:
        return error.code


@given(st.data())
@settings(max_examples=40)
def test_a_flipped_byte_never_shows_another_number(data: st.DataObject) -> None:
    frame = source(1).capture(0).data
    place = data.draw(st.integers(0, len(frame) - 1))
    flipped = frame[:place] + bytes((frame[place] ^ 0x55,)) + frame[place + 1 :]
    # A flip in the filler, which nobody looks at, leaves the picture as it was.
    assert presented(flipped) in (0, "media.frame")


def test_a_frame_that_would_fill_memory_is_refused() -> None:
    head = FrameHead(0, True, 0, 8000, 8000)
    with pytest.raises(Malformed) as refused:
        unpack(pack(head, bytes(16), b"", 0))
    assert str(PIXELS_MAX) in (refused.value.expected or "")
    bomb = pack(FrameHead(0, True, 0, 40, 32), bytes(10_000_000), b"", 0)
    with pytest.raises(Malformed):
        unpack(bomb)


def test_tones_are_told_apart() -> None:
    tones, meter = SyntheticTones(), ToneMeter()
    assert [meter.play(tones.capture(at).data) for at in range(6)] == [0, 1, 2, 3, 0, 1]
    assert meter.level > 50
    for wrong in (bytes(GROUP_BYTES), b"short"):
        with pytest.raises(Malformed) as refused:
            meter.play(wrong)
        assert refused.value.code == "media.sound"


def test_moves_are_put_together_and_edges_are_not() -> None:
    queue = ActQueue()
    for act in (
        Act(ActKind.MOVE, 1, x=1),
        Act(ActKind.MOVE, 2, x=2),
        Act(ActKind.PRESS, 3, code=30),
        Act(ActKind.MOVE, 4, x=4),
        Act(ActKind.RELEASE, 5, code=30),
        Act(ActKind.RELEASE, 6, code=30),
    ):
        queue.add(act)
    taken = [queue.take() for _ in range(5)]
    assert queue.take() is None
    assert [(act.kind, act.x, act.number) for act in taken if act is not None] == [
        (ActKind.MOVE, 2, 0),
        (ActKind.PRESS, 0, 0),
        (ActKind.MOVE, 4, 0),
        (ActKind.RELEASE, 0, 1),
        (ActKind.RELEASE, 0, 2),
    ]
    assert queue.coalesced == 1


def test_a_lone_move_waits_while_the_way_is_full_and_a_click_with_its_place_does_not() -> None:
    queue = ActQueue()
    queue.add(Act(ActKind.MOVE, 1, x=1))
    assert queue.take(lone_moves=False) is None
    queue.add(Act(ActKind.MOVE, 2, x=2))
    queue.add(Act(ActKind.PRESS, 3, code=30))
    taken = [queue.take(lone_moves=False) for _ in range(3)]
    assert [None if act is None else (act.kind, act.x) for act in taken] == [
        (ActKind.MOVE, 2),
        (ActKind.PRESS, 0),
        None,
    ]


def test_the_queue_of_acts_is_bounded() -> None:
    queue = ActQueue()
    for at in range(QUEUE_ACTS_MAX):
        queue.add(Act(ActKind.PRESS, at, code=at))
    with pytest.raises(LimitExceeded) as refused:
        queue.add(Act(ActKind.PRESS, 0, code=1))
    assert refused.value.code == "media.limit.acts"


def test_no_key_stays_down() -> None:
    sink = RecordedInput()
    keys = PressedKeys(sink)
    keys.press(30)
    keys.press(31)
    keys.release(30)
    assert keys.down == (31,)
    assert keys.release_all() == 1
    assert keys.release_all() == 0
    assert list(sink.acts)[-1] == ("release", 31, 0)
    for code in range(KEYS_DOWN_MAX):
        keys.press(code)
    with pytest.raises(LimitExceeded):
        keys.press(9999)


def test_a_scripted_user_presses_and_releases() -> None:
    user = ScriptedUser(0)
    acts = [act for at in range(0, 1_000_001, 4_000) for act in user.acts(at)]
    presses = [act.code for act in acts if act.kind is ActKind.PRESS]
    releases = [act.code for act in acts if act.kind is ActKind.RELEASE]
    assert presses == [30, 31, 32]
    assert releases == presses
    assert sum(act.kind is ActKind.MOVE for act in acts) > 100


def test_viewing_counts_losses_freezes_and_delays() -> None:
    viewing = Viewing(0)
    lane = LaneCounts(0, 0, 0)
    for at in range(10):
        assert viewing.shown(at, at * 16_000, at * 16_000 + 5_000) is None
    viewing.missed(Outcome.LOST)
    freeze = viewing.shown(11, 400_000, 410_000)
    assert freeze is not None
    assert freeze.ms == (410_000 - 149_000) // 1000 > FREEZE_US // 1000
    report = viewing.report(500_000, replace(lane, expected=200, lost=4, burst=2))
    assert (report.received, report.shown, report.lost_after_repair_ppm) == (
        11,
        11,
        1_000_000 // 12,
    )
    assert report.lost_before_repair_ppm == 20_000
    assert (report.frozen_ms, report.span_ms) == (261, 500)
    assert report.delay_us == 5_000
    again = viewing.report(750_000, replace(lane, expected=200, lost=4, burst=2))
    assert (again.received, again.lost_before_repair_ppm, again.epoch) == (0, 0, 1)
    assert percentile(viewing.delays_us, 0.5) == 5_000
    assert viewing.silent_us(1_410_000) == 1_000_000


def test_contents_carry_their_number() -> None:
    content = Content(Lane.SOUND, 2**40, b"sound", key=True)
    assert unpack_content(1, True, pack_content(content)) == content
    for lane, data in ((0, b"short"), (7, bytes(20))):
        with pytest.raises(Malformed) as refused:
            unpack_content(lane, False, data)
        assert refused.value.code == "media.content"


def test_arrivals_are_bounded_and_know_what_has_passed() -> None:
    arrivals = Arrivals()
    for number in range(CONTENTS_KEPT + 5):
        arrivals.add(Content(Lane.VIDEO, number, b"%d" % number))
    arrivals.add(Content(Lane.VIDEO, 9, b"again"))
    assert arrivals.repeated == 1
    assert arrivals.take(Lane.VIDEO, 0) is None
    assert arrivals.take(Lane.VIDEO, 9) == b"9"
    assert arrivals.passed(Lane.VIDEO, 9)
    assert not arrivals.passed(Lane.VIDEO, CONTENTS_KEPT + 4)
    assert not arrivals.passed(Lane.SOUND, 0)
    assert is_content(b"9", blake3(b"9").digest())
    assert not is_content(b"8", blake3(b"9").digest())
