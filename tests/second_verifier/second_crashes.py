"""Roles that have crashed, in sessions that go on without them.

The page: "DEPART" and "DETECT".
"""

from __future__ import annotations

from typing import Final

from second_verifier.second_image import CRASH, RECEIVE, onward
from second_verifier.second_state import File, Role, Session

CRASHED: Final = "vm.fault.crash"


def has_survivor(session: Session, gone: Role) -> bool:
    """Somebody else can come to a state that says what follows the crash."""
    if session.spread:
        return False
    return any(
        state.kind == RECEIVE and state.peer == gone.name and CRASH in state.transitions
        for role in session.roles.values()
        if role is not gone and not role.noticed
        for state in onward(role.states, role.state)
    )


def can_do_without(session: Session, coroutine: int, named: Role | None) -> bool:
    """In no session that ends with this one has who crashed played a role that is needed.

    As far as the file shows it; `named` is a role that it did play.
    """
    for one in session.together:
        gone = _played(one, coroutine, named)
        if len(gone) > 1 or not all(has_survivor(one, role) for role in gone):
            return False
    return True


def must_depart(session: Session, coroutine: int, named: Role | None) -> bool:
    """The file shows what who has crashed has played, and that nobody needs it."""
    known = all(
        role is named or role.owner is not None or role.noticed or role.travels
        for one in session.together
        for role in one.roles.values()
    )
    concerned = any(_played(one, coroutine, named) for one in session.together)
    return known and concerned and can_do_without(session, coroutine, named)


def _played(session: Session, coroutine: int, named: Role | None) -> list[Role]:
    return [
        role
        for role in session.roles.values()
        if not (role.noticed or role.travels) and (role is named or role.owner == coroutine)
    ]


def could_go_on(file: File, session: Session) -> bool:
    """A crash ends the session, and need not have."""
    crashed = file.crashed
    return file.fault == CRASHED and crashed is not None and must_depart(session, crashed, None)
