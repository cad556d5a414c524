"""The link side by side with aiortc: the same synthetic frames over the same emulated networks.

`cd tests && ../.venv/bin/python -m benchmarks.bench_aiortc --seeds 1-3` (`--smoke` takes seconds).
Everything goes through UDP sockets on loopback with the emulated network between them, in real
time, in turns. Where aiortc is not installed (`pip install '.[bench]'`) only our figures are there.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from benchmarks import aiortc_ends
from benchmarks.emulated_path import LOOPBACK, EmulatedPath
from benchmarks.measure import describe_machine
from benchmarks.synthetic_stream import (
    FRAMES_PER_SECOND,
    KBPS,
    TAIL_SECONDS,
    Score,
    Stopwatch,
    Stream,
    frame_times,
    source_alone,
)
from link_pairs import CLIENT_OPTIONS, HOST_OPTIONS, MS, SECOND
from troth.streaming.link import (
    VIDEO,
    CloseReason,
    DelayController,
    DelayOptions,
    Frame,
    KeyFrameWanted,
    LinkOptions,
    SecureLink,
)
from troth.streaming.netem import Bursts, Conditions, Step
from troth.streaming.shell_datagram import connect, listen, open_shell

Ends = Callable[[EmulatedPath, tuple[Step, ...], int, bool], Awaitable[Score]]

RATES: Final = DelayOptions(start_bits=KBPS * 1_200)
MEDIA_SHARE: Final = 0.85
CONNECT_SECONDS: Final = 20.0
SMOKE_NETWORK: Final = "5 % loss"


@dataclass(frozen=True, slots=True)
class Network:
    """`follows`: the path carries less than the stream, and the source follows who sends."""

    name: str
    steps: tuple[Step, ...]
    impaired: bool = True
    follows: bool = False


def _steady(name: str, *, impaired: bool = True, **conditions: object) -> Network:
    steps = (Step(0, replace(Conditions(delay_ns=20 * MS), **conditions)),)  # type: ignore[arg-type]
    return Network(name, steps, impaired)


def _narrowing(seconds: float) -> Network:
    wide = Conditions(delay_ns=20 * MS, rate_bits=8_000_000, queue_bytes=256 << 10)
    narrow = Conditions(delay_ns=20 * MS, rate_bits=2_500_000, queue_bytes=256 << 10)
    at_ns = int(seconds * SECOND / 3)
    steps = (Step(0, wide), Step(at_ns, narrow), Step(2 * at_ns, wide))
    return Network("8, 2.5, 8 Mbit/s", steps, follows=True)


def networks(seconds: float) -> tuple[Network, ...]:
    return (
        _steady("20 ms, nothing else", impaired=False),
        _steady("1 % loss", loss=0.01),
        _steady("5 % loss", loss=0.05),
        _steady("2 % in bursts of 5", bursts=Bursts.of(0.02, 5)),
        _steady("15 ms of jitter", jitter_ns=15 * MS),
        _steady("2 % reordered by 8 ms", reorder=0.02, reorder_ns=8 * MS),
        _narrowing(seconds),
    )


# --- our own ends -----------------------------------------------------------------------------


async def link(path: EmulatedPath, steps: tuple[Step, ...], count: int, follows: bool) -> Score:
    """The stream over our link: `SecureLink` on asyncio's sockets, as `troth stream` uses it."""
    stream = Stream()
    listener = listen(_options(HOST_OPTIONS))
    host_shell = await open_shell(listener)
    core = connect(_options(CLIENT_OPTIONS), (LOOPBACK, path.host_port))
    hosts: list[SecureLink] = []

    def look_at_client() -> None:
        for event in core.events():
            if isinstance(event, Frame):
                stream.show(event.data)

    client_shell = await open_shell(core, on_change=look_at_client)
    path.connect(host_shell.address, client_shell.address)
    deadline = time.monotonic() + CONNECT_SECONDS
    while not hosts or None in (core.established, hosts[0].established):
        hosts += listener.accepted()
        assert time.monotonic() < deadline, "the link connects over a path that loses nothing"
        await asyncio.sleep(0.01)
    (host,) = hosts

    def send() -> None:
        for event in host.events():
            if isinstance(event, KeyFrameWanted):
                stream.video.force_key_frame()
        frame = stream.capture(_kbps(host) if follows else KBPS)
        host.send_frame(VIDEO, frame.data, key=frame.key, now_ns=time.monotonic_ns())
        host_shell.wake()

    path.begin(steps)
    watch = Stopwatch()
    await frame_times(count, send)
    await asyncio.sleep(TAIL_SECONDS)
    watch.stop(stream.score)
    stream.score.wire_bytes = path.counts().sent_bytes
    core.close(CloseReason.USER, "done", time.monotonic_ns())
    client_shell.wake()
    await asyncio.sleep(0.05)
    await client_shell.close()
    await host_shell.close()
    return stream.score


def _kbps(host: SecureLink) -> int:
    bits = host.media.controller.decision.target_bits * MEDIA_SHARE / host.media.overhead()
    return min(KBPS, int(bits) // 1_000)


def _options(options: LinkOptions) -> LinkOptions:
    return LinkOptions(
        identity=options.identity,
        peers=options.peers,
        context=options.context,
        controller=lambda: DelayController(RATES),
    )


# --- the comparison ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Figures:
    """One stream over one network, in the units of the table."""

    p50_ms: float
    p95_ms: float
    not_shown: float
    freezes: int
    frozen_ms: float
    frozen_patient_ms: float
    processor: float
    wire_mbps: float

    @classmethod
    def of(cls, score: Score) -> Figures:
        latencies, freezes = score.latencies_ms(), score.freezes_ms()
        return cls(
            _percentile(latencies, 0.5),
            _percentile(latencies, 0.95),
            100 * score.not_shown(),
            len(freezes),
            sum(freezes),
            sum(score.freezes_ms(patient=True)),
            100 * score.processor_seconds / score.seconds,
            score.wire_bytes * 8 / score.seconds / 1e6,
        )


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")


COLUMNS: Final = (
    ("p50 ms", "p50_ms", "{:.1f}"),
    ("p95 ms", "p95_ms", "{:.1f}"),
    ("% not shown", "not_shown", "{:.2f}"),
    ("freezes", "freezes", "{:.0f}"),
    ("ms frozen", "frozen_ms", "{:.0f}"),
    ("of a patient viewer", "frozen_patient_ms", "{:.0f}"),
    ("% of a core", "processor", "{:.1f}"),
    ("Mbit/s sent", "wire_mbps", "{:.2f}"),
)
COMPARED: Final = ("p50_ms", "p95_ms", "not_shown", "frozen_ms", "processor")


def subjects() -> dict[str, Ends]:
    found: dict[str, Ends] = {"troth": link}
    if aiortc_ends.is_installed():
        found |= {"aiortc, video track": aiortc_ends.track, "aiortc, data": aiortc_ends.channel}
    return found


def measure(seeds: Sequence[int], seconds: float, only: str = "") -> Iterator[str]:
    """A line for each stream, and after each network what we are against the others."""
    count = int(seconds * FRAMES_PER_SECOND)
    yield f"{KBPS / 1000:.0f} Mbit/s, {FRAMES_PER_SECOND} frames/s, {seconds:.0f} s, seeds {seeds}"
    alone = 100 * source_alone(2.0)
    yield f"source and screen alone, in every row: {alone:.1f} % of a core"
    yield "| network | who | " + " | ".join(name for name, _, _ in COLUMNS) + " |"
    yield "|---" * (len(COLUMNS) + 2) + "|"
    for network in networks(seconds):
        if only and only not in network.name:
            continue
        found: dict[str, list[Figures]] = {name: [] for name in subjects()}
        for seed in seeds:
            order = list(subjects().items())
            random.Random(seed).shuffle(order)  # who comes first has no advantage of it
            for name, ends in order:
                found[name].append(_one(ends, network, seed, count))
        for name, figures in found.items():
            yield _row(network.name, name, figures)
        for name in list(found)[1:]:
            yield from _ratios(network, name, found["troth"], found[name])


def _one(ends: Ends, network: Network, seed: int, count: int) -> Figures:
    with EmulatedPath(seed) as path:
        path.wait_for(network.steps[0].conditions.delay_ns)
        return Figures.of(asyncio.run(_bounded(ends, network, path, count)))


async def _bounded(ends: Ends, network: Network, path: EmulatedPath, count: int) -> Score:
    async with asyncio.timeout(count / FRAMES_PER_SECOND + 2 * CONNECT_SECONDS):
        return await ends(path, network.steps, count, network.follows)


def _row(network: str, who: str, figures: Sequence[Figures]) -> str:
    cells = [form.format(_middle(figures, field)) for _, field, form in COLUMNS]
    return f"| {network} | {who} | " + " | ".join(cells) + " |"


def _middle(figures: Sequence[Figures], field: str) -> float:
    return statistics.median(float(getattr(one, field)) for one in figures)


def _ratios(
    network: Network, name: str, ours: Sequence[Figures], theirs: Sequence[Figures]
) -> Iterator[str]:
    """Ours over theirs, of the same seed; below 1 is less, which is better in every column."""
    parts = []
    for field in COMPARED:
        pairs = [
            (float(getattr(one, field)), float(getattr(other, field)))
            for one, other in zip(ours, theirs, strict=True)
        ]
        ratios = sorted(one / other for one, other in pairs if other > 0)
        if ratios:
            middle = statistics.median(ratios)
            parts.append(f"{field} {middle:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
        else:
            parts.append(f"{field} {statistics.median(one for one, _ in pairs):.2f} against 0")
    kind = "impaired" if network.impaired else "not impaired"
    yield f"  troth over {name}, {network.name} ({kind}): " + ", ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1-3", help="the first and the last")
    parser.add_argument("--seconds", type=float, default=12.0, help="of every stream")
    parser.add_argument("--only", default="", help="a part of the name of one network")
    parser.add_argument("--smoke", action="store_true", help="one network, one seed, one second")
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    print(describe_machine())
    if arguments.smoke:
        seeds, arguments.seconds, arguments.only = range(1, 2), 1.0, SMOKE_NETWORK
    for line in measure(list(seeds), arguments.seconds, arguments.only):
        print(line, flush=True)


if __name__ == "__main__":
    main()
