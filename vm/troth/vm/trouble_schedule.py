"""Trouble that a run is to meet, planned before it begins.

Each has a number of rounds after which it comes, or as soon as it can after that: a message can
only be corrupted while one is in flight. Where nothing else can happen, what is left comes at
once, so a partition heals although no round is run any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from troth.vm.errors import Unusable
from troth.vm.events import Event, Opened, Troubled
from troth.vm.machine import Machine
from troth.vm.trouble_kind import Trouble


class Planned(NamedTuple):
    """Trouble of the session that was opened as number `session`, counted from 0.

    Attributes:
        after: how many rounds have to be over.
        peer: the other role of a partition or its end, or the receiver of what is corrupted.
        for_ns: how long a timeout takes.
    """

    after: int
    trouble: Trouble
    role: str
    peer: str = ""
    for_ns: int = 0
    session: int = 0

    @property
    def text(self) -> str:
        """As it is written on the command line."""
        number = f"{self.session}." if self.session else ""
        words = [self.trouble.name.lower(), number + self.role, self.peer]
        if self.trouble is Trouble.TIMEOUT:
            words.append(f"{self.for_ns}ns")
        return f"{self.after}: " + " ".join(word for word in words if word)


class Missed(NamedTuple):
    """Trouble that did not come, and why not."""

    planned: Planned
    reason: str


class TroubleSchedule:
    """What is still to come.

    Attributes:
        left: what has not come, in the order in which it is planned.
    """

    def __init__(self, planned: Iterable[Planned]) -> None:
        self.left = sorted(planned, key=lambda one: one.after)
        self._sessions: list[bytes] = []
        self._refused: dict[Planned, str] = {}

    def missed(self) -> tuple[Missed, ...]:
        """What is left now that the run is over."""
        late = "the run was over by then"
        return tuple(Missed(one, self._refused.get(one, late)) for one in self.left)

    def watch(self, events: Sequence[Event]) -> None:
        """Sessions are counted as they are opened, as long as anything is to come."""
        if self.left:
            self._sessions += [event.session for event in events if type(event) is Opened]

    def come(self, machine: Machine, now_ns: int, *, idle: bool = False) -> bool:
        """Lets come what is due and can; `idle` says that nothing else can happen any more.

        Then only the first that can comes, so that the others meet what follows from it.
        """
        came = False
        for one in tuple(self.left):
            if (one.after <= machine.rounds or idle) and self._comes(one, machine, now_ns):
                self.left.remove(one)
                came = True
                if idle:
                    break
        return came

    def _comes(self, one: Planned, machine: Machine, now_ns: int) -> bool:
        if one.session >= len(self._sessions):
            self._refused[one] = f"there was no session {one.session}"
            return False
        until_ns = now_ns + one.for_ns if one.trouble is Trouble.TIMEOUT else None
        session, roles = self._sessions[one.session], (one.role, one.peer)
        try:
            machine.apply_trouble(Troubled(session, one.trouble, *roles, until_ns, machine.rounds))
        except Unusable as error:
            if one not in self._refused or error.code != "session.unknown":
                self._refused[one] = error.message
            return False
        return True
