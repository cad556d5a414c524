"""The commands that start from a script: `check`, `fmt`, `project`, `run`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from troth.dsl import shell_load
from troth.dsl.compile import LocalView, ProtocolView
from troth.dsl.fmt import format_source
from troth.dsl.picture_dot import to_dot
from troth.dsl.picture_svg import to_svg
from troth.vm.errors import Invalid, Unusable
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.shell_effects import load_effects_module
from troth.vm.shell_run import RunOptions, run, seed_from_number

Subparsers = Any  # argparse does not export the type of add_subparsers()


def add_parsers(subparsers: Subparsers) -> None:
    _add_check(subparsers)
    _add_format(subparsers)
    _add_project(subparsers)
    _add_run(subparsers)


def _add_check(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("check", help="check scripts without running anything")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a .troth script")
    parser.set_defaults(run=check_command)


def _add_format(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("fmt", help="rewrite scripts in the one format")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a .troth script")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; end with 1 if a file would change"
    )
    parser.add_argument("--stdout", action="store_true", help="print instead of rewriting")
    parser.set_defaults(run=format_command)


def _add_project(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("project", help="show what a protocol asks of one role")
    parser.add_argument("file", type=Path, metavar="FILE", help="a .troth script")
    parser.add_argument("--role", metavar="R", help="only this role")
    parser.add_argument("--protocol", metavar="P", help="only this protocol")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--svg", action="store_true", help="a picture of the states, as SVG")
    form.add_argument("--dot", action="store_true", help="the states as a graph for Graphviz")
    parser.add_argument("-o", "--out", type=Path, metavar="OUT", help="write to OUT")
    parser.set_defaults(run=project_command)


def _add_run(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("run", help="run a script's main")
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="a .troth script, an .image, or assembly"
    )
    parser.add_argument("--effects", type=Path, metavar="MODULE.py", help="where effects are")
    parser.add_argument("--record", type=Path, metavar="F", help="write the artifact to F")
    parser.add_argument(
        "--keys", type=Path, metavar="DIR", help="use DIR/ROLE.key; missing ones are made"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="make the run repeatable")
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
    parser.set_defaults(run=run_command)


def check_command(arguments: argparse.Namespace) -> int:
    failed = 0
    for path in arguments.files:
        diagnostics = shell_load.check_file(path)
        if diagnostics.found:
            print(diagnostics.render())
        failed += diagnostics.has_errors
    if failed:
        print(f"errors in {failed} of {len(arguments.files)} files", file=sys.stderr)
    return 1 if failed else 0


def format_command(arguments: argparse.Namespace) -> int:
    changed = 0
    for path in arguments.files:
        text = shell_load.read_script(path)
        formatted = format_source(text, path.name)
        if arguments.stdout:
            sys.stdout.write(formatted)
        elif formatted != text:
            changed += 1
            if not arguments.check:
                shell_load.write_script(path, formatted)
            print(f"{'would change' if arguments.check else 'formatted'} {path}", file=sys.stderr)
    return 1 if arguments.check and changed else 0


def project_command(arguments: argparse.Namespace) -> int:
    views = _views(arguments)
    if arguments.svg or arguments.dot:
        if len(views) > 1:
            names = ", ".join(f"{view.protocol.name}.{view.role}" for view in views)
            raise Unusable(
                "project.one",
                "a picture is of one role of one protocol",
                expected="--role and, where several protocols have it, --protocol",
                actual=names,
            )
        view = views[0]
        draw = to_svg if arguments.svg else to_dot
        text = draw(view.local_type, f"{view.protocol.name}.{view.role}")
    else:
        text = "\n\n".join(ProtocolView(view.protocol).describe(view.role) for view in views)
        text += "\n"
    if arguments.out is None:
        sys.stdout.write(text)
    else:
        shell_load.write_result(arguments.file, arguments.out, text.encode())
    return 0


def _views(arguments: argparse.Namespace) -> list[LocalView]:
    """The roles that are asked for; without --protocol, of every protocol that has them."""
    module = shell_load.load(arguments.file)
    names = [arguments.protocol] if arguments.protocol else module.protocol_names
    views = []
    for name in names:
        protocol = module.protocol(name)
        roles = [arguments.role] if arguments.role else list(protocol.roles)
        views += [protocol.role(role) for role in roles if role in protocol.roles]
    if not views:
        raise Unusable(
            "project.role",
            f"no protocol of {arguments.file} has a role {arguments.role}",
            expected="one of the roles that the protocols declare",
        )
    return views


def run_command(arguments: argparse.Namespace) -> int:
    image = shell_load.load_image(arguments.file)
    if image.entry is None:
        raise Invalid(
            "run.main",
            f"{arguments.file} has no main",
            expected="a declaration `main:` that opens sessions and spawns programs",
            advice="Add a main, or check the file with `troth check`",
        )
    effects: Mapping[str, object] = {}
    if arguments.effects is not None:
        effects = vars(load_effects_module(arguments.effects))
    options = RunOptions(
        effects=effects,
        effects_from=str(arguments.effects or "this run, which has no --effects"),
        keys=arguments.keys,
        record=arguments.record,
        seed=None if arguments.seed is None else seed_from_number(arguments.seed),
        replay=None if arguments.replay is None else ReplayMode(arguments.replay),
        seal=None if arguments.seal is None else Seal(arguments.seal),
    )
    result = run(image, options=options, write_line=_write_line)
    if not result.ok:
        print(result.report.describe(), file=sys.stderr)
    return 0 if result.ok else 1


def _write_line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
