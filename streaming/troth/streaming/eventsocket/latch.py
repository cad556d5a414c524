"""The life of a call's session, as one table.

The end of a call has two facts, and the switch sends them in either order: the event
`CHANNEL_HANGUP_COMPLETE` of this call, and a disconnect notice. Only when both are in is nothing
more to come. So the session waits for both, with a time limit from the first sign of the end: a
switch whose socket application is not asynchronous never sends the event while it lingers.

When the latch closes, or cannot any more, the session *settles*: its queues are closed, so that
nobody waits for ever, and what still runs for it is awaited. Then it says `exit`, and then it is
closed. What a phase does not expect changes nothing: a second notice, an event after the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Phase(Enum):
    LIVE = "live"
    HANGING_UP = "hanging up"
    AWAITING_NOTICE = "awaiting the notice"
    AWAITING_COMPLETE = "awaiting the last event"
    SETTLING = "settling"
    EXITING = "exiting"
    CLOSED = "closed"


class Signal(Enum):
    HANGUP = "CHANNEL_HANGUP"
    COMPLETE = "CHANNEL_HANGUP_COMPLETE"
    NOTICE = "text/disconnect-notice"
    LEAVE = "we leave"
    END = "the connection is of no more use"
    LIMIT = "a time limit"
    SETTLED = "handler and hooks have ended"


class Action(Enum):
    NOTHING = "nothing"
    START_CLOCK = "start the latch's clock"
    SETTLE = "close the queues and await what runs"
    EXIT = "say exit"
    CLOSE = "close the socket"


_P, _S, _A = Phase, Signal, Action

TRANSITIONS: Final[Mapping[tuple[Phase, Signal], tuple[Phase, Action]]] = {
    (_P.LIVE, _S.HANGUP): (_P.HANGING_UP, _A.START_CLOCK),
    (_P.LIVE, _S.COMPLETE): (_P.AWAITING_NOTICE, _A.START_CLOCK),
    (_P.LIVE, _S.NOTICE): (_P.AWAITING_COMPLETE, _A.START_CLOCK),
    (_P.LIVE, _S.LEAVE): (_P.SETTLING, _A.SETTLE),
    (_P.LIVE, _S.END): (_P.SETTLING, _A.SETTLE),
    (_P.LIVE, _S.LIMIT): (_P.SETTLING, _A.SETTLE),
    (_P.HANGING_UP, _S.COMPLETE): (_P.AWAITING_NOTICE, _A.NOTHING),
    (_P.HANGING_UP, _S.NOTICE): (_P.AWAITING_COMPLETE, _A.NOTHING),
    (_P.HANGING_UP, _S.LEAVE): (_P.SETTLING, _A.SETTLE),
    (_P.HANGING_UP, _S.END): (_P.SETTLING, _A.SETTLE),
    (_P.HANGING_UP, _S.LIMIT): (_P.SETTLING, _A.SETTLE),
    (_P.AWAITING_NOTICE, _S.NOTICE): (_P.SETTLING, _A.SETTLE),
    (_P.AWAITING_NOTICE, _S.LEAVE): (_P.SETTLING, _A.SETTLE),
    (_P.AWAITING_NOTICE, _S.END): (_P.SETTLING, _A.SETTLE),
    (_P.AWAITING_NOTICE, _S.LIMIT): (_P.SETTLING, _A.SETTLE),
    (_P.AWAITING_COMPLETE, _S.COMPLETE): (_P.SETTLING, _A.SETTLE),
    (_P.AWAITING_COMPLETE, _S.LEAVE): (_P.SETTLING, _A.SETTLE),
    (_P.AWAITING_COMPLETE, _S.END): (_P.SETTLING, _A.SETTLE),
    (_P.AWAITING_COMPLETE, _S.LIMIT): (_P.SETTLING, _A.SETTLE),
    (_P.SETTLING, _S.SETTLED): (_P.EXITING, _A.EXIT),
    (_P.EXITING, _S.END): (_P.CLOSED, _A.CLOSE),
    (_P.EXITING, _S.LIMIT): (_P.CLOSED, _A.CLOSE),
}
"""What is not listed changes nothing."""


def step(phase: Phase, signal: Signal) -> tuple[Phase, Action]:
    return TRANSITIONS.get((phase, signal), (phase, Action.NOTHING))
