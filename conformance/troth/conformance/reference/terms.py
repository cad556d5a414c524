"""The terms of a session that is opened: how each edge is to be, and who stands behind roles."""

from __future__ import annotations

from troth.conformance.reference.world import Setup, Trap
from troth.vm.errors import Unusable
from troth.vm.events import EdgeConfig
from troth.vm.image import Bundle, EdgeSettings, Protocol
from troth.vm.instructions import Open
from troth.vm.local_types import edges, lossy_labels
from troth.vm.signatures import acceptable_key

_RESIZE_FACTOR = 16


def seal_of(setup: Setup, instruction: Open) -> str:
    """
    Raises:
        Trap: `open`, where nobody keeps the logs that a seal by round needs.
    """
    seal = setup.overrides.seal or instruction.options.seal or "message"
    if seal == "round" and not setup.seals_rounds:
        raise Trap("open")
    return str(seal)


def linger_of(instruction: Open) -> int:
    """
    Raises:
        Trap: `open`.
    """
    linger_ns = instruction.options.linger_ns
    if linger_ns is None:
        return 5_000_000_000
    if not 0 <= linger_ns < 2**63:
        raise Trap("open")
    return linger_ns


def edges_of(setup: Setup, protocol: Protocol, instruction: Open) -> tuple[EdgeConfig, ...]:
    """
    Raises:
        Trap: `open` or `limit`.
    """
    known = edges(protocol)
    bound = [(sender, receiver) for sender, receiver, _ in instruction.handlers]
    if any(edge not in known or bound.count(edge) > 1 for edge in bound):
        raise Trap("open")
    if any(handler != "local" for _, _, handler in instruction.handlers):
        raise Trap("open")
    return tuple(_edge(setup, protocol, instruction, *edge) for edge in known)


def _edge(
    setup: Setup, protocol: Protocol, instruction: Open, sender: str, receiver: str
) -> EdgeConfig:
    """The run's own word counts most, then the protocol's, then that of `open`."""
    said = EdgeSettings(sender=sender, receiver=receiver)
    for edge in protocol.edges:
        if (edge.sender, edge.receiver) == (sender, receiver):
            said = edge
    options, most = instruction.options, setup.limits.buffer_capacity_max
    capacity = next(n for n in (said.capacity, options.capacity, 64) if n is not None)
    policy = said.policy or options.policy or "block"
    largest = capacity
    if policy == "resize":
        grown = max(capacity, min(capacity * _RESIZE_FACTOR, most))
        largest = grown if said.resize_max is None else said.resize_max
    config = EdgeConfig(
        sender=sender,
        receiver=receiver,
        replay=str(setup.overrides.replay or said.replay or options.replay or "sequence"),
        buffer=str(said.buffer or "fifo"),
        capacity=capacity,
        policy=str(policy),
        resize_max=largest,
        payload=str(said.payload or "inline"),
        lossy=lossy_labels(protocol).get((sender, receiver), ()),
    )
    if not _can_hold(config):
        raise Trap("open")
    if largest > most:
        raise Trap("limit")
    return config._replace(rotate=_generation(setup, said, config))


def _can_hold(config: EdgeConfig) -> bool:
    latest, lossy = config.buffer == "latest", bool(config.lossy)
    return (
        not ((lossy or latest) and config.replay == "sequence")
        and not (latest and not lossy)
        and not (config.policy == "drop" and not lossy)
        and not (latest and config.policy == "resize")
        and 1 <= config.capacity <= config.resize_max
    )


def _generation(setup: Setup, said: EdgeSettings, config: EdgeConfig) -> int:
    if config.replay != "nullifier" or (config.lossy and said.rotate is None):
        return 0
    largest = setup.limits.generation_messages_max
    if said.rotate is None:
        return largest
    if said.rotate > largest:
        raise Trap("limit")
    return said.rotate


def principal_of(setup: Setup, owner: Protocol | Bundle, role: str) -> bytes:
    """
    Raises:
        Trap: `key`.
    """
    try:
        key = setup.roster.principal(owner.name, role)
    except Unusable as error:
        raise Trap("key") from error
    if not acceptable_key(key):
        raise Trap("key")
    return key
