"""The commands `troth diff` and `troth show`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from troth.conformance import diff_render, state_render
from troth.conformance.json_form import to_json
from troth.conformance.run_diff import Comparison
from troth.conformance.shell_arguments import number
from troth.conformance.shell_terminal import write
from troth.conformance.state_at import state_at
from troth.vm.shell_artifact import open_artifact

Subparsers = Any  # argparse does not export the type of add_subparsers()


def add_parsers(subparsers: Subparsers) -> None:
    diff = subparsers.add_parser("diff", help="say where two runs part; verifies nothing")
    diff.add_argument("a", type=Path, metavar="A", help="a .replay artifact")
    diff.add_argument("b", type=Path, metavar="B", help="another one")
    diff.add_argument("--json", action="store_true", help="print one JSON object")
    diff.set_defaults(run=_diff)
    show = subparsers.add_parser("show", help="show the machine's state after a record")
    show.add_argument("file", type=Path, metavar="FILE", help="a .replay artifact")
    show.add_argument(
        "--at",
        type=number,
        required=True,
        metavar="N",
        help="the record's number, as `inspect --events` shows it",
    )
    show.add_argument("--session", type=number, metavar="S", help="only this session")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    show.set_defaults(run=_show)


def _diff(arguments: argparse.Namespace) -> int:
    """Prints where the runs part: 0 when nowhere, 2 when somewhere, 4 when a file stops early.

    Raises:
        TrothError: a file cannot be read, or makes no sense.
    """
    with open_artifact(arguments.a) as a, open_artifact(arguments.b) as b:
        report = Comparison(a, b).report(str(arguments.a), str(arguments.b))
    write(to_json(report) if arguments.json else diff_render.to_prose(report))
    return report.exit_code


def _show(arguments: argparse.Namespace) -> int:
    """Prints the state.

    Raises:
        TrothError: the file cannot be read, or makes no sense up to there.
    """
    with open_artifact(arguments.file) as stream:
        state = state_at(stream, arguments.at, str(arguments.file), only=arguments.session)
    write(to_json(state) if arguments.json else state_render.to_prose(state))
    return 0
