"""The command `troth redact`: payloads out of an artifact, and nothing else."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final

from troth.conformance.codes import EXIT_INVALID
from troth.conformance.redaction import (
    Redaction,
    Redactor,
    Selection,
    check_redaction,
    nothing_fits,
)
from troth.conformance.shell_arguments import number
from troth.conformance.shell_publications import io_error
from troth.conformance.shell_terminal import write
from troth.dsl.shell_report import print_error
from troth.vm.errors import LimitExceeded, Malformed, Unusable
from troth.vm.escape import PATH_CHARACTERS_MAX, escape, plain
from troth.vm.shell_artifact import open_artifact
from troth.vm.shell_protect import refuse_precious, refuse_same_file

Subparsers = Any  # argparse does not export the type of add_subparsers()

_IN_CLEAR_WORDS: Final = {
    "image": "the image, with every literal of the script",
    "prints": "printed lines",
    "arguments_of_effects": "arguments of effects",
    "results_of_effects": "results of effects",
    "reasons_of_cancellations": "reasons of cancellations",
    "messages_of_faults": "messages of faults",
}


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "redact", help="take payloads out of an artifact, which still verifies"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a .replay artifact")
    parser.add_argument("-o", "--out", type=Path, metavar="OUT", help="write the artifact to OUT")
    parser.add_argument(
        "--edge", action="append", metavar="A->B", help="messages of this edge; may be repeated"
    )
    parser.add_argument(
        "--label", action="append", metavar="L", help="messages of this label; may be repeated"
    )
    parser.add_argument(
        "--session",
        action="append",
        type=number,
        metavar="N",
        help="messages of this session, as `inspect` numbers it; may be repeated",
    )
    parser.add_argument("--all", action="store_true", help="all messages")
    parser.add_argument(
        "--check",
        type=Path,
        metavar="REDACTED",
        help="write nothing; check that REDACTED is FILE without some payloads",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Writes the redacted artifact, or checks one, and prints what was taken out.

    Raises:
        TrothError: a file cannot be read or written, or nothing fits the selection.
    """
    selection = Selection(
        edges=frozenset(edge.replace(" ", "") for edge in arguments.edge or ()),
        labels=frozenset(arguments.label or ()),
        sessions=frozenset(arguments.session or ()),
    )
    chosen = arguments.all or selection != Selection()
    if (arguments.check is None) is not chosen or (arguments.out is None) is chosen:
        raise _usage()
    if arguments.all and selection != Selection():
        raise _usage()
    if arguments.check is not None:
        return _check(arguments.file, arguments.check, as_json=arguments.json)
    redaction = _redact(arguments.file, arguments.out, selection)
    _report(redaction, arguments.out, as_json=arguments.json)
    return 0


def _usage() -> Unusable:
    return Unusable(
        "redact.arguments",
        "these arguments do not say what to do",
        expected="-o OUT with --all or with --edge, --label and --session, or --check REDACTED",
        advice="See `troth redact --help`",
    )


def _redact(source: Path, target: Path, selection: Selection) -> Redaction:
    refuse_same_file(target, [source])
    refuse_precious(target)
    with open_artifact(source) as stream, _new_file(target) as out:
        redactor = Redactor(stream, selection)
        for piece in redactor:
            out.write(piece)
        redaction = redactor.result()
        if not redaction.messages:
            raise nothing_fits(selection)
        return redaction


@contextlib.contextmanager
def _new_file(target: Path) -> Iterator[BinaryIO]:
    """The target is there when everything went well, and never in part."""
    part = target.with_name(target.name + ".new")
    try:
        with part.open("xb") as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                part.replace(target)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise io_error(target, "written", error) from error


def _check(original: Path, redacted: Path, *, as_json: bool) -> int:
    with open_artifact(original) as before, open_artifact(redacted) as after:
        try:
            redaction = check_redaction(before, after)
        except (Malformed, LimitExceeded) as error:
            print_error(error)
            return EXIT_INVALID
    _report(redaction, redacted, as_json=as_json)
    return 0


def _report(redaction: Redaction, target: Path, *, as_json: bool) -> None:
    if as_json:
        facts = asdict(redaction) | {"in_clear": dict(redaction.in_clear)}
        write(json.dumps({"json_version": 1, "file": str(target), **facts}))
        return
    name = plain(str(target), characters_max=PATH_CHARACTERS_MAX)
    write(f"{name}: {_messages(redaction.messages)} without payload, {redaction.kept} with")
    for part in redaction.redacted:
        where = escape(f"{part.protocol}: {part.edge} {part.label}")
        write(f"  {where}: {_messages(part.messages)}, {part.payload_bytes} bytes")
    if redaction.absent:
        write(f"  {redaction.absent} had none before")
    if redaction.cut:
        write("  the part of a record at the end of the file was left out")
    if redaction.in_clear:
        write("still there, because the logs cover these records as they are:")
        for kind, count in redaction.in_clear:
            write(f"  {_IN_CLEAR_WORDS[kind]}: {count}")


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"
