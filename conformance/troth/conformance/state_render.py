"""A machine's state as prose. Every piece of text from the file is escaped here."""

from __future__ import annotations

from troth.conformance.machine_state import (
    CoroutineState,
    EdgeState,
    EndpointState,
    MachineState,
    SessionState,
)
from troth.vm.escape import escape


def to_prose(state: MachineState) -> str:
    """Several lines for people."""
    lines = [f"{_text(state.file)}: after record {state.record} at byte {state.offset}"]
    lines.append(f"  {_text(state.said)}")
    if state.contradicted is not None:
        lines.append(f"  the file does not hold up to here: {_text(state.contradicted)}")
    ended = ", ".join(f"{count} {name}" for name, count in state.ended)
    live = len(state.sessions) + state.sessions_more
    lines += ["", f"sessions: {live} alive{', ' + ended if ended else ''}"]
    for session in state.sessions:
        lines += _session(session)
    if state.sessions_more:
        lines.append(f"  and {state.sessions_more} more")
    if state.coroutines or state.coroutines_more:
        lines += ["", f"coroutines: {len(state.coroutines) + state.coroutines_more}"]
        lines += [_coroutine(one) for one in state.coroutines]
    if state.coroutines_more:
        lines.append(f"  and {state.coroutines_more} more")
    return "\n".join(lines)


def _session(session: SessionState) -> list[str]:
    lines = [f"  {session.number} of {_text(session.protocol)}, {session.status}"]
    lines.append(f"    id {session.id}")
    for endpoint in session.endpoints:
        lines += _endpoint(endpoint)
    lines += [_edge(edge) for edge in session.edges]
    return lines


def _endpoint(endpoint: EndpointState) -> list[str]:
    facts = [f"signed for by {_text(endpoint.signer) or '(no name)'}"]
    if endpoint.elsewhere:
        facts.append("held by another machine")
    elif endpoint.crashed:
        facts.append("gone: its program has crashed")
    elif endpoint.in_message:
        facts.append("inside of a message")
    elif endpoint.holder is not None:
        facts.append(f"held by coroutine {endpoint.holder}")
    else:
        facts.append("held by nobody")
    if endpoint.noticed and not endpoint.crashed:
        facts.append("has given notice")
    lines = [f"    {_text(endpoint.role)}: {', '.join(facts)}"]
    if endpoint.elsewhere:
        return lines
    position = endpoint.position
    if position is None:
        return [*lines, "      position unknown: the file does not hold its protocol, or broke it"]
    return lines + [f"      {_text(line)}" for line in position.split("\n")]


def _edge(edge: EdgeState) -> str:
    inside = ", ".join(map(_text, edge.in_flight))
    more = edge.waiting - len(edge.in_flight)
    if more:
        inside += f" and {more} more"
    waiting = f"in flight {inside}" if edge.waiting else "nothing in flight"
    return (
        f"    {_text(edge.edge)}: {edge.sent} sent, {edge.received} received, {waiting} "
        f"(capacity {edge.capacity})"
    )


def _coroutine(one: CoroutineState) -> str:
    facts = [_text(one.program)]
    for words, things in (
        ("holds", one.endpoints),
        ("guards", one.guards),
        ("waits for", one.waits_for),
    ):
        if things:
            facts.append(f"{words} {', '.join(map(_text, things))}")
    return f"  {one.number} {'; '.join(facts)}"


def _text(text: str) -> str:
    return escape(text, characters_max=400)
