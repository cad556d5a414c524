"""Level 4, which coroutine has which endpoint, as far as a file shows it.

A coroutine has the endpoints of the sessions that it opened, those that another one moved to it,
and those that came to it in messages; a message whose payload is not in the file may have carried
any endpoint of its types away.
"""

from __future__ import annotations

from collections.abc import Iterable

from troth.conformance.world import Session, World
from troth.vm.types import EndpointType


class Holders:
    """Follows who has what. What is not known is refused to nobody."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._hidden: dict[str, int] = {}
        """By type, the last record that may have carried an endpoint of it unseen."""

    def of(self, session: Session, role: int) -> int | None:
        """The coroutine that has the endpoint; None when that is not known."""
        holder, since = session.held.get(role, session.opener)
        if self._hidden and self._hidden.get(_type(session, role), -1) > since:
            return None
        return holder

    def give(self, session: Session, role: int, holder: int | None) -> None:
        session.held[role] = (holder, self._world.record.index)

    def hide(self, carried: Iterable[EndpointType]) -> None:
        """A message may carry endpoints of these types, and does not show which."""
        for kind in carried:
            self._hidden[str(kind)] = self._world.record.index


def _type(session: Session, role: int) -> str:
    return f"{session.protocol.name}.{session.protocol.roles[role]}"
