"""What the transport must hold on bad networks: tables of steps, a source that follows the link's
target, and the figures that come out.

The tests run short ones; `cd tests && ../.venv/bin/python -m transport_scenarios --seeds 1-5`
runs them all at full length and prints what each gave.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from link_pairs import CLIENT, HOST, MS, SECOND, Pair
from troth.streaming.link import VIDEO, Adapted, EpochReport, Frame, Freeze, KeyFrameWanted
from troth.streaming.netem import Bursts, Conditions, Step

FRAMES_PER_SECOND = 60
FRAME_NS = SECOND // FRAMES_PER_SECOND
MEDIA_SHARE = 0.85
"""What of the target a source uses for the frames themselves; the rest is headers and parity."""


def bits(megabits: float) -> int:
    return int(megabits * 1_000_000)


@dataclass(slots=True)
class Run:
    """What a scenario has shown. Times are those since the link was established."""

    seed: int
    sent: int = 0
    sent_ns: dict[int, int] = field(default_factory=dict)
    shown_ns: dict[int, int] = field(default_factory=dict)
    rate: list[tuple[int, float]] = field(default_factory=list)
    """Bits a second on the wire, of every 100 ms."""

    queue: list[tuple[int, int]] = field(default_factory=list)
    """The wait in front of the bottleneck, of every 5 ms."""

    pair: Pair | None = None

    def shown_share(self) -> float:
        return len(self.shown_ns) / self.sent

    def freezes_ns(self) -> list[int]:
        """The time between a frame that is shown and the next, beyond the one that is due."""
        times = list(self.shown_ns.values())
        gaps = [later - sooner for sooner, later in pairwise(times)]
        return sorted(max(0, gap - FRAME_NS) for gap in gaps)

    def latencies_ns(self) -> list[int]:
        return sorted(at - self.sent_ns[n] for n, at in self.shown_ns.items())

    def rates_between(self, start_ns: int, end_ns: int) -> list[float]:
        return [rate for at, rate in self.rate if start_ns <= at < end_ns]

    def queues_between(self, start_ns: int, end_ns: int) -> list[int]:
        return sorted(wait for at, wait in self.queue if start_ns <= at < end_ns)


def percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0


def _number_of(data: bytes) -> int:
    return int.from_bytes(data[:4], "big")


class Source:
    """Frames as large as the target of the link allows, each with its number in it.

    A key frame comes first and when one is wanted; the others need the ones before them.
    """

    def __init__(self, run: Run, pair: Pair, start_ns: int, *, megabits_max: float) -> None:
        self._run, self._pair, self._start_ns = run, pair, start_ns
        self._bits_max = bits(megabits_max)
        self._key = True

    def __call__(self, now_ns: int) -> None:
        pair, run = self._pair, self._run
        for event in pair.host.events():
            pair.host_events.append(event)
            self._key = self._key or isinstance(event, KeyFrameWanted)
        target = min(pair.host.media.controller.decision.target_bits, self._bits_max)
        size = max(
            64, int(target * MEDIA_SHARE / pair.host.media.overhead()) // 8 // FRAMES_PER_SECOND
        )
        data = run.sent.to_bytes(4, "big") + bytes(size - 4)
        pair.host.send_frame(VIDEO, data, key=self._key, now_ns=now_ns)
        run.sent_ns[run.sent] = now_ns - self._start_ns
        run.sent += 1
        self._key = False


def play(seed: int, steps: Sequence[Step], for_ns: int, *, megabits_max: float = 50.0) -> Run:
    """Streams from the host to the client; the times of `steps` begin when it is established."""
    delays = [Step(0, Conditions(delay_ns=steps[0].conditions.delay_ns))]
    pair = Pair(seed, delays)
    pair.connect()
    run, start_ns = Run(seed, pair=pair), pair.now_ns
    pair.network.set_steps(
        HOST[0], CLIENT[0], [Step(start_ns + step.at_ns, step.conditions) for step in steps]
    )
    channel = pair.network.channel(HOST[0], CLIENT[0])
    source = Source(run, pair, start_ns, megabits_max=megabits_max)
    carried = channel.counts.sent_bytes

    def look(now_ns: int) -> None:
        for event in pair.client.events():
            pair.client_events.append(event)
            if isinstance(event, Frame):
                run.shown_ns[_number_of(event.data)] = event.shown_ns - start_ns
        run.queue.append((now_ns - start_ns, channel.queue_ns(now_ns)))

    def measure(now_ns: int) -> None:
        nonlocal carried
        total = channel.counts.sent_bytes
        run.rate.append((now_ns - start_ns, (total - carried) * 8 * 10))
        carried = total

    end_ns = start_ns + for_ns
    pair.world.every(FRAME_NS, source, until_ns=end_ns)
    pair.world.every(5 * MS, look, until_ns=end_ns + SECOND // 2)
    pair.world.every(100 * MS, measure, until_ns=end_ns)
    pair.world.run(end_ns + SECOND // 2)
    look(pair.now_ns)
    pair.collect()
    return run


# --- the scenarios --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure, and whether it is within what is asked."""

    what: str
    value: str
    holds: bool


def capacity(seed: int, down_ns: int = 20 * SECOND, up_ns: int = 35 * SECOND) -> Iterator[Finding]:
    """The capacity goes from 20 to 5 Mbit/s and back."""
    wide = Conditions(delay_ns=15 * MS, rate_bits=bits(20), queue_bytes=512 << 10)
    narrow = Conditions(delay_ns=15 * MS, rate_bits=bits(5), queue_bytes=512 << 10)
    steps = [Step(0, wide), Step(down_ns, narrow), Step(up_ns, wide)]
    run = play(seed, steps, up_ns + 15 * SECOND)
    after = run.rates_between(down_ns + 2 * SECOND, up_ns)
    worst = max(_smoothed(after))
    yield Finding("Mbit/s from 2 s after the step down", f"{worst / 1e6:.2f}", worst <= bits(5.5))
    waits = run.queues_between(down_ns + 3 * SECOND, up_ns)
    p95 = percentile(waits, 0.95) / MS
    yield Finding("ms of queue at p95 from 3 s after it", f"{p95:.1f}", p95 < 40)
    back = _smoothed(run.rates_between(up_ns, up_ns + 15 * SECOND))
    reached = next((i / 10 for i, rate in enumerate(back) if rate >= bits(16)), None)
    yield Finding("s until 80 % of the capacity is regained", f"{reached}", reached is not None)


def steady(seed: int, seconds: int = 30) -> Iterator[Finding]:
    """Constant capacity: no oscillation beyond 20 %."""
    conditions = Conditions(delay_ns=15 * MS, rate_bits=bits(10), queue_bytes=512 << 10)
    run = play(seed, [Step(0, conditions)], (10 + seconds) * SECOND)
    rates = _smoothed(run.rates_between(10 * SECOND, (10 + seconds) * SECOND))
    middle = sum(rates) / len(rates)
    off = max(max(rates) / middle - 1, 1 - min(rates) / middle)
    yield Finding(f"% off the mean at most, over {seconds} s", f"{100 * off:.1f}", off <= 0.2)
    yield Finding("% of the capacity used", f"{middle / 1e5:.1f}", middle >= bits(8))
    waits = run.queues_between(10 * SECOND, (10 + seconds) * SECOND)
    p95 = percentile(waits, 0.95) / MS
    yield Finding("ms of queue at p95", f"{p95:.1f}", p95 < 40)


def jittery(seed: int, seconds: int = 20) -> Iterator[Finding]:
    """15 ms of jitter in front of 10 Mbit/s: it is not taken for a queue."""
    conditions = Conditions(
        delay_ns=15 * MS, jitter_ns=15 * MS, rate_bits=bits(10), queue_bytes=512 << 10
    )
    run = play(seed, [Step(0, conditions)], (10 + seconds) * SECOND)
    rates = run.rates_between(10 * SECOND, (10 + seconds) * SECOND)
    used = sum(rates) / len(rates)
    yield Finding("% of the capacity used", f"{used / 1e5:.1f}", used >= bits(8))
    yield from _shown(run)


def stalling(seed: int, seconds: int = 20) -> Iterator[Finding]:
    """10 Mbit/s, and every second all waits for 150 ms: that is not taken for a queue of ours."""
    calm = Conditions(delay_ns=15 * MS, rate_bits=bits(10), queue_bytes=512 << 10)
    stall_ns, part_ns = 150 * MS, 5 * MS
    steps = [Step(0, calm)]
    for second in range(1, 10 + seconds):
        # What comes into a stall leaves it at its end: the delay falls as the time passes.
        for passed_ns in range(0, stall_ns, part_ns):
            delay_ns = calm.delay_ns + stall_ns - passed_ns
            steps.append(Step(second * SECOND + passed_ns, replace(calm, delay_ns=delay_ns)))
        steps.append(Step(second * SECOND + stall_ns, calm))
    run = play(seed, steps, (10 + seconds) * SECOND)
    rates = run.rates_between(10 * SECOND, (10 + seconds) * SECOND)
    used = sum(rates) / len(rates)
    yield Finding("% of the capacity used", f"{used / 1e5:.1f}", used >= bits(7))
    waits = run.queues_between(10 * SECOND, (10 + seconds) * SECOND)
    p95 = percentile(waits, 0.95) / MS
    yield Finding("ms of queue at p95", f"{p95:.1f}", p95 < 40)
    yield from _shown(run)


def lengthened(seed: int, seconds: int = 20) -> Iterator[Finding]:
    """10 Mbit/s, and after 5 s the path takes 40 ms more: not taken for a queue for long."""
    short = Conditions(delay_ns=15 * MS, rate_bits=bits(10), queue_bytes=512 << 10)
    steps = [Step(0, short), Step(5 * SECOND, replace(short, delay_ns=55 * MS))]
    run = play(seed, steps, (10 + seconds) * SECOND)
    rates = run.rates_between(10 * SECOND, (10 + seconds) * SECOND)
    used = sum(rates) / len(rates)
    yield Finding("% of the capacity used", f"{used / 1e5:.1f}", used >= bits(8))
    waits = run.queues_between(10 * SECOND, (10 + seconds) * SECOND)
    p95 = percentile(waits, 0.95) / MS
    yield Finding("ms of queue at p95", f"{p95:.1f}", p95 < 60)
    yield from _shown(run)


def independent_loss(seed: int, seconds: int = 60) -> Iterator[Finding]:
    """5 % independent loss."""
    conditions = Conditions(delay_ns=20 * MS, loss=0.05)
    run = play(seed, [Step(0, conditions)], seconds * SECOND, megabits_max=8)
    share = run.shown_share()
    yield Finding("% of frames shown", f"{100 * share:.3f}", share >= 0.999)
    yield from _shown(run)
    yield from _accounted(run)


def bursty_loss(seed: int, seconds: int = 60) -> Iterator[Finding]:
    """2 % loss in bursts of 5 packets."""
    conditions = Conditions(delay_ns=20 * MS, bursts=Bursts.of(0.02, 5))
    run = play(seed, [Step(0, conditions)], seconds * SECOND, megabits_max=8)
    # A freeze is a gap of more than two frames; most gaps are none, and would hide those that are.
    freezes = [gap for gap in run.freezes_ns() if gap > 2 * FRAME_NS]
    p99 = percentile(freezes, 0.99) / MS
    text = f"{p99:.1f} of {len(freezes)} freezes"
    yield Finding("ms of freeze at p99", text, p99 <= 200)
    yield from _shown(run)
    yield from _accounted(run)


def reordering(seed: int, seconds: int = 30) -> Iterator[Finding]:
    """1 % reordered, nothing lost: nothing is reported as lost."""
    conditions = Conditions(delay_ns=20 * MS, reorder=0.01, reorder_ns=8 * MS)
    run = play(seed, [Step(0, conditions)], seconds * SECOND, megabits_max=8)
    yield from _shown(run)
    yield from _accounted(run)


def _shown(run: Run) -> Iterator[Finding]:
    numbers = list(run.shown_ns)
    rises = numbers == sorted(set(numbers))
    yield Finding("frame numbers only go up", str(rises), rises)
    latencies = run.latencies_ns()
    p50, p95 = (percentile(latencies, share) / MS for share in (0.5, 0.95))
    yield Finding("ms of latency at p50 and p95", f"{p50:.1f}, {p95:.1f}", p95 < 150)
    assert run.pair is not None
    worst = max(run.freezes_ns()) / MS
    freezes = len(run.pair.of(Freeze))
    yield Finding("frames given up, longest freeze in ms", f"{freezes}, {worst:.0f}", holds=True)


def _accounted(run: Run) -> Iterator[Finding]:
    """The loss that the receiver reports, against what the emulator has dropped."""
    assert run.pair is not None
    reports = [event.own for event in run.pair.of(EpochReport)]
    lost = sum(report.packets_lost for report in reports)
    expected = sum(report.packets_expected for report in reports)
    counts = run.pair.network.channel(HOST[0], CLIENT[0]).counts
    real = (counts.lost + counts.lost_in_bursts) / counts.sent
    off = abs(lost / expected - real)
    text = f"{100 * lost / expected:.2f}, {100 * real:.2f}"
    yield Finding("% of loss reported, and what it was", text, off <= 0.003)


def _smoothed(rates: Sequence[float]) -> list[float]:
    """Means over half a second."""
    return [sum(rates[at : at + 5]) / 5 for at in range(max(1, len(rates) - 4))]


SCENARIOS = (
    capacity,
    steady,
    jittery,
    stalling,
    lengthened,
    independent_loss,
    bursty_loss,
    reordering,
)


def adaptations(run: Run) -> list[Adapted]:
    """What the controller of the sender decided, in order."""
    assert run.pair is not None
    return run.pair.of(Adapted, run.pair.host_events)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1-3", help="the first and the last")
    parser.add_argument("--only", default="", help="the name of one scenario")
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("-")
    failed = 0
    for scenario in SCENARIOS:
        if arguments.only not in ("", scenario.__name__):
            continue
        for seed in range(int(first), int(last or first) + 1):
            print(f"{scenario.__name__}, seed {seed}: {scenario.__doc__}", flush=True)
            for finding in scenario(seed):
                failed += not finding.holds
                word = "holds" if finding.holds else "DOES NOT HOLD"
                print(f"  {finding.what}: {finding.value} ({word})", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
