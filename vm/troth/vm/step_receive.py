"""`recv` and `branch`: take the oldest message of an edge.

A receive looks at the message in its place, verifies the signature, asks the replay protection,
checks label and payload, and only then takes it. A message that fails stays where it is; the
fault names the edge, and the machine moves it to the evidence as rejected.
"""

from __future__ import annotations

from typing import Final

from troth.vm import statements
from troth.vm.buffer import Envelope
from troth.vm.codec import decode_payload, encode_payload
from troth.vm.coroutine import Blocked, Coroutine
from troth.vm.errors import Fault, TrothError
from troth.vm.events import Received, Status
from troth.vm.faults import MessageRefused, behind_others, fault
from troth.vm.instructions import Branch, Recv, ReplayMode
from troth.vm.session import Cell, Custody, Edge, EndpointState
from troth.vm.speculation import HeldReceive, Speculation
from troth.vm.step_common import Step, not_usable, session_over
from troth.vm.step_crash import detect
from troth.vm.step_delegate import arrive, require_type
from troth.vm.step_end import acknowledge
from troth.vm.step_hold import cannot_be_undone, require_a_sender
from troth.vm.step_loss import retire
from troth.vm.step_tables import StateTable, TransitionTable
from troth.vm.substitutes import Substitutes
from troth.vm.turn import BLOCKED, Turn
from troth.vm.types import CRASH, StateKind
from troth.vm.unsigned import sign_now
from troth.vm.value_ops import type_matches
from troth.vm.values import Endpoint

_RECEIVE: Final = Blocked.RECEIVE
_LAST_LIVE: Final = Status.DRAINING
_make: Final = tuple.__new__
"""Builds a named tuple from all its fields without the detour over its keyword arguments."""


def decode_receive(instruction: Recv | Branch, following: int) -> Step:
    """The step of a `Recv` or `Branch`: a `Recv` is a branch with one label and no jump."""
    register, peer = instruction.endpoint, instruction.peer
    if isinstance(instruction, Recv):
        cases = {instruction.label: (instruction.targets, following)}
    else:
        cases = {case.label: (case.targets, case.target) for case in instruction.cases}
    labels = frozenset(cases)

    def step(turn: Turn, coroutine: Coroutine) -> int:
        registers = coroutine.registers
        endpoint = registers[register]
        if type(endpoint) is not EndpointState or endpoint.owner is not coroutine:
            raise not_usable(endpoint, coroutine)
        if endpoint.session.status > _LAST_LIVE:
            raise session_over(endpoint)
        state = endpoint.state
        if state.peer != peer or state.receive_labels != labels:
            raise _out_of_turn(endpoint, peer, cases)
        edge = endpoint.incoming.get(peer)
        if edge is None:
            raise _nobody_sends(endpoint, peer)
        messages = edge.buffer.messages
        speculation = coroutine.speculation
        place = 0 if speculation is None else speculation.read_count(edge)
        if edge.inbound:
            place = _place_of(edge, state, speculation)
        if (
            len(messages) <= place
            or (edge.unsealed and len(edge.sealed) <= place)
            or (edge.trouble is not None and edge.trouble.parted)
        ):
            return cases[CRASH][1] if _waits_in_vain(turn, coroutine, edge, place) else BLOCKED
        if edge.own is not None and not messages[place].signature:
            sign_now(turn.context, edge, place)
        if speculation is None:
            envelope = messages[place]
            statement, transition, values = _read(turn, edge, envelope, place, state)
        else:
            act, values = _read_ahead(turn, speculation, edge, place, state)
            _, _, transition, envelope, statement = act
        targets, target = cases[envelope.label]
        if len(targets) != len(values):
            raise _wrong_targets(endpoint, transition, len(targets))
        if speculation is None:
            commit_receive(turn, edge, envelope, statement, transition, place)
        else:
            speculation.hold_receive(act)
        for target_register, value in zip(targets, values, strict=True):
            registers[target_register] = value
        for position in transition.carried:
            arrive(coroutine, values[position])
        return target

    return step


def _waits_in_vain(turn: Turn, coroutine: Coroutine, edge: Edge, place: int) -> bool:
    """Waits for the next message; True when none comes and its sender's crash is met instead.

    Raises:
        Fault: `vm.fault.channel` when none will ever come; `vm.fault.speculation`.
    """
    empty, speculation = len(edge.buffer.messages) <= place, coroutine.speculation
    if empty and edge.complete and not edge.parted:
        if detect(turn, edge):
            return True
        raise _nobody_sends(edge.receiver, edge.sender.role)
    if empty and speculation is not None:
        require_a_sender(speculation, edge)
    edge.waiting_receiver = coroutine
    coroutine.blocked = _RECEIVE
    coroutine.blocked_edge = edge
    return False


def _read(
    turn: Turn, edge: Edge, envelope: Envelope, place: int, state: StateTable
) -> tuple[bytes, TransitionTable, tuple[Cell, ...]]:
    """Checks the message behind `place` others, and leaves it there.

    Raises:
        MessageRefused: with a code of any of the checks.
    """
    try:
        statement = _own_statement(edge, envelope, place)
        own = statement is not None
        if statement is None:
            statement = _authenticate(turn.context.substitutes, edge, envelope, place)
        code = edge.consumption.decide(envelope.generation, envelope.sequence, statement)
        if code is not None:
            raise _out_of_place(edge, envelope, code)
        return statement, *_open_envelope(turn, edge, envelope, state, own=own)
    except MessageRefused as refused:
        refused.behind = place
        raise


def _read_ahead(
    turn: Turn, speculation: Speculation, edge: Edge, place: int, state: StateTable
) -> tuple[HeldReceive, tuple[Cell, ...]]:
    """Reads the message behind the `place` that are read already; it stays in its buffer.

    Raises:
        MessageRefused: as for other receives, for the message at the head of the buffer.
        Fault: with the same codes for one behind others: what is before it was not consumed, so
            it is listed with them as undelivered; `vm.fault.speculation` for an endpoint in it.
    """
    envelope = edge.buffer.messages[place]
    try:
        own = _own_statement(edge, envelope, place)
        statement = own or _authenticate(turn.context.substitutes, edge, envelope, place)
        code = edge.consumption.decide_after(
            speculation.statements_read(edge), envelope.generation, envelope.sequence, statement
        )
        if code is not None:
            raise _out_of_place(edge, envelope, code)
        transition, values = _open_envelope(turn, edge, envelope, state, own=own is not None)
    except MessageRefused as refused:
        if place == 0:
            raise
        raise behind_others(refused) from refused
    if transition.carried:
        raise cannot_be_undone("receiving an endpoint", edge.receiver)
    return HeldReceive(edge.receiver, edge, transition, envelope, statement), values


def _out_of_turn(
    endpoint: EndpointState, peer: str, cases: dict[str, tuple[tuple[int, ...], int]]
) -> Fault:
    state = endpoint.state
    known = state.kind is StateKind.RECV and state.peer == peer
    labels = " or ".join(sorted(cases))
    return fault(
        "vm.fault.label" if known else "vm.fault.type",
        f"{endpoint.role} cannot receive {labels} from {peer} here",
        endpoint=endpoint,
        expected=state.describe(),
        actual=f"recv {peer} {labels}",
    )


def _nobody_sends(endpoint: EndpointState, peer: str) -> Fault:
    sender = endpoint.session.endpoints.get(peer)
    crashed = sender is not None and sender.custody is Custody.CRASHED
    return fault(
        "vm.fault.channel",
        f"{peer} has {'crashed' if crashed else 'closed its end'} and nothing more will come",
        endpoint=endpoint,
        expected=endpoint.state.describe(),
        actual=f"{peer} is {'gone' if crashed else 'done'} and the edge is drained",
    )


def _wrong_targets(endpoint: EndpointState, transition: TransitionTable, count: int) -> Fault:
    return fault(
        "vm.fault.register",
        f"the message {transition.label} does not fit the registers given for it",
        endpoint=endpoint,
        expected=f"{len(transition.fields)} registers",
        actual=str(count),
    )


def _place_of(edge: Edge, state: StateTable, speculation: Speculation | None) -> int:
    """Which of the messages that arrived is taken; behind the last to wait for others.

    Only where they may come in any order is there a choice: the first that the type can take.
    When all have come and it can take none, the first is, and is refused.

    Raises:
        Fault: `vm.fault.speculation`: what came from another machine cannot be given back.
    """
    if speculation is not None:
        raise cannot_be_undone("receiving from another machine", edge.receiver)
    messages = edge.buffer.messages
    if edge.config.replay != ReplayMode.NULLIFIER:
        return 0
    consumption, rotate = edge.consumption, edge.config.rotate
    barrier = rotate > 0 and consumption.expected == rotate
    generation = consumption.generation + barrier
    for place, envelope in enumerate(messages):
        if envelope.label in state.receives and (
            envelope.generation == generation or edge.may_lose
        ):
            return place
    return 0 if edge.complete else len(messages)


def _own_statement(edge: Edge, envelope: Envelope, place: int) -> bytes | None:
    """What this machine has signed or sealed, if the message is still the one that it made.

    An envelope cannot be changed. So the very object that this machine has made, committed to and
    put into a log whose head it has signed needs none of that a second time; nor does one that it
    has signed late, and verified then.
    """
    made = edge.sealed[place] if len(edge.sealed) > place else None
    if edge.own is not None:
        made = edge.own.get((envelope.generation, envelope.sequence))
    return made[1] if made is not None and made[0] is envelope else None


def _authenticate(substitutes: Substitutes, edge: Edge, envelope: Envelope, place: int) -> bytes:
    """The statement that the message's sender really signed.

    Everything is computed from the receiver's own view of the edge: what the envelope says
    about itself counts for nothing unless the signature covers it.

    Raises:
        MessageRefused: `vm.fault.verification`.
    """
    sender = edge.sender
    statement = statements.message_statement(
        sender.session.id,
        sender.role,
        edge.receiver.role,
        envelope.kind,
        envelope.label,
        envelope.generation,
        envelope.sequence,
        substitutes.commitment(envelope.salt, envelope.payload),
    )
    # An endpoint's signer changes only before its first use, so today's is that of sending.
    if edge.inbound:
        genuine = True  # `deliver` has checked it, before it came into the buffer.
    elif sender.session.round_sealed:
        # The log whose head was signed is this machine's own: its leaf is the proof.
        genuine = len(edge.sealed) > place and edge.sealed[place][1] == statement
    else:
        genuine = substitutes.verify(sender.signer, statement, envelope.signature)
    if edge.trouble is not None and any(envelope is one for one in edge.trouble.corrupted):
        # A re-execution verifies nothing: there the record of the corruption has to do.
        genuine = False
    if not genuine:
        raise _refused(
            edge,
            "vm.fault.verification",
            "the message is not what its sender signed",
            f"a signature by {sender.signer.hex()}",
            "one that does not verify",
        )
    return statement


def _out_of_place(edge: Edge, envelope: Envelope, code: str) -> MessageRefused:
    return _refused(
        edge,
        code,
        "the message was signed for another position of its edge",
        f"generation {edge.consumption.generation}, number {edge.consumption.expected}",
        f"generation {envelope.generation}, number {envelope.sequence}",
    )


def _refused(edge: Edge, code: str, message: str, expected: str, actual: str) -> MessageRefused:
    cause = fault(
        code,
        f"edge {edge}: {message}",
        endpoint=edge.receiver,
        expected=expected,
        actual=actual,
    )
    return MessageRefused(cause, edge)


def _open_envelope(
    turn: Turn, edge: Edge, envelope: Envelope, state: StateTable, *, own: bool
) -> tuple[TransitionTable, tuple[Cell, ...]]:
    """Checks label and payload of a verified message; `own` as `_are_encoded_by`.

    Raises:
        MessageRefused: `vm.fault.label`, `.type` or `.limit`.
    """
    transition = state.receives.get(envelope.label)
    if transition is None:
        raise _refused(
            edge,
            "vm.fault.label",
            "the message's label is not offered here",
            state.describe(),
            envelope.label,
        )
    hint = envelope.values
    if hint is not None and _are_encoded_by(hint, transition, envelope.payload, own=own):
        return transition, hint
    limit = turn.context.limits.message_bytes_max
    try:
        values = decode_payload(envelope.payload, transition.fields, bytes_max=limit)
    except TrothError as error:
        code = "vm.fault.limit" if error.code == "codec.size" else "vm.fault.type"
        expected, actual = error.expected or "its declared fields", error.actual or "other bytes"
        raise _refused(edge, code, error.message, expected, actual) from error
    if transition.carried:
        return transition, _bind_endpoints(edge, envelope, transition, values)
    return transition, values


def _are_encoded_by(
    values: tuple[Cell, ...], transition: TransitionTable, payload: bytes, *, own: bool
) -> bool:
    """Whether decoding `payload` must give `values`: they have the plain types of the fields,
    and no others have this canonical encoding. Where that is not easily seen the answer is no.

    `own` says that this machine has made the payload of these values, which cannot change.
    """
    plain = tuple(map(type, values)) == transition.checks
    if own:
        return plain or (not transition.carried and _match(values, transition))
    if not plain:
        return False
    try:
        return encode_payload(values) == payload  # type: ignore[arg-type]  # plain by their types
    except TrothError:
        return False


def _match(values: tuple[Cell, ...], transition: TransitionTable) -> bool:
    fields = transition.fields
    return len(values) == len(fields) and all(
        type_matches(value, field.type) for value, field in zip(values, fields, strict=True)
    )


def _bind_endpoints(
    edge: Edge, envelope: Envelope, transition: TransitionTable, values: tuple[Cell, ...]
) -> tuple[Cell, ...]:
    """Replaces the endpoint references of a payload by the endpoints in transit."""
    bound = list(values)
    in_transit = {
        endpoint.handle: endpoint
        for endpoint in envelope.endpoints
        if endpoint.custody is Custody.IN_TRANSIT and endpoint.carrier is edge
    }
    for position in transition.carried:
        reference = values[position]
        assert isinstance(reference, Endpoint), "the payload has its declared fields"
        endpoint = in_transit.pop(reference, None)
        if endpoint is None:
            raise _refused(
                edge,
                "vm.fault.verification",
                "the message names an endpoint that does not travel with it",
                "endpoints in transit on this edge",
                f"{reference.role} of {reference.session.hex()}",
            )
        try:
            require_type(endpoint, transition.fields[position].type)
        except Fault as cause:
            raise MessageRefused(cause, edge) from cause
        bound[position] = endpoint
    return tuple(bound)


def commit_receive(
    turn: Turn,
    edge: Edge,
    envelope: Envelope,
    statement: bytes,
    transition: TransitionTable,
    place: int = 0,
) -> None:
    endpoint = edge.receiver
    edge.take(place)
    consumption = edge.consumption
    if envelope.generation > consumption.generation and edge.config.rotate:
        retire(turn, edge)
    consumption.consume(envelope.generation, envelope.sequence, statement)
    edge.consumed += 1
    if transition.lossy:
        edge.lossy_consumed += 1
    endpoint.state = transition.next
    endpoint.fresh = False
    turn.events.append(
        _make(
            Received,
            (
                endpoint.session.id,
                endpoint.role,
                edge.sender.role,
                envelope.generation,
                envelope.sequence,
                consumption.root,
                endpoint.signer,
            ),
        )
    )
    if edge.inbound:
        assert edge.waiting is not None, "an inbound edge knows what waits"
        edge.waiting.discard(statement)
        acknowledge(turn, edge, at_once=edge.renews and not transition.lossy)
    sender = edge.waiting_sender
    if sender is not None:
        edge.waiting_sender = None
        turn.woken.append(sender)
