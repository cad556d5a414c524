"""The commands `troth checkpoint`, `troth prove` and `troth check-proof`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from troth.conformance.json_form import to_json
from troth.conformance.proof_check import Known, check_proof
from troth.conformance.proof_files import (
    PROOF_BYTES_MAX,
    Growth,
    Published,
    PublishedEvent,
    encode_growth,
    encode_published,
    encode_sealed,
    parse_proof,
)
from troth.conformance.proof_render import to_prose
from troth.conformance.proving import event_of
from troth.conformance.publishing import growth, published_event
from troth.conformance.shell_arguments import number
from troth.conformance.shell_publications import (
    read_bounded,
    read_publications,
    write_result,
)
from troth.conformance.shell_publish import publish_run
from troth.conformance.shell_terminal import progress, write, write_verdict
from troth.conformance.shell_views import verify_views
from troth.vm.errors import Malformed, Place, Unusable
from troth.vm.escape import PATH_CHARACTERS_MAX, plain
from troth.vm.shell_artifact import open_artifact
from troth.vm.shell_keys import load_trust, load_witnesses
from troth.vm.shell_protect import refuse_precious, refuse_same_file

Subparsers = Any  # argparse does not export the type of add_subparsers()


def add_parsers(subparsers: Subparsers) -> None:
    _add_checkpoint(subparsers)
    _add_prove(subparsers)
    _add_check_proof(subparsers)


def _add_checkpoint(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "checkpoint", help="publish a run's final head in its principals' publication logs"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a whole .replay artifact")
    parser.add_argument(
        "--keys", type=Path, metavar="DIR", required=True, help="where the principals' keys are"
    )
    parser.add_argument(
        "--principal",
        metavar="NAME",
        help="only this principal; else all of the run whose keys are in DIR",
    )
    parser.set_defaults(run=_checkpoint)


def _add_prove(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "prove",
        help="prove one record of a run, an equivocation, or that a publication log has only grown",
    )
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="a .replay artifact")
    parser.add_argument(
        "--event", type=number, metavar="N", help="the record's number, as `inspect` shows it"
    )
    parser.add_argument(
        "--log", type=Path, metavar="LOG", help="the publication log, such as keys/NAME.tlog"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="NOTE",
        help="the log's checkpoint (default: the one beside LOG)",
    )
    parser.add_argument(
        "--since", type=Path, metavar="OLD", help="an earlier checkpoint of LOG: prove its growth"
    )
    parser.add_argument(
        "--equivocation",
        type=Path,
        nargs=2,
        metavar=("A", "B"),
        help="prove from two records that somebody told two stories",
    )
    parser.add_argument(
        "--no-payload", action="store_true", help="leave the content of the message out"
    )
    parser.add_argument(
        "-o", "--out", type=Path, metavar="OUT", required=True, help="write the proof to OUT"
    )
    parser.set_defaults(run=_prove)


def _add_check_proof(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "check-proof", help="check a proof or a checkpoint from public keys alone"
    )
    parser.add_argument("file", type=Path, metavar="PROOF", help="a proof, or a checkpoint")
    parser.add_argument("--trust", type=Path, metavar="FILE", help="the keys you trust, one a line")
    parser.add_argument(
        "--witness", type=Path, metavar="FILE", help="the keys of witnesses you trust, one a line"
    )
    parser.add_argument(
        "--witnesses",
        type=number,
        default=0,
        metavar="N",
        help="how many of them must have cosigned (default: 0)",
    )
    parser.add_argument(
        "--since", type=Path, metavar="OLD", help="a checkpoint that you have seen before"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_check_proof)


def _checkpoint(arguments: argparse.Namespace) -> int:
    for line in publish_run(arguments.file, arguments.keys, arguments.principal):
        write(plain(line, characters_max=PATH_CHARACTERS_MAX))
    return 0


def _prove(arguments: argparse.Namespace) -> int:
    given = arguments.equivocation or ()
    sources = [arguments.file, arguments.log, arguments.checkpoint, arguments.since, *given]
    refuse_same_file(arguments.out, [source for source in sources if source is not None])
    refuse_precious(arguments.out)
    if given:
        text = _equivocation_text(arguments)
    elif arguments.since is not None:
        text = _growth_text(arguments)
    else:
        text = _event_text(arguments)
    write_result(arguments.out, text)
    progress(f"wrote {plain(str(arguments.out), characters_max=PATH_CHARACTERS_MAX)}")
    return 0


def _equivocation_text(arguments: argparse.Namespace) -> str:
    if any((arguments.file, arguments.log, arguments.since, arguments.checkpoint)) or (
        arguments.event is not None
    ):
        raise _usage("--equivocation with two artifacts, and nothing else")
    # The records are judged by themselves first; running them again would prove nothing more.
    verdict = verify_views(arguments.equivocation, replay=None)
    proof = next((one.proof for one in verdict.findings if one.proof is not None), None)
    if proof is None:
        raise Unusable(
            "prove.equivocation",
            "the two records prove no equivocation",
            expected="two statements, or two heads, of which only one can be true",
            actual=verdict.reason,
            advice="`troth verify` with both files says how they fit together",
        )
    return proof


def _event_text(arguments: argparse.Namespace) -> str:
    if arguments.file is None or arguments.event is None:
        raise _usage("an artifact and --event N, or --log LOG and --since OLD")
    with open_artifact(arguments.file) as stream:
        event = event_of(stream, arguments.event, with_payload=not arguments.no_payload)
    if arguments.log is None:
        return encode_sealed(event)
    publications = read_publications(arguments.log)
    return encode_published(published_event(event, publications, _note(arguments).note))


def _growth_text(arguments: argparse.Namespace) -> str:
    if arguments.log is None or arguments.file is not None or arguments.event is not None:
        raise _usage("--log LOG and --since OLD, without an artifact and without --event")
    publications = read_publications(arguments.log)
    earlier = _checkpoint_in(arguments.since)
    return encode_growth(growth(publications, earlier.note, _note(arguments).note))


def _note(arguments: argparse.Namespace) -> Published:
    beside = arguments.log.with_suffix(".checkpoint")
    return _checkpoint_in(beside if arguments.checkpoint is None else arguments.checkpoint)


def _checkpoint_in(path: Path) -> Published:
    proof = parse_proof(read_bounded(path, PROOF_BYTES_MAX))
    if isinstance(proof, Published):
        return proof
    if isinstance(proof, Growth | PublishedEvent):
        return Published(proof.note)
    raise Malformed(
        "proof.malformed",
        "this file holds no checkpoint",
        place=Place(file=str(path)),
        advice="Give the file that `troth checkpoint` has written",
    )


def _usage(expected: str) -> Unusable:
    return Unusable(
        "prove.arguments",
        "these arguments do not say what to prove",
        expected=expected,
        advice="See `troth prove --help`",
    )


def _check_proof(arguments: argparse.Namespace) -> int:
    known = Known(
        trust=None if arguments.trust is None else load_trust(arguments.trust),
        witnesses=() if arguments.witness is None else load_witnesses(arguments.witness),
        witnesses_wanted=arguments.witnesses,
        earlier=None if arguments.since is None else read_bounded(arguments.since, PROOF_BYTES_MAX),
    )
    data = read_bounded(arguments.file, PROOF_BYTES_MAX)
    verdict = check_proof(data, str(arguments.file), known)
    if arguments.json:
        write(to_json(verdict))
    else:
        write_verdict(to_prose(verdict), verdict.exit_code)
    return verdict.exit_code
