"""The commands that look at a script: `check`, `fmt` and `project`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from troth.dsl import shell_load, shell_resume_command, shell_run_command
from troth.dsl.compile import LocalView, ProtocolView
from troth.dsl.fmt import format_source
from troth.dsl.names import did_you_mean
from troth.dsl.picture_dot import to_dot
from troth.dsl.picture_svg import to_svg
from troth.dsl.shell_report import print_error
from troth.vm.confluence import reasons_against
from troth.vm.errors import InternalError, Place, TrothError, Unusable
from troth.vm.escape import PATH_CHARACTERS_MAX, plain

Subparsers = Any  # argparse does not export the type of add_subparsers()


def add_parsers(subparsers: Subparsers) -> None:
    _add_check(subparsers)
    _add_format(subparsers)
    _add_project(subparsers)
    shell_run_command.add_parser(subparsers)
    shell_resume_command.add_parser(subparsers)


def _add_check(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("check", help="check scripts without running anything")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a .troth script")
    parser.add_argument(
        "--confluence",
        action="store_true",
        help="say whether the order of turns can make a difference, and why",
    )
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


def check_command(arguments: argparse.Namespace) -> int:
    """Reports on every file, also after one that cannot be read."""
    failed = 0
    for path in arguments.files:
        try:
            diagnostics = shell_load.check_file(path)
        except InternalError:
            raise
        except TrothError as error:
            print_error(error)
            failed += 1
            continue
        if diagnostics.found:
            print(diagnostics.render())
        failed += diagnostics.has_errors
        if arguments.confluence and not diagnostics.has_errors:
            _tell_confluence(path)
    if failed:
        total = len(arguments.files)
        print(f"errors in {failed} of {total} {_files(total)}", file=sys.stderr)
    return 1 if failed else 0


def _tell_confluence(path: Path) -> None:
    reasons = reasons_against(shell_load.load_image(path))
    said = "is not known to be confluent" if reasons else "is confluent"
    print(f"{plain(str(path), characters_max=PATH_CHARACTERS_MAX)} {said}")
    for reason in reasons:
        print(f"  {plain(str(reason), characters_max=PATH_CHARACTERS_MAX)}")


def format_command(arguments: argparse.Namespace) -> int:
    """Formats every file, also after one that cannot be."""
    changed = failed = 0
    for path in arguments.files:
        try:
            changed += _format(path, arguments)
        except InternalError:
            raise
        except TrothError as error:
            print_error(error)
            failed += 1
    if failed and len(arguments.files) > 1:
        total = len(arguments.files)
        print(f"{failed} of {total} {_files(total)} cannot be formatted", file=sys.stderr)
    return 1 if failed or (arguments.check and changed) else 0


def _format(path: Path, arguments: argparse.Namespace) -> bool:
    """Whether the file is not in the one format."""
    text = shell_load.read_script(path)
    formatted = format_source(text, path.name)
    if arguments.stdout:
        sys.stdout.write(formatted)
    if formatted == text:
        return False
    shown = plain(str(path), characters_max=PATH_CHARACTERS_MAX)
    if arguments.check:
        print(f"would change {shown}", file=sys.stderr)
    elif not arguments.stdout:
        shell_load.write_script(path, formatted)
        print(f"formatted {shown}", file=sys.stderr)
    return True


def _files(count: int) -> str:
    return "file" if count == 1 else "files"


def _describe(view: LocalView) -> str:
    return ProtocolView(view.protocol, view.image).describe(view.role)


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
        text = "\n\n".join(_describe(view) for view in views)
        text += "\n"
    if arguments.out is None:
        sys.stdout.write(text)
    else:
        shell_load.write_result(arguments.file, arguments.out, text.encode())
    return 0


def _views(arguments: argparse.Namespace) -> list[LocalView]:
    """The roles that are asked for; without --protocol, of every protocol that has them."""
    module = shell_load.load(arguments.file)
    if not module.protocol_names:
        raise Unusable(
            "project.none",
            "this script has no protocols",
            place=Place(file=str(arguments.file)),
            expected="a script that declares a protocol",
            advice="Name the file that declares the protocol",
        )
    names = [name for name in module.protocol_names if _is_asked(arguments.protocol, name)]
    # One that is not there: the module says which are.
    protocols = [module.protocol(name) for name in names or [arguments.protocol]]
    views = [
        protocol.role(role)
        for protocol in protocols
        for role in protocol.roles
        if _is_asked(arguments.role, role)
    ]
    if not views:
        known = [f"{protocol.name}.{role}" for protocol in protocols for role in protocol.roles]
        roles = dict.fromkeys(role for protocol in protocols for role in protocol.roles)
        raise Unusable(
            "project.role",
            f"no protocol here has a role {arguments.role}",
            place=Place(file=str(arguments.file)),
            expected="the role of one of " + ", ".join(known),
            actual=arguments.role,
            advice=did_you_mean(arguments.role, tuple(roles)) or "Use one of the roles",
        )
    return views


def _is_asked(asked: str | None, name: str) -> bool:
    """Without brackets a family stands for all its members, a protocol for all its sizes."""
    return asked in (None, name, name.partition("[")[0])
