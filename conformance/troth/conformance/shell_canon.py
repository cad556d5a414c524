"""The command `troth canon`: the canonical fragment of an artifact, and its digest."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from troth.conformance.shell_terminal import progress, write
from troth.vm.errors import Malformed, Place, TrothError, Unusable
from troth.vm.escape import PATH_CHARACTERS_MAX, plain
from troth.vm.fragment import FragmentBuilder
from troth.vm.reader import ArtifactReader
from troth.vm.record_events import EventDecoder
from troth.vm.shell_artifact import open_artifact
from troth.vm.shell_protect import refuse_precious, refuse_same_file

Subparsers = Any  # argparse does not export the type of add_subparsers()


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "canon", help="what a run means, in canonical bytes; prints their digest"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a .replay artifact")
    parser.add_argument("-o", "--out", type=Path, metavar="OUT", help="write the fragment to OUT")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the digest, in hex, as the last line.

    Raises:
        TrothError: the file cannot be read, or its records do not follow from one another.
    """
    if arguments.out is not None:
        refuse_same_file(arguments.out, [arguments.file])
        refuse_precious(arguments.out)
    builder = build_fragment(arguments.file, keep=arguments.out is not None)
    if arguments.out is not None:
        _write(arguments.out, builder.encode())
        progress(f"wrote {plain(str(arguments.out), characters_max=PATH_CHARACTERS_MAX)}")
    write(builder.digest().hex())
    return 0


def build_fragment(path: Path, *, keep: bool) -> FragmentBuilder:
    """Reads the events of an artifact; nothing is verified.

    Raises:
        Malformed: the file is not a whole artifact.
    """
    builder, decoder = FragmentBuilder(keep=keep), EventDecoder()
    with open_artifact(path) as stream:
        reader = ArtifactReader(stream)
        for record in reader:
            try:
                event = decoder.decode(record)
                if event is not None:
                    builder.add(event)
            except TrothError as error:
                place = Place(file=str(path), offset=record.offset, record=record.index)
                raise Malformed(
                    error.code,
                    error.message,
                    place=place,
                    expected=error.expected,
                    actual=error.actual,
                    advice="Verify the artifact to learn what is wrong with it",
                ) from error
    if reader.torn is not None:
        raise Malformed(
            "artifact.torn",
            f"the artifact stops early: {reader.torn.reason}",
            place=Place(file=str(path), offset=reader.torn.offset, record=reader.torn.record),
            advice="A fragment says what a whole run means; get the whole file",
        )
    return builder


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise Unusable(
            "canon.io",
            f"the fragment cannot be written: {reason}",
            place=Place(file=str(path)),
            advice="Check the path, its permissions and the space on the disk",
        ) from error
