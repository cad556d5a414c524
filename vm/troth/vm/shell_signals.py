"""Ends a command on SIGTERM as on an interruption: the record stays readable and resumable."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """The process was asked to end. Like an interruption, no effect can swallow it."""


@contextmanager
def terminable() -> Iterator[None]:
    """Within it SIGTERM raises `Terminated`, unless somebody else handles it already."""
    # Only the main thread may say what a signal does.
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler
    raise Terminated
