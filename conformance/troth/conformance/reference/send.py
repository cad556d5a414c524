"""`send` and `select`, delegation inside a message, and messages that may be lost."""

from __future__ import annotations

from enum import Enum

from troth.conformance.reference.compute import has_type
from troth.conformance.reference.consume import lose, next_generation
from troth.conformance.reference.world import (
    Coroutine,
    Edge,
    EdgeKey,
    HeldRead,
    HeldSend,
    Letter,
    Session,
    Trap,
    World,
    edge_of,
    end_of,
    mine,
    require_of_type,
    say,
    sign,
    signed_by_itself,
    state_of,
    wake,
    with_coroutine,
    with_edge,
    with_end,
    with_register,
)
from troth.vm import statements
from troth.vm.codec import encode_payload
from troth.vm.errors import TrothError, Unusable
from troth.vm.events import Delegated, Dropped, Overwritten, Retired, Rotated, Sent
from troth.vm.instructions import Select, Send
from troth.vm.statements import StepKind
from troth.vm.types import EndpointType, StateKind, Transition
from troth.vm.values import Endpoint, RegisterValue


class Wait(Exception):
    """The instruction has to wait, in this world; it is executed again later."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world


class _Room(Enum):
    FREE = "there is a place"
    OVERWRITE = "the oldest message that may be lost makes place"
    DROP = "the message is not sent"
    WAIT = "somebody has to take one"


def send(world: World, me: Coroutine, instruction: Send | Select) -> World:
    """
    Raises:
        Trap: what is wrong.
        Wait: for space.
    """
    end = mine(world, me, instruction.endpoint)
    if not world.sessions[end.session].live:
        raise Trap("channel", end)
    move = _move(world, end, instruction)
    key = (end.session, end.role, instruction.peer)
    peer = end_of(world, Endpoint(end.session, instruction.peer))
    if peer.noticed and not peer.crashed:
        raise Trap("channel", end)
    before = world
    carried = tuple(
        n for n, field in enumerate(move.fields) if isinstance(field.type, EndpointType)
    )
    if carried:
        if me.levels:
            raise Trap("speculation", end)
        world = _hand_on(world, me, key, move, instruction.arguments, carried)
    payload = _payload(before, me, end, move, instruction.arguments)
    kind = StepKind.SELECTION if isinstance(instruction, Select) else StepKind.MESSAGE
    if me.levels:
        return _hold(world, me, HeldSend(end, key, kind, move.label, move.lossy, payload), move)
    room = _room(before, end, key, move)
    if room is _Room.WAIT:
        raise Wait(with_edge(before, key, edge_of(before, key)._replace(sender=me.id)))
    if room is _Room.DROP:
        return say(before, Dropped(*key, move.label))
    travellers = []
    for n in carried:
        cell = me.registers[instruction.arguments[n]]
        assert isinstance(cell, Endpoint)
        travellers.append(cell)
        world = with_register(world, me.id, instruction.arguments[n], None)
    if room is _Room.OVERWRITE:
        world = _overwrite(world, key)
    world = _step(world, end, move)
    return post(world, HeldSend(end, key, kind, move.label, move.lossy, payload), tuple(travellers))


def _move(world: World, end: Endpoint, instruction: Send | Select) -> Transition:
    state = state_of(world, end)
    here = state.kind is StateKind.SEND and state.peer == instruction.peer
    found = [move for move in state.transitions if here and move.label == instruction.label]
    if here and not found:
        raise Trap("label", end)
    if not found or (len(state.transitions) > 1) != isinstance(instruction, Select):
        raise Trap("type", end)
    return found[0]


def _step(world: World, end: Endpoint, move: Transition) -> World:
    return with_end(world, end, end_of(world, end)._replace(state=move.next, fresh=False))


def _payload(
    world: World, me: Coroutine, end: Endpoint, move: Transition, arguments: tuple[int, ...]
) -> bytes:
    if len(arguments) != len(move.fields):
        raise Trap("type", end)
    values: list[RegisterValue] = []
    for register, field in zip(arguments, move.fields, strict=True):
        value = me.registers[register]
        if not isinstance(field.type, EndpointType) and not has_type(value, field.type):
            raise Trap("type", end)
        values.append(value)
    try:
        payload = encode_payload(values)
    except TrothError as error:
        raise Trap("type", end) from error
    if len(payload) > world.setup.limits.message_bytes_max:
        raise Trap("limit", end)
    return payload


def _room(world: World, end: Endpoint, key: EdgeKey, move: Transition) -> _Room:
    edge = edge_of(world, key)
    if len(edge.letters) < edge.capacity:
        return _Room.FREE
    if edge.config.buffer == "latest" and oldest_lossy(world, key) is not None:
        return _Room.OVERWRITE
    match edge.config.policy:
        case "resize" if edge.capacity < edge.config.resize_max:
            return _Room.FREE
        case "error":
            raise Trap("buffer", end)
        case "drop" if move.lossy:
            return _Room.DROP
    return _Room.WAIT


# --- messages that may be lost -------------------------------------------------------------


def oldest_lossy(world: World, key: EdgeKey) -> int | None:
    """Its place in the buffer; what the receiver has read speculatively stays."""
    owner = end_of(world, Endpoint(key[0], key[2])).owner
    read = 0 if owner is None else read_count(world.coroutines[owner], key)
    places = [n for n, letter in enumerate(edge_of(world, key).letters) if letter.lossy]
    return next((n for n in places if n >= read), None)


def _overwrite(world: World, key: EdgeKey) -> World:
    edge, place = edge_of(world, key), oldest_lossy(world, key)
    assert place is not None
    lost = edge.letters[place]
    kept = edge.letters[:place] + edge.letters[place + 1 :]
    taken = lose(edge.taken, lost.statement)
    edge = edge._replace(letters=kept, taken=taken, discarded=edge.discarded + 1)
    return say(with_edge(world, key, edge), Overwritten(*key, lost.generation, lost.sequence))


# --- endpoints inside messages -------------------------------------------------------------


def _hand_on(
    world: World,
    me: Coroutine,
    key: EdgeKey,
    move: Transition,
    arguments: tuple[int, ...],
    carried: tuple[int, ...],
) -> World:
    """The endpoints are on their way, and certified where somebody else signs from now on."""
    receiver = Endpoint(key[0], key[2])
    new = end_of(world, receiver).signer
    travellers: list[Endpoint] = []
    for n in carried:
        if n >= len(arguments):
            break  # The payload is too short, which is found next.
        end = mine(world, me, arguments[n])
        require_of_type(world, end, move.fields[n])
        if not world.sessions[end.session].live:
            raise Trap("channel", end)
        if end in (Endpoint(*key[:2]), receiver, *travellers) or not end_of(world, end).fresh:
            raise Trap("transfer", end)
        travellers.append(end)
    for end in travellers:
        old = end_of(world, end)
        if old.signer != new:
            statement = statements.delegation_statement(end.session, end.role, old.signer, new)
            signature = sign(world, end, statement)
            world = say(world, Delegated(end.session, end.role, old.signer, new, signature))
        world = with_end(world, end, old._replace(owner=None, carrier=key, signer=new))
    owner = world.coroutines[me.id]
    left = tuple(end for end in owner.owned if end not in travellers)
    return with_coroutine(world, owner._replace(owned=left))


# --- signing and posting -------------------------------------------------------------------


def position(edge: Edge, index: int) -> tuple[int, int]:
    """Generation and number of the message before which `index` others were sent."""
    return divmod(index, edge.config.rotate) if edge.config.rotate else (0, index)


def post(world: World, act: HeldSend, endpoints: tuple[Endpoint, ...] = ()) -> World:
    """The message is signed and is in its buffer.

    Raises:
        Trap: `key`.
    """
    edge, session = edge_of(world, act.edge), world.sessions[act.edge[0]]
    generation, sequence = position(edge, edge.sent)
    if generation and not sequence:
        world = _rotate(world, act, generation - 1)
    signer = end_of(world, act.end).signer
    try:
        where = statements.message_position(*act.edge, generation, sequence)
        salt = world.setup.signer.salt(signer, where)
    except Unusable as error:
        raise Trap("key", act.end) from error
    commitment = statements.payload_commitment(salt, act.payload)
    kind, label = act.kind, act.label
    statement = statements.message_statement(
        *act.edge, kind, label, generation, sequence, commitment
    )
    sealed = not session.sealed_by_round
    signature = signed_by_itself(world, act.end, statement) if sealed else b""
    payload = act.payload
    letter = Letter(
        kind, label, generation, sequence, payload, statement, act.lossy, sealed, endpoints
    )
    sent = Sent(
        session=act.edge[0],
        sender=act.edge[1],
        receiver=act.edge[2],
        kind=kind,
        label=label,
        generation=generation,
        sequence=sequence,
        salt=salt,
        payload=payload,
        commitment=commitment,
        signature=signature,
        signer=signer,
    )
    world = say(_put(world, act.edge, letter), sent)
    return _tell_receiver(world, act.edge, session)


def _rotate(world: World, act: HeldSend, generation: int) -> World:
    count = edge_of(world, act.edge).config.rotate
    statement = statements.rotate_statement(*act.edge, generation, count)
    signature = sign(world, act.end, statement)
    signer = end_of(world, act.end).signer
    world = say(world, Rotated(*act.edge, generation, count, signature, signer))
    edge = edge_of(world, act.edge)
    if not edge.config.lossy:
        return world
    # Nobody knows of such a generation when all of it was taken: its end is the sender's word.
    session, sender, receiver = act.edge
    taken, by = edge.taken, end_of(world, Endpoint(session, receiver)).signer
    gone = Retired(session, receiver, sender, taken.generation, taken.root, by)
    return say(with_edge(world, act.edge, edge._replace(taken=next_generation(taken))), gone)


def _put(world: World, key: EdgeKey, letter: Letter) -> World:
    edge = edge_of(world, key)
    capacity = edge.capacity
    if len(edge.letters) >= capacity:
        capacity = min(2 * capacity, edge.config.resize_max)
    letters = (*edge.letters, letter)
    return with_edge(
        world, key, edge._replace(letters=letters, capacity=capacity, sent=edge.sent + 1)
    )


def _tell_receiver(world: World, key: EdgeKey, session: Session) -> World:
    """Whoever waits goes on now, or when the round is sealed."""
    if session.sealed_by_round:
        waiting = key in world.unsealed
        return world if waiting else world._replace(unsealed=(*world.unsealed, key))
    edge = edge_of(world, key)
    return wake(with_edge(world, key, edge._replace(receiver=None)), edge.receiver)


# --- speculation ---------------------------------------------------------------------------


def read_count(me: Coroutine, key: EdgeKey) -> int:
    """How many messages of an edge a speculator has read and not consumed."""
    acts = [act for level in me.levels for act in level.acts]
    return sum(isinstance(act, HeldRead) and act.edge == key for act in acts)


def held_count(me: Coroutine, key: EdgeKey) -> int:
    """How many messages for an edge a speculator holds back."""
    acts = [act for level in me.levels for act in level.acts]
    return sum(isinstance(act, HeldSend) and act.edge == key for act in acts)


def places(edge: Edge) -> int:
    return edge.config.resize_max if edge.config.policy == "resize" else edge.capacity


def _hold(world: World, me: Coroutine, act: HeldSend, move: Transition) -> World:
    edge = edge_of(world, act.edge)
    held = held_count(me, act.edge)
    if held >= places(edge):
        raise Trap("speculation", act.end)
    if len(edge.letters) + held >= places(edge):
        if edge.config.policy == "error":
            raise Trap("buffer", act.end)
        raise Wait(with_edge(world, act.edge, edge._replace(sender=me.id)))
    return _step(do_later(world, me, act), act.end, move)


def do_later(world: World, me: Coroutine, act: HeldSend | HeldRead) -> World:
    """Notes an act of the innermost speculation, and how the endpoint was before its first."""
    *outer, level = me.levels
    ends = {act.end: end_of(world, act.end), **level.ends}
    level = level._replace(acts=(*level.acts, act), ends=ends)
    return with_coroutine(world, me._replace(levels=(*outer, level)))
