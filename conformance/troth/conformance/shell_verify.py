"""The command `troth verify`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from troth.conformance.batch import (
    MEMORY_MIB_MAX,
    SECONDS_MAX,
    BatchOptions,
    Bounds,
    judged,
    not_judged,
)
from troth.conformance.codes import EXIT_USAGE
from troth.conformance.json_form import to_json
from troth.conformance.render import to_prose
from troth.conformance.replay_meter import DEFAULT_BUDGET, WORK_MAX, Budget
from troth.conformance.shell_arguments import positive
from troth.conformance.shell_ci_reports import CiReports
from troth.conformance.shell_files import load_image_pin, load_pins, verify
from troth.conformance.shell_terminal import progress, write, write_verdict
from troth.vm.errors import Unusable
from troth.vm.escape import escape
from troth.vm.shell_cores import cores
from troth.vm.shell_keys import load_trust

Subparsers = Any  # argparse does not export the type of add_subparsers()


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "verify", help="check an artifact from the file and the public keys alone"
    )
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE-OR-DIR",
        help="a .replay artifact; several parties' records of one session, judged together; or "
        "folders whose artifacts are judged each by itself",
    )
    add_judging(parser)
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object; of a batch, one a line"
    )
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write a JUnit report to FILE")
    parser.add_argument("--sarif", type=Path, metavar="FILE", help="write a SARIF report to FILE")
    parser.add_argument(
        "--proof-out",
        type=Path,
        metavar="PROOF",
        help="of several files: write the proof of the first equivocation to PROOF",
    )
    _add_batch(parser)
    parser.set_defaults(run=run)


def add_judging(parser: argparse.ArgumentParser) -> None:
    """The options that say by what an artifact is judged."""
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
        type=positive,
        metavar="N",
        help=f"instructions that level 5 may execute (default: {WORK_MAX:,})",
    )


def _add_batch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--batch", action="store_true", help="judge every file by itself")
    parser.add_argument(
        "--jobs",
        type=positive,
        metavar="N",
        help="processes of a batch (default: one for each core)",
    )
    parser.add_argument(
        "--state", type=Path, metavar="FILE", help="remember what a batch has judged in FILE"
    )
    parser.add_argument(
        "--timeout",
        type=positive,
        metavar="SECONDS",
        default=SECONDS_MAX,
        help=f"time that a batch gives each file (default: {SECONDS_MAX:,})",
    )
    parser.add_argument(
        "--memory",
        type=positive,
        metavar="MIB",
        default=MEMORY_MIB_MAX,
        help=f"memory that a batch gives each file (default: {MEMORY_MIB_MAX:,})",
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints the verdict, or those of a batch, and returns the exit code.

    Raises:
        TrothError: a file cannot be read or used.
    """
    files: list[Path] = arguments.files
    batch = arguments.batch or any(path.is_dir() for path in files)
    if arguments.proof_out is not None and (batch or len(files) < 2):
        raise Unusable(
            "verify.arguments",
            "a proof of an equivocation comes from several records of one session",
            expected="--proof-out with two files or more, judged together",
            actual="a batch" if batch else f"{len(files)} file",
            advice="Give the records of all parties, without --batch",
        )
    options = BatchOptions(
        trust=None if arguments.trust is None else load_trust(arguments.trust),
        pins=None if arguments.protocol is None else load_pins(arguments.protocol),
        image=None if arguments.image is None else load_image_pin(arguments.image),
        budget=budget_of(arguments),
    )
    with CiReports(arguments.junit, arguments.sarif) as reports:
        if batch:
            # Loaded only now: one file needs no processes.
            from troth.conformance import shell_batch  # noqa: PLC0415

            plan = shell_batch.BatchPlan(
                jobs=arguments.jobs or cores(),
                bounds=Bounds(arguments.timeout, arguments.memory),
                state=arguments.state,
                json=arguments.json,
            )
            return shell_batch.run_batch(shell_batch.find_artifacts(files), options, plan, reports)
        if len(files) > 1:
            # Loaded only now: one file needs none of it.
            from troth.conformance import shell_views  # noqa: PLC0415

            return shell_views.run_views(
                files, options, reports, proof_out=arguments.proof_out, json=arguments.json
            )
        return _run_one(files[0], options, reports, json=arguments.json)


def _run_one(file: Path, options: BatchOptions, reports: CiReports, *, json: bool) -> int:
    progress(f"verifying {escape(str(file))}")
    try:
        verdict = verify(
            file,
            trust=options.trust,
            protocols=options.pins,
            image=options.image,
            replay=options.budget,
            fragment=True,
        )
    except Unusable as error:
        # Who reads a report has to learn of it, too.
        reports.add(not_judged(str(file), error.code, error.message))
        reports.finish(EXIT_USAGE)
        raise
    if json:
        write(to_json(verdict))
    else:
        write_verdict(to_prose(verdict), verdict.exit_code)
    reports.add(judged(verdict))
    reports.finish(verdict.exit_code)
    return verdict.exit_code


def budget_of(arguments: argparse.Namespace) -> Budget | None:
    if arguments.no_replay:
        return None
    return DEFAULT_BUDGET if arguments.budget is None else Budget(work=arguments.budget)
