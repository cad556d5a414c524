"""Whole sessions in virtual time whose two sides have clocks of their own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from skewed_clocks import ClockOf, Skewed, clock_of
from stream_play import SMALL, events
from troth.streaming.link import SecureLink
from troth.streaming.media.viewing import Outcome, percentile
from troth.streaming.netem import Conditions, Node, Step
from troth.streaming.session import shell_local
from troth.streaming.session.shell_client import ClientParty
from troth.streaming.session.shell_end import Wanted, make_client, run_party
from troth.streaming.session.shell_local import LocalOptions, LocalResult, run_local
from troth.streaming.session.shell_memory_net import MemoryNetwork
from troth.streaming.session.shell_party import Party
from troth.vm.shell_run import RunResult
from virtual_time import BEGAN_NS, SHOWS, run_virtually

SECONDS: Final = 2.5
WAY_US: Final = 30_000
Made = TypeVar("Made")


@pytest.mark.parametrize(("ahead_s", "gain_us"), [(0, 0), (3_600, 50), (-700, -50)])
def test_latency_is_from_end_to_end_whatever_the_clocks_show(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ahead_s: int, gain_us: int
) -> None:
    shows = clock_of(ahead_s * 1_000_000_000, gain_us * 1_000, BEGAN_NS)
    result = _session(monkeypatch, tmp_path, shows)
    assert result.ok
    viewing, reports = result.client.viewing, result.host.reports
    assert WAY_US - 2_000 < percentile(viewing.delays_us, 0.5) < WAY_US + 6_000
    assert percentile(viewing.delays_us, 0.95) < 2 * WAY_US
    shown = viewing.outcomes[Outcome.SHOWN]
    assert shown - 10 < len(viewing.delays_us) < shown, "the first report is there soon"
    ends_ns = BEGAN_NS + int(SECONDS * 1e9)
    ahead_us = result.client.telemetry.gauges["clock_ahead_us"]
    assert ahead_us == pytest.approx((ends_ns - shows(ends_ns)) / 1_000, abs=2_000)
    assert all(WAY_US - 2_000 < one.latency_us < WAY_US + 10_000 for one in reports[2:])
    assert all(abs(one.delay_us - ahead_s * 1_000_000) < 100_000 for one in reports[2:])
    acts_us = [event["us"] for event in events(result.host, "input_latency")]
    assert len(acts_us) > 10
    assert all(WAY_US - 2_000 < us < 2 * WAY_US for us in acts_us[2:]), acts_us


def test_the_metrics_count_from_end_to_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = _session(monkeypatch, tmp_path, clock_of(3_600_000_000_000, 0))
    counted = len(result.client.viewing.delays_us)
    page = (tmp_path / "client.prom").read_text()
    name = 'troth_stream_queue_delay_ms_bucket{role="Client",le='
    assert f'{name}"20"}} 0\n' in page, "none came sooner than the way takes"
    assert f'{name}"80"}} {counted}\n' in page


def _session(monkeypatch: pytest.MonkeyPatch, folder: Path, shows: ClockOf) -> LocalResult:
    """All of the client lives by that clock: its programs, its devices and its end of the link."""

    def by_its_clock(make: Callable[[], Made]) -> Made:
        token = SHOWS.set(shows)
        try:
            return make()
        finally:
            SHOWS.reset(token)

    class Links:
        @staticmethod
        def connect(*given: Any, now_ns: int, **more: Any) -> SecureLink:
            return SecureLink.connect(*given, now_ns=shows(now_ns), **more)

    class Carrier(MemoryNetwork):
        def add(self, address: tuple[str, int], node: Node) -> None:
            skewed = address == shell_local.CLIENT
            super().add(address, Skewed(node, shows) if skewed else node)

    async def run(image: Any, party: Party, *given: Any, **more: Any) -> RunResult:
        if isinstance(party, ClientParty):
            SHOWS.set(shows)  # this is a task of its own, and so are those that it makes
        return await run_party(image, party, *given, **more)

    monkeypatch.setattr(shell_local, "SecureLink", Links)
    monkeypatch.setattr(shell_local, "MemoryNetwork", Carrier)
    monkeypatch.setattr(shell_local, "run_party", run)
    monkeypatch.setattr(
        shell_local, "make_client", lambda *given: by_its_clock(lambda: make_client(*given))
    )
    wanted = Wanted(picture=SMALL, bitrate_kbps=600, folder=folder, seconds=SECONDS)
    steps = (Step(0, Conditions(delay_ns=WAY_US * 1_000)),)
    return run_virtually(functools.partial(run_local, LocalOptions(wanted=wanted, steps=steps)))
