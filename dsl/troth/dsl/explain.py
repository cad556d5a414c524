"""Why a protocol cannot be projected on a role, in words a newcomer can act on.

A conflict is two places a role may be at without knowing which. The branches taken to them first
differ at a choice that the role hears nothing about: that choice, its two branches and what the
role would have to do in each are what the diagnostic names. It ends with the two runs: what all
roles have done when this one, which saw the same in both, has to do different things.
"""

from __future__ import annotations

from typing import Final

from troth.dsl.ast import Span
from troth.dsl.budget import STEPS_MAX
from troth.dsl.diag import Diagnostic
from troth.dsl.global_type import Comm, EndNode, GlobalBranch, GlobalType
from troth.dsl.merge import ConflictKind
from troth.dsl.plural import count
from troth.dsl.project import Step, TooManyStates, Unprojectable
from troth.vm.limits import STATES_MAX
from troth.vm.local_text import duration, message

RUN_STEPS_MAX: Final = 12
"""Messages of a run that are written out: the last ones, up to where the two runs end."""


def explain(problem: Unprojectable, global_type: GlobalType, protocol: str) -> Diagnostic:
    """The diagnostic for a failed merge."""
    choice, left, right = _where_they_part(problem, global_type)
    role, conflict = problem.role, problem.conflict
    shown = conflict.label if conflict.kind is ConflictKind.FIELDS else None
    found = (
        _does(problem.left, role, global_type, shown),
        _does(problem.right, role, global_type, shown),
    )
    title = f"in {protocol}, {role} cannot tell which branch {choice.sender} chose"
    if left.crash or right.crash:
        title = f"in {protocol}, {role} cannot tell whether {choice.sender} has crashed"
    expected = f"the same next step for {role} in both branches, or a message that tells it"
    fix = _tell(problem, global_type, choice, (left, right))
    if conflict.kind is ConflictKind.FIELDS:
        title = f"in {protocol}, {conflict.label} comes to {role} with different fields"
        expected = f"the same fields with {conflict.label} in both branches, or different labels"
        fix = f"give the two messages different labels, or the same fields; or {fix}"
    return Diagnostic(
        code="project.merge",
        message=title,
        span=choice.span,
        expected=expected,
        found=f"after {left.label} {role} {found[0]}, but after {right.label} it {found[1]}",
        fix=fix,
        related=_related(problem, global_type, (left, right), found),
        notes=_two_runs(problem, global_type, found),
    )


def explain_size(problem: TooManyStates, protocol: str, span: Span) -> Diagnostic:
    """The diagnostic for a projection that is too large."""
    return Diagnostic(
        code="project.too_large",
        message=f"the local type of {problem.role} in {protocol} is too large",
        span=span,
        expected=f"at most {STATES_MAX} states, and {STEPS_MAX} steps for all of the script",
        fix=f"tell {problem.role} earlier which branches were taken, or divide the protocol",
    )


def _where_they_part(
    problem: Unprojectable, global_type: GlobalType
) -> tuple[Comm, GlobalBranch, GlobalBranch]:
    for (place, left), (_, right) in zip(problem.left_path, problem.right_path, strict=False):
        if left != right:
            choice = global_type.nodes[place]
            assert isinstance(choice, Comm)
            return choice, choice.branches[left], choice.branches[right]
    raise AssertionError("two places are reached by different branches")


def _does(place: int, role: str, global_type: GlobalType, shown: str | None = None) -> str:
    """In words what the role does at a place; `shown` is a label to show with its fields."""
    node = global_type.nodes[place]
    if isinstance(node, EndNode) or role not in (node.sender, node.receiver):
        return "is done"
    labels = [
        message(branch.label, branch.fields, branch.lossy) if shown else branch.label
        for branch in node.branches
        if shown is None or branch.label == shown
    ]
    listed = ", ".join(labels[:4]) + (", …" if len(labels) > 4 else "")
    if node.sender == role:
        within = f" within {duration(node.within_ns)}" if node.within_ns else ""
        return f"sends {listed} to {node.receiver}{within}"
    return f"waits for {listed} from {node.sender}"


def _tell(
    problem: Unprojectable,
    global_type: GlobalType,
    choice: Comm,
    branches: tuple[GlobalBranch, GlobalBranch],
) -> str:
    """What to add, in the branches where the chooser does not speak to the role first."""
    role = problem.role
    lines = []
    for place, branch in zip((problem.left, problem.right), branches, strict=True):
        # Who has crashed tells nobody; who was to hear from it does.
        chooser = choice.receiver if branch.crash else choice.sender
        node = global_type.nodes[place]
        told = isinstance(node, Comm) and (node.sender, node.receiver) == (chooser, role)
        if not told:
            told_by = "crashed" if branch.crash else branch.label
            lines.append(f"`{chooser} -> {role}: {told_by}()` after {branch.label}")
    if not lines:
        return f"let the first messages from {choice.sender} to {role} have labels of their own"
    if any(branch.crash for branch in branches):
        return f"tell {role} which branch was taken: add " + " and ".join(lines)
    return f"let {choice.sender} tell {role} which branch was taken: add " + " and ".join(lines)


def _related(
    problem: Unprojectable,
    global_type: GlobalType,
    branches: tuple[GlobalBranch, GlobalBranch],
    found: tuple[str, str],
) -> tuple[tuple[Span, str], ...]:
    places: list[tuple[Span, str]] = []
    for branch, does in zip(branches, found, strict=True):
        when = "after the crash" if branch.crash else f"if {branch.label} is chosen"
        places.append((branch.span, f"{when}, {problem.role} {does}"))
    for place, does in zip((problem.left, problem.right), found, strict=True):
        node = global_type.nodes[place]
        if isinstance(node, Comm) and problem.role in (node.sender, node.receiver):
            places.append((node.branches[0].span, f"here {problem.role} {does}"))
    return tuple(dict.fromkeys(places))


def _two_runs(
    problem: Unprojectable, global_type: GlobalType, found: tuple[str, str]
) -> tuple[str, ...]:
    role = problem.role
    lines = [f"two runs in which {role} has seen the same:"]
    for number, (path, does) in enumerate(
        zip((problem.left_path, problem.right_path), found, strict=True), start=1
    ):
        lines.append(f"  {number}. {_run(path, global_type)}; now {role} {does}")
    return tuple(lines)


def _run(path: tuple[Step, ...], global_type: GlobalType) -> str:
    """The messages on a way through the protocol, each with its line."""
    shown = path[-RUN_STEPS_MAX:]
    parts = []
    if len(shown) < len(path):
        earlier = len(path) - len(shown)
        parts.append(f"{count(earlier, 'earlier message')}")
    for number, taken in shown:
        node = global_type.nodes[number]
        assert isinstance(node, Comm)
        branch = node.branches[taken]
        does = f"{node.sender} -> {node.receiver}: {branch.label}"
        if branch.crash:
            does = f"{node.sender} crashes, which {node.receiver} notices"
        parts.append(f"{does} (line {branch.span.line})")
    return ", ".join(parts)
