"""What can be wrong with assembly text: every code, with the error it is raised as and advice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from troth.vm.errors import Invalid, LimitExceeded, Malformed, TrothError


class Code(NamedTuple):
    error: type[TrothError]
    message: str
    advice: str


CODES: Final[Mapping[str, Code]] = {
    "assembly.version": Code(
        Malformed,
        "This is not assembly of a version that is known here",
        "Begin the text with the line `troth-assembly 1`",
    ),
    "assembly.encoding": Code(
        Malformed,
        "Assembly is UTF-8 text",
        "Save the file as UTF-8",
    ),
    "assembly.character": Code(
        Malformed,
        "Nothing is written with this character",
        "Put text into double quotes, and close them on the same line",
    ),
    "assembly.escape": Code(
        Malformed,
        "This escape does not exist",
        'Use \\\\ \\" \\n \\r \\t \\xHH, and in text also \\u{H} with up to six hex digits',
    ),
    "assembly.syntax": Code(
        Malformed,
        "This line is not written as it has to be",
        "Look at a disassembly: `troth disasm` shows each form",
    ),
    "assembly.place": Code(
        Malformed,
        "This line does not belong here",
        "States and edges belong to a protocol, instructions to a program",
    ),
    "assembly.order": Code(
        Invalid,
        "States and types are written in order and numbered from 0",
        "Number them without gaps, and give one type for each role, in the order of the roles",
    ),
    "assembly.repeated": Code(
        Invalid,
        "This is said twice",
        "Say it once",
    ),
    "assembly.number": Code(
        Invalid,
        "This number cannot stand here",
        "Use a number within the range",
    ),
    "assembly.name": Code(
        Invalid,
        "This cannot be a name",
        "Use 1 to 255 bytes of printable characters without blanks",
    ),
    "assembly.text": Code(
        Invalid,
        "This text cannot stand here",
        "Shorten it",
    ),
    "assembly.type": Code(
        Invalid,
        "This cannot be a type",
        "Name each field once, and nest types less deeply",
    ),
    "assembly.value": Code(
        Invalid,
        "This is no value",
        "Use a 64-bit int, a finite float without a negative zero, or a value of another type",
    ),
    "assembly.label": Code(
        Invalid,
        "This label cannot be used",
        "Write each label exactly once in the program, as `NAME:` before its instruction",
    ),
    "assembly.reference": Code(
        Invalid,
        "This name does not say what is meant",
        "Use the name of something in this file, or `#` and its number",
    ),
    "assembly.limit": Code(
        LimitExceeded,
        "There is more here than an image may hold",
        "Divide it into several images",
    ),
}
