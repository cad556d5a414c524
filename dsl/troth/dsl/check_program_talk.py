"""Sends, receives, close and cancel, against the local type of the endpoint they name.

After an error that leaves the endpoint's next state unknown the endpoint is broken; where the
label is clear and only the payload is wrong, the walk goes on in the next state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from troth.dsl.ast import (
    CancelStatement,
    CloseStatement,
    Expression,
    Name,
    RecvCase,
    RecvChoice,
    RecvStatement,
    SendStatement,
    Span,
    Variable,
)
from troth.dsl.check_expression import expect, type_of
from troth.dsl.check_program_context import Context
from troth.dsl.check_program_speculate import check_revocable_message
from troth.dsl.check_program_words import (
    due,
    find_transition,
    labels,
    reaches_end,
    signature,
    statement,
)
from troth.dsl.names import did_you_mean, one_of, suggest
from troth.dsl.plural import count
from troth.dsl.scope import BROKEN, Gone, Held, Scope
from troth.vm.types import CRASH, EndpointType, Field, Primitive, State, StateKind, Transition


@dataclass(frozen=True, slots=True)
class OpenCase:
    """A case of a receive with the scope its body starts in; `offered` is False for a case
    that the type does not have, whose end must not count."""

    case: RecvCase
    scope: Scope
    offered: bool


def check_send(context: Context, scope: Scope, item: SendStatement) -> None:
    held = context.endpoint(scope, item.endpoint)
    state = None
    if held is not None:
        state = _state_for(context, held, item.endpoint, item.peer, StateKind.SEND)
    transition = None
    if state is not None:
        transition = find_transition(state, item.label.text)
        if transition is None:
            _report_label(context, item.label, item.endpoint.text, state)
    if held is None or state is None or transition is None:
        scope.endpoints[item.endpoint.text] = BROKEN
        check_loose_arguments(context, scope, item.arguments)
        return
    if len(state.transitions) > 1:
        context.facts.choices.add(item.span)
    check_revocable_message(context, item.label.span, transition)
    _check_payload(context, scope, item, transition)
    if scope.endpoints[item.endpoint.text] is held:
        _advance(scope, item.endpoint, held, transition)
        _stop_clock(scope, item.endpoint)


def _check_payload(
    context: Context, scope: Scope, item: SendStatement, transition: Transition
) -> None:
    if len(item.arguments) != len(transition.fields):
        _report_count(context, item.label, transition, len(item.arguments), "argument")
        check_loose_arguments(context, scope, item.arguments)
        return
    for argument, field in zip(item.arguments, transition.fields, strict=True):
        if isinstance(field.type, EndpointType) and is_endpoint(context, scope, argument):
            if isinstance(argument, Variable) and argument.name.text == item.endpoint.text:
                _report_sent_on_itself(context, scope, argument.name)
                continue
            move_endpoint(
                context, scope, argument, field, f"sent to {item.peer.text} as {field.name}"
            )
            continue
        expect(
            context,
            scope,
            argument,
            field.type,
            code="check.payload.type",
            role=f"the field {field.name} of {item.label.text}",
        )


def check_loose_arguments(
    context: Context, scope: Scope, arguments: tuple[Expression, ...]
) -> None:
    """Arguments of a statement that is wrong already: endpoints among them are given up."""
    for argument in arguments:
        if isinstance(argument, Variable) and is_endpoint(context, scope, argument):
            scope.endpoints[argument.name.text] = BROKEN
        else:
            type_of(context, scope, argument)


def is_endpoint(context: Context, scope: Scope, argument: Expression) -> bool:
    """Whether an argument names an endpoint, whatever became of it."""
    if not isinstance(argument, Variable):
        return False
    name = argument.name.text
    return name in scope.endpoints or isinstance(context.facts.variables.get(name), EndpointType)


def move_endpoint(
    context: Context, scope: Scope, argument: Expression, field: Field, how: str
) -> None:
    """Gives an endpoint away where `field`, of an endpoint type, takes it."""
    if not isinstance(argument, Variable) or not isinstance(field.type, EndpointType):
        raise AssertionError("only a variable can name an endpoint")
    name = argument.name
    held = context.endpoint(scope, name)
    if held is None:
        return
    scope.endpoints[name.text] = Gone(held.type, how, name.span)
    if held.type != field.type:
        context.error(
            "check.endpoint.type",
            f"{field.name} takes an endpoint of {field.type}, not of {held.type}",
            name.span,
            expected=str(field.type),
            found=f"{name.text}: {held.type}",
            fix=f"hand on an endpoint of {field.type}",
        )
    elif not held.fresh:
        report_used(context, name.text, name.span, ((held.touched, "it was last used here"),))
    else:
        for frame in context.frames:
            if frame.fresh_at_head(name.text, held.origin):
                frame.demands.setdefault(held.origin, (name.text, name.span))


def report_used(
    context: Context, name: str, span: Span, related: tuple[tuple[Span, str], ...]
) -> None:
    context.error(
        "check.endpoint.not_fresh",
        f"{name} cannot be handed on: it has been used",
        span,
        expected="an endpoint on which nothing was sent or received",
        found=f"{name}, which has been used",
        fix="hand it on first, and let the receiver do the whole conversation",
        related=related,
    )


def _report_sent_on_itself(context: Context, scope: Scope, name: Name) -> None:
    scope.endpoints[name.text] = BROKEN
    context.error(
        "check.endpoint.moved",
        f"{name.text} cannot be sent over itself",
        name.span,
        expected="another endpoint",
        found=f"{name.text}, which carries this message",
        fix="send it over an endpoint of another session",
    )


# --- receiving ---------------------------------------------------------------------------


def check_recv(context: Context, scope: Scope, item: RecvStatement) -> None:
    held = context.endpoint(scope, item.endpoint)
    state = None
    if held is not None:
        state = _state_for(context, held, item.endpoint, item.peer, StateKind.RECV)
    transition = None
    if state is not None:
        transition = find_transition(state, item.label.text)
        if transition is None:
            _report_label(context, item.label, item.endpoint.text, state)
        elif len(state.transitions) > 1:
            _report_missing(context, item.label.span, item.endpoint, state, {item.label.text})
            bind_targets(context, scope, item.label, item.targets, transition)
            scope.endpoints[item.endpoint.text] = BROKEN
            return
    if held is None or transition is None:
        scope.endpoints[item.endpoint.text] = BROKEN
        bind_targets(context, scope, item.label, item.targets, None)
        return
    _advance(scope, item.endpoint, held, transition)
    bind_targets(context, scope, item.label, item.targets, transition)


def bind_targets(
    context: Context,
    scope: Scope,
    label: Name,
    targets: tuple[Name, ...],
    transition: Transition | None,
) -> None:
    """Binds what a message carries, by position; unknown types where there is no transition."""
    if transition is not None:
        check_revocable_message(context, label.span, transition)
    fields: tuple[Field, ...] = () if transition is None else transition.fields
    if transition is not None and len(targets) != len(fields):
        _report_count(context, label, transition, len(targets), "name")
    seen: dict[str, Span] = {}
    for position, target in enumerate(targets):
        if target.text in seen:
            context.error(
                "check.variable.duplicate",
                f"{target.text} would be bound twice by one message",
                target.span,
                expected="a name for each field",
                found=f"{target.text} again",
                fix="use another name here",
                related=((seen[target.text], "the first is here"),),
            )
            continue
        seen[target.text] = target.span
        context.bind(scope, target, fields[position].type if position < len(fields) else None)


def open_cases(context: Context, scope: Scope, item: RecvChoice) -> list[OpenCase]:
    """Checks the head of a receive of several labels; gives each case with its first scope."""
    held = context.endpoint(scope, item.endpoint)
    state = None
    if held is not None:
        state = _state_for(context, held, item.endpoint, item.peer, StateKind.RECV)
    if held is None or state is None:
        scope.endpoints[item.endpoint.text] = BROKEN
        return [_open_case(context, scope, item, case, None, None) for case in item.cases]
    taken = _match_cases(context, item, state)
    if len(state.transitions) > 1:
        context.facts.choices.add(item.span)
    return [
        _open_case(context, scope, item, case, held, transition)
        for case, transition in zip(item.cases, taken, strict=True)
    ]


def _open_case(
    context: Context,
    scope: Scope,
    item: RecvChoice,
    case: RecvCase,
    held: Held | None,
    transition: Transition | None,
) -> OpenCase:
    inner = scope.copy()
    if held is None or transition is None:
        inner.endpoints[item.endpoint.text] = BROKEN
    else:
        _advance(inner, item.endpoint, held, transition)
    bind_targets(context, inner, case.label, case.targets, transition)
    return OpenCase(case, inner, transition is not None or held is None)


def _match_cases(context: Context, item: RecvChoice, state: State) -> list[Transition | None]:
    """The transition each case takes; reports duplicates, surplus and missing branches.

    A case with a misspelt label takes the missing branch that it is close to, so that the
    misspelling is not reported a second time as a missing branch.
    """
    written = {case.label.text: case.label.span for case in reversed(item.cases)}
    missing = [branch for branch in state.transitions if branch.label not in written]
    taken: list[Transition | None] = []
    for case in item.cases:
        transition = find_transition(state, case.label.text)
        if transition is not None and case.label.span != written[case.label.text]:
            _report_duplicate(context, case.label, written[case.label.text])
        elif transition is None:
            close = suggest(case.label.text, (branch.label for branch in missing))
            _report_surplus(context, case.label, item, state, close)
            transition = None if close is None else find_transition(state, close)
            missing = [branch for branch in missing if branch is not transition]
        taken.append(transition)
    if missing:
        handled = {branch.label for branch in state.transitions if branch not in missing}
        _report_missing(context, _head_span(item), item.endpoint, state, handled)
    return taken


def _head_span(item: RecvChoice) -> Span:
    start, end = item.endpoint.span, item.peer.span
    return Span(start.line, start.column, end.end_line, end.end_column)


def _report_duplicate(context: Context, label: Name, first: Span) -> None:
    context.error(
        "check.branch.duplicate",
        f"the branch {label.text} is handled twice",
        label.span,
        expected="each branch once",
        found=f"a second {label.text}",
        fix="remove one of the two",
        related=((first, "the first is here"),),
    )


def _report_surplus(
    context: Context, label: Name, item: RecvChoice, state: State, close: str | None
) -> None:
    crashed = label.text == CRASH
    context.error(
        "check.branch.surplus",
        f"nothing says what follows a crash of {item.peer.text} here"
        if crashed
        else f"{item.peer.text} cannot send {label.text} here",
        label.span,
        expected=labels(state),
        found=label.text,
        fix=f"did you mean `{close}`?"
        if close is not None
        else "remove this branch, or add it to the protocol",
    )


def _report_missing(
    context: Context, span: Span, endpoint: Name, state: State, handled: set[str]
) -> None:
    rest = [branch for branch in state.transitions if branch.label not in handled]
    sent = " and ".join(branch.label for branch in rest if branch.label != CRASH)
    stubs = ", ".join(_stub(branch) for branch in rest)
    also = " also" if len(handled) + len(rest) > 1 and len(handled) > 0 else ""
    context.error(
        "check.branch.missing",
        f"{state.peer} may{also} send {sent}" if sent else f"{state.peer} may{also} crash",
        span,
        expected=f"a branch for each of {labels(state)}",
        found="branches for " + ", ".join(sorted(handled)) if handled else "no branch for it",
        fix=f"under `recv {endpoint.text}.{state.peer}:` add {stubs}",
    )


def _stub(branch: Transition) -> str:
    if branch.label == CRASH:
        return f"`{CRASH}:`"
    return f"`{branch.label}({', '.join(field.name for field in branch.fields)}):`"


# --- close and cancel --------------------------------------------------------------------


def _is_left_out(context: Context, scope: Scope, item: CloseStatement | CancelStatement) -> bool:
    """Whether an ending that is written for a whole bundle is of an endpoint that is gone."""
    gone = item.shared and isinstance(scope.endpoints.get(item.endpoint.text), Gone)
    if gone:
        context.facts.left_out.add(item.span)
    return gone


def check_close(context: Context, scope: Scope, item: CloseStatement) -> None:
    if _is_left_out(context, scope, item):
        return
    held = context.endpoint(scope, item.endpoint)
    if held is None:
        return
    state = context.state_of(held)
    name = item.endpoint.text
    scope.endpoints[name] = Gone(held.type, "closed", item.span)
    if state.kind is StateKind.END:
        return
    local_type = context.symbols.local_type(held.type)
    endless = local_type is not None and not reaches_end(local_type, held.state)
    finish = "this protocol never ends for it" if endless else "finish the conversation first"
    context.error(
        "check.close.early",
        f"{name} cannot be closed yet: its session is not finished",
        item.endpoint.span,
        expected=due(name, state),
        found=f"close {name}",
        fix=f'{finish}, or leave early with `cancel {name} "reason"`',
        related=((held.touched, f"{name} was last used here"),),
    )


def check_cancel(context: Context, scope: Scope, item: CancelStatement) -> None:
    if _is_left_out(context, scope, item):
        return
    expect(
        context,
        scope,
        item.reason,
        Primitive.STR,
        code="check.type.reason",
        role="the reason of a cancel",
    )
    held = context.endpoint(scope, item.endpoint)
    if held is not None:
        scope.endpoints[item.endpoint.text] = Gone(held.type, "cancelled", item.span)
    _stop_clock(scope, item.endpoint)


# --- shared ------------------------------------------------------------------------------


def _advance(scope: Scope, name: Name, held: Held, transition: Transition) -> None:
    scope.endpoints[name.text] = replace(
        held, state=transition.next, fresh=False, touched=name.span
    )


def _stop_clock(scope: Scope, endpoint: Name) -> None:
    """The endpoint has made its choice, or is given up."""
    if scope.clock is not None and scope.clock.name == endpoint.text:
        scope.clock = None


def _report_clock(context: Context, endpoint: Name, held: Held) -> None:
    name = endpoint.text
    context.error(
        "check.within.missing",
        f"{name} is at a timed choice, and its clock was not started",
        endpoint.span,
        expected=due(name, context.state_of(held)),
        found=f"a message of {name}",
        fix=f"put it into a `within {name}:` block, with a `timeout:` block behind it",
    )


def _state_for(
    context: Context, held: Held, endpoint: Name, peer: Name, kind: StateKind
) -> State | None:
    """The endpoint's state when it is of `kind` with `peer`; else reports and gives None."""
    state = context.state_of(held)
    name = endpoint.text
    protocol = context.symbols.protocols[held.type.protocol]
    others = tuple(r for r in (protocol.roles if protocol else ()) if r != held.type.role)
    verb = "send" if kind is StateKind.SEND else "recv"
    found = f"{verb} {name}.{peer.text}"
    related = ((held.touched, f"{name} was last used here"),) if not held.fresh else ()
    if peer.text not in others:
        context.error(
            "check.peer.unknown",
            f"{held.type} has no partner {peer.text}",
            peer.span,
            expected=one_of(others, "a protocol with another role"),
            found=peer.text,
            fix=did_you_mean(peer.text, others) or f"write {name}.{state.peer or others[0]}",
        )
        return None
    if state.kind is StateKind.END:
        context.error(
            "check.direction.end",
            f"the session of {name} is finished here",
            endpoint.span,
            expected=f"close {name}",
            found=found,
            fix="remove this, or add the message to the protocol",
            related=related,
        )
        return None
    if state.kind is StateKind.TIMED:
        _report_clock(context, endpoint, held)
        return None
    if state.kind is not kind:
        receives = kind is StateKind.SEND
        context.error(
            "check.direction.send" if receives else "check.direction.recv",
            f"{name} has to {'receive' if receives else 'send'} here",
            endpoint.span,
            expected=due(name, state),
            found=found,
            fix=f"first `{statement(name, state, state.transitions[0])}`",
            related=related,
        )
        return None
    if state.peer != peer.text:
        context.error(
            "check.peer.wrong",
            f"{name} has to {'send to' if verb == 'send' else 'receive from'} {state.peer} here, "
            f"not {peer.text}",
            peer.span,
            expected=due(name, state),
            found=found,
            fix=f"write {name}.{state.peer}, or change the order of the protocol's messages",
            related=related,
        )
        return None
    return state


def _report_label(context: Context, label: Name, name: str, state: State) -> None:
    known = tuple(branch.label for branch in state.transitions)
    context.error(
        "check.label.wrong",
        f"{name} cannot {'send' if state.kind is StateKind.SEND else 'receive'} {label.text} here",
        label.span,
        expected=labels(state),
        found=label.text,
        fix=did_you_mean(label.text, known)
        or f"write `{statement(name, state, state.transitions[0])}`",
    )


def _report_count(
    context: Context, label: Name, transition: Transition, found: int, noun: str
) -> None:
    wanted = len(transition.fields)
    context.error(
        "check.payload.count",
        f"{label.text} carries {count(wanted, 'field')}",
        label.span,
        expected=signature(transition.label, transition.fields),
        found=count(found, noun),
        fix=f"give {count(wanted, noun)}",
    )
