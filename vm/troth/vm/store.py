"""The machine's sessions, and what it remembers of those that ended.

A live session is held whole. Of an ended one only a count per status is kept, and, for the
first few that did not close as they should, how they ended: so memory grows with what is alive.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from troth.vm.events import Status
from troth.vm.session import Session

FAILED_LISTED_MAX: Final = 64


class SessionEnd(NamedTuple):
    """How a session ended that was not closed by all its roles."""

    id: bytes
    protocol: str
    status: Status
    detail: str
    ended_by: str


class SessionStore:
    """`live` is in the order of opening; `ended` counts the others by their last status."""

    __slots__ = ("ended", "failed", "live")

    def __init__(self) -> None:
        self.live: dict[bytes, Session] = {}
        self.ended: dict[Status, int] = dict.fromkeys(Status, 0)
        self.failed: list[SessionEnd] = []

    def add(self, session: Session) -> None:
        assert session.id not in self.live, "session ids are distinct by their nonce"
        self.live[session.id] = session

    def retire(self, session: Session) -> None:
        """Forgets a session that has ended."""
        del self.live[session.id]
        self.ended[session.status] += 1
        if session.status is not Status.CLOSED and len(self.failed) < FAILED_LISTED_MAX:
            self.failed.append(
                SessionEnd(
                    session.id,
                    session.protocol,
                    session.status,
                    session.detail,
                    session.ended_by,
                )
            )

    @property
    def held_up(self) -> bool:
        """Whether somebody waits where a partition may be what keeps it from going on."""
        return any(
            edge.parted and (edge.waiting_receiver or edge.waiting_sender)
            for session in self.live.values()
            for edge in session.edges
        )

    @property
    def all_closed(self) -> bool:
        """Whether every session that was ever opened has closed."""
        ended_otherwise = self.ended[Status.CANCELLED] + self.ended[Status.FAULTED]
        return not self.live and not ended_otherwise
