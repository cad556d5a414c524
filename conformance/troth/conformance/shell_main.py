"""The entry of the `troth` command: what can go wrong around a command, and exit codes.

Standard output is a command's result, standard error is everything else. Nothing is imported
here before it is guarded, so that an early interruption ends like a late one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final, TextIO

EXIT_USAGE: Final = 1
EXIT_INTERRUPTED: Final = 130
EXIT_TERMINATED: Final = 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    A thread that a function of the host never leaves must not disturb the end of the process:
    then the process ends here.
    """
    code = _run(arguments)
    threads = sys.modules.get("troth.vm.shell_effect_threads")
    if threads is not None and threads.left_behind():
        try:
            sys.stderr.flush()
        finally:
            os._exit(code)
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        return _guarded(arguments)
    except KeyboardInterrupt as interruption:
        return _interrupted(interruption)
    except BrokenPipeError:
        # The reader went away: not an error, but Python must not complain when it exits.
        _silence(sys.stdout)
        return EXIT_USAGE
    except MemoryError:
        _say("there is not enough memory for this [limit.memory]. Give it more, or less to do")
        return EXIT_USAGE
    except OSError as error:
        _silence(sys.stdout)
        _say(_describe(error), error)
        return EXIT_USAGE


def _interrupted(interruption: KeyboardInterrupt) -> int:
    """By Ctrl-C, or by SIGTERM where a command makes that an interruption, too."""
    if type(interruption) is KeyboardInterrupt:
        _say("interrupted", interruption)
        return EXIT_INTERRUPTED
    _say("terminated", interruption)
    return EXIT_TERMINATED


def _guarded(arguments: Sequence[str] | None) -> int:
    if sys.stderr is None:
        # Without this, whatever is meant for standard error goes to standard output.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        _say("standard output is closed [output.io]. Redirect it to a file if nobody reads it")
        return EXIT_USAGE
    for stream in (sys.stdout, sys.stderr):
        # A printed value may hold any character; a narrow terminal must not end the run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    from troth.conformance.shell_command_line import execute  # noqa: PLC0415

    try:
        code = execute(arguments)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else EXIT_USAGE
    sys.stdout.flush()
    return code


def _describe(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.filename is None:
        return f"standard output cannot be written: {reason} [output.io]. Check the space there"
    return f"{_plain(os.fsdecode(error.filename))}: {reason} [file.io]. Check the path"


def _say(text: str, error: BaseException | None = None) -> None:
    lines = [text, *(_plain(note) for note in getattr(error, "__notes__", ()))]
    try:
        sys.stderr.write("".join(f"troth: {line}\n" for line in lines))
        sys.stderr.flush()
    except OSError:
        # There is nobody left to tell; the exit code says it.
        _silence(sys.stderr)


def _plain(text: str) -> str:
    from troth.vm.escape import PATH_CHARACTERS_MAX, plain  # noqa: PLC0415

    return plain(text, characters_max=PATH_CHARACTERS_MAX)


def _silence(stream: TextIO) -> None:
    """What is left in a stream's buffer goes nowhere, so that the exit cannot fail on it."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


if __name__ == "__main__":
    sys.exit(main())
