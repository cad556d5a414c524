"""The load of the host's process and of others, told apart; metrics and their table of names."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway_world import GatewayWorld
from relay_world import RelayWorld
from stream_play import leaves, play
from troth.streaming.doctor.reading import read_metrics
from troth.streaming.doctor.shell_sources import get_page
from troth.streaming.gateway.metrics import prometheus as gateway_metrics
from troth.streaming.load import BUSY_SAMPLES, CpuTimes, Load, LoadJudge, LoadState, load_between
from troth.streaming.metric_names import PREFIX, SESSION_METRICS, MetricKind
from troth.streaming.paths.stun_server import StunCounters
from troth.streaming.session.shell_role_metrics import RoleMetrics
from troth.streaming.shell_load import LoadMeter, cpu_times
from troth.vm.errors import Unusable
from troth.vm.shell_line import Address

S = 1_000_000_000


def test_own_work_is_told_from_that_of_others() -> None:
    before = CpuTimes(0, 0, 0, 2)
    assert load_between(before, CpuTimes(S, S * 9 // 10, S * 9 // 10, 2)) == Load(90, 0)
    assert load_between(before, CpuTimes(S, S // 10, 2 * S, 2)) == Load(10, 95)
    assert load_between(before, before) == Load(0, 0)


def test_a_busy_host_is_said_once_and_its_end_too() -> None:
    judge = LoadJudge()
    busy, between, calm = Load(95, 0), Load(75, 0), Load(10, 10)
    said = [judge.judge(load) for load in [busy] * (BUSY_SAMPLES + 3)]
    assert said.count(LoadState.OWN) == 1
    assert said[BUSY_SAMPLES - 1] is LoadState.OWN
    assert not any(judge.judge(between) for _ in range(20)), "not before it is clear"
    assert [judge.judge(calm) for _ in range(BUSY_SAMPLES)][-1] is LoadState.CLEAR
    others = [judge.judge(Load(20, 97)) for _ in range(BUSY_SAMPLES)]
    assert others[-1] is LoadState.OTHERS


def test_a_moment_is_no_load() -> None:
    judge = LoadJudge()
    for _ in range(10):
        assert judge.judge(Load(100, 0)) is None
        assert judge.judge(Load(0, 0)) is None


def test_the_meter_reads_this_machine() -> None:
    times = iter([CpuTimes(0, 0, 0, 1), CpuTimes(S, S // 2, S // 2, 1)])
    assert LoadMeter(lambda: next(times)).look() == Load(50, 0)
    now = cpu_times()
    assert now.cores >= 1
    assert now.busy_ns >= now.own_ns > 0


def test_a_session_has_the_metrics_of_the_table_and_no_others(tmp_path: Path) -> None:
    play(leaves(8), tmp_path)
    for role in ("Host", "Client"):
        text = (tmp_path / f"{role.lower()}.prom").read_text()
        found = set(_names(text))
        known = {name for name, metric in SESSION_METRICS.items() if role in metric.roles}
        assert found <= known, "what is not in the table is not counted"
        always = {
            name for name in known
            if SESSION_METRICS[name].label == "" and SESSION_METRICS[name].kind is MetricKind.GAUGE
        } - {"input_latency_us"}  # fmt: skip
        assert always <= found
        for name in found:
            assert f"# TYPE {PREFIX}{name} {SESSION_METRICS[name].kind.value}\n" in text
            assert f"# HELP {PREFIX}{name} {SESSION_METRICS[name].text}\n" in text
        for sample in read_metrics(text):
            assert sample.labels["role"] == role


def _names(text: str) -> Iterator[str]:
    for name in re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE):
        assert name.startswith(PREFIX)
        yield name.removeprefix(PREFIX)


def test_metrics_go_on_from_one_session_to_the_next() -> None:
    results = [play(leaves(4)), play(leaves(4))]
    metrics = RoleMetrics("Host", lambda: True)
    for result in results:
        metrics.begins(result.host)
    samples = {sample.name: sample.value for sample in read_metrics(metrics.text())}
    assert samples[f"{PREFIX}sessions_total"] == 2
    each = [result.host.telemetry.tally.counters["frames_sent_total", ""] for result in results]
    assert samples[f"{PREFIX}frames_sent_total"] == sum(each)
    assert metrics.text() == metrics.text(), "reading changes nothing"


def test_a_role_serves_its_pages() -> None:
    ready = [False]

    async def look() -> None:
        metrics = RoleMetrics("Client", lambda: ready[0])
        port = await metrics.serve(Address("127.0.0.1", 0))

        async def ask(path: str) -> tuple[int, str]:
            return await asyncio.to_thread(get_page, Address("127.0.0.1", port), path)

        try:
            assert (await ask("/ready"))[0] == 503
            ready[0] = True
            assert await ask("/ready") == (200, "ok\n")
            assert await ask("/health") == (200, "ok client\n")
            assert (await ask("/metrics"))[0] == 200
            assert await ask("/events") == (200, "")
            assert (await ask("/secrets"))[0] == 404
            with pytest.raises(Unusable) as refused:
                await RoleMetrics("Client", lambda: True).serve(Address("127.0.0.1", port))
            assert refused.value.code == "stream.metrics"
        finally:
            await metrics.stop()

    asyncio.run(look())


@pytest.mark.parametrize("role", ["gateway", "relay"])
def test_gateway_and_relay_have_the_metrics_of_the_page(role: str) -> None:
    page = (Path(__file__).parents[3] / "docs" / "operate-streaming.md").read_text()
    documented = dict(re.findall(rf"^\| `(troth_{role}_\w+)` \| (\w+) \|", page, re.MULTILINE))
    if role == "gateway":
        gateway = GatewayWorld().core
        gateway.hub.counters.refused["x"] = gateway.hub.counters.limited["y"] = 1
        text = gateway_metrics(gateway, StunCounters(), 0)
    else:
        text = RelayWorld().relay.metrics(0)
    assert dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)) == documented
