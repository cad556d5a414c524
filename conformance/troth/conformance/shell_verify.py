"""The command `troth verify`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from troth.conformance.escape import escape
from troth.conformance.json_form import to_json
from troth.conformance.render import to_prose
from troth.conformance.shell_files import load_pins, verify
from troth.conformance.shell_terminal import progress, write, write_verdict
from troth.vm.shell_keys import load_trust

Subparsers = Any  # argparse does not export the type of add_subparsers()


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "verify", help="check an artifact from the file and the public keys alone"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a .replay artifact")
    parser.add_argument("--trust", type=Path, metavar="FILE", help="the keys you trust, one a line")
    parser.add_argument(
        "--protocol",
        action="append",
        metavar="FILE-OR-ID",
        help="a script or a protocol id that sessions may follow; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the verdict and returns its exit code.

    Raises:
        TrothError: a file cannot be read or used.
    """
    trust = None if arguments.trust is None else load_trust(arguments.trust)
    pins = None if arguments.protocol is None else load_pins(arguments.protocol)
    progress(f"verifying {escape(str(arguments.file))}")
    verdict = verify(arguments.file, trust=trust, protocols=pins, fragment=True)
    if arguments.json:
        write(to_json(verdict))
    else:
        write_verdict(to_prose(verdict), verdict.exit_code)
    return verdict.exit_code
