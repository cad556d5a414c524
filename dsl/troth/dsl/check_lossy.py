"""Messages that may be lost, and the settings of edges that lose some.

The loss of a message must not show. So sending and receiving it leads both sides back to where
they were: it is a step from a state of the local type to the same state. What leaves the loop is
another message, and always arrives. Only where messages may be lost can a buffer overwrite or
drop any, and there no sequence can be kept, for a number may be missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from troth.dsl.ast import Span
from troth.dsl.check_edges import EdgeSetting
from troth.dsl.diag import Diagnostic
from troth.dsl.global_type import Comm, GlobalBranch, GlobalType
from troth.dsl.report import Report
from troth.vm.instructions import BufferMode, Policy, ReplayMode
from troth.vm.types import EndpointType, LocalType, StateKind


def check_messages(global_type: GlobalType, report: Report) -> None:
    """A message that may be lost carries no endpoint, and may be lost wherever it is sent."""
    first: dict[tuple[str, str, str], GlobalBranch] = {}
    for comm, branch in _branches(global_type):
        key = (comm.sender, comm.receiver, branch.label)
        earlier = first.setdefault(key, branch)
        if earlier.lossy != branch.lossy:
            report.add(_only_sometimes(key, branch, earlier))
        if branch.lossy and any(isinstance(item.type, EndpointType) for item in branch.fields):
            report.add(_carries_endpoint(branch))


def check_local_types(
    global_type: GlobalType, local_types: Mapping[str, LocalType], report: Report
) -> None:
    """Messages that may be lost leave both sides where they are; the types are minimal."""
    reported: set[tuple[str, str, str]] = set()
    for role, local in local_types.items():
        for number, state in enumerate(local.states):
            for transition in state.transitions:
                pair = (role, state.peer) if state.kind is StateKind.SEND else (state.peer, role)
                key = (*pair, transition.label)
                if transition.lossy and transition.next != number and key not in reported:
                    reported.add(key)
                    report.add(_leads_on(role, key, _written(global_type, key)))


def check_settings(
    global_type: GlobalType, settings: Iterable[EdgeSetting], report: Report
) -> None:
    """What an edge's settings can be, by whether messages may be lost there."""
    lossy = {
        (comm.sender, comm.receiver): branch
        for comm, branch in _branches(global_type)
        if branch.lossy
    }
    for item in settings:
        message = lossy.get((item.sender, item.receiver))
        if message is None and item.value in (BufferMode.LATEST, Policy.DROP):
            report.add(_needs_lossy(item))
        elif message is not None and item.value is ReplayMode.SEQUENCE:
            report.add(_no_sequence(item, message))


def _branches(global_type: GlobalType) -> Iterator[tuple[Comm, GlobalBranch]]:
    return ((comm, branch) for comm in global_type.comms() for branch in comm.branches)


def _written(global_type: GlobalType, key: tuple[str, str, str]) -> Span:
    spans: Mapping[tuple[str, str, str], Span] = {
        (comm.sender, comm.receiver, branch.label): branch.span
        for comm, branch in _branches(global_type)
        if branch.lossy
    }
    return spans[key]


def _leads_on(role: str, key: tuple[str, str, str], span: Span) -> Diagnostic:
    sender, receiver, label = key
    verb = "sends" if role == sender else "receives"
    return Diagnostic(
        code="protocol.message.lossy",
        message=f"{label} cannot be lost: {role} goes on elsewhere after it {verb} it",
        span=span,
        expected=f"a loop in which {label} leads {role} back to where it {verb} it",
        found=f"{sender} -> {receiver}: {label}, which leads on",
        fix=f"let it stand alone in a `loop at {sender}:`, or leave `lossy` out",
    )


def _only_sometimes(
    key: tuple[str, str, str], branch: GlobalBranch, earlier: GlobalBranch
) -> Diagnostic:
    sender, receiver, label = key
    return Diagnostic(
        code="protocol.message.lossy",
        message=f"{label} may be lost in one place and not in another",
        span=branch.span,
        expected=f"`lossy` behind every {label} of {sender} -> {receiver}, or behind none",
        found="lossy here only" if branch.lossy else "not lossy here",
        fix="use another label for one of the two",
        related=((earlier.span, "the other is here"),),
    )


def _carries_endpoint(branch: GlobalBranch) -> Diagnostic:
    return Diagnostic(
        code="protocol.message.lossy",
        message=f"{branch.label} cannot be lost: an endpoint would be lost with it",
        span=branch.span,
        expected="fields that hold values only",
        found="an endpoint",
        fix="leave `lossy` out",
    )


def _needs_lossy(item: EdgeSetting) -> Diagnostic:
    assert isinstance(item.value, BufferMode | Policy), "these are the settings that lose"
    found = f"{item.key} = {item.value.value}"
    return Diagnostic(
        code="protocol.edge.lossy",
        message=f"{found} would lose messages that the receiver must get",
        span=item.span,
        expected=f"a message of {item.sender} -> {item.receiver} that may be lost",
        found=f"{found}, and none is `lossy`",
        fix="use buffer = fifo, with policy = block, error or resize{n}",
    )


def _no_sequence(item: EdgeSetting, message: GlobalBranch) -> Diagnostic:
    return Diagnostic(
        code="protocol.edge.combination",
        message=f"replay = sequence cannot hold where {message.label} may be lost",
        span=item.span,
        expected="replay = nullifier or off",
        found="replay = sequence",
        fix="write replay = nullifier",
        related=((message.span, "this message may be lost"),),
    )
