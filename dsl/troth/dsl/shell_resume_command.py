"""The command `troth resume`: goes on with a recorded run that was stopped."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from troth.dsl.shell_host_output import host_output_aside
from troth.dsl.shell_run_command import add_links, line_writer, links_of
from troth.vm.errors import Unusable
from troth.vm.escape import plain
from troth.vm.shell_effects import load_effects_module
from troth.vm.shell_resume import ResumeResult, resume
from troth.vm.shell_signals import terminable

Subparsers = Any  # argparse does not export the type of add_subparsers()


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("resume", help="go on with a recorded run that was stopped")
    parser.add_argument("file", type=Path, metavar="FILE", help="its .replay artifact")
    parser.add_argument("--keys", type=Path, metavar="DIR", help="the folder of the run's keys")
    parser.add_argument("--effects", type=Path, metavar="MODULE.py", help="where effects are")
    parser.add_argument("--blobs", type=Path, metavar="DIR", help="where the run kept its blobs")
    parser.add_argument("--durable", action="store_true", help="wait for the disk after each round")
    add_links(parser)
    parser.set_defaults(run=resume_command)


def resume_command(arguments: argparse.Namespace) -> int:
    """Standard output is what the script prints from there on.

    Raises:
        TrothError: the record, the keys or the effects cannot be used.
    """
    with terminable():
        result = _resume(arguments)
    name = plain(str(arguments.file))
    if result.ended_before:
        print(f"troth: {name}: the run has ended, there is nothing to resume", file=sys.stderr)
        return 0
    print(
        f"troth: {name}: resumed after round {result.rounds_recorded}, incarnation "
        f"{result.incarnation}, ended after round {result.rounds}",
        file=sys.stderr,
    )
    if not result.ok and result.report is not None:
        print(result.report.describe(), file=sys.stderr)
    return 0 if result.ok else 1


def _resume(arguments: argparse.Namespace) -> ResumeResult:
    write_line = line_writer(sys.stdout)
    # What the host's functions print is not the script's output.
    with host_output_aside():
        effects: ModuleType | None = None
        if arguments.effects is not None:
            effects = load_effects_module(arguments.effects)
        try:
            return resume(
                arguments.file,
                keys=arguments.keys,
                effects=effects,
                effects_from=str(arguments.effects or "this command, which has no --effects"),
                blobs=arguments.blobs,
                durable=arguments.durable,
                links=links_of(arguments) if arguments.listen or arguments.connect else None,
                write_line=write_line,
            )
        except Unusable as error:
            if error.code == "effects.missing":
                error.advice = "Give --effects the Python file that the run was given"
            raise
