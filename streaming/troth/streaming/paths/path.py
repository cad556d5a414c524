"""One path: where it leads, and what its checks say about it.

A path is judged by checks that were answered over it, there and back. That media arrive on it says
nothing about the other direction.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from troth.streaming.paths.addresses import Address
from troth.streaming.paths.candidates import CandidateKind
from troth.streaming.paths.limits import PathLimits
from troth.streaming.relay.leg import RelayLeg


class PathState(Enum):
    UNTRIED = "untried"
    CHECKING = "checking"
    VALID = "valid"
    DEGRADED = "degraded"
    FAILED = "failed"


class PathSignal(Enum):
    CHECKED = "the first check is sent"
    ANSWERED = "a check is answered"
    QUIET = "several checks in a row are not answered"
    SILENT = "nothing is answered for path_failed_ns"


_S, _E = PathState, PathSignal

PATH_TRANSITIONS: Final[Mapping[tuple[PathState, PathSignal], PathState]] = {
    (_S.UNTRIED, _E.CHECKED): _S.CHECKING,
    (_S.CHECKING, _E.ANSWERED): _S.VALID,
    (_S.CHECKING, _E.SILENT): _S.FAILED,
    (_S.VALID, _E.QUIET): _S.DEGRADED,
    (_S.DEGRADED, _E.ANSWERED): _S.VALID,
    (_S.DEGRADED, _E.SILENT): _S.FAILED,
    (_S.FAILED, _E.ANSWERED): _S.VALID,
}
"""What is not listed changes nothing."""

QUIET_CHECKS: Final = 3
"""So many intervals without an answer make a path quiet."""


@dataclass(slots=True, eq=False)
class Check:
    transaction: bytes
    sent_ns: int
    answered: bool = False


@dataclass(slots=True)
class PathUse:
    """What went over a path, and for how long it was the one in use."""

    used_ns: int = 0
    sent_packets: int = 0
    sent_bytes: int = 0
    received_packets: int = 0
    received_bytes: int = 0


@dataclass(slots=True, eq=False)
class Path:
    """`leg` is set when the path leads through a relay; then `address` is the relay's."""

    number: int
    kind: CandidateKind
    address: Address
    leg: RelayLeg | None
    checks: deque[Check]
    state: PathState = PathState.UNTRIED
    first_check_ns: int = 0
    next_check_ns: int = 0
    answered_ns: int | None = None
    steady_since_ns: int | None = None
    rtt_ns: int | None = None
    triggered_ns: int | None = None
    use: PathUse = field(default_factory=PathUse)

    @property
    def is_relay(self) -> bool:
        return self.kind is CandidateKind.RELAY

    def signal(self, signal: PathSignal) -> bool:
        """Moves by the table, and says whether it did."""
        found = PATH_TRANSITIONS.get((self.state, signal))
        if found is None:
            return False
        self.state = found
        return True

    def sent(self, transaction: bytes, now_ns: int) -> bool:
        if self.state is PathState.UNTRIED:
            self.first_check_ns = now_ns
        self.checks.append(Check(transaction, now_ns))
        return self.signal(PathSignal.CHECKED)

    def answered(self, transaction: bytes, now_ns: int, limits: PathLimits) -> bool | None:
        """Notes an answer; None when no check is open by that transaction."""
        found = next((c for c in self.checks if c.transaction == transaction), None)
        if found is None or found.answered:
            return None
        found.answered = True
        sample_ns = now_ns - found.sent_ns
        # Each check is a transaction of its own, so a sample is never ambiguous.
        self.rtt_ns = sample_ns if self.rtt_ns is None else (7 * self.rtt_ns + sample_ns) // 8
        if self.answered_ns is None or now_ns - self.answered_ns > limits.gap_ns:
            # What was before the gap is no measure of the path as it is now.
            self.steady_since_ns = now_ns
            while self.checks[0] is not found:
                self.checks.popleft()
        self.answered_ns = now_ns
        return self.signal(PathSignal.ANSWERED)

    def judge(self, now_ns: int, interval_ns: int, limits: PathLimits) -> bool:
        """Looks for what time has brought, and says whether the state changed."""
        since_ns = self.first_check_ns if self.answered_ns is None else self.answered_ns
        silent_ns = now_ns - since_ns
        if silent_ns > limits.gap_ns or self._is_bad(now_ns, limits):
            self.steady_since_ns = None
        elif self.steady_since_ns is None and self.answered_ns is not None:
            self.steady_since_ns = now_ns
        changed = False
        if silent_ns >= QUIET_CHECKS * interval_ns:
            changed = self.signal(PathSignal.QUIET)
        if silent_ns >= limits.path_failed_ns and self.state is not PathState.UNTRIED:
            changed = self.signal(PathSignal.SILENT) or changed
        return changed

    def share(self, now_ns: int, limits: PathLimits) -> tuple[int, int]:
        """How many of the checks that had time for an answer got one, in percent, of how many."""
        wait_ns = max(limits.check_answer_ns, 2 * (self.rtt_ns or 0))
        settled = [c for c in self.checks if c.answered or now_ns - c.sent_ns >= wait_ns]
        answered = sum(check.answered for check in settled)
        return (100 * answered // len(settled) if settled else 100), len(settled)

    def is_poor(self, now_ns: int, limits: PathLimits) -> bool:
        percent, judged = self.share(now_ns, limits)
        return judged >= limits.judged_checks and percent <= limits.poor_percent

    def _is_bad(self, now_ns: int, limits: PathLimits) -> bool:
        percent, judged = self.share(now_ns, limits)
        return judged >= limits.judged_checks and percent < limits.good_percent

    def steady_ns(self, now_ns: int) -> int:
        """For how long the path has been good without a break."""
        return 0 if self.steady_since_ns is None else now_ns - self.steady_since_ns

    def answered_since(self, since_ns: int) -> bool:
        return self.answered_ns is not None and self.answered_ns >= since_ns
