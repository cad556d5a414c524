"""What the event-socket library has to do, by the names that its tests begin with.

A test called `test_x4_…` shows X4, `test_d2_and_d3_…` shows D2 and D3, `test_e1_to_e5_…` all from
E1 to E5. `shown` finds them, so nothing here can be said that no test shows.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent / "unit" / "streaming"
_NAMED: Final = re.compile(r"test_((?:[a-z]\d+_(?:and_|to_)?)+)")
_ID: Final = re.compile(r"([a-z])(\d+)")

BEHAVIOURS: Final = {
    "F1": "a message of headers alone is one message",
    "F2": "a body is read by its length, with or without a content type; stray newlines are not",
    "F3": "two messages in one chunk come in order",
    "F4": "a connection that ends at once is no error",
    "F5": "newlines behind a body are no message",
    "F6": "messages come in order until the end",
    "F7": "a command is its line and an empty one",
    "P1": "the blank behind a header's colon is optional",
    "P2": "content of lines is a map",
    "P3": "content of anything else is a text",
    "P4": "only events are events",
    "P5": "a reply to a command is none to `api`, and the other way round",
    "P6": "headers and a body behind an empty line",
    "P7": "escapes in values are decoded",
    "P8": "an escaped plus is a plus",
    "P9": "a plus stays a plus",
    "P10": "the content of a reply is decoded, too",
    "P11": "the headers around an event are not decoded",
    "P12": "`-ERR` is an error",
    "P13": "what does not begin with `-ERR` is none",
    "E1": "a hook runs for events of its name alone",
    "E2": "a hook gets the event",
    "E3": "a hook for all gets every event",
    "E4": "the newest event can be asked for",
    "E5": "CHANNEL_DATA is an event like any other",
    "E6": "a hook's second command waits for the reply to its first",
    "E7": "a hook that asks does not block the reader",
    "I1": "the password is sent when the switch asks",
    "I2": "subscriptions and filters are asked for one by one, CUSTOM last",
    "I3": "a switch that drops the connection in the set-up is tried again",
    "O1": "the set-up is connect, myevents, linger, one at a time",
    "O2": "the handler starts after the reply to linger",
    "O3": "the call's headers and variables are those of the reply to connect",
    "A1": "an application is done after its reply and its completion",
    "A2": "nothing else drives an application on",
    "A3": "`loops` stands first",
    "A4": "the event lock can be left out",
    "A5": "applications and commands wait for each other",
    "A6": "a prompt gives the variable that its completion sets",
    "A7": "the call's headers are those of the newest completion",
    "A8": "a dump of the channel replaces them",
    "A9": "a refused application raises with the switch's words, and waits for nothing",
    "A10": "a handler that lets it through ends with a line in the log, and its call is hung up",
    "D1": "the session closes after its hooks have ended",
    "D2": "it closes when the last event comes before the notice",
    "D3": "it closes when the notice comes first",
    "D4": "a dropped connection ends the application, and not the server",
    "D5": "leaving inside of the handler",
    "D6": "leaving inside of a hook",
    "C1": "each api command has the text that the switch reads",
    "C2": "each application has the argument that the switch reads",
    "X1": "a header that only ends in `Content-Length` is no length",
    "X2": "an event without a name is an event",
    "X3": "the end of another leg is not ours",
    "X4": "the completion of another application finishes nobody: nested, looped, of the socket",
    "X5": "a part of the end that never comes has a time limit",
    "X6": "a late reply goes to nobody",
    "X7": "`-ERR` in the body of an api response is an error",
    "X8": "two notices are one fact",
    "X9": "a refused linger is remarked and ends nothing",
    "X10": "a body may be cut inside of a character",
    "X11": "a call that is over before connect, and a bare reply to it",
}

ENDINGS: Final = {
    "the caller hangs up during an application": "playback",
    "our own hang-up": "test_our_own_hang_up_ends_with_the_latch",
    "both facts, the event first": "EndOrder.NATURAL",
    "both facts, the notice first": "EndOrder.NOTICE_FIRST",
    "the notice twice": "EndOrder.NOTICE_TWICE",
    "the end of another leg first": "EndOrder.OTHER_LEG_FIRST",
    "a synchronous socket that lingers": "synchronous=True",
    "linger refused": "full=False",
    "exit while the call lives": "test_leaving_and_stopping_are_endings_too",
    "the switch closes its half": "Fault.HALF_CLOSE",
    "reset": "Fault.RESET",
    "shutdown": "Fault.SHUTDOWN",
    "kill": "Fault.KILL",
    "the access list rejects us": "SetUp.REJECTED",
    "silence": "Fault.SILENCE",
}
"""Each end that a call may come to, and what names it in the tests over sockets."""


def shown() -> dict[str, list[str]]:
    """For each id the tests that show it, as `file::test`."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.glob("test_esl_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                for name in _ids(node.name):
                    found.setdefault(name, []).append(f"{path.name}::{node.name}")
    return found


def _ids(test: str) -> Iterator[str]:
    """`e1_to_e3_` is three, `d2_and_d3_` two."""
    match = _NAMED.match(test)
    if match is None:
        return
    last = ""
    for part in match[1].strip("_").split("_"):
        if part in ("and", "to"):
            last = f"{last} {part}" if part == "to" else ""
            continue
        (letter, number) = _ID.fullmatch(part).groups()  # type: ignore[union-attr]  # _NAMED has matched it
        first = int(number)
        if last.endswith(" to"):
            first = int(last[1:].split()[0]) + 1
        for each in range(first, int(number) + 1):
            yield f"{letter.upper()}{each}"
        last = part
