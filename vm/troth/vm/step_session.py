"""`close` and `cancel`."""

from __future__ import annotations

from troth.vm import statements
from troth.vm.coroutine import Coroutine
from troth.vm.envelope import CancelEnvelope, Outgoing
from troth.vm.events import Cancelled
from troth.vm.faults import fault
from troth.vm.instructions import Cancel, Close
from troth.vm.lifecycle import LIVE, LifeEvent
from troth.vm.session import EndpointState
from troth.vm.step_common import Step, cell_name, not_usable, session_over, sign
from troth.vm.step_end import commit_close, end_session, prepare_close, release
from troth.vm.turn import Turn
from troth.vm.types import StateKind
from troth.vm.value_ops import size_of


def decode_close(instruction: Close, following: int) -> Step:
    """A role's notice. Closing twice, and closing what has ended anyway, is a no-op.

    The register keeps the finished endpoint; it can be closed again but not be used.
    """

    def step(turn: Turn, coroutine: Coroutine) -> int:
        endpoint = coroutine.registers[instruction.endpoint]
        if not isinstance(endpoint, EndpointState) or endpoint.owner is not coroutine:
            if isinstance(endpoint, EndpointState) and endpoint.noticed:
                return following
            raise not_usable(endpoint, coroutine)
        if endpoint.session.status in LIVE:
            commit_close(turn, coroutine, prepare_close(turn, endpoint))
        elif endpoint.state.kind is StateKind.END:
            release(coroutine, endpoint)
        else:
            raise session_over(endpoint)
        return following

    return step


def decode_cancel(instruction: Cancel, following: int) -> Step:
    """Ends the whole session for a reason; on one that has ended it only gives up the endpoint."""

    def step(turn: Turn, coroutine: Coroutine) -> int:
        endpoint = coroutine.registers[instruction.endpoint]
        if not isinstance(endpoint, EndpointState) or endpoint.owner is not coroutine:
            raise not_usable(endpoint, coroutine)
        reason = coroutine.registers[instruction.reason]
        if not isinstance(reason, str):
            raise fault(
                "vm.fault.type",
                "the reason of a cancel is not a text",
                endpoint=endpoint,
                expected="a str",
                actual=cell_name(reason),
            )
        limit = turn.context.limits.message_bytes_max
        if size_of(reason, limit) > limit:
            raise fault(
                "vm.fault.limit",
                "the reason of a cancel is too long",
                endpoint=endpoint,
                expected=f"at most message_bytes_max = {limit} bytes",
            )
        session = endpoint.session
        if session.status in LIVE:
            statement = statements.cancel_statement(session.id, endpoint.role, reason)
            signature = sign(turn, endpoint, statement)
            turn.events.append(
                Cancelled(session.id, endpoint.role, reason, None, signature, endpoint.signer)
            )
            if session.peers:
                envelope = CancelEnvelope(session.id, endpoint.role, reason, signature)
                turn.tell(Outgoing(session.id, session.peers, envelope))
            release(coroutine, endpoint)
            end_session(turn, session, LifeEvent.CANCEL, reason, endpoint.role)
        else:
            release(coroutine, endpoint)
        return following

    return step
