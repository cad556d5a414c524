"""A session that one of its parties ends: what the programs of `ending` and `ended` ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from troth.streaming.gateway.hub import Order
from troth.streaming.gateway.introductions import NO_REFUSAL, RefusalRecord, refusal_record
from troth.streaming.gateway.legs import LegOwner
from troth.streaming.gateway.messages import Refused


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The other party has ended that session; the reason is in its words."""

    session: bytes
    reason: str


# --- the gateway's --------------------------------------------------------------------------


class EndingDesk(LegOwner):
    """A party ends a session."""

    def __init__(self, end: Callable[[bytes, str], Refused | None]) -> None:
        """`end` keeps it, and has the other party told; or says why not."""
        self._end = end

    def end_session(self, end: Order) -> RefusalRecord:
        refused = self._end(end["session"], end["reason"])
        return NO_REFUSAL if refused is None else refusal_record(refused)


class EndedDesk(LegOwner):
    """A party is told that the other one has ended a session.

    Attributes:
        heard: it has said so.
    """

    def __init__(self, end: Order) -> None:
        self.heard = False
        self._end = end

    def end_to_tell(self) -> Order:
        return self._end

    def end_heard(self) -> None:
        self.heard = True


# --- a party's ------------------------------------------------------------------------------


class EndSaid(LegOwner):
    """A party's effects when it ends a session.

    Attributes:
        kept: the gateway has taken note of it.
        refusal: why it has not.
    """

    def __init__(self, session: bytes, reason: str) -> None:
        self.kept = False
        self.refusal: RefusalRecord | None = None
        self._end: Order = {"session": session, "reason": reason}

    def session_to_end(self) -> Order:
        return self._end

    def end_kept(self) -> None:
        self.kept = True

    def end_refused(self, refusal: RefusalRecord) -> None:
        """A session that is over already is as much over as one that ends now."""
        self.refusal = refusal


class EndHeard(LegOwner):
    """A party's effects when it is told of an end."""

    def __init__(self, hear: Callable[[SessionEnded], None]) -> None:
        self._hear = hear

    def session_ended(self, end: Order) -> None:
        self._hear(SessionEnded(end["session"], end["reason"]))
