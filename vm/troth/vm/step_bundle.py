"""`open_bundle`: sessions that are opened and closed together, all of them or none.

The bundle has a descriptor of its own, with a nonce of its own; the nonce of each child derives
from the bundle's id and the child's name. So a child's id, and with it every signature in it,
says which bundle it belongs to.
"""

from __future__ import annotations

from typing import NamedTuple

from troth.vm import statements
from troth.vm.admission import OBSERVER, principal_of, settle_session
from troth.vm.coroutine import Blocked, Coroutine
from troth.vm.descriptor import BundleDescriptor, edge_rows
from troth.vm.events import BundleOpened, ChildRow
from troth.vm.image import Bundle, BundleChild
from troth.vm.instructions import Open, OpenBundle
from troth.vm.loaded import ProtocolTables
from troth.vm.session import EndpointElsewhere, EndpointState, Session, build
from troth.vm.settings import Settled
from troth.vm.step_common import Step
from troth.vm.step_meet import (
    commit_joins,
    join_parties,
    nonce_of,
    require_no_crash,
    sign_joins,
)
from troth.vm.step_open import describe, opened_event, too_many_sessions
from troth.vm.turn import BLOCKED, DEFERRED, Context, Meeting, Turn


class _Child(NamedTuple):
    """A child as one instruction opens it; `targets` are its own."""

    item: BundleChild
    tables: ProtocolTables
    players: tuple[str, ...]
    targets: tuple[int, ...]

    def is_here(self, peers: tuple[str, ...]) -> bool:
        """Whether this machine holds a role of it."""
        return any(player not in peers for player in self.players)


def decode_open_bundle(instruction: OpenBundle, following: int) -> Step:
    """As `open`, for several sessions; a failed one leaves no trace but its fault."""

    def step(turn: Turn, coroutine: Coroutine) -> int:
        context = turn.context
        bundle = context.loaded.image.bundles[instruction.bundle]
        children = _children(context, bundle, instruction)
        peers = _peers_of(context, bundle)
        if len(peers) == len(bundle.roles):
            coroutine.met += 1
            _place(coroutine, children, {}, peers)
            return following
        if peers and coroutine.parties is None:
            _find_peers(turn, coroutine, bundle, children, instruction, peers)
            coroutine.blocked = Blocked.PEERS
            return BLOCKED
        here = [child for child in children if child.is_here(peers)]
        if turn.sessions_left < len(here):
            if not turn.exact:
                return DEFERRED
            raise too_many_sessions(context.limits)
        descriptor, sessions = _admit(turn, coroutine, bundle, here, instruction, peers)
        joined = [(one, sign_joins(turn, one)) for one in sessions.values() if one.peers]
        coroutine.opened += 1
        coroutine.met += 1
        coroutine.parties = None
        turn.events.append(_opened(descriptor, children, coroutine))
        for session in sessions.values():
            turn.open(session)
            turn.events.append(opened_event(session, coroutine))
        _place(coroutine, children, sessions, peers)
        for session, events in joined:
            commit_joins(turn, session, events)
        return following

    return step


def _children(context: Context, bundle: Bundle, instruction: OpenBundle) -> list[_Child]:
    children, first = [], 0
    for item in bundle.children:
        after = first + len(item.players)
        players = tuple(bundle.roles[player] for player in item.players)
        tables = context.loaded.protocols[item.protocol]
        children.append(_Child(item, tables, players, instruction.targets[first:after]))
        first = after
    return children


def _peers_of(context: Context, bundle: Bundle) -> tuple[str, ...]:
    """The roles of the bundle that other machines hold."""
    return tuple(role for role in bundle.roles if not context.is_home(bundle.name, role))


def _settle(context: Context, child: _Child, instruction: OpenBundle) -> Settled:
    opened = Open(child.item.protocol, child.targets, instruction.options)
    return settle_session(context, opened)


def _find_peers(
    turn: Turn,
    coroutine: Coroutine,
    bundle: Bundle,
    children: list[_Child],
    instruction: OpenBundle,
    peers: tuple[str, ...],
) -> None:
    """Asks the host for the other machines of the whole bundle.

    Raises:
        Fault: `vm.fault.open` or `vm.fault.limit`, for what no machine could agree to.
    """
    context = turn.context
    rows = []
    for child in children:
        name = child.tables.protocol.name
        require_no_crash(name, context.initial_states[child.item.protocol])
        settled = _settle(context, child, instruction)
        edges = edge_rows(settled.edges)
        seal, linger_ns = settled.seal.value, settled.linger_ns
        rows.append((child.item.name, child.tables.id, child.players, edges, seal, linger_ns))
    terms = statements.pack_array((bundle.name, bundle.roles, tuple(rows)))
    here = tuple(
        (role, nonce_of(context, coroutine, role)) for role in bundle.roles if role not in peers
    )
    # The terms stand for the protocol: a bundle has no other content id.
    meeting = statements.meeting_id(statements.bundle_id(terms), coroutine.place, coroutine.met)
    turn.meet(Meeting(meeting, coroutine.id, bundle.name, terms, here, peers))


def _admit(
    turn: Turn,
    coroutine: Coroutine,
    bundle: Bundle,
    here: list[_Child],
    instruction: OpenBundle,
    peers: tuple[str, ...],
) -> tuple[BundleDescriptor, dict[str, Session]]:
    """The admission checks of all children, and their sessions, which nothing refers to yet.

    Raises:
        Fault: `vm.fault.open`, `vm.fault.limit` or `vm.fault.key`.
    """
    context = turn.context
    settled = [_settle(context, child, instruction) for child in here]
    watched = {role for role in bundle.roles if context.is_observed(bundle.name, role)}
    nonces: tuple[bytes, ...] = ()
    if peers:
        principals, nonces = join_parties(turn, coroutine, bundle.name, bundle.roles)
        nonce = statements.joint_nonce(nonces)
    else:
        principals = tuple(
            principal_of(turn, bundle.name, OBSERVER if role in watched else role)
            for role in bundle.roles
        )
        nonce = statements.session_nonce(context.seed, coroutine.id, coroutine.opened)
    descriptor = _describe(context, bundle, principals, nonce)
    keys = dict(zip(bundle.roles, principals, strict=True))
    shares = dict(zip(bundle.roles, nonces, strict=True)) if nonces else {}
    sessions = {}
    for child, terms in zip(here, settled, strict=True):
        own_nonce = statements.child_nonce(descriptor.bundle, child.item.name)
        own_keys = tuple(keys[player] for player in child.players)
        roles = child.tables.protocol.roles
        away = tuple(
            role for role, player in zip(roles, child.players, strict=True) if player in peers
        )
        initial = context.initial_states[child.item.protocol]
        pairs = zip(roles, child.players, strict=True)
        observed = tuple(role for role, player in pairs if player in watched)
        own = describe(child.tables, terms, own_keys, own_nonce, observed)
        session = build(own, child.tables, initial, coroutine, away)
        if away:
            session.nonces = tuple(shares[player] for player in child.players)
        sessions[child.item.name] = session
    together = tuple(sessions.values())
    for session in together:
        session.bundle = together
    return descriptor, sessions


def _describe(
    context: Context, bundle: Bundle, principals: tuple[bytes, ...], nonce: bytes
) -> BundleDescriptor:
    rows = tuple(
        (
            child.name,
            context.loaded.protocols[child.protocol].id,
            tuple(bundle.roles[player] for player in child.players),
        )
        for child in bundle.children
    )
    return BundleDescriptor(bundle.name, bundle.roles, principals, rows, nonce)


def _place(
    coroutine: Coroutine,
    children: list[_Child],
    sessions: dict[str, Session],
    peers: tuple[str, ...],
) -> None:
    """Puts an endpoint into every register that the instruction names."""
    for child in children:
        protocol = child.tables.protocol
        for register, role, player in zip(
            child.targets, protocol.roles, child.players, strict=True
        ):
            cell: EndpointState | EndpointElsewhere = EndpointElsewhere(protocol.name, role)
            if player not in peers:
                cell = sessions[child.item.name].endpoints[role]
                coroutine.owned[cell] = None
            coroutine.registers[register] = cell


def _opened(
    descriptor: BundleDescriptor, children: list[_Child], coroutine: Coroutine
) -> BundleOpened:
    rows = tuple(
        ChildRow(
            child.item.name,
            child.tables.id,
            child.tables.protocol.name,
            child.tables.protocol.roles,
            child.tables.labels,
            child.players,
        )
        for child in children
    )
    return BundleOpened(
        descriptor.bundle,
        descriptor.name,
        descriptor.roles,
        descriptor.principals,
        rows,
        descriptor.nonce,
        coroutine.id,
    )
