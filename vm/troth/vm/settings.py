"""How a session's edges come to their settled configuration.

For each setting the strongest voice wins:

1. the run's own override (`troth run --replay M`), which replaces whatever the script says;
2. what the protocol fixes for the edge (`edge A -> B: …`);
3. the options of the `open` instruction;
4. the machine's default.

What cannot hold is refused at open, with `vm.fault.open` or `vm.fault.limit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from troth.vm.errors import Fault
from troth.vm.events import EdgeConfig
from troth.vm.faults import fault
from troth.vm.image import EdgeSettings
from troth.vm.instructions import (
    BufferMode,
    OpenOptions,
    PayloadForm,
    Policy,
    ReplayMode,
    Seal,
)
from troth.vm.limits import Limits
from troth.vm.loaded import ProtocolTables
from troth.vm.values import INT_MAX

REPLAY_DEFAULT: Final = ReplayMode.SEQUENCE
SEAL_DEFAULT: Final = Seal.MESSAGE
CAPACITY_DEFAULT: Final = 64
POLICY_DEFAULT: Final = Policy.BLOCK
LINGER_NS_DEFAULT: Final = 5_000_000_000
RESIZE_FACTOR_DEFAULT: Final = 16
"""A `resize` edge without a maximum of its own may grow to this many times its capacity."""

LOCAL_HANDLER: Final = "local"
"""The handler of every edge that `open` does not bind: a buffer in this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the run decides over the script's head; `None` leaves the script its say."""

    replay: ReplayMode | None = None
    seal: Seal | None = None


NO_OVERRIDES: Final = Overrides()


@dataclass(frozen=True, slots=True)
class Settled:
    """The configuration of one session, ready for its descriptor."""

    edges: tuple[EdgeConfig, ...]
    seal: Seal
    linger_ns: int


def settle(
    tables: ProtocolTables,
    options: OpenOptions,
    handlers: tuple[tuple[str, str, str], ...],
    overrides: Overrides,
    limits: Limits,
) -> Settled:
    """Settles everything that `open` leaves open.

    Raises:
        Fault: `vm.fault.open` for a setting that cannot hold, `vm.fault.limit` for one too big.
    """
    seal = overrides.seal or options.seal or SEAL_DEFAULT
    linger_ns = LINGER_NS_DEFAULT if options.linger_ns is None else options.linger_ns
    if not 0 <= linger_ns <= INT_MAX:
        raise _refuse("linger", "0 to 2^63-1 nanoseconds", linger_ns, "Choose a shorter linger")
    _check_handlers(tables, handlers)
    edges = tuple(
        _settle_edge(tables, sender, receiver, options, overrides, limits)
        for sender, receiver in tables.edges
    )
    return Settled(edges, seal, linger_ns)


def _settle_edge(
    tables: ProtocolTables,
    sender: str,
    receiver: str,
    options: OpenOptions,
    overrides: Overrides,
    limits: Limits,
) -> EdgeConfig:
    fixed = tables.edge_settings.get((sender, receiver))
    if fixed is None:
        fixed = EdgeSettings(sender=sender, receiver=receiver)
    policy = fixed.policy or options.policy or POLICY_DEFAULT
    capacity = _first(fixed.capacity, options.capacity, CAPACITY_DEFAULT)
    config = EdgeConfig(
        sender=sender,
        receiver=receiver,
        replay=(overrides.replay or fixed.replay or options.replay or REPLAY_DEFAULT).value,
        buffer=(fixed.buffer or BufferMode.FIFO).value,
        capacity=capacity,
        policy=policy.value,
        resize_max=_resize_max(fixed, policy, capacity, limits),
        payload=(fixed.payload or PayloadForm.INLINE).value,
        lossy=tables.lossy.get((sender, receiver), ()),
    )
    _check_edge(config, limits)
    return config._replace(rotate=_rotate(fixed, config, limits))


def _rotate(fixed: EdgeSettings, config: EdgeConfig, limits: Limits) -> int:
    """How many messages a generation has; only a set of nullifiers is ever dropped."""
    if config.replay != ReplayMode.NULLIFIER or (config.lossy and fixed.rotate is None):
        return 0
    largest = limits.generation_messages_max
    if fixed.rotate is not None and fixed.rotate > largest:
        raise fault(
            "vm.fault.limit",
            f"edge {config.sender} -> {config.receiver}: its generations would be too large",
            expected=f"at most generation_messages_max = {largest} messages",
            actual=str(fixed.rotate),
        )
    return largest if fixed.rotate is None else fixed.rotate


def _first(*candidates: int | None) -> int:
    return next(candidate for candidate in candidates if candidate is not None)


def _resize_max(fixed: EdgeSettings, policy: Policy, capacity: int, limits: Limits) -> int:
    if policy is not Policy.RESIZE:
        return capacity
    if fixed.resize_max is not None:
        return fixed.resize_max
    return max(capacity, min(capacity * RESIZE_FACTOR_DEFAULT, limits.buffer_capacity_max))


def _check_edge(config: EdgeConfig, limits: Limits) -> None:
    edge = f"edge {config.sender} -> {config.receiver}: "
    if (config.lossy or config.buffer != BufferMode.FIFO) and config.replay == ReplayMode.SEQUENCE:
        advice = "Messages here may be lost: use replay = nullifier"
        raise _refuse(edge + "replay", "nullifier or off", config.replay, advice)
    if config.buffer != BufferMode.FIFO and not config.lossy:
        advice = "Messages here are not declared lossy: leave out buffer = latest"
        raise _refuse(edge + "buffer", "fifo", config.buffer, advice)
    if config.policy == Policy.DROP and not config.lossy:
        advice = "Messages here are not declared lossy: use policy = block, error or resize"
        raise _refuse(edge + "policy", "block, error or resize", config.policy, advice)
    if config.buffer != BufferMode.FIFO and config.policy == Policy.RESIZE:
        advice = "A buffer that overwrites does not grow: use policy = block, drop or error"
        raise _refuse(edge + "policy", "block, drop or error", config.policy, advice)
    if config.capacity < 1:
        raise _refuse(edge + "capacity", "at least 1", config.capacity, "Choose a capacity above 0")
    if config.resize_max < config.capacity:
        advice = "Let resize grow the buffer, not shrink it"
        raise _refuse(edge + "resize", f"at least {config.capacity}", config.resize_max, advice)
    if config.resize_max > limits.buffer_capacity_max:
        raise fault(
            "vm.fault.limit",
            edge + "the buffer would be too large",
            expected=f"at most buffer_capacity_max = {limits.buffer_capacity_max} messages",
            actual=str(config.resize_max),
        )


def _check_handlers(tables: ProtocolTables, handlers: tuple[tuple[str, str, str], ...]) -> None:
    bound: set[tuple[str, str]] = set()
    for sender, receiver, handler in handlers:
        edge = f"edge {sender} -> {receiver}: "
        if (sender, receiver) not in tables.edges:
            raise _refuse(edge + "handler", "an edge of the protocol", "none", "Bind another edge")
        if (sender, receiver) in bound:
            raise _refuse(edge + "handler", "one binding", "two", "Bind each edge once")
        if handler != LOCAL_HANDLER:
            advice = f"Only the handler {LOCAL_HANDLER!r} carries edges in this machine"
            raise _refuse(edge + "handler", LOCAL_HANDLER, handler, advice)
        bound.add((sender, receiver))


def _refuse(what: str, expected: str, actual: object, advice: str) -> Fault:
    return fault(
        "vm.fault.open",
        f"{what} cannot be as it is",
        expected=expected,
        actual=str(actual),
        advice=advice,
    )
