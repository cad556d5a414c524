"""Sessions that several machines hold: finding the others, and joining.

Every machine that opens such a session has the same terms and knows which roles it holds. It
asks its host to find the others, who name a key and a fresh nonce for each of their roles. The
session's nonce comes from the nonces of all roles, so the session is a new one for everybody,
and each role signs that it takes part in just this session.
"""

from __future__ import annotations

from troth.vm import statements
from troth.vm.admission import principal_of, require_sound_key, settle_session
from troth.vm.coroutine import Coroutine
from troth.vm.descriptor import edge_rows
from troth.vm.envelope import JoinEnvelope, Outgoing
from troth.vm.events import Joined
from troth.vm.faults import fault
from troth.vm.image import Protocol
from troth.vm.instructions import Open
from troth.vm.session import EndpointElsewhere, Session
from troth.vm.step_common import sign
from troth.vm.step_tables import StateTable
from troth.vm.turn import Context, Meeting, Turn


def peers_of(context: Context, protocol: Protocol) -> tuple[str, ...]:
    """The roles that other machines hold."""
    return tuple(role for role in protocol.roles if not context.is_home(protocol.name, role))


def leave_out(coroutine: Coroutine, instruction: Open, protocol: Protocol) -> None:
    """No role is this machine's: there is no session here."""
    coroutine.met += 1
    for register, role in zip(instruction.targets, protocol.roles, strict=False):
        coroutine.registers[register] = EndpointElsewhere(protocol.name, role)


def find_peers(turn: Turn, coroutine: Coroutine, instruction: Open, peers: tuple[str, ...]) -> None:
    """Asks the host for the other machines.

    Raises:
        Fault: `vm.fault.open` or `vm.fault.limit`, for what no machine could agree to.
    """
    context = turn.context
    tables = context.loaded.protocols[instruction.protocol]
    settled = settle_session(context, instruction)
    protocol = tables.protocol
    require_no_crash(protocol.name, context.initial_states[instruction.protocol])
    terms = statements.pack_array(
        (
            tables.id,
            protocol.name,
            protocol.roles,
            edge_rows(settled.edges),
            settled.seal.value,
            settled.linger_ns,
        )
    )
    here = tuple(
        (role, nonce_of(context, coroutine, role)) for role in protocol.roles if role not in peers
    )
    meeting = statements.meeting_id(tables.id, coroutine.place, coroutine.met)
    turn.meet(Meeting(meeting, coroutine.id, protocol.name, terms, here, peers))


def require_no_crash(name: str, roles: tuple[StateTable, ...]) -> None:
    """
    Raises:
        Fault: `vm.fault.open`: at another machine a crash cannot be told from slowness.
    """
    if any(state.survives for state in roles):
        raise fault(
            "vm.fault.open",
            f"{name} says what follows a crash, and is opened between machines",
            expected="a session of which one machine holds every role",
            actual="roles at other machines",
            advice="Leave `on crash` out, and give the choice a clock instead: `within 5s`",
        )


def nonce_of(context: Context, coroutine: Coroutine, role: str) -> bytes:
    """What a role of this machine adds to the nonce of the session that the coroutine opens."""
    return statements.role_nonce(context.seed, coroutine.id, coroutine.opened, role)


def join_parties(
    turn: Turn, coroutine: Coroutine, name: str, roles: tuple[str, ...]
) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """The keys and the nonces of all roles of a protocol or bundle, in order.

    Raises:
        Fault: `vm.fault.key`, `vm.fault.open`.
    """
    assert coroutine.parties is not None, "the host has found the other machines"
    if not coroutine.parties:
        raise fault(
            "vm.fault.open",
            f"the other machines of {name} were not found",
            expected="a machine for each role that is not held here",
            actual="none in time",
            advice="Start the other parties, with the same script, and let them connect",
        )
    found = {role: (key, nonce) for role, key, nonce in coroutine.parties}
    keys, nonces = [], []
    for role in roles:
        if role in found:
            key, nonce = found[role]
            require_sound_key(turn.context, name, role, key)
        else:
            key = principal_of(turn, name, role)
            nonce = nonce_of(turn.context, coroutine, role)
        keys.append(key)
        nonces.append(nonce)
    return tuple(keys), tuple(nonces)


def sign_joins(turn: Turn, session: Session) -> tuple[Joined, ...]:
    """What the roles of this machine sign to take part. Changes nothing.

    Raises:
        Fault: `vm.fault.key`.
    """
    joined = []
    for endpoint, nonce in zip(session.endpoints.values(), session.nonces, strict=True):
        if endpoint.role not in session.peers:
            statement = statements.join_statement(session.id, endpoint.role, nonce)
            signature = sign(turn, endpoint, statement)
            joined.append(Joined(session.id, endpoint.role, nonce, signature, endpoint.signer))
    return tuple(joined)


def commit_joins(turn: Turn, session: Session, joined: tuple[Joined, ...]) -> None:
    for event in joined:
        turn.events.append(event)
        envelope = JoinEnvelope(session.id, event.role, event.signature)
        turn.tell(Outgoing(session.id, session.peers, envelope))
