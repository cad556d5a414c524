"""The command `troth inspect`: what is in an artifact, at a glance."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from troth.conformance.codes import EXIT_INVALID
from troth.conformance.inspection import Inspection, to_text
from troth.conformance.shell_terminal import write
from troth.vm.shell_artifact import open_artifact

Subparsers = Any  # argparse does not export the type of add_subparsers()


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("inspect", help="show what is in an artifact; verifies nothing")
    parser.add_argument("file", type=Path, metavar="FILE", help="a .replay artifact")
    parser.add_argument("--events", action="store_true", help="list the records, one a line")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the summary; 2 when the file stops making sense somewhere.

    Raises:
        Unusable: the file cannot be read.
    """
    with open_artifact(arguments.file) as stream:
        inspection = Inspection(stream, write if arguments.events else None)
    write(to_text(inspection, str(arguments.file)))
    return 0 if inspection.broken is None else EXIT_INVALID
