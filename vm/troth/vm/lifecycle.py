"""The life of a session, as one literal table.

    active -> draining -> closed
    active or draining -> cancelled, or faulted

From the first notice (a role's close), or when the host asks for its end, the session drains: the
other roles go on by their types. It is closed when the latch is zero (every role has given notice
and every edge is drained) or when the linger clock runs out. That starts at the last notice or
when the host asks for the end, whichever comes first. The last three statuses are final. What the
table does not list is illegal and changes nothing.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from troth.vm.events import Status


class LifeEvent(Enum):
    """What can happen to a session as a whole."""

    NOTICE = "notice"
    LAST_NOTICE = "last notice with messages in flight"
    END_ASKED = "end asked by the host"
    LATCH_ZERO = "latch zero"
    LINGER_EXPIRED = "linger expired"
    CANCEL = "cancel"
    FAULT = "fault"


class Action(Enum):
    """What the machine does on a transition, besides setting the status."""

    ANNOUNCE = "announce the status"
    COUNT = "count the notice"
    START_CLOCK = "start the linger clock, unless it runs"
    ANNOUNCE_AND_START = "announce the status, start the linger clock"
    RETIRE = "advance the epoch, prune counters and buffers"
    LIST_AND_RETIRE = "list what is undelivered, name who gave no notice, advance the epoch, prune"
    DISCARD = "list what is undelivered, wake everyone blocked, prune"


TRANSITIONS: Final[dict[tuple[Status, LifeEvent], tuple[Status, Action]]] = {
    (Status.ACTIVE, LifeEvent.NOTICE): (Status.DRAINING, Action.ANNOUNCE),
    (Status.ACTIVE, LifeEvent.END_ASKED): (Status.DRAINING, Action.ANNOUNCE_AND_START),
    (Status.ACTIVE, LifeEvent.CANCEL): (Status.CANCELLED, Action.DISCARD),
    (Status.ACTIVE, LifeEvent.FAULT): (Status.FAULTED, Action.DISCARD),
    (Status.DRAINING, LifeEvent.NOTICE): (Status.DRAINING, Action.COUNT),
    (Status.DRAINING, LifeEvent.LAST_NOTICE): (Status.DRAINING, Action.START_CLOCK),
    (Status.DRAINING, LifeEvent.END_ASKED): (Status.DRAINING, Action.START_CLOCK),
    (Status.DRAINING, LifeEvent.LATCH_ZERO): (Status.CLOSED, Action.RETIRE),
    (Status.DRAINING, LifeEvent.LINGER_EXPIRED): (Status.CLOSED, Action.LIST_AND_RETIRE),
    (Status.DRAINING, LifeEvent.CANCEL): (Status.CANCELLED, Action.DISCARD),
    (Status.DRAINING, LifeEvent.FAULT): (Status.FAULTED, Action.DISCARD),
}

LIVE: Final = (Status.ACTIVE, Status.DRAINING)
"""The statuses in which endpoints can be used. All others are final."""


def next_status(status: Status, event: LifeEvent) -> tuple[Status, Action] | None:
    """The transition, or None when `event` is illegal in `status` and must change nothing."""
    return TRANSITIONS.get((status, event))


def mermaid() -> str:
    """The table as a mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", "    [*] --> active"]
    for (source, event), (target, action) in TRANSITIONS.items():
        lines.append(
            f"    {source.name.lower()} --> {target.name.lower()}: {event.value} / {action.value}"
        )
    lines += [f"    {status.name.lower()} --> [*]" for status in Status if status not in LIVE]
    return "\n".join(lines) + "\n"
