"""One error hierarchy for all of Troth.

Every error that a user can meet is a `TrothError` with a stable dotted `code`, the place,
what was expected, what was found, and one sentence of advice.
The five roots say who has to act:

* `Malformed`      bytes that are not what they claim to be;
* `Invalid`        well-formed input that breaks a static rule;
* `Fault`          a run-time trap of a program, with a code of the closed taxonomy in `faults`;
* `LimitExceeded`  a named limit was reached;
* `InternalError`  a bug in Troth itself: its message asks for a report;

and `Unusable` is for arguments, files and keys that cannot be used as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an error is: only the fields that make sense for it are set.

    `offset` and `record` count bytes and records from 0, `line` and `column` from 1.
    """

    file: str | None = None
    line: int | None = None
    column: int | None = None
    offset: int | None = None
    record: int | None = None
    program: str | None = None
    pc: int | None = None
    coroutine: str | None = None
    session: str | None = None
    edge: str | None = None
    role: str | None = None
    position: str | None = None

    def describe(self) -> str:
        """One line such as `hello.troth:3:5, role Client`."""
        head = ":".join(
            str(part) for part in (self.file, self.line, self.column) if part is not None
        )
        rest = [
            f"{field.name} {value}"
            for field in fields(self)
            if field.name not in ("file", "line", "column")
            and (value := getattr(self, field.name)) is not None
        ]
        return ", ".join(([head] if head else []) + rest)


NOWHERE: Final = Place()


class TrothError(Exception):
    """The root. Never raised itself; catch it to catch everything Troth can report."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        place: Place = NOWHERE,
        expected: str | None = None,
        actual: str | None = None,
        advice: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.place = place
        self.expected = expected
        self.actual = actual
        self.advice = advice

    def __str__(self) -> str:
        parts = [f"{self.message} [{self.code}]"]
        described = self.place.describe()
        if described:
            parts.insert(0, f"{described}: ")
        if self.expected is not None:
            parts.append(f"; expected {self.expected}")
        if self.actual is not None:
            parts.append(f"; found {self.actual}")
        if self.advice is not None:
            parts.append(f". {self.advice}")
        return "".join(parts)


class Malformed(TrothError):
    """Bytes that cannot be what they claim to be."""


class Invalid(TrothError):
    """Well-formed input that breaks a static rule."""


class Fault(TrothError):
    """A run-time trap of a coroutine. `code` is one of `troth.vm.faults.FAULT_CODES`."""


class LimitExceeded(TrothError):
    """A named limit was reached; `expected` names the limit and its value."""


class Unusable(TrothError):
    """An argument, file, key or host module cannot be used as it is."""


class InternalError(TrothError):
    """A bug in Troth. The run cannot be trusted any further."""

    def __init__(self, message: str, *, place: Place = NOWHERE) -> None:
        super().__init__(
            "internal",
            message,
            place=place,
            advice="This is a bug in Troth; please report it with the file that shows it",
        )
