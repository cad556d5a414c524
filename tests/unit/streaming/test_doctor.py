"""`troth doctor` on sessions with trouble that was made on purpose, and on written evidence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stream_play import Ready, leaves, play, shown, when
from troth.streaming.adaptation import Decision
from troth.streaming.doctor.book import ILLNESSES, STEPS
from troth.streaming.doctor.case import At, Case, Line, Reach, ReachState, Sample, Source, Target
from troth.streaming.doctor.case import TargetState as T
from troth.streaming.doctor.diagnosis import EXIT_HEALTHY, EXIT_TROUBLE, Diagnosis, diagnose
from troth.streaming.doctor.reading import read_events, read_metrics
from troth.streaming.doctor.shell_sources import sources_at
from troth.streaming.media.interfaces import SoundGroup
from troth.streaming.media.tones import GROUP_BYTES, SyntheticTones
from troth.streaming.media.viewing import Epoch
from troth.streaming.netem import Conditions, Network, Step
from troth.streaming.paths.gather import NatMapping
from troth.streaming.session.endings import Ending
from troth.streaming.session.recorded import Recorded
from troth.streaming.session.shell_client import ClientParty
from troth.streaming.session.shell_host import HostParty
from troth.vm.errors import LimitExceeded, Malformed, TrothError


def codes(found: Diagnosis) -> set[str]:
    return {item.code for item in found.findings}


def examined(folder: Path) -> Diagnosis:
    return diagnose(Case(tuple(sources_at([folder]))))


def network_does(conditions: Conditions) -> Ready:
    """The way to the client is so for some reports, and then good again until the end."""

    def ready(host: HostParty, client: ClientParty, network: Network) -> None:
        def worse() -> None:
            network.set_steps("host", "client", [Step(0, conditions)])
            before, began = len(host.reports), asyncio.get_running_loop().time()

            def enough() -> bool:
                late = asyncio.get_running_loop().time() - began > 3
                return late or len(host.reports) >= before + 6

            when(enough, better)

        def better() -> None:
            network.set_steps("host", "client", [])
            client.leave(Ending.USER)

        when(shown(client, 3), worse)

    return ready


# --- sessions with trouble -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "code"),
    [
        (Conditions(loss=0.12), "network.loss"),
        (Conditions(delay_ns=90_000_000), "network.queue"),
    ],
)
def test_what_the_network_does_is_named(tmp_path: Path, conditions: Conditions, code: str) -> None:
    play(network_does(conditions), tmp_path)
    found = examined(tmp_path)
    assert code in codes(found)
    (named,) = (item for item in found.findings if item.code == code)
    assert named.evidence[0].source.endswith(".replay")
    assert named.evidence[0].where.startswith("reports ")


def test_a_blackout_is_silence_and_a_freeze(tmp_path: Path) -> None:
    def ready(host: HostParty, client: ClientParty, network: Network) -> None:
        def dark() -> None:
            for a, b in (("host", "client"), ("client", "host")):
                network.set_steps(a, b, [Step(0, Conditions(blackout=True))])

        def light() -> None:
            for a, b in (("host", "client"), ("client", "host")):
                network.set_steps(a, b, [Step(0, Conditions())])
            after = client.viewing.last_shown + 3
            when(lambda: client.viewing.last_shown > after, lambda: client.leave(Ending.USER))

        degraded = lambda: any(e["event"] == "peer_degraded" for e in host.telemetry.events)  # noqa: E731
        when(shown(client, 3), dark)
        when(degraded, light)

    play(ready, tmp_path)
    found = examined(tmp_path)
    assert {"network.silence", "view.freezes"} <= codes(found)
    assert found.exit_code == EXIT_TROUBLE
    assert found.plane == "media"


@pytest.mark.parametrize(
    ("change", "code", "step"),
    [
        ({"_version": 2}, "connect.version_mismatch", "1.5"),
        ({"_codecs": ("av1",)}, "connect.no_common_codec", "1.5"),
        ({"channel_binding": lambda: b"other"}, "connect.identity_mismatch", "1"),
    ],
)
def test_a_session_that_never_began_says_why(
    tmp_path: Path, change: dict[str, Any], code: str, step: str
) -> None:
    def ready(_host: HostParty, client: ClientParty, _network: Network) -> None:
        for name, value in change.items():
            setattr(client, name, value)

    play(ready, tmp_path)
    found = examined(tmp_path)
    assert code in codes(found)
    assert found.plane == "control"
    assert ILLNESSES[code].step == step
    for file in (*tmp_path.glob("*.events"), *tmp_path.glob("*.prom")):
        file.unlink()
    assert code in codes(examined(tmp_path)), "from the records alone"


def test_who_took_the_session_away_is_asked_for(tmp_path: Path) -> None:
    def ready(host: HostParty, client: ClientParty, _network: Network) -> None:
        when(shown(client, 3), lambda: host.end(Ending.REVOKED))

    play(ready, tmp_path)
    found = examined(tmp_path)
    assert "ending.revoked" in codes(found)
    assert "ending.differs" not in codes(found)


def test_a_cap_is_no_trouble_and_is_said(tmp_path: Path) -> None:
    def ready(_host: HostParty, client: ClientParty, _network: Network) -> None:
        when(shown(client, 1), lambda: client.demand("cap", 500))
        capped = lambda: any(e["event"] == "cap" for e in client.telemetry.events)  # noqa: E731
        when(capped, lambda: client.leave(Ending.USER))

    play(ready, tmp_path)
    (found,) = (item for item in examined(tmp_path).findings if item.code == "user.cap")
    assert not found.is_trouble
    assert found.evidence[0].what == "500 kbit/s"


def test_a_source_that_is_silent_is_told_from_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silence(self: SyntheticTones, now_us: int) -> SoundGroup:
        self._next += 1
        return SoundGroup(self._next, now_us, bytes(GROUP_BYTES))

    monkeypatch.setattr(SyntheticTones, "capture", silence)
    play(leaves(30), tmp_path)
    (found,) = (item for item in examined(tmp_path).findings if item.code == "sound.gone")
    assert found.evidence[0].what == "broken"


def test_both_forms_come_from_one_object(tmp_path: Path) -> None:
    play(leaves(6), tmp_path)
    found = examined(tmp_path)
    facts = json.loads(json.dumps(found.facts()))
    assert [item["code"] for item in facts["findings"]] == [item.code for item in found.findings]
    assert [step["step"] for step in facts["steps"]] == [step.number for step in STEPS]
    text = "\n".join(found.lines())
    for item in facts["findings"]:
        assert f"[{item['code']}]" in text
        assert item["cause"] in text
        assert item["advice"] in text
    assert not any(item["code"].startswith("connect.") for item in facts["findings"])
    assert not any(item["code"].startswith("evidence.") for item in facts["findings"])


# --- written evidence ------------------------------------------------------------------------


def line(name: str, number: int = 1, **facts: Any) -> Line:
    return Line(number, name, facts)


def host(*lines: Line, samples: tuple[Sample, ...] = ()) -> Source:
    return Source(name="host.events", role="host", live=True, lines=lines, samples=samples)


def sample(name: str, value: float, **labels: str) -> Sample:
    return Sample(name, labels, value)


def of_role(role: str, *samples: Sample) -> Case:
    return Case((Source(name=role, role=role, live=True, samples=samples),))


def recorded(found: Recorded, *epochs: At) -> Case:
    return Case((Source(name="host.replay", recorded=found, epochs=epochs),))


def epoch(number: int, kbps: int, burst: int = 0, jitter_us: int = 0) -> At:
    report = Epoch(number, 250, 15, 15, 0, 0, burst, 5_000, jitter_us, 0, 9_000)
    return At(
        number, 250 * number, 250 * number + 250, report, Decision(number, kbps, 60, 5, 0, "way")
    )


_P = "troth_stream_"
WRITTEN: list[tuple[str, Callable[[], Case]]] = [
    ("host.processor", lambda: Case((host(line("load", state="own", own_percent=97)),))),
    ("host.other_work", lambda: Case((host(line("load", state="others", others_percent=99)),))),
    (
        "path.flapping",
        lambda: Case((host(*(line("path_change", ts_mono_us=n) for n in range(4))),)),
    ),
    (
        "ladder.frame_rate",
        lambda: Case((host(line("adapt", what="frames_per_second", **{"from": 60, "to": 45})),)),
    ),
    (
        "ladder.resolution",
        lambda: Case((host(line("adapt", what="scale_percent", **{"from": 100, "to": 75})),)),
    ),
    (
        "input.slow",
        lambda: Case((host(line("input_latency", us=5), line("input_latency", us=200_006)),)),
    ),
    ("connect.no_answer",
     lambda: Case((host(line("handshake_fail", reason="handshake_timeout")),))),
    ("control.stalled", lambda: recorded(Recorded(counts={("Video", "frame"): 300}))),
    ("sound.none", lambda: recorded(Recorded(counts={("Video", "frame"): 50}))),
    ("evidence.torn", lambda: recorded(Recorded(torn=True))),
    ("network.bursts", lambda: recorded(Recorded(), *(epoch(n, 1, burst=9) for n in range(3)))),
    ("network.jitter",
     lambda: recorded(Recorded(), *(epoch(n, 1, jitter_us=25_000) for n in range(3)))),
    ("ladder.bitrate", lambda: recorded(Recorded(), epoch(0, 4_000), epoch(1, 1_900))),
    ("connect.host_busy", lambda: Case((host(line("handshake_fail", reason="host_busy")),))),
    ("connect.failed", lambda: Case((host(line("handshake_fail", reason="\x1b[2J")),))),
    ("connect.identity_refused",
     lambda: Case((host(line("handshake_fail", reason="identity_refused")),))),
    ("ending.peer_lost", lambda: Case((host(line("session_end", reason="peer_lost")),))),
    ("ending.connection_lost",
     lambda: Case((host(line("session_end", reason="connection_lost")),))),
    ("ending.fault", lambda: Case((host(line("session_end", reason="fault")),))),
    (
        "ending.differs",
        lambda: Case(
            (
                host(line("session_end", reason="peer_lost", session_id="a")),
                host(line("session_end", reason="user_disconnect", session_id="a")),
            )
        ),
    ),
    (
        "evidence.mixed",
        lambda: Case(
            (
                host(line("session_start", session_id="a")),
                host(line("session_start", session_id="b")),
            )
        ),
    ),
    (
        "evidence.no_end",
        lambda: Case((Source(name="x", role="host", lines=(line("session_start"),)),)),
    ),
    ("evidence.unread", lambda: Case((Source(name="x", unread=3),))),
    (
        "candidate.invalid",
        lambda: Case((host(line("candidate", address="0.0.0.0:1", refused="names nobody")),)),
    ),
    ("connect.one_way",
     lambda: of_role("host", sample(f"{_P}handshake_fail_total", 2, reason="not_completed"))),
    ("host.skipped",
     lambda: of_role("host", sample(f"{_P}frames_skipped_total", 10),
                     sample(f"{_P}frames_sent_total", 90))),
    ("host.capture_slow",
     lambda: of_role("host", sample(f"{_P}capture_us", 40_000),
                     sample(f"{_P}frames_per_second", 60))),
    ("view.missed",
     lambda: of_role("client", sample(f"{_P}frames_shown_total", 90),
                     sample(f"{_P}frames_missed_total", 10, outcome="lost"))),
    ("view.freezes", lambda: of_role("client", sample(f"{_P}freeze_seconds_total", 1.5))),
    ("sound.gone",
     lambda: of_role("client", sample(f"{_P}sound_played_total", 90),
                     sample(f"{_P}sound_missed_total", 10, outcome="lost"))),
    ("network.loss_unrepaired", lambda: of_role("client", sample(f"{_P}loss_post_repair", 0.02))),
    ("path.relay", lambda: of_role("client", sample(f"{_P}relay_ratio", 0.4))),
    ("relay.mostly", lambda: of_role("client", sample(f"{_P}relay_ratio", 0.9))),
    ("security.rejected",
     lambda: of_role("host", sample(f"{_P}packets_rejected_total", 3, why="replayed"))),
    ("gateway.no_relay",
     lambda: of_role("gateway", sample("troth_gateway_connected", 0, kind="relay"))),
    ("gateway.no_host",
     lambda: of_role("gateway", sample("troth_gateway_connected", 0, kind="host"))),
    ("gateway.peer_offline",
     lambda: of_role("gateway", sample("troth_gateway_refused_total", 1, code="peer_offline"))),
    ("gateway.refused",
     lambda: of_role("gateway", sample("troth_gateway_refused_total", 1, code="no_consent"))),
    ("gateway.limited",
     lambda: of_role("gateway",
                     sample("troth_gateway_limited_total", 1, limit="offers_per_minute"))),
    ("relay.limited",
     lambda: of_role("relay", sample("troth_relay_rate_limited_packets_total", 5))),
    ("relay.lease_rejected",
     lambda: of_role("relay", sample("troth_relay_lease_rejects_total", 1, reason="expired"))),
    ("relay.forged",
     lambda: of_role("relay", sample("troth_relay_auth_reject_packets_total", 1))),
    ("nat.dependent", lambda: Case(mapping=NatMapping.ENDPOINT_DEPENDENT)),
    ("network.udp_blocked", lambda: Case(mapping=NatMapping.BLOCKED)),
    ("connect.refused", lambda: Case(target=Target("h:1", T.REFUSED, "closed"))),
    ("connect.stranger", lambda: Case(target=Target("h:1", T.STRANGER, "2 answers"))),
    *(
        (f"{role}.{state.value}",
         lambda role=role, state=state: Case(
             reached=(Reach(role, "h:1", state, "said"),)))
        for role in ("gateway", "relay", "host", "client")
        for state in ReachState if state is not ReachState.READY
    ),
]  # fmt: skip


@pytest.mark.parametrize(("code", "case"), WRITTEN, ids=[code for code, _ in WRITTEN])
def test_each_trouble_is_found_in_its_evidence(code: str, case: Callable[[], Case]) -> None:
    found = diagnose(case())
    assert code in codes(found)
    (named,) = (item for item in found.findings if item.code == code)
    assert named.evidence
    assert found.exit_code == (EXIT_TROUBLE if named.is_trouble else found.exit_code)
    text = "\n".join(found.lines())
    assert "\x1b" not in text


SEEN_IN_SESSIONS = {
    "connect.identity_mismatch", "connect.no_common_codec", "connect.version_mismatch",
    "ending.revoked", "network.loss", "network.queue", "network.silence", "user.cap",
    "sound.gone",
}  # fmt: skip


def test_every_code_of_the_book_is_tested() -> None:
    assert {code for code, _ in WRITTEN} | SEEN_IN_SESSIONS == set(ILLNESSES)


def test_findings_are_in_the_order_of_the_book() -> None:
    numbers = [step.number for step in STEPS]
    case = Case(
        (
            host(line("load", state="own"), line("handshake_fail", reason="host_busy")),
            *of_role("client", sample(f"{_P}relay_ratio", 0.9)).sources,
        ),
        target=Target("h:1", T.STRANGER, "2 answers"),
    )
    steps = [item.illness.step for item in diagnose(case).findings]
    assert steps == sorted(steps, key=numbers.index)
    assert len(steps) > 3


def test_nothing_wrong_is_said_to_be_so() -> None:
    lines = (
        line("session_start", session_id="a"),
        line("session_end", reason="user_disconnect", by="Client", session_id="a"),
    )
    found = diagnose(Case((host(*lines),)))
    assert (found.exit_code, found.plane, found.findings) == (EXIT_HEALTHY, "", ())
    assert found.lines()[0] == "no trouble found"
    assert "not looked at: 1.1 do gateway and relay run (--gateway, --relay)" in found.lines()


# --- hostile evidence ------------------------------------------------------------------------


def test_lines_that_are_no_events_are_counted() -> None:
    good = '{"event":"freeze","ms":300,"other":[1],"big":99999999999999999999999999}'
    lines = [
        '{"event":"freeze","ms":300,"other":[1]}',
        good,
        "[" * 100_000,
        "{",
        '{"event":"unheard_of"}',
        '{"event":"freeze","ms":NaN}',
        "x" * 20_000,
        "",
    ]
    found, unread = read_events(lines)
    assert [(event.number, event.facts) for event in found] == [(1, {"event": "freeze", "ms": 300})]
    assert unread == 6


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="no events") as refused:
        read_events(["hello"])
    assert refused.value.code == "doctor.events"
    with pytest.raises(TrothError) as missing:
        sources_at([tmp_path])
    assert missing.value.code == "doctor.files"
    with pytest.raises(TrothError) as gone:
        sources_at([tmp_path / "x.events"])
    assert gone.value.code == "doctor.files"
    with pytest.raises(LimitExceeded):
        sources_at([tmp_path / f"{number}.events" for number in range(65)])


def test_metrics_of_another_form_are_left_out() -> None:
    text = (
        "# HELP a b\n"
        'a_total{why="x\\"y\\n",role="Host"} 3\n'
        "nan_value nan\n"
        "bad value here\n"
        "plain 1e3\n"
        "infinite 1e999\n"
    )
    assert read_metrics(text) == (
        Sample("a_total", {"why": 'x"y\n', "role": "Host"}, 3.0),
        Sample("plain", {}, 1000.0),
    )
    with pytest.raises(LimitExceeded):
        read_metrics("a 1\n" * 20_002)
