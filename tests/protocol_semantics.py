"""What local types do when they run, for tests: the asynchronous semantics, explored.

`explore` tries every interleaving of the local types over bounded first-in first-out queues, with
every loss and every clock that runs out, and reports the first thing that must not happen.
`follow` checks that the local types can do everything the global type says, and offer nothing
else where a choice is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from troth.dsl.global_type import EndNode, GlobalType
from troth.vm.types import IN_TIME, LATE, Field, LocalType, State, StateKind, Transition

Message: TypeAlias = tuple[str, tuple[Field, ...]]


@dataclass(frozen=True)
class Configuration:
    """Where every role is, and what is in flight on every edge, in the order of `_Run.edges`."""

    places: tuple[int, ...]
    queues: tuple[tuple[Message, ...], ...]


@dataclass(frozen=True)
class _Run:
    roles: tuple[str, ...]
    types: tuple[LocalType, ...]
    edges: tuple[tuple[str, str], ...]
    capacity: int
    lossy: tuple[frozenset[str], ...]
    """The labels of messages that may be lost, by edge."""

    def state(self, configuration: Configuration, number: int) -> State:
        return self.types[number].states[configuration.places[number]]

    def moves(self, configuration: Configuration) -> Iterator[tuple[str, Configuration]]:
        """Every step that is possible, with its name; raises `Stuck` for a bad message."""
        for edge, queue in enumerate(configuration.queues):
            for place, (label, _) in enumerate(queue):
                if label in self.lossy[edge]:
                    left = (*queue[:place], *queue[place + 1 :])
                    yield f"{label} is lost", _queued(configuration, edge, left)
        for number, role in enumerate(self.roles):
            state = self.state(configuration, number)
            if state.kind is StateKind.TIMED:
                for move in state.transitions:
                    yield f"{role}: {move.label}", _placed(configuration, number, move.next)
            elif state.kind is StateKind.SEND:
                edge = self.edges.index((role, state.peer))
                queue = configuration.queues[edge]
                if len(queue) < self.capacity:
                    for move in state.transitions:
                        after = (*queue, (move.label, move.fields))
                        name = f"{role} sends {move.label} to {state.peer}"
                        yield name, _moved(configuration, number, move.next, edge, after)
            elif state.kind is StateKind.RECV:
                edge = self.edges.index((state.peer, role))
                queue = configuration.queues[edge]
                if queue:
                    move = self.accepted(role, state, queue[0])
                    name = f"{role} receives {move.label} from {state.peer}"
                    yield name, _moved(configuration, number, move.next, edge, queue[1:])

    def accepted(self, role: str, state: State, message: Message) -> Transition:
        for move in state.transitions:
            if (move.label, move.fields) == message:
                return move
        raise Stuck(f"{role} cannot receive {message[0]} from {state.peer}")

    def problem(self, configuration: Configuration, *, blocked: bool) -> str | None:
        ended = []
        for number, role in enumerate(self.roles):
            if self.state(configuration, number).kind is StateKind.END:
                ended.append(role)
                for (_, receiver), queue in zip(self.edges, configuration.queues, strict=True):
                    if receiver == role and queue:
                        return f"{queue[0][0]} is sent to {role}, which has ended"
        if blocked and len(ended) < len(self.roles):
            return f"nobody can go on, but only {ended} have ended"
        return None


class Stuck(Exception):
    """A message arrived that its receiver does not expect."""


def explore(
    types: Mapping[str, LocalType], *, capacity: int, configurations_max: int
) -> str | None:
    """The first problem found, with the steps that lead to it, or None.

    Breadth first, up to `configurations_max` configurations.
    """
    roles = tuple(types)
    edges = tuple((a, b) for a in roles for b in roles if a != b)
    lossy = tuple(_lossy(types[sender], receiver) for sender, receiver in edges)
    run = _Run(roles, tuple(types.values()), edges, capacity, lossy)
    start = Configuration((0,) * len(roles), ((),) * len(edges))
    came: dict[Configuration, tuple[Configuration, str] | None] = {start: None}
    queue = [start]
    for configuration in queue:
        try:
            moves = list(run.moves(configuration))
        except Stuck as stuck:
            return _story(configuration, came, str(stuck))
        problem = run.problem(configuration, blocked=not moves)
        if problem is not None:
            return _story(configuration, came, problem)
        for name, after in moves:
            if after not in came and len(came) < configurations_max:
                came[after] = (configuration, name)
                queue.append(after)
    return None


def _moved(
    configuration: Configuration,
    role: int,
    place: int,
    edge: int,
    queue: tuple[Message, ...],
) -> Configuration:
    places, queues = list(configuration.places), list(configuration.queues)
    places[role], queues[edge] = place, queue
    return Configuration(tuple(places), tuple(queues))


def _lossy(sender: LocalType, receiver: str) -> frozenset[str]:
    return frozenset(
        move.label
        for state in sender.states
        if state.kind is StateKind.SEND and state.peer == receiver
        for move in state.transitions
        if move.lossy
    )


def _queued(configuration: Configuration, edge: int, after: tuple[Message, ...]) -> Configuration:
    queues = list(configuration.queues)
    queues[edge] = after
    return Configuration(configuration.places, tuple(queues))


def _placed(configuration: Configuration, role: int, place: int) -> Configuration:
    places = list(configuration.places)
    places[role] = place
    return Configuration(tuple(places), configuration.queues)


def _story(
    configuration: Configuration,
    came: Mapping[Configuration, tuple[Configuration, str] | None],
    problem: str,
) -> str:
    steps: list[str] = []
    step = came[configuration]
    while step is not None:
        steps.append(step[1])
        step = came[step[0]]
    return "\n".join([*reversed(steps), problem])


def follow(global_type: GlobalType, types: Mapping[str, LocalType]) -> str | None:
    """What the local types cannot do although the global type says so, or None."""
    roles = tuple(types)
    start = (global_type.start, (0,) * len(roles))
    seen = {start}
    pending = [start]
    while pending:
        number, places = pending.pop()
        node = global_type.nodes[number]
        states = {
            role: types[role].states[place] for role, place in zip(roles, places, strict=True)
        }
        if isinstance(node, EndNode):
            late = [role for role in roles if states[role].kind is not StateKind.END]
            if late:
                return f"the protocol ends, but not for {late}"
            continue
        receiver = states[node.receiver]
        labels = [(branch.label, branch.fields, branch.late) for branch in node.branches]
        senders = list(_senders(types[node.sender], states[node.sender], node.within_ns))
        offered = [
            (move.label, move.fields, late) for one, late in senders for move in one.transitions
        ]
        if any((one.kind, one.peer) != (StateKind.SEND, node.receiver) for one, _ in senders):
            return f"{node.sender} does not send {labels} to {node.receiver}"
        if sorted(labels, key=str) != sorted(offered, key=str):
            return f"{node.sender} offers {offered} instead of {labels}"
        if (receiver.kind, receiver.peer) != (StateKind.RECV, node.sender):
            return f"{node.receiver} does not receive {labels} from {node.sender}"
        for branch in node.branches:
            moved = dict(zip(roles, places, strict=True))
            (sender,) = [one for one, late in senders if late == branch.late]
            for role, state in ((node.sender, sender), (node.receiver, receiver)):
                message = (branch.label, branch.fields)
                found = [m.next for m in state.transitions if (m.label, m.fields) == message]
                if not found:
                    return f"{role} does not know {branch.label}"
                moved[role] = found[0]
            after = (branch.next, tuple(moved.values()))
            if after not in seen:
                seen.add(after)
                pending.append(after)
    return None


def _senders(local: LocalType, state: State, within_ns: int) -> Iterator[tuple[State, bool]]:
    """The state in which a role chooses, or the two of them where it has a clock."""
    if within_ns == 0 or state.kind is not StateKind.TIMED or state.within_ns != within_ns:
        yield state, False
    else:
        yield local.states[state.after(IN_TIME)], False
        yield local.states[state.after(LATE)], True
