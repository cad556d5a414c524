"""Whole sessions in one process: their endings, their records, their recovery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from troth import conformance, vm
from troth.streaming.lane import Conditions
from troth.streaming.media.interfaces import Picture
from troth.streaming.media.viewing import Outcome
from troth.streaming.session.controller_replay import compare
from troth.streaming.session.endings import Ending
from troth.streaming.session.recorded import read_recorded
from troth.streaming.session.shell_client import ClientParty
from troth.streaming.session.shell_host import HostParty
from troth.streaming.session.shell_local import LocalOptions, LocalResult, run_local

SMALL = Picture(80, 64, 30)


def play(
    on_ready: Callable[[HostParty, ClientParty], None] | None = None, **options: Any
) -> LocalResult:
    given = {"seconds": 0.8, "picture": SMALL, "bitrate_kbps": 1000, **options}
    return asyncio.run(run_local(LocalOptions(on_ready=on_ready, **given)))


def later(seconds: float, act: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, act)


def ends(result: LocalResult) -> tuple[Any, ...]:
    (host,) = (e for e in result.host.telemetry.events if e["event"] == "session_end")
    (client,) = (e for e in result.client.telemetry.events if e["event"] == "session_end")
    assert host["frames"] is not None
    return host["by"], host["reason"], client["by"], client["reason"]


def test_a_session_leaves_two_records_that_agree(tmp_path: Path) -> None:
    result = play(folder=tmp_path)
    assert result.ok
    assert ends(result) == ("Client", "time_is_up", "Client", "time_is_up")
    assert result.client.viewing.outcomes[Outcome.SHOWN] > 5
    assert result.client.viewing.last_shown >= 5, "read from the pixels"
    assert len(result.client.tones) == 4
    assert result.host.keys.down == ()
    trust = vm.parse_trust(
        b"".join(path.read_bytes() for path in sorted((tmp_path / "keys").glob("*.pub"))), "trust"
    )
    paths = [tmp_path / "host.replay", tmp_path / "client.replay"]
    for path in paths:
        verdict = conformance.verify(path, trust=trust)
        assert verdict.exit_code == 0
        assert all(level.ok for level in verdict.levels)
    merged = conformance.verify_views(paths, trust=trust)
    assert (merged.exit_code, merged.findings) == (0, ())
    with paths[1].open("rb") as stream:
        recorded = read_recorded(stream)
    rows = compare(recorded)
    assert len(rows) >= 2
    assert all(row.recorded == row.again for row in rows)
    assert recorded.ending() == ("Client", "time_is_up")
    for name in ("host.events", "client.events", "host.prom", "client.prom"):
        assert (tmp_path / name).stat().st_size > 0


def test_the_user_leaves() -> None:
    result = play(lambda _host, client: later(0.4, lambda: client.leave(Ending.USER)), seconds=None)
    assert result.ok
    assert ends(result) == ("Client", "user_disconnect", "Client", "user_disconnect")


def test_the_host_revokes() -> None:
    result = play(lambda host, _client: later(0.3, lambda: host.end(Ending.REVOKED)), seconds=None)
    assert result.ok
    assert ends(result) == ("Host", "revoked", "Host", "revoked")
    assert any(event["event"] == "revoked" for event in result.client.telemetry.events)


def test_loss_beyond_policy_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "troth.streaming.session.shell_client."
    monkeypatch.setattr(name + "DEGRADED_US", 150_000)
    monkeypatch.setattr(name + "CONNECTION_LOST_US", 500_000)
    result = play(seconds=None, conditions=Conditions(blackout_us=(200_000, 60_000_000)))
    assert result.ok
    assert ends(result) == ("Client", "connection_lost", "Client", "connection_lost")
    names = [event["event"] for event in result.client.telemetry.events]
    assert names.index("peer_degraded") < names.index("peer_lost") < names.index("session_end")
    assert not result.host.telemetry.gauges or not any(
        event["event"] == "freeze" for event in result.host.telemetry.events
    )


def test_after_a_blackout_the_picture_comes_back() -> None:
    result = play(seconds=1.6, conditions=Conditions(blackout_us=(300_000, 700_000)))
    assert result.ok
    events = [event["event"] for event in result.client.telemetry.events]
    assert "freeze" in events
    assert "idr_request" in events
    assert result.client.viewing.last_shown > 25
    assert result.host.telemetry.path_id == 0


def test_monitor_cap_and_path_are_asked_for() -> None:
    def ask(_host: HostParty, client: ClientParty) -> None:
        later(0.2, lambda: client.demand("monitor", 1))
        later(0.25, lambda: client.demand("monitor", 7))
        later(0.3, lambda: client.demand("cap", 500))
        later(0.35, lambda: client.demand("path", 0))
        later(0.4, lambda: client.demand("path", 1))

    result = play(ask, seconds=0.9)
    assert result.ok
    events = result.client.telemetry.events
    selected = [event["refusal"] for event in events if event["event"] == "monitor_selected"]
    assert selected == ["", "media.monitor"]
    caps = [event["bitrate_kbps"] for event in events if event["event"] == "cap"]
    assert caps == [500]
    assert any(event.get("refused") == 1 for event in events if event["event"] == "path_change")


@pytest.mark.parametrize(
    ("change", "reason", "by"),
    [
        ({"_version": 2}, "version_mismatch", "Host"),
        ({"_codecs": ("av1",)}, "no_common_codec", "Host"),
        ({"_binding": b"other"}, "identity_mismatch", "Client"),
    ],
)
def test_a_refusal_says_why_and_no_media_begins(
    change: dict[str, Any], reason: str, by: str
) -> None:
    def make(_host: HostParty, client: ClientParty) -> None:
        for name, value in change.items():
            setattr(client, name, value)

    result = play(make)
    assert result.ok
    assert ends(result) == (by, reason, by, reason)
    assert result.client.viewing.outcomes[Outcome.SHOWN] == 0
    assert result.way.counts.expected == 0, "no content was sent"
    for party in (result.host, result.client):
        assert any(event["event"] == "handshake_fail" for event in party.telemetry.events)
