"""Judging many artifacts, each by itself: what becomes of one file, and of all of them.

A file is judged in another process, which a hostile file may bring down. So its result comes
back as text and is believed only as far as it has the form of a verdict; and a file whose
process did not answer has a result, too: it was not judged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Final, NamedTuple

from troth.conformance.codes import (
    BY_CODE,
    EXIT_INCOMPLETE,
    EXIT_INVALID,
    EXIT_SELF_CONSISTENT,
    EXIT_UNSUPPORTED,
    EXIT_USAGE,
    EXIT_VALID,
)
from troth.conformance.image_pin import ImagePin
from troth.conformance.json_form import JSON_VERSION, to_json
from troth.conformance.protocols import Pins
from troth.conformance.replay_meter import Budget
from troth.conformance.verdict import Finding, Verdict, Word
from troth.vm.errors import Malformed
from troth.vm.keys import TrustFile

NOT_JUDGED: Final = "not judged"
WORST_FIRST: Final = (
    EXIT_INVALID,
    EXIT_USAGE,
    EXIT_UNSUPPORTED,
    EXIT_INCOMPLETE,
    EXIT_SELF_CONSISTENT,
    EXIT_VALID,
)
"""The exit code of a batch is the first of these that one of its files has."""

WORD_OF_EXIT: Final[Mapping[int, str]] = {
    EXIT_VALID: Word.VALID,
    EXIT_USAGE: NOT_JUDGED,
    EXIT_INVALID: Word.INVALID,
    EXIT_UNSUPPORTED: Word.UNSUPPORTED,
    EXIT_INCOMPLETE: Word.INCOMPLETE,
    EXIT_SELF_CONSISTENT: Word.SELF_CONSISTENT,
}
SECONDS_MAX: Final = 1800
MEMORY_MIB_MAX: Final = 2048
RESULT_BYTES_MAX: Final = 8 << 20
"""Of one file's result, as text."""


class Bounds(NamedTuple):
    """What one file may take: seconds of time, and MiB of address space in its process."""

    seconds: float = SECONDS_MAX
    memory_mib: int = MEMORY_MIB_MAX


class BatchOptions(NamedTuple):
    """What every file of a batch is judged by; see `conformance.verify`."""

    trust: TrustFile | None = None
    pins: Pins | None = None
    image: ImagePin | None = None
    budget: Budget | None = None

    def digest(self) -> str:
        """Names all that a verdict depends on, but for the file and the verifier."""
        pins = None if self.pins is None else sorted(i.hex() for i in self.pins.ids)
        provided = () if self.pins is None else sorted(i.hex() for i in self.pins.protocols)
        named = {
            "trust": None if self.trust is None else [key.text for key in self.trust.keys],
            "pins": pins,
            "provided": list(provided),
            "image": None if self.image is None else self.image.id.hex(),
            "image provided": self.image is not None and self.image.image is not None,
            "budget": None if self.budget is None else list(self.budget),
        }
        return sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """What became of one file.

    Attributes:
        status: the verdict in one word, or `not judged`.
        failure: a code when the file was not judged: `artifact.io`, or one of `batch.…`.
        text: one JSON object that carries everything, as one line of ASCII.
        remembered: it was judged in an earlier batch.
    """

    file: str
    exit_code: int
    status: str
    reason: str
    findings: tuple[Finding, ...] = ()
    failure: str | None = None
    text: str
    remembered: bool = False


def judged(verdict: Verdict) -> FileResult:
    return FileResult(
        file=verdict.file,
        exit_code=verdict.exit_code,
        status=verdict.status.value,
        reason=verdict.reason,
        findings=verdict.findings,
        text=to_json(verdict),
    )


def not_judged(file: str, code: str, reason: str) -> FileResult:
    form = {
        "json_version": JSON_VERSION,
        "file": file,
        "exit_code": EXIT_USAGE,
        "status": NOT_JUDGED,
        "reason": reason,
        "error": code,
    }
    return FileResult(
        file=file,
        exit_code=EXIT_USAGE,
        status=NOT_JUDGED,
        reason=reason,
        failure=code,
        text=json.dumps(form),
    )


def read_result(text: bytes | str, file: str, *, remembered: bool = False) -> FileResult:
    """The result that `text` is, as the result of `file`.

    Raises:
        Malformed: code `batch.reply`, when it does not have the form of a result.
    """
    try:
        form = json.loads(text)
        if form["file"] != file and not remembered:
            raise ValueError(file)
        if form.get("error") is not None:
            return not_judged(file, _word(form["error"]), _word(form["reason"]))
        exit_code = form["exit_code"]
        if type(exit_code) is not int or type(form["findings"]) is not list:
            raise TypeError(exit_code)
        result = FileResult(
            file=file,
            exit_code=exit_code,
            status=_word(form["status"]),
            reason=_word(form["reason"]),
            findings=tuple(_finding(finding) for finding in form["findings"]),
            text=json.dumps({**form, "file": file}),
            remembered=remembered,
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _no_result() from error
    if WORD_OF_EXIT.get(exit_code) != result.status or exit_code == EXIT_USAGE:
        raise _no_result()
    return result


_FINDING_FIELDS: Final = tuple(field.name for field in fields(Finding))
_FINDING_NUMBERS: Final = frozenset({"offset", "record", "line"})
_FINDING_NEEDS: Final = frozenset({"code", "message", "offset", "said", "context"})


def _finding(form: Mapping[str, object]) -> Finding:
    values = {name: form[name] for name in _FINDING_FIELDS}
    for name, value in values.items():
        kind = int if name in _FINDING_NUMBERS else list if name == "context" else str
        if type(value) is not kind and (value is not None or name in _FINDING_NEEDS):
            raise TypeError(name)
    context = values["context"]
    assert isinstance(context, list)
    values["context"] = tuple(_word(line) for line in context)
    finding = Finding(**values)  # type: ignore[arg-type]  # their types have just been checked
    if finding.code not in BY_CODE:
        raise ValueError(finding.code)
    return finding


def _word(value: object) -> str:
    if type(value) is not str:
        raise TypeError(value)
    return value


def _no_result() -> Malformed:
    return Malformed(
        "batch.reply",
        "what a judging process answered is no result",
        expected="one JSON object with the fields of a verdict",
        advice="Verify the file alone; it may have got the better of its process",
    )


class Tally:
    """Counts results by their exit codes."""

    def __init__(self) -> None:
        self.files = 0
        self.remembered = 0
        self._by_exit = dict.fromkeys(WORST_FIRST, 0)

    def add(self, result: FileResult) -> None:
        self.files += 1
        self.remembered += result.remembered
        self._by_exit[result.exit_code] += 1

    @property
    def exit_code(self) -> int:
        """The worst of all; 0 when there are none."""
        return next((code for code in WORST_FIRST if self._by_exit[code]), EXIT_VALID)

    def rows(self) -> list[tuple[str, int, int]]:
        """Word, exit code and number of files, the worst first; only those that there are."""
        return [
            (WORD_OF_EXIT[code], code, self._by_exit[code])
            for code in WORST_FIRST
            if self._by_exit[code]
        ]

    def to_json(self) -> str:
        """One line of ASCII, the last of `troth verify --batch --json`."""
        counts = {word: count for word, _, count in self.rows()}
        summary = {"files": self.files, "remembered": self.remembered, "counts": counts}
        form = {"json_version": JSON_VERSION, "exit_code": self.exit_code, "summary": summary}
        return json.dumps(form)
