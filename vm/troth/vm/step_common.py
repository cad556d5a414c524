"""Checks that several instructions share. They raise and change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from troth.vm.coroutine import Coroutine
from troth.vm.errors import Fault, TrothError
from troth.vm.events import Status
from troth.vm.faults import fault
from troth.vm.session import Cell, Custody, EndpointElsewhere, EndpointState, Session
from troth.vm.turn import Turn
from troth.vm.value_ops import kind_name

Step: TypeAlias = Callable[[Turn, Coroutine], int]
"""One decoded instruction: returns the next one's index, or one of the codes in `turn`."""


LOST_IN_TRANSIT: Final = "endpoint lost in transit"
"""Why a session is cancelled when nobody can receive the message that carries an endpoint of it."""


def cell_name(cell: Cell) -> str:
    """What a register holds, in words."""
    if isinstance(cell, EndpointState):
        return "an endpoint"
    if isinstance(cell, EndpointElsewhere):
        return "an endpoint of another machine"
    return kind_name(cell)


def not_usable(cell: Cell, coroutine: Coroutine) -> Fault:
    """Why `cell` is not an endpoint that `coroutine` may use."""
    if isinstance(cell, EndpointElsewhere):
        return fault(
            "vm.fault.elsewhere",
            f"the endpoint {cell.role} of {cell.protocol} is held by another machine",
            expected="an endpoint that this machine holds",
            actual=f"{cell.protocol}.{cell.role}, held by another machine",
        )
    if not isinstance(cell, EndpointState):
        return fault(
            "vm.fault.register",
            "the register does not hold an endpoint",
            expected="an endpoint",
            actual=cell_name(cell),
        )
    assert cell.owner is not coroutine, "the endpoint is usable"
    actual = cell.custody.value
    if cell.custody is Custody.HELD:
        actual = "owned by another coroutine"
    return fault(
        "vm.fault.channel",
        f"the endpoint {cell.role} of {cell.session.protocol} is not this coroutine's",
        endpoint=cell,
        expected="an endpoint that the coroutine owns",
        actual=actual,
        advice="An endpoint has one owner: do not use it after close, spawn, transfer or send",
    )


def session_over(endpoint: EndpointState) -> Fault:
    """Why nothing can be done with an endpoint of a session that has ended."""
    session = endpoint.session
    return fault(
        "vm.fault.channel",
        f"the session {session.protocol} is over: {why_over(session)}",
        endpoint=endpoint,
        expected="a session that goes on",
        actual=f"a session that is {session.status.name.lower()}",
    )


def why_over(session: Session) -> str:
    """How a session ended, in words."""
    by = f" by {session.ended_by}" if session.ended_by else ""
    if session.status is Status.CANCELLED:
        if not by and session.detail == LOST_IN_TRANSIT:
            return f"cancelled: {LOST_IN_TRANSIT}"
        return f"cancelled{by or ' by the host'}: {session.detail}"
    if session.status is Status.FAULTED:
        return f"faulted{by} with {session.detail}"
    return "closed after its linger time" if session.detail else "closed"


def sign(turn: Turn, endpoint: EndpointState, statement: bytes) -> bytes:
    """The signature of the endpoint's signer; b"" where the round's seal will cover it.

    What other machines are told is signed by itself in any case: they do not have the log.

    Raises:
        Fault: `vm.fault.key`, when the signer does not hold the key.
    """
    if endpoint.session.round_sealed and not endpoint.session.peers:
        return b""
    try:
        return turn.context.signer.sign(endpoint.signer, statement)
    except TrothError as error:
        raise no_key(endpoint, error) from error


def no_key(endpoint: EndpointState, error: TrothError) -> Fault:
    return fault(
        "vm.fault.key",
        f"nobody can sign for {endpoint.role} of {endpoint.session.protocol}: {error.message}",
        endpoint=endpoint,
        expected=error.expected,
        actual=error.actual,
        advice=error.advice,
    )
