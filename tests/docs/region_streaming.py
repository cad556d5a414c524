"""The transport's tables, made from its protocols and its code."""

from __future__ import annotations

from docs.region_tables import table
from troth.streaming.doctor.book import ILLNESSES, STEPS
from troth.streaming.metric_names import SESSION_METRICS
from troth.streaming.session.endings import BOUNDS, MEANINGS, Ending
from troth.streaming.shell_protocols import NAMES, load_protocol
from troth.streaming.telemetry import EVENT_NAMES
from troth.vm.types import CRASH, IN_TIME, LocalType, State, StateKind, Transition

TWO = 2
"""Of two roles each has what the other has, with sending and receiving changed over."""


def protocols(_: str) -> str:
    rows = []
    for name in NAMES:
        module = load_protocol(name)
        for protocol in module.protocol_names:
            roles = ", ".join(module.protocol(protocol).roles)
            rows.append((f"`{name}.troth`", f"`{protocol}`", roles))
    return table(("file", "protocol", "roles"), rows)


def diagrams(name: str) -> str:
    """The automaton of every protocol of a file; of two roles that of the first says all."""
    module, found = load_protocol(name), []
    for protocol in module.protocol_names:
        roles = module.protocol(protocol).roles
        for role in roles[:1] if len(roles) == TWO else roles:
            diagram = diagram_of(module.protocol(protocol).role(role).local_type)
            found.append(f"`{protocol}`, for {role}:\n\n```text\n{diagram}```\n")
    return "\n".join(found)


def diagram_of(local: LocalType) -> str:
    """A local type as a mermaid state diagram: `to` sends, `from` receives."""
    lines = ["stateDiagram-v2", "    [*] --> s0"]
    for number, state in enumerate(local.states):
        if state.kind is StateKind.END:
            lines.append(f"    s{number} --> [*]")
        for move in state.transitions:
            lines.append(f"    s{number} --> s{move.next}: {_said(state, move)}")
    return "\n".join(lines) + "\n"


def _said(state: State, move: Transition) -> str:
    if state.kind is StateKind.TIMED:
        seconds = f"{state.within_ns / 1e9:g} s"
        return f"within {seconds}" if move.label == IN_TIME else f"after {seconds}"
    if move.label == CRASH:
        return f"{state.peer} has crashed"
    way = "to" if state.kind is StateKind.SEND else "from"
    return f"{way} {state.peer}, {move.label}{', may be lost' if move.lossy else ''}"


def effects(name: str) -> str:
    rows = []
    for effect in load_protocol(name).image.effects:
        given = ", ".join(field.name for field in effect.parameters)
        rows.append((f"`{effect.name}`", given or "nothing", _short(str(effect.result))))
    return table(("effect", "is given", "answers with"), rows)


def endings(_: str) -> str:
    rows = [
        (f"`{ending.value}`", meaning.plane, meaning.text, meaning.advice)
        for ending, meaning in MEANINGS.items()
    ]
    return table(("reason", "plane", "meaning", "next step"), rows)


def bounds(_: str) -> str:
    rows = [
        (
            bound.what,
            _word(bound.host),
            _word(bound.client),
            f"{bound.within_ns / 1e9:g} s",
            f"{bound.at_worst_ns / 1e9:g} s",
        )
        for bound in BOUNDS.values()
    ]
    return table(("what happens", "at the host", "at the client", "within", "at worst"), rows)


def _word(ending: Ending | None) -> str:
    return "-" if ending is None else f"`{ending.value}`"


def events(_: str) -> str:
    return ", ".join(f"`{name}`" for name in EVENT_NAMES) + "."


def metrics(_: str) -> str:
    rows = [
        (f"`{name}`", metric.kind.value, ", ".join(metric.roles), metric.label or "-", metric.text)
        for name, metric in SESSION_METRICS.items()
    ]
    return table(("metric", "kind", "role", "label", "counts"), rows)


def doctor_steps(_: str) -> str:
    return table(
        ("step", "question", "needs"), [(step.number, step.text, step.needs) for step in STEPS]
    )


def doctor_findings(_: str) -> str:
    rows = [
        (f"`{code}`", it.step, it.plane, it.weight.value, it.text, it.cause, it.advice)
        for step in STEPS
        for code, it in ILLNESSES.items()
        if it.step == step.number
    ]
    return table(("code", "step", "plane", "weight", "what", "cause", "what to do"), rows)


def _short(kind: str) -> str:
    """A record by its fields; its types are in the file."""
    if kind.startswith("{"):
        names = [part.split(":")[0].strip(" {") for part in kind.split(",")]
        return "record of " + ", ".join(names[:4]) + (" and more" if len(names) > 4 else "")
    return f"`{kind}`"
