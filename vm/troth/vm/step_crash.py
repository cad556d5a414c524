"""A role has crashed and its session goes on: who leaves it, and what the others see of that.

The crash counts as the role's notice, without a signature: it is done. What is on its way to it,
and what is sent to it later, is listed as undelivered. What it has sent is still received. Who has
received all of it, and waits for more where its type says what follows a crash, goes on there.
"""

from __future__ import annotations

from collections.abc import Sequence

from troth.vm.events import CrashDetected, Departed
from troth.vm.session import Custody, Edge, EndpointState, Session
from troth.vm.step_end import (
    cancel_stranded,
    count_notice,
    fail_session,
    strand,
    undelivered,
)
from troth.vm.turn import Turn


def leave(turn: Turn, crashed: EndpointState, owned: Sequence[EndpointState], code: str) -> None:
    """What becomes of the sessions of a coroutine that has crashed, each by itself.

    The one of `crashed`, of which the crash was said, comes first.
    """
    for endpoint in sorted(owned, key=lambda one: one is not crashed):
        if _goes_on_without(endpoint, owned):
            _depart(turn, endpoint)
        else:
            fail_session(turn, endpoint, code)


def _goes_on_without(endpoint: EndpointState, owned: Sequence[EndpointState]) -> bool:
    """Whether somebody else can still come to where this role may be missed.

    The sessions of a bundle end together, so that has to be so in all that are concerned.
    """
    for session in endpoint.session.together:
        roles = [one.role for one in owned if one.session is session and not one.noticed]
        if len(roles) > 1 or not all(is_survived(session, role) for role in roles):
            return False
    return True


def is_survived(session: Session, role: str) -> bool:
    """Whether a role that is not done can still come to where the crash of `role` is met."""
    return not session.peers and any(
        role in other.state.survives and not other.noticed for other in session.endpoints.values()
    )


def _depart(turn: Turn, endpoint: EndpointState) -> None:
    session = endpoint.session
    endpoint.custody = Custody.CRASHED
    turn.events.append(Departed(session.id, endpoint.role))
    lost = []
    for edge in session.edges:
        if edge.receiver is endpoint:
            while edge.buffer.messages:
                lost += _discard(turn, edge)
    count_notice(turn, endpoint)
    cancel_stranded(turn, lost)


def discard_sent(turn: Turn, edge: Edge) -> None:
    """What was just sent to a role that has crashed is received by nobody."""
    cancel_stranded(turn, _discard(turn, edge))


def _discard(turn: Turn, edge: Edge) -> list[EndpointState]:
    """Takes the oldest message; returns the endpoints that are lost with it."""
    envelope = edge.take_overwritten(0)
    turn.events.append(undelivered(edge, envelope.generation, envelope.sequence))
    return strand(edge, envelope)


def detect(turn: Turn, edge: Edge) -> bool:
    """Everything is received that a role has sent before it crashed, and its type goes on.

    False when it has not crashed, or nothing is said of that where the receiver waits.
    """
    endpoint = edge.receiver
    following = endpoint.state.crash
    if following is None or edge.sender.custody is not Custody.CRASHED:
        return False
    endpoint.state = following
    endpoint.fresh = False
    turn.events.append(
        CrashDetected(endpoint.session.id, endpoint.role, edge.sender.role, endpoint.signer)
    )
    return True
