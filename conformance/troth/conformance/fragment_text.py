"""A canonical fragment as text: one line for each thing that somebody did, for people and diffs.

The text says all that the fragment says, so two fragments are the same bytes exactly when their
texts are the same. Lines can be told apart by what they begin with, and names are escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgpack

from troth.vm.escape import escape
from troth.vm.events import Status

HEAD: Final = "troth fragment 1"
_STEP_KINDS: Final = ("message", "selection")


class Difference(NamedTuple):
    """The first line in which two texts differ; "" where one has ended.

    `where` are the headings above it, such as the session and the role.
    """

    line: int
    where: str
    expected: str
    found: str


def fragment_text(fragment: bytes) -> str:
    """The text of what `FragmentBuilder.encode` gives."""
    _, sessions = msgpack.unpackb(fragment, use_list=False)
    lines = [HEAD]
    for session in sessions:
        lines += _session(session)
    return "".join(f"{line}\n" for line in lines)


def first_difference(expected: str, found: str) -> Difference | None:
    """Where `found` departs from `expected`; None when they are the same."""
    ours, theirs = expected.splitlines(), found.splitlines()
    for number in range(max(len(ours), len(theirs))):
        wanted = ours[number] if number < len(ours) else ""
        actual = theirs[number] if number < len(theirs) else ""
        if wanted != actual:
            above = theirs if number < len(theirs) else ours
            return Difference(number + 1, _headings(above, number), wanted.strip(), actual.strip())
    return None


def _headings(lines: Sequence[str], number: int) -> str:
    """The lines above that are indented less, outermost first."""
    found: list[str] = []
    depth = _depth(lines[number]) if number < len(lines) else 1
    for line in reversed(lines[1:number]):
        if _depth(line) < depth:
            depth = _depth(line)
            found.insert(0, line.strip())
    return ", ".join(found)


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _session(session: tuple[Any, ...]) -> Iterator[str]:
    identity, protocol_id, protocol, roles, principals, edges, seal, linger_ns, nonce = session[:9]
    endpoints, receipts, status, epoch, detail, reason, undelivered, overwritten, rejected = (
        session[9:]
    )
    yield f"session {identity.hex()} of {_name(protocol)}"
    yield f"  protocol {protocol_id.hex()}"
    for role, principal in zip(roles, principals, strict=True):
        yield f"  principal of {_name(role)}: {principal.hex()}"
    for edge in edges:
        yield f"  edge {' '.join(_item(item) for item in edge)}"
    yield f"  seal {_name(seal)}, linger {linger_ns} ns, nonce {nonce.hex()}"
    for role, actions in endpoints:
        yield f"  role {_name(role)}"
        for number, action in enumerate(actions):
            yield f"    {number} {_action(action)}"
    for receipt in receipts:
        yield f"  receipt {' '.join(_item(item) for item in receipt)}"
    for row in undelivered:
        yield f"  undelivered {' '.join(_item(item) for item in row)}"
    for row in overwritten:
        yield f"  overwritten {' '.join(_item(item) for item in row)}"
    for row in rejected:
        yield f"  rejected {' '.join(_item(item) for item in row)}"
    if reason is not None:
        yield f"  cancelled by the host: {_item(reason)}"
    yield f"  status {Status(status).name.lower()}, epoch {epoch}, detail {_item(detail)}"


def _action(action: tuple[Any, ...]) -> str:
    match action:
        case ("send", receiver, kind, label, generation, sequence, commitment):
            place = f"generation {generation} number {sequence}"
            step = _STEP_KINDS[kind]
            return f"send {_name(label)} to {_name(receiver)}, {step}, {place}, {commitment.hex()}"
        case ("recv", sender, kind, label, generation, sequence, commitment, root):
            place = f"generation {generation} number {sequence}"
            step = f"{_STEP_KINDS[kind]}, {place}, {commitment.hex()}"
            return f"receive {_name(label)} from {_name(sender)}, {step}, root {_item(root)}"
    return " ".join(_item(item) for item in action)


def _item(item: object) -> str:
    if isinstance(item, tuple):
        return f"({' '.join(_item(inner) for inner in item)})"
    if isinstance(item, bytes):
        return f"0x{item.hex()}"
    return _name(item) if isinstance(item, str) else str(item)


def _name(text: str) -> str:
    """Escaped, never cut, and in quotes where it could be taken for something else."""
    shown = escape(text, characters_max=len(text))
    plain_word = shown.isidentifier() and shown == text
    return shown if plain_word else '"' + shown.replace('"', "\\u{22}") + '"'
