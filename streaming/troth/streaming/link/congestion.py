"""How much to send: a controller gets a value for every report of the peer, and gives a decision.

A controller has no clock and no randomness: the same feedback gives the same decisions, so a
recorded session can be decided again with this controller or another one.

`DelayController` looks at the one-way delay of the packets, whatever the two clocks are. The
lowest delay of the last minute is that of the empty path; what the lowest of a report is above it
is the queue that we fill: jitter makes some packets late, and a queue all of them. While the
queue is short the rate grows, fast until the path has shown its capacity and slowly near it; when
it is long in two reports the rate falls below what was delivered, so far that the queue is gone
within half a second, and then returns to nine tenths of it.

A delay that goes away faster than the lower rate can have emptied a queue, or does not move at
all whatever is sent, was no queue of ours (`drain`). Then the rate is what it was before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from troth.streaming.link.drain import Drain
from troth.streaming.transport_limits import MILLISECOND_NS, SECOND_NS

BITS_PER_BYTE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One report of the peer, joined with what we know of the packets in it.

    Attributes:
        now_ns: when it came.
        rtt_ns: the last round trip, without the time that the peer held its report.
        delay_ns: the middle one of the one-way delays, off by the difference of the clocks.
        delay_min_ns: the smallest.
        received_packets, received_bytes: what of the packets in it has arrived.
        lost_packets: what has not, yet.
        interval_ns: the time at the peer between the last arrival of the report before, and of
            this one.
        limited: whether we had less to send than we might have.
    """

    now_ns: int
    rtt_ns: int
    delay_ns: int
    delay_min_ns: int
    received_packets: int
    received_bytes: int
    lost_packets: int
    interval_ns: int
    limited: bool


class Trend(Enum):
    """What a controller is doing."""

    START = "start"
    GROW = "grow"
    HOLD = "hold"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to send from now on: bits a second of everything, and why."""

    target_bits: int
    pacing_bits: int
    trend: Trend
    queue_ns: int
    delivered_bits: int


class Controller(Protocol):
    """Anything that decides. It must depend on nothing but what it was given."""

    @property
    def decision(self) -> Decision: ...

    def on_feedback(self, feedback: Feedback) -> Decision: ...

    def reset(self, now_ns: int) -> None:
        """Another path: what was learnt does not hold there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayOptions:
    """The numbers of a `DelayController`. Rates are in bits a second, factors per second."""

    start_bits: int = 4_000_000
    lowest_bits: int = 200_000
    highest_bits: int = 200_000_000
    queue_target_ns: int = 20 * MILLISECOND_NS
    start_growth: float = 1.0
    fast_growth: float = 0.25
    near_growth: float = 0.04
    backoff: float = 0.85
    resume: float = 0.92
    drain_ns: int = 500 * MILLISECOND_NS
    base_ns: int = 60 * SECOND_NS
    pacing: float = 1.5
    loss_max: float = 0.2


_DELIVERY_NS: Final = 250 * MILLISECOND_NS
_NEAR: Final = 0.8
_BEYOND: Final = 1.05
_DELIVERED_MAX: Final = 1.5
_DRAIN_LOWEST: Final = 0.35
_LONG_QUEUE: Final = 3
_LOSS_REPORTS: Final = 20
_CALM_REPORTS: Final = 3
_PATIENCE_NS: Final = 4 * SECOND_NS
_BUCKET_NS: Final = SECOND_NS
_DECREASE_NS: Final = 100 * MILLISECOND_NS


class DelayController:
    """The controller that links use unless they are given another."""

    def __init__(self, options: DelayOptions | None = None) -> None:
        self.options = options or DelayOptions()
        self.reset(0)

    def reset(self, now_ns: int) -> None:
        self._rate = float(self.options.start_bits)
        self._trend = Trend.START
        self._capacity = 0.0
        """What the path delivered when it last had a queue; 0 when that is not known."""
        self._over = 0
        self._drain: Drain | None = None
        self._before = (self._rate, 0.0, self._trend)
        """Rate, capacity and trend before the drain."""

        self._decreased_ns = now_ns
        self._last_ns = now_ns
        self._minima: deque[tuple[int, int]] = deque()
        self._deliveries: deque[tuple[int, int]] = deque()
        self._losses: deque[tuple[int, int]] = deque(maxlen=_LOSS_REPORTS)
        self._queue_ns = 0
        self._queues: deque[int] = deque(maxlen=_CALM_REPORTS)
        self._delivered = 0.0

    @property
    def decision(self) -> Decision:
        return Decision(
            target_bits=int(self._rate),
            pacing_bits=int(self._rate * self.options.pacing),
            trend=self._trend,
            queue_ns=self._queue_ns,
            delivered_bits=int(self._delivered),
        )

    def on_feedback(self, feedback: Feedback) -> Decision:
        if feedback.received_packets == 0:
            return self.decision
        self._learn(feedback)
        self._over = self._over + 1 if self._queue_ns > self.options.queue_target_ns else 0
        may_decrease = feedback.now_ns - self._decreased_ns >= _DECREASE_NS
        lossy = self._loses_too_much()
        may_again = feedback.now_ns - self._decreased_ns >= SECOND_NS
        if self._is_in_vain(feedback):
            self._start_from(feedback)
        elif (may_decrease and (self._over >= 2 or self._is_overrun())) or (lossy and may_again):
            self._decrease(feedback)
        elif lossy:
            self._trend = Trend.HOLD
        elif self._trend is Trend.DRAIN:
            self._wait_for_drain(feedback)
        elif self._is_calm() and not feedback.limited:
            self._increase(feedback)
        elif self._trend is not Trend.START:
            self._trend = Trend.HOLD
        self._last_ns = feedback.now_ns
        lowest, highest = self.options.lowest_bits, self.options.highest_bits
        self._rate = min(max(self._rate, lowest), highest)
        return self.decision

    def _learn(self, feedback: Feedback) -> None:
        now_ns, minima = feedback.now_ns, self._minima
        if minima and now_ns - minima[-1][0] < _BUCKET_NS:
            started_ns, lowest_ns = minima.pop()
            minima.append((started_ns, min(lowest_ns, feedback.delay_min_ns)))
        else:
            minima.append((now_ns, feedback.delay_min_ns))
        while now_ns - minima[0][0] > self.options.base_ns:
            minima.popleft()
        lowest_ns = min(lowest for _, lowest in minima)
        self._queue_ns = max(0, feedback.delay_min_ns - lowest_ns)
        self._queues.append(self._queue_ns)
        self._losses.append((feedback.lost_packets, feedback.received_packets))
        self._deliveries.append((feedback.interval_ns, feedback.received_bytes))
        spans_ns = sum(span for span, _ in self._deliveries)
        while len(self._deliveries) > 1 and spans_ns - self._deliveries[0][0] >= _DELIVERY_NS:
            spans_ns -= self._deliveries.popleft()[0]
        total = sum(size for _, size in self._deliveries) * BITS_PER_BYTE
        self._delivered = total * SECOND_NS / spans_ns if spans_ns > 0 else 0.0

    def _loses_too_much(self) -> bool:
        lost = sum(lost for lost, _ in self._losses)
        total = lost + sum(received for _, received in self._losses)
        enough = len(self._losses) == _LOSS_REPORTS
        return enough and lost > self.options.loss_max * total

    def _is_calm(self) -> bool:
        """No queue stands: jitter makes one in some reports, a queue is there in all of them."""
        return min(self._queues) < self.options.queue_target_ns // 2

    def _is_overrun(self) -> bool:
        """A long queue, and much less delivered than is sent: no second report is waited for."""
        long = self._queue_ns > _LONG_QUEUE * self.options.queue_target_ns
        return long and self._delivered < _NEAR * self._rate

    def _decrease(self, feedback: Feedback) -> None:
        # What was delivered with a queue is the capacity; without one it is only what we sent.
        # A decrease starts from there and not from the rate, so a second one in the same queue
        # does not fall further than the first.
        excess_ns = max(0, self._queue_ns - self.options.queue_target_ns)
        factor = min(self.options.backoff, 1 - excess_ns / self.options.drain_ns)
        if self._drain is None or self._trend is not Trend.DRAIN:
            self._drain = Drain(feedback.now_ns)
            self._before = (self._rate, self._capacity, self._trend)
        if self._delivered and (self._queue_ns > self.options.queue_target_ns):
            self._capacity = self._delivered
        basis = self._capacity or self._rate
        self._rate = min(self._rate, basis * max(factor, _DRAIN_LOWEST))
        self._drain.lowered(self._queue_ns, 1 - self._rate / basis)
        self._trend = Trend.DRAIN
        self._decreased_ns = feedback.now_ns

    def _wait_for_drain(self, feedback: Feedback) -> None:
        if self._queue_ns > self.options.queue_target_ns:
            return
        drain = self._drain
        if drain is not None and not drain.explains(
            self._queue_ns, feedback.now_ns, feedback.rtt_ns
        ):
            self._take_back()
            return
        self._drain = None
        self._rate = max(self._rate, self._capacity * self.options.resume)
        self._trend = Trend.HOLD

    def _is_in_vain(self, feedback: Feedback) -> bool:
        """Whether the rate was lowered for a delay that does not mind."""
        drain = self._drain
        draining = drain is not None and self._trend is Trend.DRAIN
        if drain is None or not draining or self._queue_ns <= self.options.queue_target_ns:
            return False
        return drain.is_in_vain(self._queue_ns, feedback.now_ns, feedback.rtt_ns)

    def _take_back(self) -> None:
        """The rate was lowered for nothing."""
        self._rate, self._capacity, self._trend = self._before
        self._drain = None

    def _start_from(self, feedback: Feedback) -> None:
        """The path has become longer: what it takes now is what it takes when it is empty."""
        self._minima = deque([(feedback.now_ns, feedback.delay_min_ns)])
        self._queue_ns = self._over = 0
        self._queues.append(0)
        self._take_back()

    def _increase(self, feedback: Feedback) -> None:
        options = self.options
        if self._capacity and self._delivered > self._capacity * _BEYOND:
            self._capacity = 0.0  # it carries more than that without a queue
            self._trend = Trend.GROW
        if self._trend is Trend.START:
            growth = options.start_growth
        elif self._capacity and self._rate > self._capacity * _NEAR:
            self._trend, growth = Trend.GROW, options.near_growth
            if feedback.now_ns - self._decreased_ns > _PATIENCE_NS:
                growth *= 2  # it may be that there is more by now
        else:
            self._trend, growth = Trend.GROW, options.fast_growth
        passed = min(feedback.now_ns - self._last_ns, SECOND_NS) / SECOND_NS
        grown = self._rate * (1 + growth * passed)
        ceiling = max(self._delivered * _DELIVERED_MAX, options.lowest_bits)
        self._rate = max(self._rate, min(grown, ceiling))


def replay(feedback: Iterable[Feedback], controller: Controller) -> list[Decision]:
    """What a controller decides on recorded feedback."""
    return [controller.on_feedback(one) for one in feedback]
