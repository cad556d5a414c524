"""The `troth` command: gathers the commands of the components and maps errors to exit codes.

Standard output is a command's result, standard error is everything else.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from troth.conformance.shell_canon import add_parser as add_canon
from troth.conformance.shell_inspect import add_parser as add_inspect
from troth.conformance.shell_verify import add_parser as add_verify
from troth.dsl import shell_commands, shell_compile
from troth.dsl.compile import ScriptErrors
from troth.vm import shell_keygen
from troth.vm.errors import InternalError, TrothError

EXIT_USAGE = 1
EXIT_INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """Wrong arguments end with 1: argparse's own 2 means "invalid or forged" here."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: error: {message}\n")


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="troth",
        description="Run protocols that leave a proof, and check the proof offline.",
        epilog="Exit codes of verify: 0 valid, 1 usage or I/O, 2 invalid or forged, "
        "3 unsupported version, 4 incomplete, 5 self-consistent only.",
    )
    parser.add_argument("--version", action="version", version=f"troth {_version()}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    add_verify(subparsers)
    shell_commands.add_parsers(subparsers)
    shell_compile.add_parsers(subparsers)
    add_canon(subparsers)
    add_inspect(subparsers)
    shell_keygen.add_parser(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A printed value may hold any character; a narrow terminal must not end the run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    parsed = build_parser().parse_args(arguments)
    try:
        code: int = parsed.run(parsed)
        sys.stdout.flush()
    except ScriptErrors as error:
        print(error.message, file=sys.stderr)
        return EXIT_USAGE
    except InternalError:
        raise
    except TrothError as error:
        print(f"troth: {error}", file=sys.stderr)
        return EXIT_USAGE
    except BrokenPipeError:
        # The reader went away: not an error, but Python must not complain when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("troth: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    return code


def _version() -> str:
    try:
        return version("troth")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
