"""`send` and `select`: sign a message and put it into its edge's buffer.

The order is what makes it atomic: everything is checked, then everything is signed, then the
counters, the buffer, the type and the events change together and nothing can fail any more. A
sequence number is spent on the signature, never on a message that found no place.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from troth.vm import statements
from troth.vm.buffer import Admission, Envelope
from troth.vm.codec import encode_payload
from troth.vm.coroutine import Blocked, Coroutine
from troth.vm.envelope import MessageEnvelope, Outgoing, RotateEnvelope
from troth.vm.errors import Fault, TrothError
from troth.vm.events import Rotated, Sent, Status
from troth.vm.faults import fault
from troth.vm.instructions import Select, Send
from troth.vm.session import Cell, Edge, EndpointState
from troth.vm.speculation import HeldSend
from troth.vm.statements import StepKind
from troth.vm.step_common import Step, cell_name, no_key, not_usable, session_over, sign
from troth.vm.step_crash import discard_sent
from troth.vm.step_delegate import Delegation, commit_delegation, prepare_delegation
from troth.vm.step_hold import cannot_be_undone, hold_send
from troth.vm.step_loss import drop, overwrite, read_ahead, retire
from troth.vm.step_tables import TransitionTable
from troth.vm.turn import BLOCKED, Turn, Unsigned
from troth.vm.types import StateKind
from troth.vm.value_ops import type_matches
from troth.vm.values import RegisterValue

Sealed: TypeAlias = tuple[Envelope, bytes, Rotated | None]
"""A signed message, the statement that its signature or its round's seal covers, and what ends
the generation before, if the message begins one."""

_LAST_LIVE: Final = Status.DRAINING
_make: Final = tuple.__new__
"""Builds a named tuple from all its fields without the detour over its keyword arguments."""


def decode_send(instruction: Send | Select, following: int) -> Step:
    """The step of a `Send` or `Select`: they differ in how many labels the state offers."""
    register, peer, label = instruction.endpoint, instruction.peer, instruction.label
    arguments = instruction.arguments
    kind = StepKind.SELECTION if isinstance(instruction, Select) else StepKind.MESSAGE

    def step(turn: Turn, coroutine: Coroutine) -> int:
        registers = coroutine.registers
        endpoint = registers[register]
        if type(endpoint) is not EndpointState or endpoint.owner is not coroutine:
            raise not_usable(endpoint, coroutine)
        if endpoint.session.status > _LAST_LIVE:
            raise session_over(endpoint)
        transition = endpoint.state.sends.get(label)
        if transition is None or transition.peer != peer or transition.kind is not kind:
            raise _out_of_turn(endpoint, peer, label, kind)
        edge = endpoint.outgoing.get(peer)
        if edge is None or (edge.receiver.noticed and not edge.abandoned):
            raise peer_gone(endpoint, peer)
        delegation = None
        speculation = coroutine.speculation
        if transition.carried:
            if speculation is not None:
                raise cannot_be_undone("delegating an endpoint", endpoint)
            if edge.outbound:
                raise not_portable(endpoint, peer)
            given = [registers[argument] for argument in arguments]
            delegation = prepare_delegation(turn, coroutine, endpoint, edge, transition, given)
        payload, values = _payload(turn, endpoint, transition, registers, arguments)
        if speculation is not None:
            act = HeldSend(endpoint, edge, transition, payload, values)
            return following if hold_send(coroutine, speculation, act) else BLOCKED
        buffer = edge.buffer
        overwrites = False
        if len(buffer.messages) >= buffer.capacity or edge.outbound:
            admission = _admission(edge, endpoint, transition)
            if admission is Admission.DROP:
                drop(turn, edge, transition)
                return following
            if admission is Admission.WAIT:
                return _wait(coroutine, edge)
            overwrites = admission is Admission.OVERWRITE
        envelope, statement, rotated = _seal(
            turn, edge, endpoint, transition, payload, values, delegation
        )
        if delegation is not None:
            commit_delegation(turn, coroutine, edge, delegation)
            for position in transition.carried:
                registers[arguments[position]] = None
        if overwrites:
            overwrite(turn, edge)
        _commit(turn, edge, endpoint, transition, envelope, rotated)
        if not envelope.signature or edge.outbound:
            _hand_on(turn, edge, envelope, statement)
        if edge.receiver.noticed:
            discard_sent(turn, edge)
        return following

    return step


def _wait(coroutine: Coroutine, edge: Edge) -> int:
    edge.waiting_sender = coroutine
    coroutine.blocked = Blocked.SEND
    coroutine.blocked_edge = edge
    return BLOCKED


def _out_of_turn(endpoint: EndpointState, peer: str, label: str, kind: StepKind) -> Fault:
    state = endpoint.state
    known = state.kind is StateKind.SEND and state.peer == peer
    if known and label not in state.sends:
        return fault(
            "vm.fault.label",
            f"{endpoint.role} cannot send {label} to {peer} here",
            endpoint=endpoint,
            expected=state.describe(),
            actual=f"send {peer} {label}",
        )
    verb = "select" if kind is StepKind.SELECTION else "send"
    return fault(
        "vm.fault.type",
        f"{endpoint.role} sends out of turn",
        endpoint=endpoint,
        expected=state.describe(),
        actual=f"{verb} {peer} {label}",
    )


def peer_gone(endpoint: EndpointState, peer: str) -> Fault:
    return fault(
        "vm.fault.channel",
        f"{peer} has closed its end and takes no more messages",
        endpoint=endpoint,
        expected="a peer that still receives",
        actual=f"{peer} is done",
    )


def _payload(
    turn: Turn,
    endpoint: EndpointState,
    transition: TransitionTable,
    registers: list[Cell],
    arguments: tuple[int, ...],
) -> tuple[bytes, list[RegisterValue]]:
    """Checks the arguments against the branch and encodes them; returns both forms.

    Raises:
        Fault: `vm.fault.type` or `vm.fault.limit`.
    """
    checks = transition.checks
    if len(arguments) != len(checks):
        raise _wrong_payload(endpoint, transition, f"{len(arguments)} arguments")
    cells = [registers[argument] for argument in arguments]
    if tuple(map(type, cells)) != checks:
        cells = [_portable(endpoint, transition, place, cell) for place, cell in enumerate(cells)]
    wire: list[RegisterValue] = cells  # type: ignore[assignment]  # no endpoint passed the checks
    try:
        payload = encode_payload(wire)
    except TrothError as error:
        raise _wrong_payload(endpoint, transition, error.actual or error.message) from error
    limit = turn.context.limits.message_bytes_max
    if len(payload) > limit:
        raise fault(
            "vm.fault.limit",
            f"the message {transition.label} is too long",
            endpoint=endpoint,
            expected=f"at most message_bytes_max = {limit} bytes",
            actual=f"{len(payload)} bytes",
        )
    return payload, wire


def _portable(endpoint: EndpointState, transition: TransitionTable, place: int, cell: Cell) -> Cell:
    """What of an argument travels: itself, if it has the type of its field, or its handle.

    Raises:
        Fault: `vm.fault.type`.
    """
    wanted, field = transition.checks[place], transition.fields[place]
    if type(cell) is wanted:
        return cell
    if place in transition.carried and isinstance(cell, EndpointState):
        return cell.handle  # `prepare_delegation` has checked it.
    if wanted is not None or not type_matches(cell, field.type):
        raise _wrong_payload(endpoint, transition, f"{cell_name(cell)} for {field.name}")
    return cell


def _wrong_payload(endpoint: EndpointState, transition: TransitionTable, actual: str) -> Fault:
    types = ", ".join(str(field) for field in transition.fields)
    return fault(
        "vm.fault.type",
        f"the message {transition.label} does not have its declared fields",
        endpoint=endpoint,
        expected=f"{transition.label}({types})",
        actual=actual,
    )


def _admission(edge: Edge, endpoint: EndpointState, transition: TransitionTable) -> Admission:
    """What a full buffer says to the message.

    Raises:
        Fault: `vm.fault.buffer`, when the policy of the edge is `error`.
    """
    in_flight = edge.in_flight if edge.outbound else None
    if edge.waits_to_rotate:
        in_flight = max(edge.config.capacity, edge.config.resize_max)
    admission = edge.buffer.admission(in_flight, lossy=transition.lossy, read=read_ahead(edge))
    if admission is Admission.REFUSE:
        raise fault(
            "vm.fault.buffer",
            f"the buffer of edge {edge} is full",
            endpoint=endpoint,
            expected=f"space among {edge.buffer.capacity} messages",
            actual=f"{edge.in_flight} messages waiting",
        )
    return admission


def not_portable(endpoint: EndpointState, peer: str) -> Fault:
    return fault(
        "vm.fault.elsewhere",
        f"an endpoint cannot be handed to {peer}, which another machine holds",
        endpoint=endpoint,
        expected="a receiver on this machine",
        actual=f"{peer}, held by another machine",
        advice="Let one machine hold both roles: endpoints do not travel between machines",
    )


def _seal(
    turn: Turn,
    edge: Edge,
    endpoint: EndpointState,
    transition: TransitionTable,
    payload: bytes,
    values: list[RegisterValue],
    delegation: Delegation | None,
    ahead: int = 0,
) -> Sealed:
    """Salts, commits to and signs the message; returns the statement too. Changes nothing.

    `ahead` is how many messages of the edge get their numbers before this one.
    """
    session, sender, receiver = endpoint.session.id, endpoint.role, edge.receiver.role
    generation, sequence, principal = 0, edge.sent + ahead, endpoint.signer
    rotated = None
    if edge.config.rotate:
        generation, sequence = edge.config.position(sequence)
    if generation and not sequence:
        rotated = _prepare_rotation(turn, edge, generation - 1)
    signer = turn.context.signer
    position = statements.message_position(session, sender, receiver, generation, sequence)
    try:
        salt = signer.salt(principal, position)
        commitment = turn.context.substitutes.commitment(salt, payload)
        statement = statements.message_statement(
            session,
            sender,
            receiver,
            transition.kind,
            transition.label,
            generation,
            sequence,
            commitment,
        )
        late = endpoint.session.round_sealed or (turn.unsigned is not None and not edge.outbound)
        signature = b"" if late else signer.sign(principal, statement)
    except TrothError as error:
        raise no_key(endpoint, error) from error
    envelope = _make(
        Envelope,
        (
            transition.kind,
            transition.label,
            generation,
            sequence,
            salt,
            payload,
            commitment,
            signature,
            principal,
            delegation.endpoints if delegation is not None else (),
            tuple(values),
        ),
    )
    return envelope, statement, rotated


def _prepare_rotation(turn: Turn, edge: Edge, generation: int) -> Rotated:
    """The sender's word that a generation is over. Changes nothing."""
    endpoint, receiver, count = edge.sender, edge.receiver.role, edge.config.rotate
    session, role = endpoint.session.id, endpoint.role
    statement = statements.rotate_statement(session, role, receiver, generation, count)
    signature = sign(turn, endpoint, statement)
    return Rotated(session, role, receiver, generation, count, signature, endpoint.signer)


def _rotate(turn: Turn, edge: Edge, rotated: Rotated) -> None:
    turn.events.append(rotated)
    if edge.renews and not edge.outbound:
        retire(turn, edge)
    if edge.outbound:
        envelope = RotateEnvelope(*rotated[:6])
        turn.tell(Outgoing(rotated.session, (rotated.receiver,), envelope))


def seal_message(turn: Turn, act: HeldSend, ahead: int) -> Sealed:
    """Signs a message that was held back, as `_seal`.

    Raises:
        Fault: `vm.fault.key`.
    """
    endpoint, edge, transition, payload, values = act
    return _seal(turn, edge, endpoint, transition, payload, values, None, ahead)


def commit_sealed(turn: Turn, act: HeldSend, sealed: Sealed) -> None:
    """A message that was held back gets its number and its place."""
    envelope, statement, rotated = sealed
    _commit(turn, act.edge, act.endpoint, act.transition, envelope, rotated)
    _hand_on(turn, act.edge, envelope, statement)
    if act.edge.receiver.noticed:
        discard_sent(turn, act.edge)


def _hand_on(turn: Turn, edge: Edge, envelope: Envelope, statement: bytes) -> None:
    """A message for another machine leaves; what is not signed yet waits for its seal or its
    signature."""
    if edge.outbound:
        if edge.history is not None:
            edge.history.add(statement)
        turn.tell(_outgoing(edge, envelope))
    elif edge.sender.session.round_sealed:
        # It is received once its sender's log is sealed, at the end of the round.
        if not edge.unsealed:
            turn.awaiting_seal.append(edge)
        edge.unsealed.append((envelope, statement))
    elif turn.unsigned is not None:
        turn.unsigned.append(Unsigned(len(turn.events) - 1, edge, envelope, statement))
        if edge.own is None:
            edge.own = {}
        edge.own[envelope.generation, envelope.sequence] = envelope, statement


def _outgoing(edge: Edge, envelope: Envelope) -> Outgoing:
    session, receiver = edge.sender.session.id, edge.receiver.role
    message = MessageEnvelope(
        session,
        edge.sender.role,
        receiver,
        envelope.kind,
        envelope.label,
        envelope.generation,
        envelope.sequence,
        envelope.salt,
        envelope.payload,
        envelope.signature,
        None,
    )
    return Outgoing(session, (receiver,), message, envelope.label in edge.buffer.lossy)


def _commit(
    turn: Turn,
    edge: Edge,
    endpoint: EndpointState,
    transition: TransitionTable,
    envelope: Envelope,
    rotated: Rotated | None,
) -> None:
    if rotated is not None:
        _rotate(turn, edge, rotated)
    edge.sent += 1
    if transition.lossy:
        edge.lossy_sent += 1
    if not edge.outbound:
        edge.buffer.put(envelope)
    endpoint.state = transition.next
    endpoint.fresh = False
    turn.events.append(
        _make(
            Sent,
            (
                endpoint.session.id,
                endpoint.role,
                edge.receiver.role,
                transition.kind,
                transition.label,
                envelope.generation,
                envelope.sequence,
                envelope.salt,
                envelope.payload,
                envelope.commitment,
                envelope.signature,
                envelope.signer,
            ),
        )
    )
    receiver = edge.waiting_receiver
    if receiver is not None and not endpoint.session.round_sealed:
        edge.waiting_receiver = None
        turn.woken.append(receiver)
