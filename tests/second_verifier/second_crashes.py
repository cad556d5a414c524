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
    if session.spread or session.bundle is not None:
        return False
    return any(
        state.kind == RECEIVE and state.peer == gone.name and CRASH in state.transitions
        for role in session.roles.values()
        if role is not gone and not role.noticed
        for state in onward(role.states, role.state)
    )


def must_depart(session: Session, gone: Role, coroutine: int) -> bool:
    """The file shows that who has crashed played no other role of the session."""
    others = [
        role.owner
        for role in session.roles.values()
        if role is not gone and not role.noticed and not role.travels
    ]
    return coroutine not in others and None not in others and has_survivor(session, gone)


def could_go_on(file: File, session: Session) -> bool:
    """A crash ends the session, and need not have."""
    coroutine = file.crashed
    if file.fault != CRASHED or coroutine is None:
        return False
    held = [
        role
        for role in session.roles.values()
        if role.owner == coroutine and not role.noticed and not role.travels
    ]
    return len(held) == 1 and must_depart(session, held[0], coroutine)
