"""`open`, `close` and `cancel`."""

from __future__ import annotations

from troth.vm import statements
from troth.vm.coroutine import Coroutine
from troth.vm.descriptor import Descriptor
from troth.vm.errors import TrothError
from troth.vm.events import Cancelled, Opened
from troth.vm.faults import fault
from troth.vm.instructions import Cancel, Close, Open, Seal
from troth.vm.lifecycle import LIVE, LifeEvent
from troth.vm.loaded import ProtocolTables
from troth.vm.session import EndpointState, Session, build
from troth.vm.settings import settle
from troth.vm.step_common import Step, cell_name, not_usable, session_over, sign
from troth.vm.step_end import commit_close, end_session, prepare_close, release
from troth.vm.turn import DEFERRED, Turn
from troth.vm.types import StateKind
from troth.vm.value_ops import size_of


def decode_open(instruction: Open, following: int) -> Step:
    """A failed open leaves no trace but its fault: nothing is written before all is checked."""

    def step(turn: Turn, coroutine: Coroutine) -> int:
        limits = turn.context.limits
        if turn.sessions_left <= 0:
            if not turn.exact:
                return DEFERRED
            raise fault(
                "vm.fault.limit",
                "too many sessions are open",
                expected=f"at most sessions_max = {limits.sessions_max} sessions",
                actual="one more",
            )
        session = admit(turn, coroutine, instruction)
        turn.open(session)
        coroutine.opened += 1
        for register, endpoint in zip(instruction.targets, session.endpoints.values(), strict=True):
            coroutine.registers[register] = endpoint
            coroutine.owned[endpoint] = None
        turn.events.append(_opened(session, coroutine))
        return following

    return step


def admit(turn: Turn, coroutine: Coroutine, instruction: Open) -> Session:
    """The admission checks of `open`. Returns a session that nothing refers to yet.

    Raises:
        Fault: `vm.fault.open`, `vm.fault.limit` or `vm.fault.key`.
    """
    context = turn.context
    tables = context.loaded.protocols[instruction.protocol]
    protocol = tables.protocol
    if len(instruction.targets) != len(protocol.roles):
        raise fault(
            "vm.fault.open",
            f"{protocol.name} is opened with the wrong number of endpoints",
            expected=f"{len(protocol.roles)} registers",
            actual=str(len(instruction.targets)),
        )
    if len(protocol.roles) > context.limits.roles_max:
        raise fault(
            "vm.fault.limit",
            f"{protocol.name} has too many roles",
            expected=f"at most roles_max = {context.limits.roles_max} roles",
            actual=str(len(protocol.roles)),
        )
    settled = settle(
        tables, instruction.options, instruction.handlers, context.overrides, context.limits
    )
    if settled.seal is Seal.ROUND and not context.keeps_logs:
        raise fault(
            "vm.fault.open",
            f"{protocol.name} cannot be sealed by round: this machine keeps no logs",
            expected="seal = message, or a machine that was given an evidence log",
            actual="seal = round",
        )
    descriptor = Descriptor(
        protocol_id=tables.id,
        protocol=protocol.name,
        roles=protocol.roles,
        principals=tuple(_principal(turn, tables, role) for role in protocol.roles),
        edges=settled.edges,
        seal=settled.seal.value,
        linger_ns=settled.linger_ns,
        nonce=statements.session_nonce(context.seed, coroutine.id, coroutine.opened),
    )
    initial = context.initial_states[instruction.protocol]
    return build(descriptor, tables, initial, coroutine)


def _principal(turn: Turn, tables: ProtocolTables, role: str) -> bytes:
    try:
        key = turn.context.roster.principal(tables.protocol.name, role)
    except TrothError as error:
        raise fault(
            "vm.fault.key",
            f"nobody stands behind {role} of {tables.protocol.name}: {error.message}",
            expected=error.expected,
            actual=error.actual,
            advice=error.advice,
        ) from error
    if not turn.context.substitutes.acceptable_key(key):
        raise fault(
            "vm.fault.key",
            f"the key of {role} of {tables.protocol.name} is not a sound Ed25519 public key",
            expected="32 bytes, canonical, of the prime order",
            actual=key.hex(),
        )
    return key


def _opened(session: Session, coroutine: Coroutine) -> Opened:
    descriptor = session.descriptor
    return Opened(
        session=session.id,
        protocol_id=descriptor.protocol_id,
        protocol=descriptor.protocol,
        roles=descriptor.roles,
        labels=session.tables.labels,
        principals=descriptor.principals,
        edges=descriptor.edges,
        seal=descriptor.seal,
        linger_ns=descriptor.linger_ns,
        nonce=descriptor.nonce,
        coroutine=coroutine.id,
    )


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
            release(coroutine, endpoint)
            end_session(turn, session, LifeEvent.CANCEL, reason, endpoint.role)
        else:
            release(coroutine, endpoint)
        return following

    return step
