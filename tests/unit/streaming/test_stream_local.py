"""Whole sessions in one process, over the encrypted link and an emulated network.

What a session does is asked for when it has shown frames, and not after a time: a busy machine
makes these tests slower and nothing else.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from stream_play import ends, events, leaves, play, shown, when
from troth import conformance, vm
from troth.streaming.media.interfaces import Picture
from troth.streaming.media.viewing import Outcome
from troth.streaming.netem import Conditions, Network, Step
from troth.streaming.session.controller_replay import compare
from troth.streaming.session.endings import Ending
from troth.streaming.session.recorded import read_recorded
from troth.streaming.session.shell_client import ClientParty
from troth.streaming.session.shell_host import HostParty


def test_a_session_leaves_two_records_that_agree(tmp_path: Path) -> None:
    result = play(leaves(12), tmp_path)
    assert result.ok
    assert ends(result) == ("Client", "user_disconnect") * 2
    assert result.client.viewing.last_shown >= 11, "read from the pixels"
    assert result.client.tones
    assert result.host.keys.down == ()
    keys = b"".join(path.read_bytes() for path in sorted((tmp_path / "keys").glob("*.pub")))
    trust = vm.parse_trust(keys, "trust")
    paths = [tmp_path / "host.replay", tmp_path / "client.replay"]
    for path in paths:
        verdict = conformance.verify(path, trust=trust)
        assert verdict.exit_code == 0
        assert all(level.ok for level in verdict.levels)
    merged = conformance.verify_views(paths, trust=trust)
    assert (merged.exit_code, merged.findings) == (0, ())
    for path in paths:
        with path.open("rb") as stream:
            recorded = read_recorded(stream)
        rows = compare(recorded)
        assert rows
        assert all(row.recorded == row.again for row in rows)
        assert recorded.ending() == ("Client", "user_disconnect")
    session_ids = {party.telemetry.session_id for party in (result.host, result.client)}
    assert len(session_ids) == 1, "both name the session after the handshake they have seen"
    for name in ("host.events", "client.events", "host.prom", "client.prom"):
        assert (tmp_path / name).stat().st_size > 0


def test_a_picture_that_the_bitrate_does_not_carry_is_made_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("troth.streaming.adaptation.DOWN_EPOCHS", 1)
    monkeypatch.setattr("troth.streaming.adaptation.CARRIED_MILLIBITS", 1 << 40)

    def ready(_host: HostParty, client: ClientParty, _network: Network) -> None:
        def smaller() -> bool:
            return client.decision.get("scale_percent") == 50

        def leave_soon() -> None:
            at_least = client.viewing.last_shown + 8
            when(lambda: client.viewing.last_shown >= at_least, lambda: client.leave(Ending.USER))

        when(smaller, leave_soon)

    result = play(ready, tmp_path, picture=Picture(320, 180, 30))
    assert result.ok
    screen: Any = result.client._screen
    assert screen._size == (160, 90), "the screen has seen the smaller picture"
    adapted = events(result.host, "adapt")
    assert [event["to"] for event in adapted if event["what"] == "scale_percent"] == [75, 50]
    with (tmp_path / "host.replay").open("rb") as stream:
        rows = compare(read_recorded(stream))
    assert rows[-1].recorded.scale_percent == 50
    assert all(row.recorded == row.again for row in rows)
    assert "scale 50 %" in rows[-1].text()


def test_the_time_is_up() -> None:
    assert ends(play(seconds=0.3)) == ("Client", "time_is_up") * 2


def test_the_host_revokes_and_the_client_hears_of_it_soon() -> None:
    asked_us: list[int] = []

    def ready(host: HostParty, client: ClientParty, _network: Network) -> None:
        def revoke() -> None:
            asked_us.append(time.monotonic_ns() // 1000)
            host.end(Ending.REVOKED)

        when(shown(client, 3), revoke)

    result = play(ready, virtually=True)
    assert result.ok
    assert ends(result) == ("Host", "revoked") * 2
    (heard,) = events(result.client, "revoked")
    assert 0 < heard["ts_mono_us"] - asked_us[0] < 2_000_000


def test_no_key_stays_down() -> None:
    def ready(host: HostParty, client: ClientParty, _network: Network) -> None:
        when(lambda: bool(host.keys.down), lambda: client.leave(Ending.USER))

    result = play(ready)
    assert result.ok
    assert result.host.keys.down == ()


def test_frames_are_shown_though_datagrams_are_lost() -> None:
    def ready(_host: HostParty, client: ClientParty, network: Network) -> None:
        lossy = [Step(0, Conditions(loss=0.1, delay_ns=1_000_000))]
        network.set_steps("host", "client", lossy)
        network.set_steps("client", "host", lossy)
        when(shown(client, 25), lambda: client.leave(Ending.USER))

    result = play(ready)
    assert result.ok, "control messages are repeated until they are heard"
    counts = result.network.network.channel("host", "client").counts
    assert counts.lost > 0
    assert result.client_end.repaired > 0


def test_media_that_stays_away_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "troth.streaming.session.shell_client."
    monkeypatch.setattr(name + "DEGRADED_US", 200_000)
    monkeypatch.setattr(name + "CONNECTION_LOST_US", 800_000)

    def ready(host: HostParty, client: ClientParty, _network: Network) -> None:
        way: Any = host._way
        stop = lambda: monkeypatch.setattr(way, "send", lambda *_: None)  # noqa: E731
        when(shown(client, 3), stop)

    result = play(ready)
    assert result.ok
    assert ends(result) == ("Client", "connection_lost") * 2
    names = [event["event"] for event in result.client.telemetry.events]
    assert names.index("peer_degraded") < names.index("peer_lost") < names.index("session_end")


def test_when_nothing_comes_any_more_both_sides_give_up() -> None:
    cut_us: list[int] = []

    def ready(_host: HostParty, client: ClientParty, network: Network) -> None:
        def dark() -> None:
            cut_us.append(time.monotonic_ns() // 1000)
            steps = [Step(0, Conditions(blackout=True))]
            network.set_steps("host", "client", steps)
            network.set_steps("client", "host", steps)

        when(shown(client, 3), dark)

    result = play(ready, virtually=True)
    assert not result.ok
    assert ends(result) == ("nobody", "peer_lost") * 2
    for party in (result.host, result.client):
        (end,) = events(party, "session_end")
        took_us = end["ts_mono_us"] - cut_us[0]
        assert 5_000_000 <= took_us < 8_000_000, "five seconds of silence, and a goodbye"
    names = [event["event"] for event in result.host.telemetry.events]
    assert "peer_degraded" in names
    assert result.host.keys.down == ()


def test_monitor_cap_and_path_are_asked_for() -> None:
    def ready(_host: HostParty, client: ClientParty, _network: Network) -> None:
        def ask() -> None:
            client.demand("monitor", 1)
            client.demand("monitor", 7)
            client.demand("cap", 500)
            client.demand("path", 0)
            client.demand("path", 1)

        when(shown(client, 1), ask)
        done = lambda: len(events(client, "path_change")) == 2  # noqa: E731
        when(done, lambda: client.leave(Ending.USER))

    result = play(ready)
    assert result.ok
    selected = [event["refusal"] for event in events(result.client, "monitor_selected")]
    assert selected == ["", "media.monitor"]
    assert [event["bitrate_kbps"] for event in events(result.client, "cap")] == [500]
    assert [event.get("refused") for event in events(result.client, "path_change")] == [None, 1]


@pytest.mark.parametrize(
    ("change", "reason", "by"),
    [
        ({"_version": 2}, "version_mismatch", "Host"),
        ({"_codecs": ("av1",)}, "no_common_codec", "Host"),
        ({"channel_binding": lambda: b"other"}, "identity_mismatch", "Client"),
    ],
)
def test_a_refusal_says_why_and_no_media_begins(
    change: dict[str, Any], reason: str, by: str
) -> None:
    def ready(_host: HostParty, client: ClientParty, _network: Network) -> None:
        for name, value in change.items():
            setattr(client, name, value)

    result = play(ready)
    assert result.ok
    assert ends(result) == (by, reason) * 2
    assert result.client.viewing.outcomes[Outcome.SHOWN] == 0
    assert result.host._frames == 0, "no frame was sent"
    for party in (result.host, result.client):
        assert events(party, "handshake_fail")
