"""Projection as the textbook has it, on terms, for comparison in tests.

It merges terms and knows recursion variables only by name, so it refuses more than the walk over
sets of places does. What it accepts must come out the same.
"""

from __future__ import annotations

from troth.dsl.global_type import EndNode, GlobalType
from troth.vm.types import Branch, End, Mu, Recv, Send, Term, Timed, Var

NODES_MAX = 2_000


class CannotTellError(Exception):
    """The textbook's merge is not defined, or the term is too large to compare."""


def project_term(global_type: GlobalType, role: str) -> Term:
    """Raises `CannotTellError`."""
    return _Walk(global_type, role).project(global_type.start, frozenset())


class _Walk:
    def __init__(self, global_type: GlobalType, role: str) -> None:
        self.global_type = global_type
        self.role = role
        self.nodes_left = NODES_MAX

    def project(self, number: int, above: frozenset[int]) -> Term:
        """Every node binds a variable of its own; those never used are left out."""
        if number in above:
            return Var(f"X{number}")
        self.nodes_left -= 1
        if self.nodes_left < 0:
            raise CannotTellError
        body = self.body(number, above | {number})
        variable = f"X{number}"
        if body == Var(variable):
            return End()
        return Mu(variable, body) if variable in _free(body) else body

    def body(self, number: int, above: frozenset[int]) -> Term:
        node = self.global_type.nodes[number]
        if isinstance(node, EndNode):
            return End()
        branches = tuple(
            Branch(branch.label, branch.fields, self.project(branch.next, above), branch.lossy)
            for branch in node.branches
        )
        if node.sender == self.role and node.within_ns:
            late = {branch.label for branch in node.branches if branch.late}
            sends = [
                Send(node.receiver, tuple(x for x in branches if (x.label in late) is is_late))
                for is_late in (False, True)
            ]
            return Timed(node.receiver, node.within_ns, *sends)
        if node.sender == self.role:
            return Send(node.receiver, branches)
        if node.receiver == self.role:
            return Recv(node.sender, branches)
        merged = branches[0].continuation
        for branch in branches[1:]:
            merged = _merge(merged, branch.continuation)
        return merged


def _free(term: Term) -> frozenset[str]:
    match term:
        case Var():
            return frozenset({term.name})
        case Mu():
            return _free(term.body) - {term.variable}
        case Send() | Recv():
            free = [_free(branch.continuation) for branch in term.branches]
            return frozenset[str]().union(*free)
        case End():
            return frozenset()
        case Timed():
            return _free(term.in_time) | _free(term.late)


def _merge(left: Term, right: Term) -> Term:
    if left == right:
        return left
    match left, right:
        case Mu(), Mu() if left.variable == right.variable:
            return Mu(left.variable, _merge(left.body, right.body))
        case Send(), Send() if left.peer == right.peer:
            if {b.label for b in left.branches} != {b.label for b in right.branches}:
                raise CannotTellError
            return Send(left.peer, _unite(left.branches, right.branches))
        case Recv(), Recv() if left.peer == right.peer:
            return Recv(left.peer, _unite(left.branches, right.branches))
    raise CannotTellError


def _unite(left: tuple[Branch, ...], right: tuple[Branch, ...]) -> tuple[Branch, ...]:
    united = {branch.label: branch for branch in left}
    for branch in right:
        known = united.setdefault(branch.label, branch)
        if known.fields != branch.fields:
            raise CannotTellError
        merged = _merge(known.continuation, branch.continuation)
        united[branch.label] = Branch(branch.label, branch.fields, merged, branch.lossy)
    return tuple(united.values())
