"""What operators rely on: one identity for machine and link, and no capture that only waits."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import stream_connects
from stream_play import leaves, play, shown, when
from troth.conformance.shell_main import main
from troth.streaming.netem import Network
from troth.streaming.session import shell_local
from troth.streaming.session.endings import Ending
from troth.streaming.session.limits import BACKLOG_US_MAX
from troth.streaming.session.shell_client import ClientParty
from troth.streaming.session.shell_host import HostParty
from troth.vm.shell_keys import load_or_create


def test_a_machine_with_another_key_than_its_link_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link's handshake is signed with a key of its own making, and the machine has its own."""
    other = tmp_path / "other"

    def from_elsewhere(keys: Path, role: str) -> Any:
        return load_or_create(other if role == "Client" else keys, role)

    monkeypatch.setattr(shell_local, "load_or_create", from_elsewhere)
    result = play(leaves(1), tmp_path / "out", patience_seconds=0.3)
    assert not result.ok
    lines: Any = result.host_end.place.lines_here
    assert any("[stream.identity]" in problem for problem in lines.problems)
    assert result.client.viewing.last_shown == -1


def test_frames_are_skipped_while_the_way_is_full() -> None:
    def ready(host: HostParty, client: ClientParty, _network: Network) -> None:
        way: Any = host._way

        class Full(type(way)):  # type: ignore[misc]
            """The way as it is, and as full as is said."""

            backlog_us = 10 * BACKLOG_US_MAX

        def fill() -> None:
            way.__class__ = Full
            counters = host.telemetry.tally.counters
            when(lambda: counters.get(("frames_skipped_total", ""), 0) >= 5, empty)

        def empty() -> None:
            sent = host._frames
            assert sent < 60
            way.__class__ = Full.__base__
            when(lambda: host._frames > sent + 3, lambda: client.leave(Ending.USER))

        when(shown(client, 3), fill)

    result = play(ready)
    assert result.ok
    assert result.host.telemetry.tally.counters["frames_skipped_total", ""] >= 5


def test_sessions_leave_nothing_behind(capsys: pytest.CaptureFixture[str]) -> None:
    """A few of them; `python -m stream_connects` plays a hundred and looks at memory, too."""
    baseline, after, bad = asyncio.run(stream_connects.play(4, 0.1))
    assert bad == 0
    assert len({(held.descriptors, held.threads, held.tasks) for held in (baseline, *after)}) == 1
    assert stream_connects.left_behind(baseline, after) == []
    assert "host ended: time_is_up by Client" in capsys.readouterr().out


def test_what_is_left_behind_is_said() -> None:
    calm = stream_connects.Held(10, 2, 1, 50_000)
    assert stream_connects.left_behind(calm, [calm] * 5) == []
    more = stream_connects.Held(11, 3, 1, 90_000)
    assert stream_connects.left_behind(calm, [calm] * 4 + [more]) == [
        "1 descriptors more",
        "1 threads more",
        "memory still grows: 50000 KiB at half, 90000 KiB at the end",
    ]


def test_the_page_of_a_record_shows_how_the_session_adapted(tmp_path: Path) -> None:
    play(leaves(25), tmp_path)
    page = tmp_path / "host.html"
    assert main(["report", str(tmp_path / "host.replay"), "--out", str(page)]) == 0
    text = page.read_text()
    for name in ("Target bitrate", "Loss", "Delay", "Frames, size and parity"):
        assert f'<span class="name">{name}' in text
    assert text.count("<polyline") >= 6
