"""From the raw graph of expansion to the global type.

Follows the jumps, finds the messages every choice starts with (through nested choices, `do` and
`continue`), and checks the rules of choice: the chooser sends the first message of each branch,
all to one receiver, all with different labels. A place that leads back to itself without any
message is unguarded.

The checks look at every place that can be reached, also behind something refused; the global type
is built only when nothing was.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from troth.dsl.ast import ProtocolDecl, Span
from troth.dsl.diag import Diagnostic
from troth.dsl.global_type import Comm, EndNode, GlobalBranch, GlobalNode, GlobalType
from troth.dsl.raw_graph import Jump, RawChoice, RawGraph, RawMessage, RawNode, Refused, TooLarge
from troth.dsl.report import Report
from troth.vm.types import CRASH


def close_graph(graph: RawGraph, declaration: ProtocolDecl, report: Report) -> GlobalType | None:
    """The global type, or None after diagnostics. Raises `TooLarge`."""
    closer = _Closer(graph, report)
    closer.check_guarded()
    closer.check_choices()
    if report.failed:
        return None
    return closer.build(declaration.span)


@dataclass(frozen=True, slots=True)
class _First:
    """What branch number `arm` of a choice starts with; a nested choice gives several."""

    arm: int
    raw: int
    branch_span: Span


@dataclass(slots=True)
class _Closer:
    graph: RawGraph
    report: Report
    refused: set[int] = field(default_factory=set)
    """Where a loop without a message closes: not followed when choices are checked."""

    # --- guardedness ---------------------------------------------------------------------

    def check_guarded(self) -> None:
        """Depth first over the places without a message; an edge to a place on the way down
        closes a loop in which nothing happens.
        """
        on_way: set[int] = set()
        finished: set[int] = set()
        for root in sorted(self.graph.reachable()):
            pending: list[tuple[int, int, bool]] = [(root, root, False)]
            while pending:
                raw, origin, leaving = pending.pop()
                if leaving:
                    on_way.discard(raw)
                    finished.add(raw)
                elif raw in on_way:
                    self._unguarded(origin)
                elif raw not in finished:
                    on_way.add(raw)
                    pending.append((raw, raw, True))
                    pending.extend((after, raw, False) for after in reversed(self._silent(raw)))

    def _silent(self, raw: int) -> tuple[int, ...]:
        node = self.graph.nodes[raw]
        return self.graph.successors(raw) if isinstance(node, Jump | RawChoice) else ()

    def _unguarded(self, origin: int) -> None:
        node = self.graph.nodes[origin]
        assert isinstance(node, Jump | RawChoice), "only these lead on without a message"
        self.refused.add(origin)
        what = f"`{node.written}`" if isinstance(node, Jump) else "this loop"
        self.report.add(
            Diagnostic(
                code="protocol.rec.unguarded",
                message=f"{what} can repeat for ever without any message",
                span=node.span,
                expected="at least one message on every way round",
                found="a way round with none",
                fix="put a message before it, or let this branch end instead",
            )
        )

    # --- choices -------------------------------------------------------------------------

    def check_choices(self) -> None:
        for raw in sorted(self.graph.reachable()):
            node = self.graph.nodes[raw]
            if isinstance(node, RawChoice) and node.chooser:
                self._check_choice(node)
                if node.crash:
                    self._check_crash(node)

    def _check_choice(self, choice: RawChoice) -> None:
        opening: list[tuple[_First, RawMessage]] = []
        for first in self._firsts(choice):
            node = self.graph.nodes[first.raw]
            is_added_done = choice.loop and first.arm == len(choice.arms) - 1
            if isinstance(node, RawMessage) and (node.sender == choice.chooser or is_added_done):
                opening.append((first, node))
            elif not _was_refused(node) and not is_added_done:
                self.report.add(_wrong_start(choice, node, first.branch_span))
        self._check_receivers(choice, [message for _, message in opening])
        self._check_labels(choice, opening)

    def _check_crash(self, choice: RawChoice) -> None:
        """Who has crashed takes no part in what follows, however far that goes."""
        pending = [choice.arms[-1]]
        seen = set(pending)
        while pending:
            if not self.graph.budget.spend_steps(1):
                raise TooLarge
            raw = pending.pop()
            node = self.graph.nodes[raw]
            if isinstance(node, RawMessage) and choice.chooser in (node.sender, node.receiver):
                self.report.add(_still_there(choice, node))
                continue
            following = set(self.graph.successors(raw)) - seen
            seen |= following
            pending += sorted(following, reverse=True)

    def _check_receivers(self, choice: RawChoice, opening: list[RawMessage]) -> None:
        for message in opening:
            if message.receiver != opening[0].receiver:
                self.report.add(_other_receiver(choice, opening[0], message))

    def _check_labels(self, choice: RawChoice, opening: list[tuple[_First, RawMessage]]) -> None:
        seen: dict[str, tuple[_First, RawMessage]] = {}
        for first, message in opening:
            earlier = seen.setdefault(message.label, (first, message))
            if earlier[0] is first:
                continue
            if choice.loop and first.arm != earlier[0].arm:
                self.report.add(_label_done(choice, earlier[1]))
            else:
                self.report.add(_label_twice(choice, earlier[1], message))

    def _firsts(self, choice: RawChoice) -> list[_First]:
        """What each branch starts with, through jumps and nested choices of the same chooser."""
        found: list[_First] = []
        for arm, (start, arm_span) in enumerate(zip(choice.chosen, choice.arm_spans, strict=False)):
            visited: set[int] = set()
            pending = [(start, arm_span)]
            while pending:
                if not self.graph.budget.spend_steps(1):
                    raise TooLarge
                raw, span = pending.pop()
                node = self.graph.nodes[raw]
                if raw in visited or raw in self.refused:
                    continue
                visited.add(raw)
                if isinstance(node, Jump):
                    pending.append((node.target, span))
                elif (
                    isinstance(node, RawChoice)
                    and node.chooser == choice.chooser
                    and not ((node.within_ns or node.crash) and node is not choice)
                ):
                    pending.extend(reversed(list(zip(node.arms, node.arm_spans, strict=True))))
                else:
                    found.append(_First(arm, raw, span))
        return found

    # --- the global type -----------------------------------------------------------------

    def build(self, end_span: Span) -> GlobalType:
        """Numbers what is reachable breadth first. Everything was checked before."""
        order: list[int] = [self._head(self.graph.start)]
        numbers = {order[0]: 0}
        nodes: list[GlobalNode] = []
        for raw in order:  # `order` grows while it is walked
            node = self.graph.nodes[raw]
            if not isinstance(node, RawMessage | RawChoice):
                nodes.append(EndNode(end_span))
                continue
            opening = self._opening(raw)
            branches = []
            within_ns = node.within_ns if isinstance(node, RawChoice) else 0
            for message, branch_span, arm in opening:
                following = self._head(message.next)
                if following not in numbers:
                    numbers[following] = len(order)
                    order.append(following)
                target = numbers[following]
                branches.append(
                    GlobalBranch(
                        message.label,
                        message.fields,
                        target,
                        message.span,
                        branch_span,
                        message.lossy,
                        late=isinstance(node, RawChoice)
                        and within_ns > 0
                        and arm == len(node.chosen) - 1,
                    )
                )
            if isinstance(node, RawChoice) and node.crash:
                following = self._head(node.arms[-1])
                if following not in numbers:
                    numbers[following] = len(order)
                    order.append(following)
                span = node.arm_spans[-1]
                branches.append(GlobalBranch(CRASH, (), numbers[following], span, span, crash=True))
            first = opening[0][0]
            span = node.arm_spans[0] if isinstance(node, RawChoice) else node.span
            nodes.append(Comm(first.sender, first.receiver, tuple(branches), span, within_ns))
        return GlobalType(tuple(nodes), 0)

    def _head(self, raw: int) -> int:
        node = self.graph.nodes[raw]
        while isinstance(node, Jump):
            raw = node.target
            node = self.graph.nodes[raw]
        return raw

    def _opening(self, raw: int) -> list[tuple[RawMessage, Span, int]]:
        node = self.graph.nodes[raw]
        if isinstance(node, RawMessage):
            return [(node, node.span, 0)]
        assert isinstance(node, RawChoice)
        opening = []
        for first in self._firsts(node):
            message = self.graph.nodes[first.raw]
            assert isinstance(message, RawMessage)
            opening.append((message, first.branch_span, first.arm))
        return opening


def _was_refused(node: RawNode) -> bool:
    return isinstance(node, Refused) or (isinstance(node, RawChoice) and not node.chooser)


# --- words -------------------------------------------------------------------------------


def _wrong_start(choice: RawChoice, node: RawNode, branch_span: Span) -> Diagnostic:
    chooser = choice.chooser
    found, span = "no message at all", branch_span
    if isinstance(node, RawMessage):
        found = f"{node.sender} -> {node.receiver}: {node.label}"
        span = node.span
    elif isinstance(node, RawChoice):
        found, span = f"a choice at {node.chooser}", node.arm_spans[0]
    if isinstance(node, RawChoice) and node.chooser == chooser and node.crash:
        return Diagnostic(
            code="protocol.crash.nested",
            message=f"a choice of {chooser} with `on crash` cannot begin a branch of another of it",
            span=span,
            expected=f"a message from {chooser} before, or the crash in the choice around",
            found=f"`on crash {chooser}`, where the choice around it is still to be made",
            related=((choice.arm_spans[0], "the other choice is here"),),
            fix="write `on crash` as the last branch of the choice around it",
        )
    if isinstance(node, RawChoice) and node.chooser == chooser:
        return Diagnostic(
            code="protocol.choice.timed",
            message=f"a timed choice of {chooser} cannot begin a branch of another choice of it",
            span=span,
            expected=f"a message from {chooser} before the clock starts",
            found="`within`, where the choice around it is still to be made",
            related=((choice.arm_spans[0], "the other choice is here"),),
            fix="send a message first, or give the time to the choice around it",
        )
    if choice.loop:
        return Diagnostic(
            code="protocol.loop.start",
            message=f"the body of `loop at {chooser}` does not start with a message from {chooser}",
            span=span,
            expected=f"a message from {chooser}, who decides whether to go round again",
            found=found,
            related=((choice.span, "the loop is here"),),
            fix=f"start the body with a message from {chooser}, or loop at another role",
        )
    return Diagnostic(
        code="protocol.choice.start",
        message=f"a branch of `choice at {chooser}` does not start with a message from {chooser}",
        span=span,
        expected=f"a message from {chooser}, who chooses by sending it",
        found=found,
        related=((choice.arm_spans[0], "the choice is here"),),
        fix=f"start the branch with a message from {chooser}, or let another role choose",
    )


def _still_there(choice: RawChoice, message: RawMessage) -> Diagnostic:
    gone = choice.chooser
    return Diagnostic(
        code="protocol.crash.gone",
        message=f"{gone} has crashed and takes no part in what follows",
        span=message.span,
        expected=f"messages between the other roles, until the protocol ends without {gone}",
        found=f"{message.sender} -> {message.receiver}: {message.label}",
        related=((choice.arm_spans[-1], f"from here on {gone} is gone"),),
        fix=f"leave {gone} out; if this follows the choice, put it into the other branches",
    )


def _other_receiver(choice: RawChoice, first: RawMessage, other: RawMessage) -> Diagnostic:
    chooser = choice.chooser
    return Diagnostic(
        code="protocol.choice.receivers",
        message=f"the branches of `choice at {chooser}` start with messages to different roles",
        span=other.span,
        expected=f"a first message to {first.receiver}, as in the first branch",
        found=f"{other.sender} -> {other.receiver}: {other.label}",
        related=((first.span, f"the first branch starts with a message to {first.receiver}"),),
        fix=f"tell {first.receiver} first in every branch, then {other.receiver}",
    )


def _label_twice(choice: RawChoice, first: RawMessage, second: RawMessage) -> Diagnostic:
    return Diagnostic(
        code="protocol.choice.label",
        message=f"two branches of `choice at {choice.chooser}` start with {second.label}",
        span=second.span,
        expected="a different label in each branch: it says which branch was chosen",
        found=f"{second.label} again",
        related=((first.span, "the first is here"),),
        fix="rename one of the two messages",
    )


def _label_done(choice: RawChoice, message: RawMessage) -> Diagnostic:
    return Diagnostic(
        code="protocol.choice.label",
        message=f"`loop at {choice.chooser}` itself uses the label {message.label} to leave",
        span=message.span,
        expected=f"another label than {message.label}",
        found=message.label,
        related=((choice.span, "the loop is here"),),
        fix="rename this message, or write the loop with `rec` and `choice`",
    )
