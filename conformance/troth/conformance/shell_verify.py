"""The command `troth verify`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from troth.conformance.json_form import to_json
from troth.conformance.render import to_prose
from troth.conformance.replay_meter import DEFAULT_BUDGET, WORK_MAX, Budget
from troth.conformance.shell_files import load_image_pin, load_pins, verify
from troth.conformance.shell_terminal import progress, write, write_verdict
from troth.vm.escape import escape
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
    parser.add_argument(
        "--image",
        metavar="FILE-OR-ID",
        help="the script, image or image id that has to have run",
    )
    level_5 = parser.add_mutually_exclusive_group()
    level_5.add_argument(
        "--no-replay", action="store_true", help="do not run the image again (level 5)"
    )
    level_5.add_argument(
        "--budget",
        type=_instructions,
        metavar="N",
        help=f"instructions that level 5 may execute (default: {WORK_MAX:,})",
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
    verdict = verify(
        arguments.file,
        trust=trust,
        protocols=pins,
        image=None if arguments.image is None else load_image_pin(arguments.image),
        replay=_budget(arguments),
        fragment=True,
    )
    if arguments.json:
        write(to_json(verdict))
    else:
        write_verdict(to_prose(verdict), verdict.exit_code)
    return verdict.exit_code


def _budget(arguments: argparse.Namespace) -> Budget | None:
    if arguments.no_replay:
        return None
    return DEFAULT_BUDGET if arguments.budget is None else Budget(work=arguments.budget)


def _instructions(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
