"""Curves over time of a session that reports on itself by epochs, as a stream's sessions do.

A message with one record in it that has a whole `epoch` is a report or a decision, by the names
of its fields; nothing is known here of any protocol. What is said is drawn and not believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeGuard

from troth.vm.codec import decode
from troth.vm.errors import TrothError
from troth.vm.host_values import to_python

EPOCHS_MAX: Final = 100_000
"""Epochs that are drawn; later ones are not."""

PAYLOAD_BYTES_MAX: Final = 4_096
VALUE_MAX: Final = 1 << 40
_EPOCH: Final = b"epoch"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart: the field it shows, its name, and what its values are divided by."""

    field: str
    name: str
    divisor: float = 1.0


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    unit: str
    lines: tuple[Line, ...]


CHARTS: Final = (
    Chart("Target bitrate", "kbit/s", (Line("bitrate_kbps", "decided"),)),
    Chart(
        "Loss",
        "%",
        (
            Line("lost_before_repair_ppm", "before repair", 1e4),
            Line("lost_after_repair_ppm", "after repair", 1e4),
        ),
    ),
    Chart(
        "Delay",
        "ms",
        (
            Line("latency_us", "from end to end", 1e3),
            Line("playout_delay_us", "waited for repairs", 1e3),
            Line("jitter_us", "jitter", 1e3),
        ),
    ),
    Chart(
        "Frames, size and parity",
        "",
        (
            Line("frames_per_second", "frames a second"),
            Line("scale_percent", "size in %"),
            Line("parity_percent", "parity in %"),
        ),
    ),
)
SPAN: Final = "span_ms"
FIELDS: Final = frozenset({SPAN} | {line.field for chart in CHARTS for line in chart.lines})


@dataclass(frozen=True, slots=True)
class Curves:
    """Values by epoch, in order; `ends_ms` is when each epoch ended, from the first on."""

    ends_ms: tuple[int, ...] = ()
    values: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)
    is_cut: bool = False


class CurveCollector:
    """Takes the payloads of all messages, and keeps what epochs say."""

    def __init__(self, epochs_max: int = EPOCHS_MAX) -> None:
        self._epochs: dict[int, dict[str, int]] = {}
        self._epochs_max = epochs_max
        self._is_cut = False

    def take(self, payload: bytes | None) -> None:
        """Of two messages that say the same of one epoch the first counts. Raises nothing."""
        if payload is None or len(payload) > PAYLOAD_BYTES_MAX or _EPOCH not in payload:
            return
        try:
            values = to_python(decode(payload))
        except TrothError:
            # What it is has been judged at level 1; here it is no report.
            return
        facts = values[0] if isinstance(values, list) and len(values) == 1 else None
        epoch = facts.get("epoch") if isinstance(facts, dict) else None
        if not isinstance(facts, dict) or not _is_whole(epoch):
            return
        found = {name: facts[name] for name in FIELDS & facts.keys() if _is_whole(facts[name])}
        if not found:
            return
        if epoch not in self._epochs and len(self._epochs) >= self._epochs_max:
            self._is_cut = True
            return
        self._epochs[epoch] = found | self._epochs.get(epoch, {})

    def curves(self) -> Curves:
        """Nothing, when there are fewer than two epochs with a length."""
        timed = [facts for _, facts in sorted(self._epochs.items()) if SPAN in facts]
        if len(timed) < 2:
            return Curves()
        ends: list[int] = []
        for facts in timed:
            ends.append((ends[-1] if ends else 0) + max(1, facts[SPAN]))
        names = sorted(FIELDS - {SPAN})
        values = {name: tuple(facts.get(name) for facts in timed) for name in names}
        return Curves(tuple(ends), values, self._is_cut)


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= VALUE_MAX
