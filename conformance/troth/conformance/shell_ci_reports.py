"""Writes the reports for continuous integration while results come in, file by file.

A report takes its place when it is whole: what an interrupted run leaves behind is the report of
an earlier one, or none.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from troth.conformance import junit, sarif
from troth.conformance.batch import FileResult
from troth.conformance.codes import EXIT_VALID
from troth.vm.errors import Place, Unusable
from troth.vm.shell_protect import refuse_precious, refuse_same_file

NOTIFICATIONS_MAX: Final = 1000


class CiReports:
    """Use it in a `with`: `add` every result, then `finish`."""

    def __init__(self, junit_path: Path | None, sarif_path: Path | None) -> None:
        """
        Raises:
            Unusable: code `output.…`, when a report would replace what nobody could make again.
        """
        for path in (junit_path, sarif_path):
            if path is not None:
                refuse_precious(path)
        if junit_path is not None and sarif_path is not None:
            refuse_same_file(junit_path, [sarif_path])
        self._junit = None if junit_path is None else _Spool(junit_path)
        self._sarif = None if sarif_path is None else _Spool(sarif_path)
        self._tests = self._failures = self._errors = 0
        self._results = 0
        self._notifications: list[sarif.Form] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for spool in (self._junit, self._sarif):
            if spool is not None:
                spool.close()

    def add(self, result: FileResult) -> None:
        if self._junit is not None:
            self._junit.write(junit.case(result))
            self._tests += 1
            self._errors += junit.is_error(result)
            self._failures += result.exit_code != EXIT_VALID and not junit.is_error(result)
        if self._sarif is not None:
            for form in sarif.results(result):
                self._sarif.write((",\n" if self._results else "\n") + json.dumps(form))
                self._results += 1
            if result.failure is not None and len(self._notifications) < NOTIFICATIONS_MAX:
                self._notifications.append(sarif.notification(result))

    def finish(self, exit_code: int) -> None:
        """
        Raises:
            Unusable: code `output.io`.
        """
        if self._junit is not None:
            self._junit.place(junit.head(self._tests, self._failures, self._errors), junit.TAIL)
        if self._sarif is not None:
            self._sarif.place(sarif.head(_version()), sarif.tail(exit_code, self._notifications))


class _Spool:
    """The middle of a report, out of memory until what comes before it is known."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            # Closed by `close`; it has no name that could be left behind.
            self._body: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        except (OSError, ValueError) as error:
            raise _unusable(path, error) from error

    def write(self, text: str) -> None:
        try:
            self._body.write(text)
        except OSError as error:
            raise _unusable(self._path, error) from error

    def close(self) -> None:
        self._body.close()

    def place(self, head: str, tail: str) -> None:
        path = self._path
        # A pipe or a device is written to; taking its place would do harm.
        whole_first = path.is_file() or not path.exists()
        part = path.with_name(f"{path.name}.{os.getpid()}.part") if whole_first else path
        try:
            self._body.seek(0)
            with part.open("x" if whole_first else "w", encoding="utf-8") as whole:
                whole.write(head)
                shutil.copyfileobj(self._body, whole)
                whole.write(tail)
            if whole_first:
                part.replace(path)
        except OSError as error:
            if whole_first:
                part.unlink(missing_ok=True)
            raise _unusable(path, error) from error


def _version() -> str:
    try:
        return version("troth")
    except PackageNotFoundError:
        return "0"


def _unusable(path: Path, error: OSError | ValueError) -> Unusable:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return Unusable(
        "output.io",
        f"the report cannot be written: {reason}",
        place=Place(file=str(path)),
        advice="Check the path, its permissions and the space on the disk",
    )
