"""The clock of a timed choice: it runs from its start until the choice is made, or runs out.

A coroutine has at most one. It is not stopped by the send that makes the choice: whoever looks at
a timer sees by the endpoint that the choice was made. So a message pays nothing for the clocks of
others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from troth.vm.coroutine import Blocked, Coroutine, CoroutineStatus
from troth.vm.events import Status

if TYPE_CHECKING:
    from troth.vm.session import Edge, EndpointState
    from troth.vm.step_tables import StateTable

_INTERRUPTIBLE: Final = (Blocked.EFFECT, Blocked.RECEIVE, Blocked.HOST)


class Clock:
    """What a turn may know of time: the round in progress, and when it began.

    Attributes:
        now_ns: the time of the round.
        round_number: its number.
    """

    __slots__ = ("now_ns", "round_number")

    def __init__(self) -> None:
        self.now_ns = 0
        self.round_number = 0


class Timer:
    """
    Attributes:
        target: where the coroutine goes on when the clock runs out.
        in_time, late: the positions of the endpoint while the clock runs, and after that.
        edge: where the choice will be sent.
        sent: how many messages were sent there before.
        deadline_ns: when the clock runs out.
    """

    __slots__ = (
        "coroutine",
        "deadline_ns",
        "edge",
        "endpoint",
        "in_time",
        "late",
        "sent",
        "target",
    )

    def __init__(
        self,
        coroutine: Coroutine,
        endpoint: EndpointState,
        edge: Edge,
        positions: tuple[StateTable, StateTable],
        target: int,
        deadline_ns: int,
    ) -> None:
        self.coroutine = coroutine
        self.endpoint = endpoint
        self.edge = edge
        self.sent = edge.sent
        self.in_time, self.late = positions
        self.target = target
        self.deadline_ns = deadline_ns

    @property
    def void(self) -> bool:
        """The choice was made, or never will be: nothing happens when the clock runs out."""
        endpoint = self.endpoint
        return (
            self.coroutine.timer is not self
            or endpoint.owner is not self.coroutine
            or endpoint.session.status > Status.DRAINING
            or endpoint.state is not self.in_time
            or self.edge.sent != self.sent
        )

    @property
    def may_interrupt(self) -> bool:
        """Whether the coroutine is where its clock can end what it does: it waits, or yielded."""
        coroutine = self.coroutine
        if coroutine.speculation is not None:
            return False
        if coroutine.status is CoroutineStatus.BLOCKED:
            return coroutine.blocked in _INTERRUPTIBLE
        return coroutine.completion is None and coroutine.pc in coroutine.code.pauses
