"""`recv` and `branch`."""

from __future__ import annotations

from collections.abc import Mapping

from troth.conformance.reference.consume import next_generation, take
from troth.conformance.reference.crashes import go_on_without, is_missed
from troth.conformance.reference.send import Wait, do_later, held_count, places, read_count
from troth.conformance.reference.world import (
    Coroutine,
    EdgeKey,
    HeldRead,
    Letter,
    Trap,
    World,
    edge_of,
    end_of,
    mine,
    named,
    say,
    state_of,
    wake,
    with_coroutine,
    with_edge,
    with_end,
    with_register,
)
from troth.vm.codec import decode_payload
from troth.vm.errors import TrothError
from troth.vm.events import Received, Retired
from troth.vm.instructions import Branch, Recv
from troth.vm.types import CRASH, EndpointType, StateKind, Transition
from troth.vm.values import Endpoint, RegisterValue


def receive(world: World, me: Coroutine, instruction: Recv | Branch) -> tuple[World, int]:
    """The world after, and which instruction is next.

    Raises:
        Trap: what is wrong.
        Wait: for a message.
    """
    end = mine(world, me, instruction.endpoint)
    if not world.sessions[end.session].live:
        raise Trap("channel", end)
    cases = _cases(instruction, me.pc + 1)
    _require_in_turn(world, end, instruction.peer, cases)
    key = (end.session, instruction.peer, end.role)
    place = read_count(me, key)
    edge = edge_of(world, key)
    letters = edge.letters
    if len(letters) <= place:
        if not edge.parted and end_of(world, Endpoint(*key[:2])).noticed:
            if not is_missed(world, end, instruction.peer):
                raise Trap("channel", end)
            return go_on_without(world, end, instruction.peer), cases[CRASH][1]
        _require_that_it_can_come(world, me, end, key)
    if len(letters) <= place or not letters[place].sealed or edge.parted:
        raise Wait(with_edge(world, key, edge._replace(receiver=me.id)))
    letter = letters[place]
    move, values = _open(world, end, key, place)
    if me.levels and letter.endpoints:
        raise Trap("speculation", end)
    targets, following = cases[letter.label]
    if len(targets) != len(values):
        raise Trap("register", end)
    world = do_later(world, me, HeldRead(end, key)) if me.levels else consume(world, key)
    world = with_end(world, end, end_of(world, end)._replace(state=move.next, fresh=False))
    for register, value in zip(targets, values, strict=True):
        world = with_register(world, me.id, register, value)
        if isinstance(value, Endpoint):
            world = _arrive(world, me.id, value)
    return world, following


def _cases(instruction: Recv | Branch, following: int) -> Mapping[str, tuple[tuple[int, ...], int]]:
    if isinstance(instruction, Recv):
        return {instruction.label: (instruction.targets, following)}
    return {case.label: (case.targets, case.target) for case in instruction.cases}


def _require_in_turn(world: World, end: Endpoint, peer: str, cases: Mapping[str, object]) -> None:
    state = state_of(world, end)
    here = state.kind is StateKind.RECV and state.peer == peer
    if not here:
        raise Trap("type", end)
    if {move.label for move in state.transitions} != set(cases):
        raise Trap("label", end)


def _require_that_it_can_come(world: World, me: Coroutine, end: Endpoint, key: EdgeKey) -> None:
    """A speculator cannot wait for what it holds back itself, nor read more than has a place."""
    if not me.levels:
        return
    if held_count(me, key) or read_count(me, key) >= places(edge_of(world, key)):
        raise Trap("speculation", end)


def _open(
    world: World, end: Endpoint, key: EdgeKey, place: int
) -> tuple[Transition, tuple[RegisterValue, ...]]:
    """The values of a message. One that does not fit is refused, and it leaves the buffer;
    one behind others that were only read stays there."""
    letter = edge_of(world, key).letters[place]
    refused = (key, place) if place == 0 else None
    if letter.corrupt:
        raise Trap("verification", end, refused)
    moves = [move for move in state_of(world, end).transitions if move.label == letter.label]
    if not moves:
        raise Trap("label", end, refused)
    limit = world.setup.limits.message_bytes_max
    try:
        values = decode_payload(letter.payload, moves[0].fields, bytes_max=limit)
    except TrothError as error:
        code = "limit" if error.code == "codec.size" else "type"
        raise Trap(code, end, refused) from error
    _require_travellers(world, end, moves[0], values, letter, refused)
    return moves[0], tuple(values)


def _require_travellers(
    world: World,
    end: Endpoint,
    move: Transition,
    values: tuple[RegisterValue, ...],
    letter: Letter,
    refused: tuple[EdgeKey, int] | None,
) -> None:
    left = list(letter.endpoints)
    for value, field in zip(values, move.fields, strict=True):
        if isinstance(field.type, EndpointType):
            assert isinstance(value, Endpoint)
            if value not in left:
                raise Trap("verification", end, refused)
            left.remove(value)
            if named(world, value) != str(field.type):
                raise Trap("type", value, refused)


def consume(world: World, key: EdgeKey) -> World:
    """The oldest message of an edge is taken for good."""
    edge = edge_of(world, key)
    letter, *rest = edge.letters
    session, sender, receiver = key
    signer = end_of(world, Endpoint(session, receiver)).signer
    taken = edge.taken
    if edge.config.rotate and letter.generation > taken.generation:
        gone = Retired(session, receiver, sender, taken.generation, taken.root, signer)
        world = say(world, gone)
        taken = next_generation(taken)
    taken = take(taken, letter.statement)
    world = with_edge(
        world,
        key,
        edge._replace(
            letters=tuple(rest),
            taken=taken,
            consumed=edge.consumed + 1,
            reliable=edge.reliable + (not letter.lossy),
            sender=None,
        ),
    )
    got = Received(
        session, receiver, sender, letter.generation, letter.sequence, taken.root, signer
    )
    return wake(say(world, got), edge.sender)


def _arrive(world: World, me: bytes, end: Endpoint) -> World:
    world = with_end(world, end, end_of(world, end)._replace(owner=me, carrier=None))
    owner = world.coroutines[me]
    return with_coroutine(world, owner._replace(owned=(*owner.owned, end)))
