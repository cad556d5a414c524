"""The command `troth run`: runs what a file stands for and says how it ended."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from troth.dsl import shell_load
from troth.dsl.shell_host_output import host_output_aside
from troth.dsl.shell_run_many import PROCESSES_MAX, make_jobs, run_many
from troth.dsl.trouble_words import FORM, planned
from troth.vm.errors import Invalid, Place, Unusable
from troth.vm.escape import escape, plain
from troth.vm.image import Image
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.machine import QUANTUM_DEFAULT
from troth.vm.scheduling import (
    AGING_DEFAULT,
    COOPERATIVE,
    POLICY_NAMES,
    PRIORITY,
    Priority,
    Scheduling,
)
from troth.vm.shell_effects import load_effects_module
from troth.vm.shell_line import parse_address
from troth.vm.shell_options import Runner, RunOptions, seed_from_number
from troth.vm.shell_protect import refuse_same_file
from troth.vm.shell_run import RunResult, run
from troth.vm.shell_signals import terminable
from troth.vm.shell_spread import PATIENCE_SECONDS_DEFAULT, LinkOptions, run_spread
from troth.vm.trouble_schedule import Planned

_SECONDS_MAX = 86_400.0

Subparsers = Any  # argparse does not export the type of add_subparsers()


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("run", help="run a script's main")
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="a .troth script, an .image, or assembly",
    )
    parser.add_argument("--effects", type=Path, metavar="MODULE.py", help="where effects are")
    parser.add_argument("--record", type=Path, metavar="F", help="write the artifact to F")
    parser.add_argument(
        "--keys", type=Path, metavar="DIR", help="use DIR/ROLE.key; missing ones are made"
    )
    parser.add_argument(
        "--durable", action="store_true", help="wait for the disk after each round of the record"
    )
    parser.add_argument(
        "--blobs", type=Path, metavar="DIR", help="keep the content of blobs in DIR, not in memory"
    )
    parser.add_argument("--seed", type=_number, metavar="N", help="make the run repeatable")
    parser.add_argument(
        "--replay",
        choices=[mode.value for mode in ReplayMode],
        help="replay mode of every session, whatever the script says",
    )
    parser.add_argument(
        "--seal",
        choices=[seal.value for seal in Seal],
        help="how every session is sealed, whatever the script says",
    )
    parser.add_argument(
        "--limit",
        type=_limit,
        action="append",
        default=[],
        metavar="NAME=N",
        help="set a limit of the run, such as instructions_max=1000; may be given several times",
    )
    parser.add_argument(
        "--role",
        action="append",
        metavar="ROLE",
        help="hold this role here, and leave those not named to others; may be given several times",
    )
    parser.add_argument(
        "--trouble",
        type=_trouble,
        action="append",
        default=[],
        metavar="N:TROUBLE",
        help="after N rounds let trouble come, such as '3: crash Alice'; may be given several "
        "times",
    )
    add_links(parser)
    _add_execution(parser)
    _add_machines(parser)
    parser.set_defaults(run=run_command)


def add_links(parser: argparse.ArgumentParser) -> None:
    """How other machines are met."""
    links = parser.add_argument_group("sessions of several machines")
    links.add_argument(
        "--listen", type=parse_address, metavar="HOST:PORT", help="let other machines call here"
    )
    links.add_argument(
        "--connect",
        type=parse_address,
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="call another machine; may be given several times",
    )
    links.add_argument(
        "--patience",
        type=_seconds,
        default=PATIENCE_SECONDS_DEFAULT,
        metavar="SECONDS",
        help=f"how long another machine may be away, {PATIENCE_SECONDS_DEFAULT:g} if not given",
    )
    links.add_argument(
        "--any-key",
        action="store_true",
        help="take whoever comes for a role whose public key is not in --keys",
    )


def _trouble(text: str) -> Planned:
    found = planned(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected {FORM}")
    return found


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _SECONDS_MAX:
        raise argparse.ArgumentTypeError(f"expected seconds above 0, at most {_SECONDS_MAX:g}")
    return seconds


def _add_machines(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--processes",
        type=_number,
        metavar="N",
        help="run several machines, N at once, each in a process; --record is then a folder",
    )
    parser.add_argument(
        "--seeds",
        type=_seeds,
        metavar="A-B",
        help="with --processes: a machine for each seed from A to B",
    )


def _seeds(text: str) -> range:
    first, dash, last = text.partition("-")
    if not dash or not first.isdecimal() or not last.isdecimal() or len(last) > 18:
        raise argparse.ArgumentTypeError("expected two numbers, such as 1-100")
    return range(int(first), int(last) + 1)


def _add_execution(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runner",
        choices=[runner.value for runner in Runner],
        default=Runner.COOPERATIVE.value,
        help="execute turns one by one, or side by side on threads; the result is the same",
    )
    parser.add_argument("--workers", type=_number, metavar="N", help="threads of --runner threaded")
    parser.add_argument(
        "--policy", choices=POLICY_NAMES, default=COOPERATIVE, help="the order of turns"
    )
    parser.add_argument(
        "--priority",
        type=_priority,
        action="append",
        default=[],
        metavar="PROGRAM=N",
        help="for --policy priority; the others have 0; may be given several times",
    )
    parser.add_argument(
        "--aging",
        type=_number,
        default=None,
        metavar="N",
        help="for --policy priority: rounds of waiting that are worth one level",
    )
    parser.add_argument(
        "--quantum",
        type=_number,
        default=QUANTUM_DEFAULT,
        metavar="N",
        help="instructions of one turn",
    )


def _priority(text: str) -> tuple[str, int]:
    name, equals, number = text.rpartition("=")
    if not equals:
        raise argparse.ArgumentTypeError("expected PROGRAM=N")
    return name, _number(number)


def _policy(arguments: argparse.Namespace, image: Image) -> str | Scheduling:
    """
    Raises:
        Unusable: codes `run.priority`, `machine.policy`.
    """
    named: dict[str, int] = dict(arguments.priority)
    if arguments.policy != PRIORITY:
        if named or arguments.aging is not None:
            raise Unusable(
                "run.priority",
                "priorities are given, and another policy",
                expected="--policy priority with --priority and --aging",
                actual=f"--policy {arguments.policy}",
            )
        return str(arguments.policy)
    programs = {program.name for program in image.programs}
    unknown = next((name for name in named if name not in programs), None)
    if unknown is not None:
        raise Unusable(
            "run.priority",
            "a priority is given to a program that there is not",
            expected="one of " + ", ".join(sorted(programs)),
            actual=ascii(unknown[:40]),
        )
    return Priority(named, AGING_DEFAULT if arguments.aging is None else arguments.aging)


def _limit(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    names = [field.name for field in fields(Limits)]
    if name not in names:
        raise argparse.ArgumentTypeError("expected NAME=N with one of " + ", ".join(names))
    return name, _number(number)


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError("expected an integer of at most 1000 digits") from None


def run_command(arguments: argparse.Namespace) -> int:
    """Standard output is exactly what the script prints.

    Raises:
        TrothError: the file, its effects, its keys or the artifact cannot be used.
    """
    if arguments.processes is not None or arguments.seeds is not None:
        return _run_several(arguments)
    if len(arguments.files) > 1:
        raise Unusable(
            "run.processes",
            "several files are given",
            expected="one file, or --processes N for many machines",
            actual=f"{len(arguments.files)} files",
        )
    seed = None if arguments.seed is None else seed_from_number(arguments.seed)
    if arguments.record is not None:
        read = (arguments.files[0], arguments.effects)
        refuse_same_file(arguments.record, [path for path in read if path is not None])
    image = _load(arguments.files[0])
    with terminable():
        result = _run(image, arguments, seed)
    if not result.ok:
        print(result.report.describe(), file=sys.stderr)
    for one in result.trouble_left:
        print(
            f"troth: this could not come: {escape(one.planned.text)}: {escape(one.reason)}",
            file=sys.stderr,
        )
    return 0 if result.ok else 1


def _load(file: Path) -> Image:
    """
    Raises:
        TrothError: the file cannot be used, or has nothing to run.
    """
    image = shell_load.load_image(file)
    if image.entry is None:
        raise Invalid(
            "run.main",
            "there is no main to run",
            place=Place(file=str(file)),
            expected="a declaration `main:` that opens sessions and spawns programs",
            advice="Add a main, or check the file with `troth check`",
        )
    return image


def _run_several(arguments: argparse.Namespace) -> int:
    """Standard output is what the machines print, one after the other."""
    processes = 1 if arguments.processes is None else arguments.processes
    if not 1 <= processes <= PROCESSES_MAX:
        raise Unusable(
            "run.processes",
            "the number of processes cannot be used",
            expected=f"1 to {PROCESSES_MAX}",
            actual=str(processes)[:40],
        )
    if arguments.role is not None or arguments.listen is not None or arguments.connect:
        raise Unusable(
            "run.processes",
            "machines in processes hold all roles and meet nobody",
            advice="Leave out --role, --listen and --connect, or run one machine",
        )
    seeds = arguments.seeds
    if arguments.seed is not None:
        if seeds is not None:
            raise Unusable("run.seed", "there are both --seed and --seeds", advice="Give one")
        seeds = range(arguments.seed, arguments.seed + 1)
    # Every file is looked at before the first machine runs.
    images = [_load(file) for file in arguments.files]
    options = replace(_options(arguments, images[0]), record=arguments.record)
    jobs = make_jobs(arguments.files, seeds, arguments.effects, options)
    failed = 0
    write_line = line_writer(sys.stdout)
    with terminable():
        for told in run_many(jobs, processes):
            for line in told.lines:
                write_line(line)
            if not told.ok:
                failed += 1
                print(f"{plain(told.job.name)}: {told.why}", file=sys.stderr)
    if failed:
        print(f"{failed} of {len(jobs)} machines did not end well", file=sys.stderr)
    return 1 if failed else 0


def _run(image: Image, arguments: argparse.Namespace, seed: bytes | None) -> RunResult:
    write_line = line_writer(sys.stdout)
    # What the host's functions print is not the script's output.
    with host_output_aside():
        effects: ModuleType | None = None
        if arguments.effects is not None:
            effects = load_effects_module(arguments.effects)
        options = replace(
            _options(arguments, image), effects=effects, seed=seed, record=arguments.record
        )
        try:
            if arguments.role is None:
                _refuse_links(arguments)
                return run(image, options=options, write_line=write_line)
            links = links_of(arguments)
            return asyncio.run(
                run_spread(image, options=options, links=links, write_line=write_line)
            )
        except Unusable as error:
            if error.code == "effects.missing":
                error.advice = "Give --effects a Python file that defines a function for each"
            raise


def _refuse_links(arguments: argparse.Namespace) -> None:
    """
    Raises:
        Unusable: code `link.role`.
    """
    if arguments.listen is not None or arguments.connect:
        raise Unusable(
            "link.role",
            "this run has no other machine to meet",
            expected="--role with the roles that this machine holds",
            actual="none, so it holds them all",
            advice="Name them, or leave out --listen and --connect",
        )


def links_of(arguments: argparse.Namespace) -> LinkOptions:
    def note(text: str) -> None:
        print(f"troth: {escape(text)}", file=sys.stderr, flush=True)

    return LinkOptions(
        listen=arguments.listen,
        connect=tuple(arguments.connect),
        patience_seconds=arguments.patience,
        any_key=arguments.any_key,
        on_listening=lambda address: note(f"listening at {address}"),
        on_note=note,
    )


def _options(arguments: argparse.Namespace, image: Image) -> RunOptions:
    """Everything but the effects, the seed and the record."""
    return RunOptions(
        effects_from=str(arguments.effects or "this run, which has no --effects"),
        keys=arguments.keys,
        durable=arguments.durable,
        blobs=arguments.blobs,
        replay=None if arguments.replay is None else ReplayMode(arguments.replay),
        seal=None if arguments.seal is None else Seal(arguments.seal),
        limits=replace(DEFAULT_LIMITS, **dict(arguments.limit)),
        quantum=arguments.quantum,
        policy=_policy(arguments, image),
        runner=arguments.runner,
        workers=arguments.workers,
        troubles=tuple(arguments.trouble),
        roles=None if arguments.role is None else tuple(arguments.role),
    )


def line_writer(stream: TextIO) -> Callable[[str], None]:
    """Writes each line out at once: the record may already say that it is."""

    def write_line(text: str) -> None:
        stream.write(text + "\n")
        stream.flush()

    return write_line
