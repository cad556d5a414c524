"""Which ways through the code one call takes, and how many lines it executes on them.

An edge is a pair of lines that were executed one after the other in the same function. Only the
components are watched. A call that executes too many lines is stopped: unlike a time, that is the
same on every machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any, Final, Self

ROOT: Final = Path(__file__).resolve().parents[2]
WATCHED: Final = tuple(f"{ROOT / name / 'troth'}/" for name in ("vm", "conformance"))

Tracer = Callable[[FrameType, str, Any], Any]


class TooManyLinesError(Exception):
    """The call has executed more lines than it may."""


class Edges:
    """Use it in a `with` around one call after the other; `found` are the edges of the last."""

    def __init__(self, lines_max: int, watched: tuple[str, ...] = WATCHED) -> None:
        self.lines = 0
        self.lines_max = lines_max
        self.found: set[tuple[int, int, int]] = set()
        self._watched = watched
        self._numbers: dict[CodeType, int] = {}
        self._before: Any = None

    def __enter__(self) -> Self:
        self.lines = 0
        self.found = set()
        self._before = sys.gettrace()
        sys.settrace(self._call)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sys.settrace(self._before)

    def _call(self, frame: FrameType, event: str, _: Any) -> Tracer | None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(self._watched):
            return None
        number = self._numbers.setdefault(code, len(self._numbers))
        return self._lines_of(number)

    def _lines_of(self, number: int) -> Tracer:
        found, before = self.found, 0

        def line(frame: FrameType, event: str, _: Any) -> Tracer:
            nonlocal before
            if event == "line":
                here = frame.f_lineno
                found.add((number, before, here))
                before = here
                self.lines += 1
                if self.lines > self.lines_max:
                    # Nothing stops a tracer's error on its way out, unless it catches all of them.
                    raise TooManyLinesError(f"more than {self.lines_max} lines")
            return line

        return line
