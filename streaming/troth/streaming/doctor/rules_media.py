"""Chapters 2 and 3: picture, input, network, host and sound of a session that runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from troth.streaming.doctor.case import At, Case, Source
from troth.streaming.doctor.findings import Evidence, Finding, finding
from troth.streaming.doctor.rules_connect import at_line
from troth.streaming.load import LoadState
from troth.streaming.media.viewing import Epoch

LOSS_PPM: Final = 10_000
LOSS_UNREPAIRED_PPM: Final = 5_000
BURST_PACKETS: Final = 8
QUEUE_US: Final = 40_000
JITTER_US: Final = 20_000
EPOCHS_MIN: Final = 2
"""So many epochs make a window; one alone may be the beginning or a hiccup."""

INPUT_SLOW_US: Final = 100_000
MISSED_SHARE: Final = 0.02
SKIPPED_SHARE: Final = 0.05
SOUND_MISSED_SHARE: Final = 0.05
FRAMES_MIN: Final = 20
"""Shares of less say nothing."""

STALLED_FRAMES: Final = 120
"""Two seconds of them, in which there are eight reports."""

CAPTURE_US: Final = 33_000
FLAPPING_CHANGES: Final = 4
FLAPPING_US: Final = 60_000_000
DOWN_SHARE: Final = 0.5
_P: Final = "troth_stream_"


@dataclass(frozen=True, slots=True)
class _Check:
    """A value of each epoch that must stay below `limit`; it is shown divided, with its unit."""

    code: str
    value: Callable[[At], int]
    limit: int
    divisor: float
    unit: str


# --- what the user sees ----------------------------------------------------------------------


def freezes(case: Case) -> Iterator[Finding]:
    found: list[Evidence] = []
    for source in case.sources:
        lines = list(source.events("freeze"))
        found += [at_line(source, line, f"{line.whole('ms')} ms") for line in lines]
        seconds = source.value(f"{_P}freeze_seconds_total")
        if seconds > 0 and not lines:
            found.append(Evidence(source.name, f"{_P}freeze_seconds_total", f"{seconds:g} s"))
    if found:
        yield finding("view.freezes", found)


def frames_missed(case: Case) -> Iterator[Finding]:
    for source in case.of("client"):
        shown = source.value(f"{_P}frames_shown_total")
        missed = source.value(f"{_P}frames_missed_total")
        if shown + missed >= FRAMES_MIN and missed > MISSED_SHARE * (shown + missed):
            outcomes = ", ".join(
                f"{sample.value:.0f} {sample.labels.get('outcome', '')}"
                for sample in source.found(f"{_P}frames_missed_total")
            )
            what = f"{missed:.0f} of {shown + missed:.0f}: {outcomes}"
            yield finding("view.missed", [Evidence(source.name, f"{_P}frames_missed_total", what)])


def slow_input(case: Case) -> Iterator[Finding]:
    """Judged above the lowest, since the clocks of two machines have nothing in common."""
    for source in case.of("host"):
        lines = list(source.events("input_latency"))
        lowest = min((line.whole("us") for line in lines), default=0)
        slow = [line for line in lines if line.whole("us") - lowest > INPUT_SLOW_US]
        if len(slow) * 20 > len(lines):
            yield finding(
                "input.slow",
                [
                    at_line(source, line, f"{(line.whole('us') - lowest) // 1000} ms more")
                    for line in slow
                ],
            )


# --- the way ---------------------------------------------------------------------------------


def paths(case: Case) -> Iterator[Finding]:
    relayed: list[Evidence] = []
    for source in case.sources:
        ratio = source.value(f"{_P}relay_ratio")
        if ratio > 0:
            relayed.append(Evidence(source.name, f"{_P}relay_ratio", f"{ratio:.0%} of the time"))
        changes = list(source.events("path_change"))
        for first, last in zip(changes, changes[FLAPPING_CHANGES - 1 :], strict=False):
            span_us = last.whole("ts_mono_us") - first.whole("ts_mono_us")
            if 0 <= span_us <= FLAPPING_US:
                what = f"{FLAPPING_CHANGES} changes in {span_us // 1_000_000} s"
                yield finding("path.flapping", [at_line(source, last, what)])
                break
    if relayed:
        yield finding("path.relay", relayed)


def silence(case: Case) -> Iterator[Finding]:
    found = [
        at_line(source, line, f"nothing for {line.whole('silent_ms')} ms")
        for source in case.sources
        for line in source.events("peer_degraded")
    ]
    if found:
        yield finding("network.silence", found)


def epochs(case: Case) -> Iterator[Finding]:
    """Of the record of one side, since both have the same reports; else of the gauges."""
    source = next((source for source in case.sources if source.epochs), None)
    if source is None:
        yield from _gauges(case)
        return
    for check in _checks(source.epochs):
        evidence = _windows(source, check)
        if evidence:
            yield finding(check.code, evidence)


def stalled(case: Case) -> Iterator[Finding]:
    """Media without the reports that belong to it: the trouble is in the other plane."""
    for source in case.sources:
        counts = {} if source.recorded is None else source.recorded.counts
        frames = counts.get(("Video", "frame"), 0)
        if frames >= STALLED_FRAMES * (1 + len(source.epochs)):
            what = f"{frames} frames, {len(source.epochs)} reports"
            yield finding("control.stalled", [Evidence(source.name, "messages", what)])


def _way_us(report: Epoch) -> int:
    """The delay of the way: what pictures wait on purpose is no trouble of the network."""
    return report.delay_us - report.playout_delay_us


def _checks(found: tuple[At, ...]) -> tuple[_Check, ...]:
    lowest_us = min((_way_us(at.report) for at in found if at.report.shown > 0), default=0)

    def queue_us(at: At) -> int:
        return _way_us(at.report) - lowest_us if at.report.shown > 0 else 0

    return (
        _Check("network.loss", lambda at: at.report.lost_before_repair_ppm, LOSS_PPM, 1e4, "%"),
        _Check(
            "network.loss_unrepaired",
            lambda at: at.report.lost_after_repair_ppm,
            LOSS_UNREPAIRED_PPM, 1e4, "% of the frames",
        ),
        _Check("network.bursts", lambda at: at.report.burst, BURST_PACKETS, 1, "in a row"),
        _Check("network.queue", queue_us, QUEUE_US, 1e3, "ms above the lowest delay"),
        _Check("network.jitter", lambda at: at.report.jitter_us, JITTER_US, 1e3, "ms"),
    )  # fmt: skip


def _windows(source: Source, check: _Check) -> list[Evidence]:
    """The stretches of epochs for which it holds; epochs in a row are one."""
    windows: list[list[At]] = []
    for at in source.epochs:
        if check.value(at) < check.limit:
            continue
        if windows and windows[-1][-1].number == at.number - 1:
            windows[-1].append(at)
        else:
            windows.append([at])
    if sum(map(len, windows)) < EPOCHS_MIN:
        return []
    return [
        Evidence(
            source.name,
            f"reports {window[0].number} to {window[-1].number}",
            f"from {window[0].begins_ms / 1000:.2f} to {window[-1].ends_ms / 1000:.2f} s, "
            f"at most {max(map(check.value, window)) / check.divisor:.3g} {check.unit}",
        )
        for window in windows
    ]


def _gauges(case: Case) -> Iterator[Finding]:
    """What a running role says of its last epoch."""
    for name, limit, code in (
        ("loss_pre_repair", LOSS_PPM / 1e6, "network.loss"),
        ("loss_post_repair", LOSS_UNREPAIRED_PPM / 1e6, "network.loss_unrepaired"),
        ("jitter_us", JITTER_US, "network.jitter"),
    ):
        found = [
            Evidence(source.name, f"{_P}{name}", f"{source.value(_P + name):g}")
            for source in case.sources
            if source.value(_P + name) >= limit
        ]
        if found:
            yield finding(code, found)


# --- the host --------------------------------------------------------------------------------


def load(case: Case) -> Iterator[Finding]:
    for state, code in ((LoadState.OWN, "host.processor"), (LoadState.OTHERS, "host.other_work")):
        found = [
            at_line(
                source,
                line,
                f"{line.whole('own_percent')} % of a core by the process, "
                f"{line.whole('others_percent')} % of the machine by others",
            )
            for source in case.of("host")
            for line in source.events("load")
            if line.text("state") == state.value
        ]
        if found:
            yield finding(code, found)


def capture(case: Case) -> Iterator[Finding]:
    for source in case.of("host"):
        took_us = source.value(f"{_P}capture_us")
        frame_us = 1e6 / max(1.0, source.value(f"{_P}frames_per_second") or 1e6 / CAPTURE_US)
        if took_us > frame_us:
            yield finding(
                "host.capture_slow",
                [Evidence(source.name, f"{_P}capture_us", f"{took_us:.0f} of {frame_us:.0f} us")],
            )
        skipped = source.value(f"{_P}frames_skipped_total")
        sent = source.value(f"{_P}frames_sent_total")
        if skipped + sent >= FRAMES_MIN and skipped > SKIPPED_SHARE * (skipped + sent):
            what = f"{skipped:.0f} of {skipped + sent:.0f}"
            yield finding(
                "host.skipped", [Evidence(source.name, f"{_P}frames_skipped_total", what)]
            )


def ladder(case: Case) -> Iterator[Finding]:
    down: dict[str, list[Evidence]] = {}
    for source in case.of("host"):
        for line in source.events("adapt"):
            what, before, after = line.text("what"), line.whole("from"), line.whole("to")
            code = {"frames_per_second": "ladder.frame_rate", "scale_percent": "ladder.resolution"}
            if what in code and after < before:
                evidence = at_line(source, line, f"{before} to {after}, {line.text('cause')}")
                down.setdefault(code[what], []).append(evidence)
        caps = [at_line(source, line, f"{line.whole('bitrate_kbps')} kbit/s")
                for line in source.events("cap")]  # fmt: skip
        down.setdefault("user.cap", []).extend(caps)
    recorded = next((source for source in case.sources if source.epochs), None)
    if recorded is not None:
        down["ladder.bitrate"] = _bitrate_down(recorded)
    for code_found, evidence_found in down.items():
        if evidence_found:
            yield finding(code_found, evidence_found)


def _bitrate_down(source: Source) -> list[Evidence]:
    """Where the decided bitrate falls below half of the highest before."""
    highest, found = 0, []
    for before, at in pairwise(source.epochs):
        if before.decision is None or at.decision is None:
            continue
        highest = max(highest, before.decision.bitrate_kbps)
        limit = DOWN_SHARE * highest
        if at.decision.bitrate_kbps < limit <= before.decision.bitrate_kbps:
            what = f"{at.decision.bitrate_kbps} after {highest} kbit/s, {at.decision.cause}"
            found.append(Evidence(source.name, f"decision {at.number}", what))
    return found


# --- sound -----------------------------------------------------------------------------------


def sound(case: Case) -> Iterator[Finding]:
    gone: list[Evidence] = []
    for source in case.sources:
        gone += [
            at_line(source, line, line.text("outcome"))
            for line in source.events("sound")
            if line.text("state") == "gone"
        ]
        counts = {} if source.recorded is None else source.recorded.counts
        frames = counts.get(("Video", "frame"), 0)
        if frames >= FRAMES_MIN and counts.get(("Audio", "group"), 0) == 0:
            yield finding("sound.none", [Evidence(source.name, "messages", f"{frames} frames")])
    for source in case.of("client"):
        missed = source.value(f"{_P}sound_missed_total")
        whole = missed + source.value(f"{_P}sound_played_total")
        if whole >= FRAMES_MIN and missed > SOUND_MISSED_SHARE * whole and not gone:
            what = f"{missed:.0f} of {whole:.0f} groups"
            gone.append(Evidence(source.name, f"{_P}sound_missed_total", what))
    if gone:
        yield finding("sound.gone", gone)


RULES: Final = (
    freezes, frames_missed, slow_input, paths, silence, stalled, epochs, load, capture, ladder,
    sound,
)  # fmt: skip
