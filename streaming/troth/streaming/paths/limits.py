"""The named limits and times of finding and keeping a way between two parties."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from troth.streaming.liveness import Patience
from troth.vm.errors import Unusable

SECOND_NS: Final = 1_000_000_000
MILLISECOND_NS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PathLimits:
    """Each is above 0. Times are nanoseconds.

    Attributes:
        keepalive_ns: between two checks of the path in use.
        standby_ns: between two checks of a path that is not in use.
        urgent_ns: between two checks of every path when the one in use is in trouble.
        slow_ns: between two checks of a path that has failed.
        check_answer_ns: after which an unanswered check counts as lost, at least.
        degraded_ns: without an answer after which a path, or the session, is degraded.
        lost_ns: without an authentic packet after which the session is lost.
        ended_ns: without an authentic packet after which the session is ended.
        head_start_ns: for which paths of less cost are waited for at the beginning.
        path_failed_ns: without an answer after which a path has failed.
        return_ns: for which a direct path must be good before it is taken again.
        return_longest_ns: what that time grows to when direct paths do not last.
        settled_ns: for which a path must last to be believed as at first.
        gap_ns: between two answers, at most, of a path that is good.
        good_percent: of the checks answered on a path that is good, at least.
        poor_percent: of the checks answered on a path that is given up, at most.
        better_percent: points by which another path must be better to be taken for a poor one.
        judged_checks: checks after which a share is believed.
        paths_max: paths at once.
        candidates_max: candidates of the other party that are taken.
        checks_kept: checks of a path that are remembered.
    """

    keepalive_ns: int = 250 * MILLISECOND_NS
    standby_ns: int = 500 * MILLISECOND_NS
    urgent_ns: int = 100 * MILLISECOND_NS
    slow_ns: int = 2 * SECOND_NS
    check_answer_ns: int = 400 * MILLISECOND_NS
    degraded_ns: int = 750 * MILLISECOND_NS
    lost_ns: int = 5 * SECOND_NS
    ended_ns: int = 15 * SECOND_NS
    head_start_ns: int = 300 * MILLISECOND_NS
    path_failed_ns: int = 3 * SECOND_NS
    return_ns: int = 10 * SECOND_NS
    return_longest_ns: int = 300 * SECOND_NS
    settled_ns: int = 60 * SECOND_NS
    gap_ns: int = 1_750 * MILLISECOND_NS
    good_percent: int = 80
    poor_percent: int = 60
    better_percent: int = 20
    judged_checks: int = 12
    paths_max: int = 32
    candidates_max: int = 16
    checks_kept: int = 24

    @property
    def patience(self) -> Patience:
        """The times of silence."""
        return Patience(self.degraded_ns, self.lost_ns, self.ended_ns)

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise Unusable(
                    "path.limits",
                    f"the limit {field.name} is {getattr(self, field.name)}",
                    expected="a number above 0",
                    actual=str(getattr(self, field.name)),
                    advice="Leave it out to get the default",
                )
