"""What the loader checks of protocols, effects and types; and the tables it makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NoReturn, TypeAlias

from troth.vm.automata import reachable
from troth.vm.errors import Invalid, Place
from troth.vm.image import EdgeSettings, Effect, Image, Protocol
from troth.vm.instructions import BufferMode, Policy, ReplayMode
from troth.vm.limits import Limits
from troth.vm.loaded import ProtocolTables
from troth.vm.local_types import edges, is_canonical, labels, lossy_labels, protocol_id
from troth.vm.types import (
    CRASH,
    IN_TIME,
    LATE,
    EndpointType,
    Field,
    LocalType,
    State,
    StateKind,
    Transition,
    ValueType,
)
from troth.vm.value_types import has_endpoint

ROLES_MIN: Final = 2


def refuse(
    code: str, message: str, position: str, expected: str | None = None, actual: str | None = None
) -> NoReturn:
    raise Invalid(code, message, place=Place(position=position), expected=expected, actual=actual)


def require_distinct(names: Sequence[str], what: str, position: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            refuse("image.name", f"There are two {what} of one name", position, actual=name)
        seen.add(name)


# --- types ---------------------------------------------------------------------------------

KnownRoles: TypeAlias = frozenset[tuple[str, str]]
"""Every (protocol, role) of an image: what an endpoint can be of."""


def known_roles(image: Image) -> KnownRoles:
    return frozenset(
        (protocol.name, role) for protocol in image.protocols for role in protocol.roles
    )


def check_fields(known: KnownRoles, fields: tuple[Field, ...], position: str) -> None:
    """Names are distinct; an endpoint is a field of its own, of a role that exists."""
    require_distinct([field.name for field in fields], "fields", position)
    for field in fields:
        check_type(known, field.type, f"{position}.{field.name}")


def check_type(known: KnownRoles, kind: ValueType, position: str) -> None:
    """An endpoint is of a role that exists, and is never part of another value."""
    if not isinstance(kind, EndpointType):
        if has_endpoint(kind):
            refuse("image.type.endpoint", "An endpoint is part of another value", position)
    elif (kind.protocol, kind.role) not in known:
        refuse(
            "image.type.endpoint",
            "No protocol of the image has this role",
            position,
            actual=str(kind),
        )


def check_effects(effects: Sequence[Effect]) -> None:
    """Effects have names of their own and exchange values only."""
    require_distinct([effect.name for effect in effects], "effects", "effects")
    for place, effect in enumerate(effects):
        position = f"effects[{place}]"
        require_distinct([field.name for field in effect.parameters], "parameters", position)
        if any(has_endpoint(kind) for kind in (effect.result, *_types(effect.parameters))):
            refuse("image.type.endpoint", "An effect cannot hold an endpoint", position)


def _types(fields: Sequence[Field]) -> list[ValueType]:
    return [field.type for field in fields]


# --- protocols -----------------------------------------------------------------------------


def check_protocol(protocol: Protocol, known: KnownRoles, limits: Limits, position: str) -> None:
    """Everything that must hold for one protocol by itself.

    Raises:
        Invalid: `image.protocol.…`, `image.edge.…`, `image.name`, `image.type.endpoint`.
    """
    count = len(protocol.roles)
    if not ROLES_MIN <= count <= limits.roles_max:
        refuse(
            "image.protocol.roles",
            "A protocol has an impossible number of roles",
            position,
            f"{ROLES_MIN} to roles_max = {limits.roles_max}",
            str(count),
        )
    require_distinct(protocol.roles, "roles", position)
    if len(protocol.local_types) != count:
        refuse(
            "image.protocol.roles",
            "Every role has one local type",
            position,
            f"{count} local types",
            str(len(protocol.local_types)),
        )
    roles = frozenset(protocol.roles)
    for role, local in zip(protocol.roles, protocol.local_types, strict=True):
        _check_local_type(known, roles, role, local, f"{position}.{role}")
    _check_duality(protocol, position)
    _check_lossy_labels(protocol, position)
    _check_settings(protocol, limits, position)


def _check_local_type(
    known: KnownRoles, roles: frozenset[str], role: str, local: LocalType, position: str
) -> None:
    if not local.states:
        refuse("image.protocol.state", "A local type has no states", position)
    for number, state in enumerate(local.states):
        here = f"{position}.states[{number}]"
        _check_state(state, roles, role, len(local.states), here)
        _check_clock(local, state, here)
        _check_crash(local, state, here)
        for transition in state.transitions:
            check_fields(known, transition.fields, f"{here}.{transition.label}")
            if transition.lossy:
                _check_lossy(transition, number, f"{here}.{transition.label}")
    if not is_canonical(local):
        refuse(
            "image.protocol.canonical",
            "A local type is not in its canonical form",
            position,
            "a minimal automaton with breadth-first numbers",
        )


def _check_lossy(transition: Transition, number: int, here: str) -> None:
    """Its loss must not show: neither in the type, nor in who holds an endpoint."""
    if transition.next != number:
        refuse(
            "image.protocol.lossy",
            "A message that may be lost leads on",
            here,
            f"a branch back to state {number}",
            str(transition.next),
        )
    if any(has_endpoint(field.type) for field in transition.fields):
        refuse("image.protocol.lossy", "A message that may be lost carries an endpoint", here)


def _check_state(state: State, roles: frozenset[str], role: str, count: int, here: str) -> None:
    if state.kind is StateKind.END:
        if state.peer or state.transitions:
            refuse("image.protocol.state", "An end state leads on", here, "no peer, no branches")
        return
    if state.peer not in roles or state.peer == role:
        refuse(
            "image.protocol.peer",
            "A state names a peer that is no other role",
            here,
            " or ".join(sorted(roles - {role})),
            state.peer,
        )
    if not state.transitions:
        refuse("image.protocol.state", "A state offers no message", here, "at least one branch")
    for one, other in pairwise(state.transitions):
        if one.label >= other.label:
            refuse(
                "image.protocol.label",
                "Labels of a state do not ascend",
                here,
                f"a label after {one.label}",
                other.label,
            )
    for transition in state.transitions:
        if not 0 <= transition.next < count:
            refuse(
                "image.protocol.state",
                "A branch leads to no state",
                here,
                f"a state below {count}",
                str(transition.next),
            )


def _check_clock(local: LocalType, state: State, here: str) -> None:
    """A timed state leads to two choices of the same role that differ in every label."""
    if state.kind is not StateKind.TIMED:
        if state.within_ns:
            refuse("image.protocol.timed", "A state that is not timed has a clock", here)
        return
    if tuple(move.label for move in state.transitions) != (LATE, IN_TIME):
        refuse("image.protocol.timed", "A timed state has other branches than its two", here)
    if any(move.fields or move.lossy for move in state.transitions) or not state.within_ns:
        refuse("image.protocol.timed", "The branches of a timed state are no messages", here)
    in_time, late = local.states[state.after(IN_TIME)], local.states[state.after(LATE)]
    for choice in (in_time, late):
        if choice.kind is not StateKind.SEND or choice.peer != state.peer:
            refuse(
                "image.protocol.timed",
                "A timed state leads to something else than a choice",
                here,
                f"a message to {state.peer}",
            )
    shared = {move.label for move in in_time.transitions} & {x.label for x in late.transitions}
    if shared:
        refuse(
            "image.protocol.timed",
            "A choice in time and one that comes too late cannot be told apart",
            here,
            "different labels",
            min(shared),
        )


def _check_crash(local: LocalType, state: State, here: str) -> None:
    """Who waits for a role may see it crash; what follows is done without that role."""
    crash = next((move for move in state.transitions if move.label == CRASH), None)
    if crash is None:
        return
    if state.kind is not StateKind.RECV or crash.fields or crash.lossy:
        refuse("image.protocol.crash", "A crash is said or says something", here)
    if len(state.transitions) == 1:
        refuse(
            "image.protocol.crash",
            "Nothing but a crash can come",
            here,
            "a message beside the crash",
        )
    for number in reachable(local.states, crash.next):
        if local.states[number].peer == state.peer:
            refuse(
                "image.protocol.crash",
                "A role that has crashed takes part in what follows",
                here,
                f"no step with {state.peer}",
                f"state {number}",
            )


def _check_duality(protocol: Protocol, position: str) -> None:
    """Whatever one side can say somewhere, the other can hear somewhere, and the reverse."""
    sides: dict[StateKind, dict[tuple[str, str, str, tuple[Field, ...], bool], None]] = {
        StateKind.SEND: {},
        StateKind.RECV: {},
        StateKind.END: {},
    }
    for role, local in zip(protocol.roles, protocol.local_types, strict=True):
        for state in local.states:
            if state.kind is StateKind.TIMED:
                continue
            pair = (role, state.peer) if state.kind is StateKind.SEND else (state.peer, role)
            for transition in state.transitions:
                if transition.label == CRASH:
                    continue
                message = (*pair, transition.label, transition.fields, transition.lossy)
                sides[state.kind][message] = None
    for side, other, verb in (
        (StateKind.SEND, StateKind.RECV, "receives"),
        (StateKind.RECV, StateKind.SEND, "sends"),
    ):
        for message in sides[side]:
            if message not in sides[other]:
                sender, receiver, label, _, _ = message
                refuse(
                    "image.protocol.duality",
                    f"Nobody {verb} this message as its other side does",
                    position,
                    actual=f"{sender} -> {receiver}: {label}",
                )


def _check_lossy_labels(protocol: Protocol, position: str) -> None:
    """By its label and edge alone it is known of every message whether it may be lost."""
    lossy = lossy_labels(protocol)
    for role, local in zip(protocol.roles, protocol.local_types, strict=True):
        for state in local.states:
            for transition in state.transitions if state.kind is StateKind.SEND else ():
                if not transition.lossy and transition.label in lossy.get((role, state.peer), ()):
                    refuse(
                        "image.protocol.lossy",
                        "A message may be lost in one place and not in another",
                        position,
                        "lossy wherever it is sent on this edge, or nowhere",
                        f"{role} -> {state.peer}: {transition.label}",
                    )


# --- edge settings -------------------------------------------------------------------------


def _check_settings(protocol: Protocol, limits: Limits, position: str) -> None:
    pairs = [(edge.sender, edge.receiver) for edge in protocol.edges]
    if any(one >= other for one, other in pairwise(pairs)):
        refuse("image.edge.order", "Edge settings are not sorted or not distinct", position)
    known = frozenset(edges(protocol))
    lossy = lossy_labels(protocol)
    for edge in protocol.edges:
        here = f"{position}.{edge.sender} -> {edge.receiver}"
        if (edge.sender, edge.receiver) not in known:
            refuse("image.edge.unknown", "The protocol sends nothing on this edge", here)
        _check_edge(edge, limits, here)
        _check_loss(edge, here, lossy=(edge.sender, edge.receiver) in lossy)


def _check_edge(edge: EdgeSettings, limits: Limits, here: str) -> None:
    largest = limits.buffer_capacity_max
    for name, number in (("capacity", edge.capacity), ("resize", edge.resize_max)):
        if number is not None and not 1 <= number <= largest:
            expected = f"1 to buffer_capacity_max = {largest}"
            refuse("image.edge.settings", f"The {name} is impossible", here, expected, str(number))
    if edge.rotate is not None and not 1 <= edge.rotate <= limits.generation_messages_max:
        expected = f"1 to generation_messages_max = {limits.generation_messages_max}"
        refuse(
            "image.edge.settings", "The rotation is impossible", here, expected, str(edge.rotate)
        )
    if edge.rotate is not None and edge.replay not in (None, ReplayMode.NULLIFIER):
        refuse("image.edge.settings", "Only an edge in mode nullifier has generations", here)
    if edge.resize_max is not None and edge.policy is not Policy.RESIZE:
        refuse("image.edge.settings", "Only the policy resize has a maximum", here)
    if edge.resize_max is not None and edge.resize_max < (edge.capacity or 1):
        refuse("image.edge.settings", "The buffer cannot shrink to its maximum", here)
    if edge.buffer is BufferMode.LATEST and edge.policy is Policy.RESIZE:
        refuse("image.edge.settings", "A buffer that overwrites messages does not grow", here)


def _check_loss(edge: EdgeSettings, here: str, *, lossy: bool) -> None:
    """Where messages may be lost no sequence can be kept, and only there they are."""
    latest = edge.buffer is BufferMode.LATEST
    if (latest or lossy) and edge.replay is ReplayMode.SEQUENCE:
        refuse(
            "image.edge.settings",
            "An edge whose messages may be lost cannot keep a sequence",
            here,
            "replay = nullifier or off",
        )
    if (latest or edge.policy is Policy.DROP) and not lossy:
        refuse(
            "image.edge.settings",
            "Nothing on this edge may be overwritten or dropped",
            here,
            "buffer = fifo and policy = block, error or resize, or lossy messages",
        )


# --- tables --------------------------------------------------------------------------------


def tables(protocol: Protocol) -> ProtocolTables:
    """The lookup tables of a protocol that passed every check."""
    known = labels(protocol.local_types)
    return ProtocolTables(
        protocol=protocol,
        id=protocol_id(protocol),
        role_index={role: index for index, role in enumerate(protocol.roles)},
        states=tuple(local.states for local in protocol.local_types),
        branches=tuple(
            tuple(
                {transition.label: transition for transition in state.transitions}
                for state in local.states
            )
            for local in protocol.local_types
        ),
        labels=known,
        label_index={label: index for index, label in enumerate(known)},
        edges=edges(protocol),
        edge_settings={(edge.sender, edge.receiver): edge for edge in protocol.edges},
        lossy=lossy_labels(protocol),
    )
