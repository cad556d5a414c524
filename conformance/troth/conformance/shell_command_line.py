"""All commands of `troth`: gathers those of the components and carries one out."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, NoReturn, Protocol

from troth.conformance.shell_canon import add_parser as add_canon
from troth.conformance.shell_corpus import add_parser as add_conformance
from troth.conformance.shell_diff import add_parsers as add_diff
from troth.conformance.shell_inspect import add_parser as add_inspect
from troth.conformance.shell_parity import add_parser as add_parity
from troth.conformance.shell_proofs import add_parsers as add_proofs
from troth.conformance.shell_redact import add_parser as add_redact
from troth.conformance.shell_report import add_parser as add_report
from troth.conformance.shell_verify import add_parser as add_verify
from troth.dsl import shell_commands, shell_compile
from troth.dsl.shell_report import print_error
from troth.vm import shell_keygen
from troth.vm.errors import InternalError, TrothError
from troth.vm.escape import plain

EXIT_USAGE: Final = 1
_USAGE_CHARACTERS_MAX: Final = 400


class SupportsWrite(Protocol):
    def write(self, text: str, /) -> object: ...


class _Parser(argparse.ArgumentParser):
    """Wrong arguments end with 1: argparse's own 2 means "invalid or forged" here.

    Help that cannot be written is an error as everything is; argparse would say nothing.
    """

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: error: {_clipped(message)}\n")

    def _print_message(self, message: str, file: SupportsWrite | None = None) -> None:
        (file or sys.stderr).write(message)


class LazyParser(_Parser):
    """A command whose component is imported when somebody asks for it, and not before.

    `module` has `fill(parser, parser_class)`, which adds its arguments. Most runs of `troth` need
    nothing of `streaming`, and this component does not depend on it.
    """

    def __init__(self, *, module: str, **options: Any) -> None:
        super().__init__(**options)
        self._module: str | None = module

    def fill(self) -> None:
        """Adds the arguments, once."""
        if self._module is not None:
            module, self._module = importlib.import_module(self._module), None
            module.fill(self, _Parser)

    # The types are those of argparse's own stubs, which mypy cannot see here as overloads.
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.fill()
        return super().parse_known_args(args, namespace)


LAZY_COMMANDS: Final = (
    (
        "esl",
        "work with FreeSWITCH over its event socket",
        "troth.streaming.eventsocket.shell_commands",
    ),
    (
        "stream",
        "run remote desktop sessions that leave a proof",
        "troth.streaming.shell_commands",
    ),
    (
        "doctor",
        "say what is wrong with a remote desktop session",
        "troth.streaming.doctor.shell_doctor",
    ),
)
"""Name, help, and the module that has the rest."""


def _add_lazy(subparsers: Any) -> None:
    for name, text, module in LAZY_COMMANDS:
        make = partial(LazyParser, module=module)
        # argparse calls the class that it was given; for these it is one that knows its module.
        subparsers._parser_class, usual = make, subparsers._parser_class
        subparsers.add_parser(name, help=text, description=text)
        subparsers._parser_class = usual


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
    add_diff(subparsers)
    add_parity(subparsers)
    add_conformance(subparsers)
    add_proofs(subparsers)
    add_redact(subparsers)
    add_report(subparsers)
    shell_keygen.add_parser(subparsers)
    _add_lazy(subparsers)
    return parser


def execute(arguments: Sequence[str] | None) -> int:
    """Runs one command and returns its exit code.

    Raises:
        SystemExit: the arguments were wrong, or only asked for help.
        OSError: standard output cannot be written.
    """
    try:
        # In here, too, since the type of an argument may be refused by its own code.
        parsed = build_parser().parse_args(arguments)
        code: int = parsed.run(parsed)
    except InternalError:
        raise
    except TrothError as error:
        print_error(error)
        print_notes(error)
        return EXIT_USAGE
    return code


def print_notes(error: BaseException) -> None:
    """What an error says besides: such as what became of a record."""
    for note in getattr(error, "__notes__", ()):
        print(f"troth: {plain(note, characters_max=_USAGE_CHARACTERS_MAX)}", file=sys.stderr)


def _clipped(message: str) -> str:
    return plain(message, characters_max=_USAGE_CHARACTERS_MAX)


def _version() -> str:
    try:
        return version("troth")
    except PackageNotFoundError:
        return "(not installed)"
