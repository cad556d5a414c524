"""Host and client that meet through a gateway: direct, over the relay, refused, revoked."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.command_line import troth
from e2e.routed_desk import RoutedDesk, done
from troth.vm.shell_keys import create_key_files

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[RoutedDesk]:
    made = RoutedDesk(tmp_path)
    try:
        made.gateway()
        yield made
    finally:
        made.close()


def test_two_processes_meet_and_speak_over_a_direct_path(desk: RoutedDesk) -> None:
    host = desk.host("--sessions", "2")
    client = desk.client("--seconds", "1")
    code, out, err = done(client)
    assert code == 0, err
    assert out.startswith("ended: time_is_up by Client\n")
    assert "path: host\n" in out
    desk.until(lambda: desk.events("hosted", "host", "session_end"), host)
    assert desk.end_of("hosted", "host") == ("Client", "time_is_up")
    assert desk.kinds("hosted", "host") == ["host"]
    for record, name in (("hosted", "host"), ("seen", "client")):
        assert desk.agreed(record, name) == [1], "the programs have asked each other for it"
    code, _, err = done(desk.client("--seconds", "0.5", record="again"))
    assert code == 0, err
    code, out, err = done(host)
    assert code == 0, err
    assert "host-2 ended: time_is_up by Client" in out
    desk.verified()
    legs = desk.verified_legs("consent", "asking", "consulting", "ending", "lease")
    assert (legs["consent"], legs["asking"], legs["consulting"]) == (2, 4, 4)
    assert legs["ending"] >= 4
    assert desk.verified_legs("bind")["bind"] >= 8


def test_a_blocked_path_is_left_in_mid_session_and_taken_again_once(desk: RoutedDesk) -> None:
    desk.relay()
    host, client = desk.host(walled=True), desk.client(walled=True)
    desk.until(lambda: desk.events("seen", "client", "media_start"), host, client)
    desk.until(lambda: desk.agreed("seen", "client") == [1], host, client)
    assert desk.kinds() == ["host"]
    (handshake,) = desk.events("seen", "client", "handshake_ok")
    blocked_us = time.monotonic_ns() // 1000
    desk.wall.touch()
    desk.until(lambda: 2 in desk.agreed("hosted", "host"), host, client)
    (nominated,) = desk.events("seen", "client", "path_nominated")[1:]
    after_s = (nominated["ts_mono_us"] - blocked_us) / 1e6
    print(f"relay after {after_s:.2f} s, silent for {nominated['gap_ms']} ms before")
    assert nominated["kind"] == "relay"
    assert after_s < 3
    desk.wall.unlink()
    desk.until(lambda: 3 in desk.agreed("hosted", "host"), host, client)
    client.send_signal(signal.SIGINT)
    code, out, err = done(client)
    assert code == 0, err
    assert done(host)[0] == 0
    assert desk.end_of("seen", "client") == ("Client", "user_disconnect")
    assert desk.events("seen", "client", "handshake_ok") == [handshake], "the same keys"
    assert "path: host, then relay, then host\n" in out
    for record, name in (("hosted", "host"), ("seen", "client")):
        assert desk.agreed(record, name) == [1, 2, 3]
    print(out)
    desk.verified()


def test_a_session_begins_on_the_relay_where_nothing_else_is_let_through(desk: RoutedDesk) -> None:
    desk.relay()
    desk.wall.touch()
    host = desk.host(walled=True)
    code, out, err = done(desk.client("--seconds", "1", walled=True))
    assert code == 0, err
    assert done(host)[0] == 0
    assert out.startswith("ended: time_is_up by Client\n")
    assert "path: relay\n" in out
    for record, name in (("hosted", "host"), ("seen", "client")):
        assert desk.kinds(record, name) == ["relay"]
        met = {one["kind"] for one in desk.events(record, name, "candidate")}
        assert "relay" in met, "told, as every candidate is"
        page = (desk.folder / record / f"{name}.prom").read_text()
        (ratio,) = re.findall(r"^troth_stream_relay_ratio\S* (\S+)", page, re.MULTILINE)
        assert float(ratio) == 1
    desk.verified()


def test_a_path_that_comes_and_goes_every_second_is_not_followed(desk: RoutedDesk) -> None:
    desk.relay()
    host, client = desk.host(walled=True), desk.client(walled=True)
    desk.until(lambda: desk.agreed("seen", "client") == [1], host, client)
    turns = 12
    for turn in range(turns):
        desk.wall.touch() if turn % 2 == 0 else desk.wall.unlink()
        time.sleep(0.5)
    client.send_signal(signal.SIGINT)
    code, _, err = done(client)
    assert code == 0, err
    assert done(host)[0] == 0
    kinds = desk.kinds("seen", "client")
    print(f"{turns // 2} interruptions, paths: {kinds}")
    assert kinds[:2] == ["host", "relay"]
    # A machine that stands still for as long looks like a relay that does not answer.
    assert len(kinds) <= turns // 3, "each interruption would make two"
    assert desk.end_of("seen", "client") == ("Client", "user_disconnect")


def test_a_revoked_session_stops_everywhere(desk: RoutedDesk) -> None:
    desk.relay()
    host, client = desk.host(), desk.client()
    desk.until(lambda: desk.events("seen", "client", "media_start"), host, client)
    desk.until(lambda: desk.events("hosted", "host", "media_start"), host, client)
    session = next(row[0] for row in desk.admin("sessions"))
    revoked_us = time.monotonic_ns() // 1000
    rows = desk.admin("revoke", session, "policy")
    assert {row[1] for row in rows} == {"host", "client", "relay"}
    assert all(row[3].endswith(" ms") for row in rows), rows
    print([row[1:] for row in rows])
    done(client)
    done(host)
    for record, name in (("seen", "client"), ("hosted", "host")):
        (end,) = desk.events(record, name, "session_end")
        assert end["reason"] == "revoked"
        print(f"{name} stopped after {(end['ts_mono_us'] - revoked_us) / 1e6:.2f} s")
        assert end["ts_mono_us"] - revoked_us < 2_000_000
        assert desk.events(record, name, "revoked")
    desk.verified()
    # Each of three parties was told, and two have had leases: a record at either end.
    assert desk.verified_legs("revoke", "lease") == {"revoke": 6, "lease": 4}


def test_whom_the_host_does_not_know_the_gateway_does_not_let_through(desk: RoutedDesk) -> None:
    host = desk.host()
    create_key_files(desk.folder / "Stranger", "Client")
    key = desk.folder / "Stranger" / "Host.pub"
    key.write_bytes((desk.folder / "Host" / "Host.pub").read_bytes())
    for keys, target, code in (
        ("Stranger", "desk", "no_consent"),
        ("Client", "nobody", "peer_offline"),
    ):
        _, _, err = done(desk.start("client", target, "--keys", keys, *desk.way))
        assert f"found {code}" in err
    host.send_signal(signal.SIGTERM)
    assert done(host)[0] == 0, "nobody came, and that is in order"


def test_a_host_under_another_key_is_not_spoken_to(desk: RoutedDesk) -> None:
    desk.host("--any-key")
    (desk.folder / "Host" / "Client.pub").unlink()
    create_key_files(desk.folder / "other", "Host")
    other = desk.folder / "Client" / "Host.pub"
    other.write_bytes((desk.folder / "other" / "Host.pub").read_bytes())
    code, _, err = done(desk.client())
    assert code == 1
    assert "[gateway.peer]" in err
    assert not (desk.folder / "hosted" / "host.replay").exists(), "no session has begun"


def test_half_of_the_arguments_is_refused(tmp_path: Path) -> None:
    keys = ("--keys", tmp_path)
    for arguments in (("--gateway", "127.0.0.1:1"), ("--name", "desk")):
        said = troth("stream", "client", "desk", *keys, *arguments)
        assert said.code == 1
        assert "[stream.gateway]" in said.err
