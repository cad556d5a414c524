"""How a report is written for people: what it quotes is harmless, lines have a width.

Only what is shown is shortened and wrapped here; what is recorded is never touched.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from typing import Final

from troth.vm.errors import Fault
from troth.vm.escape import plain
from troth.vm.faults import FAULT_CODES

WIDTH: Final = 96
INDENT: Final = "    "
_ID_SHOWN: Final = 8
_ID: Final = re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b")


def say(text: str) -> str:
    """One text of the run, safe to show: escaped, cut to a length, with the ids in it short."""
    return _ID.sub(lambda found: short_id(found.group()), plain(text, characters_max=600))


def short_id(text: str) -> str:
    """The beginning of an id in hex, enough to tell it from the others of a run."""
    return text[:_ID_SHOWN] + "…" if len(text) > _ID_SHOWN else text


def count(number: int, noun: str) -> str:
    """`1 session`, `2 sessions`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def wrap(lines: Iterable[str]) -> str:
    """The lines, each within `WIDTH` columns where its words allow, continued further in."""
    wrapped = []
    for line in lines:
        indent = line[: len(line) - len(line.lstrip())]
        wrapped += textwrap.wrap(
            line,
            WIDTH,
            subsequent_indent=indent + INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(wrapped)


def fault_lines(error: Fault, source: str) -> list[str]:
    """What happened and where; then what was expected and found; then what to do."""
    place = error.place
    head = "fault"
    if place.program:
        head += f" in {say(place.program)}"
    if place.line:
        head += f" at line {place.line}"
    elif place.pc is not None:
        head += f" at instruction {place.pc}"
    if source:
        head += f" ({say(source)})"
    lines = [f"{head}: {say(error.message)} [{error.code}]"]
    if error.expected is not None and not _says(error.message, error.expected):
        lines.append(f"{INDENT}expected: {say(error.expected)}")
    if error.actual is not None and not _says(error.message, error.actual):
        lines.append(f"{INDENT}found: {say(error.actual)}")
    if place.role and place.session:
        text = f"{INDENT}at {say(place.role)} of session {short_id(place.session)}"
        # Often just what was expected: then it has been said.
        if place.position and place.position != error.expected:
            text += f", which may do: {say(place.position)}"
        lines.append(text)
    if error.advice is not None:
        lines.append(INDENT + say(error.advice))
    return lines


def reason_of_end(detail: str) -> str:
    """Why a session ended: the title of a fault, or the reason that a role gave."""
    info = FAULT_CODES.get(detail)
    return say(detail) if info is None else f"{info.title} [{detail}]"


def _says(message: str, text: str) -> bool:
    """Whether the words are in the message already."""
    return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", message) is not None
