"""Replies find their commands: one command in flight, and nobody gets another's answer.

Replies come strictly in the order of the commands. A caller who gives up leaves a tombstone, a
place in that order which swallows the late reply. A reply that nobody is due is stray: it is
counted, and given to no one. So a value that forges a whole reply cannot shift the order.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

from troth.streaming.eventsocket.errors import Progress
from troth.streaming.eventsocket.limits import Limits
from troth.streaming.eventsocket.messages import ApiResponse, CommandReply
from troth.vm.errors import LimitExceeded


class Expected(Enum):
    """Which kind of reply a command gets."""

    REPLY = "command/reply"
    RESPONSE = "api/response"


@dataclass(frozen=True, slots=True)
class Order:
    """A command that waits for its turn or for its reply. `label` is how messages call it."""

    serial: int
    label: str
    data: bytes
    expected: Expected
    limit_ns: int


@dataclass(slots=True)
class _Due:
    """A reply that must come: to `order`, or to nobody when it is forgotten."""

    order: Order
    deadline_ns: int
    forgotten: bool = False


class Replies:
    """The commands of one connection in order: those not sent yet, and the replies due."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._unsent: deque[Order] = deque()
        self._due: deque[_Due] = deque()

    def add(self, order: Order) -> None:
        """Queues a command.

        Raises:
            LimitExceeded: too many wait already.
        """
        most = self._limits.pending_commands_max
        if len(self._unsent) >= most:
            raise LimitExceeded(
                "esl.limit.pending_commands_max",
                "there are too many commands on this connection",
                expected=f"at most pending_commands_max={most}",
                actual="more",
                advice="Wait for replies before sending more",
            )
        self._unsent.append(order)

    def take(self, now_ns: int) -> Order | None:
        """What is to be written now: the next command, when no caller waits for a reply.

        With too many replies due to callers who have given up, it waits for those first.
        """
        if not self._unsent or any(not due.forgotten for due in self._due):
            return None
        if len(self._due) >= self._limits.forgotten_replies_max:
            return None
        order = self._unsent.popleft()
        self._due.append(_Due(order, now_ns + order.limit_ns))
        return order

    def forget(self, serial: int) -> None:
        """The caller has given up. A reply that is still due goes to nobody."""
        self._unsent = deque(order for order in self._unsent if order.serial != serial)
        for due in self._due:
            if due.order.serial == serial:
                due.forgotten = True

    def answer(self, reply: CommandReply | ApiResponse) -> tuple[bool, Order | None]:
        """Whether the reply was due, and the command whose caller still waits for it.

        An error may come as a command reply to any command; else the kinds must agree.
        """
        if not self._due:
            return False, None
        first = self._due[0]
        is_response = isinstance(reply, ApiResponse)
        fits = is_response == (first.order.expected is Expected.RESPONSE)
        if not fits and (is_response or not reply.is_error):
            return False, None
        self._due.popleft()
        return True, None if first.forgotten else first.order

    def deadline_ns(self) -> int | None:
        """When the oldest reply is late."""
        return self._due[0].deadline_ns if self._due else None

    def oldest(self) -> Order | None:
        return self._due[0].order if self._due else None

    def close(self) -> list[tuple[Order, Progress]]:
        """Everybody who still waits, and how far they had come."""
        left = [(due.order, Progress.UNCONFIRMED) for due in self._due if not due.forgotten]
        left += [(order, Progress.NOT_SENT) for order in self._unsent]
        self._due.clear()
        self._unsent.clear()
        return left
