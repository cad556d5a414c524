"""`open`, `spawn` and `transfer`: where sessions and coroutines come from, and who owns what."""

from __future__ import annotations

from troth.conformance.reference.compute import has_type
from troth.conformance.reference.consume import Taken
from troth.conformance.reference.terms import edges_of, linger_of, principal_of, seal_of
from troth.conformance.reference.world import (
    Coroutine,
    Edge,
    End,
    Session,
    Trap,
    World,
    end_of,
    mine,
    program_of,
    require_of_type,
    say,
    wake,
    with_coroutine,
    with_end,
    with_register,
    with_session,
)
from troth.vm import statements
from troth.vm.descriptor import BundleDescriptor, Descriptor
from troth.vm.events import (
    BundleOpened,
    ChildRow,
    EdgeConfig,
    Opened,
    Spawned,
    Transferred,
)
from troth.vm.instructions import HOLE, Open, OpenBundle, Spawn, Transfer
from troth.vm.local_types import labels, protocol_id
from troth.vm.types import EndpointType, Field
from troth.vm.values import CoroutineHandle, Endpoint, RegisterValue


class Defer(Exception):
    """The instruction has to be executed when the turns of the round are over."""


def open_session(world: World, me: Coroutine, instruction: Open) -> World:
    """
    Raises:
        Trap: `open`, `limit` or `key`.
        Defer: when this turn's share of sessions is used up.
    """
    if world.sessions_left <= 0:
        raise Trap("limit") if world.exact else Defer
    protocol = world.setup.image.protocols[instruction.protocol]
    edges, linger_ns = settle(world, instruction)
    keys = tuple(principal_of(world.setup, protocol, role) for role in protocol.roles)
    nonce = statements.session_nonce(world.setup.seed, me.id, me.opened)
    opened = describe(world, me, instruction, edges, linger_ns, keys, nonce)
    world = place(world, me.id, instruction, opened, ())
    now = world.coroutines[me.id]
    return say(with_coroutine(world, now._replace(opened=now.opened + 1)), opened)


def open_bundle(world: World, me: Coroutine, instruction: OpenBundle) -> World:
    """
    Raises:
        Trap: `open`, `limit` or `key`.
        Defer: when this turn's share of sessions is used up.
    """
    setup = world.setup
    bundle = setup.image.bundles[instruction.bundle]
    if world.sessions_left < len(bundle.children):
        raise Trap("limit") if world.exact else Defer
    opens, first = [], 0
    for child in bundle.children:
        registers = instruction.targets[first : first + len(child.players)]
        first += len(child.players)
        opens.append(Open(child.protocol, registers, instruction.options))
    settled = [settle(world, one) for one in opens]
    keys = tuple(principal_of(setup, bundle, role) for role in bundle.roles)
    rows = []
    for child in bundle.children:
        protocol = setup.image.protocols[child.protocol]
        players = tuple(bundle.roles[player] for player in child.players)
        facts = (protocol_id(protocol), protocol.name, protocol.roles)
        rows.append(ChildRow(child.name, *facts, labels(protocol.local_types), players))
    nonce = statements.session_nonce(setup.seed, me.id, me.opened)
    hashed = tuple((row.name, row.protocol_id, row.players) for row in rows)
    identity = BundleDescriptor(bundle.name, bundle.roles, keys, hashed, nonce).bundle
    world = say(
        world,
        BundleOpened(identity, bundle.name, bundle.roles, keys, tuple(rows), nonce, me.id),
    )
    opened = [
        describe(
            *(world, me, one, *terms),
            tuple(keys[player] for player in child.players),
            statements.child_nonce(identity, child.name),
        )
        for one, terms, child in zip(opens, settled, bundle.children, strict=True)
    ]
    names = tuple(one.session for one in opened)
    for one, event in zip(opens, opened, strict=True):
        world = say(place(world, me.id, one, event, names), event)
    now = world.coroutines[me.id]
    return with_coroutine(world, now._replace(opened=now.opened + 1))


def place(
    world: World, me: bytes, instruction: Open, opened: Opened, bundle: tuple[bytes, ...]
) -> World:
    """Makes the session, and gives its endpoints to the coroutine."""
    ends = {
        role: End(0, principal, me)
        for role, principal in zip(opened.roles, opened.principals, strict=True)
    }
    edges = {
        (edge.sender, edge.receiver): Edge(edge, edge.capacity, Taken(edge.replay))
        for edge in opened.edges
    }
    session = Session(opened, instruction.protocol, ends, edges, bundle=bundle)
    world = with_session(world, session)
    names = [Endpoint(opened.session, role) for role in opened.roles]
    for register, name in zip(instruction.targets, names, strict=True):
        world = with_register(world, me, register, name)
    now = world.coroutines[me]
    world = with_coroutine(world, now._replace(owned=(*now.owned, *names)))
    return world._replace(sessions_left=world.sessions_left - 1)


def settle(world: World, instruction: Open) -> tuple[tuple[EdgeConfig, ...], int]:
    """The settings of the edges, and the linger time.

    Raises:
        Trap: `open` or `limit`.
    """
    setup = world.setup
    protocol = setup.image.protocols[instruction.protocol]
    if len(instruction.targets) != len(protocol.roles):
        raise Trap("open")
    if len(protocol.roles) > setup.limits.roles_max:
        raise Trap("limit")
    linger_ns = linger_of(instruction)
    edges = edges_of(setup, protocol, instruction)
    seal_of(setup, instruction)
    return edges, linger_ns


def describe(
    world: World,
    me: Coroutine,
    instruction: Open,
    edges: tuple[EdgeConfig, ...],
    linger_ns: int,
    principals: tuple[bytes, ...],
    nonce: bytes,
) -> Opened:
    protocol = world.setup.image.protocols[instruction.protocol]
    descriptor = Descriptor(
        protocol_id=protocol_id(protocol),
        protocol=protocol.name,
        roles=protocol.roles,
        edges=edges,
        seal=seal_of(world.setup, instruction),
        principals=principals,
        linger_ns=linger_ns,
        nonce=nonce,
    )
    return Opened(
        session=descriptor.session,
        protocol_id=descriptor.protocol_id,
        protocol=descriptor.protocol,
        roles=descriptor.roles,
        labels=labels(protocol.local_types),
        principals=descriptor.principals,
        edges=descriptor.edges,
        seal=descriptor.seal,
        linger_ns=descriptor.linger_ns,
        nonce=descriptor.nonce,
        coroutine=me.id,
    )


# --- spawn and transfer --------------------------------------------------------------------


def newborn(world: World, parent: Coroutine | None, program: int) -> Coroutine:
    """The next child of a coroutine, or the first of all.

    Raises:
        Trap: `limit`, for too many registers.
    """
    count = world.setup.image.programs[program].register_count
    if count > world.setup.limits.registers_max:
        raise Trap("limit")
    of, index = (b"", 0) if parent is None else (parent.id, parent.children)
    identity = statements.coroutine_id(world.setup.seed, of, index)
    return Coroutine(identity, of, program, (None,) * count, world.births)


def spawn(world: World, me: Coroutine, instruction: Spawn) -> World:
    """
    Raises:
        Trap: `limit`, `register`, `channel`, `type` or `transfer`.
        Defer: when this turn's share of coroutines is used up.
    """
    child = newborn(world, me, instruction.program)
    parameters = program_of(world, child).parameters
    if len(instruction.arguments) != len(parameters):
        raise Trap("type")
    given = list(zip(instruction.arguments, parameters, strict=True))
    cells = [_argument(world, me, *pair) for pair in given]
    ends = [cell for cell in cells if isinstance(cell, Endpoint)]
    if len(set(ends)) < len(ends):
        raise Trap("type")
    if world.coroutines_left <= 0:
        raise Trap("limit") if world.exact else Defer
    holes = tuple(n for n, (register, _) in enumerate(given) if register == HOLE)
    rest = child.registers[len(cells) :]
    child = child._replace(registers=(*cells, *rest), holes=holes)
    left = world.coroutines_left - 1
    world = world._replace(births=world.births + 1, coroutines_left=left)
    world = with_coroutine(with_coroutine(world, child), me._replace(children=me.children + 1))
    world = say(world, Spawned(child.id, me.id, instruction.program))
    for register, cell in zip(instruction.arguments, cells, strict=True):
        if isinstance(cell, Endpoint):
            world = with_register(world, me.id, register, None)
            world = _give(world, cell, me.id, child.id)
    world = with_register(world, me.id, instruction.target, CoroutineHandle(child.id))
    return world if holes else wake(world, child.id)


def _argument(world: World, me: Coroutine, register: int, parameter: Field) -> RegisterValue:
    is_end = isinstance(parameter.type, EndpointType)
    if register == HOLE:
        if not is_end:
            raise Trap("type")
        return None
    if is_end:
        return _unused(world, me, register, parameter)
    cell = me.registers[register]
    if not has_type(cell, parameter.type):
        raise Trap("type")
    return cell


def _unused(world: World, me: Coroutine, register: int, parameter: Field) -> Endpoint:
    end = mine(world, me, register)
    require_of_type(world, end, parameter)
    if end_of(world, end).state != 0:
        raise Trap("transfer", end)
    return end


def _give(world: World, end: Endpoint, source: bytes, target: bytes) -> World:
    giver, taker = world.coroutines[source], world.coroutines[target]
    left = tuple(other for other in giver.owned if other != end)
    world = with_coroutine(world, giver._replace(owned=left))
    world = with_coroutine(world, taker._replace(owned=(*taker.owned, end)))
    world = with_end(world, end, end_of(world, end)._replace(owner=target))
    if not world.sessions[end.session].live:
        return world
    return say(world, Transferred(end.session, end.role, source, target))


def transfer(world: World, me: Coroutine, instruction: Transfer) -> World:
    """
    Raises:
        Trap: `register`, `transfer`, `channel` or `type`.
    """
    handle = me.registers[instruction.coroutine]
    if not isinstance(handle, CoroutineHandle):
        raise Trap("register")
    child = world.coroutines.get(handle.id)
    hole = instruction.parameter
    if child is None or not child.alive or child.parent != me.id or hole not in child.holes:
        raise Trap("transfer")
    end = _unused(world, me, instruction.endpoint, program_of(world, child).parameters[hole])
    world = with_register(world, me.id, instruction.endpoint, None)
    world = with_register(world, child.id, hole, end)
    child = world.coroutines[child.id]
    left = tuple(other for other in child.holes if other != hole)
    world = _give(with_coroutine(world, child._replace(holes=left)), end, me.id, child.id)
    return world if left else wake(world, child.id)
