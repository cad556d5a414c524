"""Sessions on ways that carry little more than their words, in virtual time."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from typing import Any, Final

import pytest

from stream_play import SMALL, ends, events
from troth.streaming.media.interfaces import Picture
from troth.streaming.media.synthetic import KEY_FRAME_MS_MAX, SyntheticVideo
from troth.streaming.media.viewing import Outcome
from troth.streaming.netem import Conditions, Network, Step
from troth.streaming.session.limits import PLAYOUT_DEADLINE_US
from troth.streaming.session.shell_client import ClientParty
from troth.streaming.session.shell_end import Wanted
from troth.streaming.session.shell_host import HostParty
from troth.streaming.session.shell_local import LocalOptions, LocalResult, run_local
from virtual_time import run_virtually

MS: Final = 1_000_000
NARROW: Final = Conditions(delay_ns=30 * MS, rate_bits=600_000, queue_bytes=64_000)
WIDE: Final = Conditions(delay_ns=20 * MS)
DARK: Final = Conditions(blackout=True)
FEW: Final = Picture(640, 360, 30)
Ready = Callable[[HostParty, ClientParty, Network], None]


def _play(wanted: Wanted, *steps: Step, ready: Ready | None = None) -> LocalResult:
    options = LocalOptions(wanted=wanted, steps=steps, on_ready=ready)
    return run_virtually(functools.partial(run_local, options))


def _freezes(result: LocalResult) -> list[int]:
    return [event["ms"] for event in events(result.client, "freeze")]


@pytest.mark.parametrize("picture", [SMALL, FEW])
def test_pictures_and_key_frames_get_through_600_kbit_a_second(picture: Picture) -> None:
    def ready(_host: HostParty, client: ClientParty, _network: Network) -> None:
        def ask() -> None:
            client.demand("key_frame", 0)

        for after_s in (2, 3, 4, 5):
            asyncio.get_running_loop().call_later(after_s, ask)

    wanted = Wanted(picture=picture, bitrate_kbps=600, seconds=6)
    result = _play(wanted, Step(0, NARROW), ready=ready)
    assert result.ok
    assert ends(result) == ("Client", "time_is_up") * 2
    outcomes = result.client.viewing.outcomes
    assert len(events(result.client, "idr_request")) == 4
    assert outcomes[Outcome.SHOWN] > 6 * 5
    assert outcomes[Outcome.SHOWN] > 8 * (outcomes[Outcome.LOST] + outcomes[Outcome.BROKEN])
    assert max(_freezes(result), default=0) < 1_000, "it was 2.5 s"


def test_a_session_goes_on_when_its_new_path_is_narrow() -> None:
    """From 4 Mbit/s to 600 kbit/s, as when the direct path is blocked and a relay carries less."""
    dark_s, path_s = 2.0, 2.9

    def ready(host: HostParty, client: ClientParty, _network: Network) -> None:
        def take_path() -> None:
            for party in (host, client):
                way: Any = party._way
                way.link.use_path(way.link.paths.address, 2, time.monotonic_ns())

        asyncio.get_running_loop().call_later(path_s, take_path)

    steps = (Step(0, WIDE), Step(int(dark_s * 1e9), DARK), Step(int((path_s + 0.1) * 1e9), NARROW))
    result = _play(Wanted(picture=FEW, bitrate_kbps=4_000, seconds=9), *steps, ready=ready)
    assert result.ok
    assert ends(result) == ("Client", "time_is_up") * 2
    longest_ms = max(_freezes(result))
    assert 900 < longest_ms < 4_500, "the session ended after five seconds without a picture"
    shown = [report.shown for report in result.host.reports[-8:]]
    assert sum(shown) > 8, "pictures flow again at the end"


@pytest.mark.parametrize("frames_per_second", [15, 30, 60])
@pytest.mark.parametrize("kbps", [300, 600, 20_000])
def test_a_key_frame_is_no_longer_on_its_way_than_it_may_be(
    kbps: int, frames_per_second: int
) -> None:
    video = SyntheticVideo()
    video.start(Picture(80, 64, frames_per_second), kbps)
    key, other = (video.capture(0) for _ in range(2))
    assert (key.key, other.key) == (True, False)
    assert len(other.data) <= len(key.data) <= 3 * len(other.data)
    assert len(key.data) * 8 / kbps <= max(KEY_FRAME_MS_MAX, 1_000 / frames_per_second) + 1
    assert KEY_FRAME_MS_MAX * 1_000 * 2 <= PLAYOUT_DEADLINE_US
