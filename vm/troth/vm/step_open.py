"""`open`: a session from nothing, or with other machines that hold some of its roles."""

from __future__ import annotations

from troth.vm import statements
from troth.vm.admission import OBSERVER, principal_of, settle_session
from troth.vm.coroutine import Blocked, Coroutine
from troth.vm.descriptor import Descriptor
from troth.vm.errors import Fault
from troth.vm.events import Opened
from troth.vm.faults import fault
from troth.vm.instructions import Open
from troth.vm.limits import Limits
from troth.vm.loaded import ProtocolTables
from troth.vm.session import EndpointElsewhere, Session, build
from troth.vm.settings import Settled
from troth.vm.step_common import Step
from troth.vm.step_meet import (
    commit_joins,
    find_peers,
    join_parties,
    leave_out,
    peers_of,
    sign_joins,
)
from troth.vm.turn import BLOCKED, DEFERRED, Turn


def decode_open(instruction: Open, following: int) -> Step:
    """A failed open leaves no trace but its fault: nothing is written before all is checked.

    A session that other machines take part in is opened in two steps: the first asks the host to
    find them and blocks, the second has their keys and nonces.
    """

    def step(turn: Turn, coroutine: Coroutine) -> int:
        context = turn.context
        peers: tuple[str, ...] = ()
        if context.home is not None:
            protocol = context.loaded.protocols[instruction.protocol].protocol
            peers = peers_of(context, protocol)
            if len(peers) == len(protocol.roles):
                leave_out(coroutine, instruction, protocol)
                return following
            if peers and coroutine.parties is None:
                find_peers(turn, coroutine, instruction, peers)
                coroutine.blocked = Blocked.PEERS
                return BLOCKED
        if turn.sessions_left <= 0:
            if not turn.exact:
                return DEFERRED
            raise too_many_sessions(context.limits)
        session = admit(turn, coroutine, instruction, peers)
        joined = sign_joins(turn, session) if peers else ()
        turn.open(session)
        coroutine.opened += 1
        coroutine.met += 1
        coroutine.parties = None
        for register, endpoint in zip(instruction.targets, session.endpoints.values(), strict=True):
            if endpoint.role in peers:
                coroutine.registers[register] = EndpointElsewhere(session.protocol, endpoint.role)
            else:
                coroutine.registers[register] = endpoint
                coroutine.owned[endpoint] = None
        turn.events.append(opened_event(session, coroutine))
        if joined:
            commit_joins(turn, session, joined)
        return following

    return step


def too_many_sessions(limits: Limits) -> Fault:
    return fault(
        "vm.fault.limit",
        "too many sessions are open",
        expected=f"at most sessions_max = {limits.sessions_max} sessions",
        actual="one more",
    )


def admit(
    turn: Turn, coroutine: Coroutine, instruction: Open, peers: tuple[str, ...] = ()
) -> Session:
    """The admission checks of `open`. Returns a session that nothing refers to yet.

    Raises:
        Fault: `vm.fault.open`, `vm.fault.limit` or `vm.fault.key`.
    """
    context = turn.context
    tables = context.loaded.protocols[instruction.protocol]
    settled = settle_session(context, instruction)
    name, roles = tables.protocol.name, tables.protocol.roles
    observed = tuple(role for role in roles if context.is_observed(name, role))
    if peers:
        principals, nonces = join_parties(turn, coroutine, name, roles)
        nonce = statements.joint_nonce(nonces)
    else:
        principals = tuple(
            principal_of(turn, name, OBSERVER if role in observed else role) for role in roles
        )
        nonces = ()
        nonce = statements.session_nonce(context.seed, coroutine.id, coroutine.opened)
    descriptor = describe(tables, settled, principals, nonce, observed)
    initial = context.initial_states[instruction.protocol]
    session = build(descriptor, tables, initial, coroutine, peers)
    session.nonces = nonces
    return session


def describe(
    tables: ProtocolTables,
    settled: Settled,
    principals: tuple[bytes, ...],
    nonce: bytes,
    observed: tuple[str, ...],
) -> Descriptor:
    return Descriptor(
        protocol_id=tables.id,
        protocol=tables.protocol.name,
        roles=tables.protocol.roles,
        principals=principals,
        edges=settled.edges,
        seal=settled.seal.value,
        linger_ns=settled.linger_ns,
        nonce=nonce,
        observed=observed,
    )


def opened_event(session: Session, coroutine: Coroutine) -> Opened:
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
        observed=descriptor.observed,
    )
