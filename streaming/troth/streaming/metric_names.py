"""Every metric of host and client: its kind, which role has it, and what it says.

The names are those that operators look for; all have the prefix `troth_stream_` and the label
`role`. What is not in this table is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PREFIX: Final = "troth_stream_"


class MetricKind(StrEnum):
    """As Prometheus has them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """`roles` are those that have it; `label` is the one beside `role`, if there is one."""

    kind: MetricKind
    roles: tuple[str, ...]
    text: str
    label: str = ""


_HOST: Final = ("Host",)
_CLIENT: Final = ("Client",)
_BOTH: Final = ("Client", "Host")
_C, _G, _H = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM

SESSION_METRICS: Final[Mapping[str, Metric]] = {
    "sessions_total": Metric(_C, _BOTH, "sessions that ended", "reason"),
    "handshake_fail_total": Metric(_C, _BOTH, "sessions that never began", "reason"),
    "frames_sent_total": Metric(_C, _HOST, "frames that were sent"),
    "bytes_sent_total": Metric(_C, _HOST, "bytes of these frames"),
    "frames_skipped_total": Metric(_C, _HOST, "frames not captured, because the way was full"),
    "frames_shown_total": Metric(_C, _CLIENT, "frames whose number was read from the screen"),
    "frames_missed_total": Metric(_C, _CLIENT, "frames that were not shown", "outcome"),
    "freezes_total": Metric(_C, _CLIENT, "times that the picture stood for more than 200 ms"),
    "freeze_seconds_total": Metric(_C, _CLIENT, "the length of these times"),
    "sound_played_total": Metric(_C, _CLIENT, "groups of sound that were played"),
    "sound_skipped_total": Metric(_C, _HOST, "groups not captured, because the way was full"),
    "sound_missed_total": Metric(_C, _CLIENT, "groups of sound that were not", "outcome"),
    "idr_requests_total": Metric(_C, _HOST, "key frames made on demand"),
    "path_seconds_total": Metric(_C, _BOTH, "time on paths of each kind", "kind"),
    "path_changes_total": Metric(_C, _BOTH, "moves to another path"),
    "relay_ratio": Metric(_G, _BOTH, "share of the time that went through a relay"),
    "bitrate_kbps": Metric(_G, _BOTH, "what the host decided last"),
    "frames_per_second": Metric(_G, _BOTH, "what the host decided last"),
    "clock_ahead_us": Metric(_G, _CLIENT, "the host's clock before ours, as the link has it"),
    "scale_percent": Metric(_G, _BOTH, "of width and height, what the host decided last"),
    "parity_percent": Metric(_G, _BOTH, "what the host decided last"),
    "loss_pre_repair": Metric(_G, _BOTH, "share of datagrams lost in the last epoch"),
    "loss_post_repair": Metric(_G, _BOTH, "share of frames lost in the last epoch"),
    "jitter_us": Metric(_G, _BOTH, "of the frames' delays, as RFC 3550 has it"),
    "input_latency_us": Metric(_G, _HOST, "from the last act of the user to the host"),
    "capture_us": Metric(_G, _HOST, "what the last picture took to capture and encode"),
    "cpu_own_percent": Metric(_G, _BOTH, "of one core, used by this process"),
    "cpu_others_percent": Metric(_G, _BOTH, "of all cores, used by others"),
    "packets_sent_total": Metric(_C, _BOTH, "datagrams that were sent"),
    "packet_bytes_sent_total": Metric(_C, _BOTH, "bytes of these datagrams"),
    "packets_rejected_total": Metric(_C, _BOTH, "datagrams that changed nothing", "why"),
    "pieces_repaired_total": Metric(_C, _CLIENT, "pieces of frames that repair brought"),
    "queue_delay_ms": Metric(_H, _CLIENT, "from capture to screen, once the clocks are known"),
}
