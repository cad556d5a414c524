"""Minimal automata of local types: the canonical form that makes equal types equal values.

Two states are the same when they have the same kind, peer, clock, labels, fields and lossy
messages, and the same labels lead to the same states. Hopcroft's partition refinement finds the
coarsest such partition in n log n steps; breadth-first numbering, labels in ascending order, fixes
the names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from troth.vm.errors import LimitExceeded
from troth.vm.limits import STATES_MAX
from troth.vm.types import CRASH, LocalType, State


def minimise(states: Sequence[State], start: int = 0) -> LocalType:
    """The canonical form of the automaton that begins in `states[start]`.

    Transitions must be sorted by label, labels distinct, and `next` an index into `states`.

    Raises:
        LimitExceeded: `type.size`, when more than `STATES_MAX` states are left.
    """
    block_of = _refine(states, reachable(states, start))
    return _number(states, block_of, start)


def reachable(states: Sequence[State], start: int) -> list[int]:
    """The states that some path leads to from `start`, which is the first of them."""
    found = {start: None}
    queue = [start]
    for number in queue:
        for transition in states[number].transitions:
            if transition.next not in found:
                found[transition.next] = None
                queue.append(transition.next)
    return queue


def survivable(states: Sequence[State]) -> tuple[frozenset[str], ...]:
    """For each state, the roles of which a crash can be met by a transition `CRASH` from there on.

    Nobody has to have crashed, and what has to come before may never come: this says only where
    somebody may still be waited for who can be missed.
    """
    found: list[frozenset[str]] = [frozenset()] * len(states)
    met: dict[str, list[int]] = {}
    for number, state in enumerate(states):
        if any(transition.label == CRASH for transition in state.transitions):
            met.setdefault(state.peer, []).append(number)
    if not met:
        return tuple(found)
    before: list[list[int]] = [[] for _ in states]
    for number, state in enumerate(states):
        for transition in state.transitions:
            before[transition.next].append(number)
    for role, places in met.items():
        pending = list(places)
        while pending:
            number = pending.pop()
            if role not in found[number]:
                found[number] |= {role}
                pending += before[number]
    return tuple(found)


def _refine(states: Sequence[State], reachable: Sequence[int]) -> dict[int, int]:
    """The block of every reachable state."""
    block_of, blocks = _first_partition(states, reachable)
    sources: dict[int, list[tuple[int, int]]] = {number: [] for number in reachable}
    for number in reachable:
        for position, transition in enumerate(states[number].transitions):
            sources[transition.next].append((position, number))
    pending = list(range(len(blocks)))
    is_pending = [True] * len(blocks)
    while pending:
        splitter = pending.pop()
        is_pending[splitter] = False
        hits: dict[int, list[int]] = {}
        for target in blocks[splitter]:
            for position, source in sources[target]:
                hits.setdefault(position, []).append(source)
        for inside in hits.values():
            _split(inside, block_of, blocks, pending, is_pending)
    return block_of


def _first_partition(
    states: Sequence[State], reachable: Sequence[int]
) -> tuple[dict[int, int], list[dict[int, None]]]:
    """States that look alike, wherever they lead. Blocks are dicts: sets that keep order."""
    by_look: dict[object, int] = {}
    block_of: dict[int, int] = {}
    blocks: list[dict[int, None]] = []
    for number in reachable:
        state = states[number]
        labels = tuple((move.label, move.fields, move.lossy) for move in state.transitions)
        block = by_look.setdefault((state.kind, state.peer, state.within_ns, labels), len(blocks))
        if block == len(blocks):
            blocks.append({})
        blocks[block][number] = None
        block_of[number] = block
    return block_of, blocks


def _split(
    inside: Sequence[int],
    block_of: dict[int, int],
    blocks: list[dict[int, None]],
    pending: list[int],
    is_pending: list[bool],
) -> None:
    """Parts every block that is only partly `inside`, and queues the smaller half."""
    touched: dict[int, list[int]] = {}
    for number in inside:
        touched.setdefault(block_of[number], []).append(number)
    for block, members in touched.items():
        if len(members) == len(blocks[block]):
            continue
        new = len(blocks)
        blocks.append(dict.fromkeys(members))
        is_pending.append(False)
        for number in members:
            del blocks[block][number]
            block_of[number] = new
        smaller = new if len(blocks[new]) <= len(blocks[block]) else block
        chosen = new if is_pending[block] else smaller
        is_pending[chosen] = True
        pending.append(chosen)


def _number(states: Sequence[State], block_of: dict[int, int], start: int) -> LocalType:
    numbers = {block_of[start]: 0}
    representatives = [start]
    result: list[State] = []
    for representative in representatives:
        state = states[representative]
        transitions = []
        for transition in state.transitions:
            block = block_of[transition.next]
            if block not in numbers:
                numbers[block] = len(representatives)
                representatives.append(transition.next)
            transitions.append(replace(transition, next=numbers[block]))
        result.append(replace(state, transitions=tuple(transitions)))
        if len(representatives) > STATES_MAX:
            raise LimitExceeded(
                "type.size",
                "A local type has too many states",
                expected=f"at most {STATES_MAX} states",
                advice="Split the protocol into sub-protocols with sessions of their own",
            )
    return LocalType(tuple(result))
