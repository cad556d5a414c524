"""The round-trip time, smoothed as RFC 6298 does it."""

from __future__ import annotations

from troth.streaming.transport_limits import RTO_FIRST_NS, RTO_MAX_NS, RTO_MIN_NS


class RoundTrip:
    """Samples in, times out. Only what was sent once may be a sample."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Another path: what was known does not hold there."""
        self.smoothed_ns = 0
        self.variation_ns = 0
        self.lowest_ns = 0
        self.latest_ns = 0

    def add(self, sample_ns: int) -> None:
        """A sample of 0 or less is no time: whoever reports it is not believed."""
        if sample_ns <= 0:
            return
        self.latest_ns = sample_ns
        if self.smoothed_ns == 0:
            self.smoothed_ns, self.variation_ns = sample_ns, sample_ns // 2
            self.lowest_ns = sample_ns
            return
        off = abs(self.smoothed_ns - sample_ns)
        self.variation_ns += (off - self.variation_ns) // 4
        self.smoothed_ns += (sample_ns - self.smoothed_ns) // 8
        self.lowest_ns = min(self.lowest_ns, sample_ns)

    @property
    def timeout_ns(self) -> int:
        """How long to wait for an answer."""
        if self.smoothed_ns == 0:
            return RTO_FIRST_NS
        waits_ns = self.smoothed_ns + 4 * self.variation_ns
        return min(max(waits_ns, RTO_MIN_NS), RTO_MAX_NS)
