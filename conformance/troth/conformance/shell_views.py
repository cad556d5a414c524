"""Several records judged together: `troth verify A B …`, and the same from Python."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from troth.conformance.batch import BatchOptions, FileResult, judged, not_judged
from troth.conformance.claims import Reopen
from troth.conformance.codes import EXIT_USAGE
from troth.conformance.image_pin import ImagePin
from troth.conformance.json_form import to_json
from troth.conformance.judge import verify_stream
from troth.conformance.merge import merge
from troth.conformance.merge_views import View, view_of
from troth.conformance.pipeline import Observer
from troth.conformance.protocols import Pins
from troth.conformance.replay_meter import DEFAULT_BUDGET, Budget
from troth.conformance.shell_ci_reports import CiReports
from troth.conformance.shell_publications import write_result
from troth.conformance.shell_terminal import progress, write, write_verdict
from troth.conformance.view_facts import ViewFacts
from troth.conformance.views_render import to_prose
from troth.conformance.views_verdict import MergedVerdict
from troth.conformance.world import World
from troth.vm.errors import Unusable
from troth.vm.escape import PATH_CHARACTERS_MAX, plain
from troth.vm.keys import TrustFile
from troth.vm.reader import RawRecord
from troth.vm.shell_artifact import open_artifact
from troth.vm.shell_protect import refuse_precious, refuse_same_file

VIEWS_MAX: Final = 64


def run_views(
    files: Sequence[Path],
    options: BatchOptions,
    reports: CiReports,
    *,
    proof_out: Path | None,
    json: bool,
) -> int:
    """Prints the verdict on all of them together, and returns its exit code.

    Raises:
        TrothError: a file cannot be read, or the proof cannot be written.
    """
    if proof_out is not None:
        refuse_same_file(proof_out, files)
        refuse_precious(proof_out)
    progress(f"verifying {len(files)} records together")
    try:
        verdict = verify_views(
            files,
            trust=options.trust,
            protocols=options.pins,
            image=options.image,
            replay=options.budget,
        )
    except Unusable as error:
        # Who reads a report has to learn of it, too.
        reports.add(not_judged(" + ".join(map(str, files)), error.code, error.message))
        reports.finish(EXIT_USAGE)
        raise
    if json:
        write(to_json(verdict))
    else:
        write_verdict(to_prose(verdict), verdict.exit_code)
    if proof_out is not None:
        write_proof(verdict, proof_out)
    for view in verdict.views:
        reports.add(judged(view))
    reports.add(_together(verdict))
    reports.finish(verdict.exit_code)
    return verdict.exit_code


def write_proof(verdict: MergedVerdict, target: Path) -> bool:
    """Writes the first proof that there is; says on stderr what became of it."""
    proof = next((one.proof for one in verdict.findings if one.proof is not None), None)
    shown = plain(str(target), characters_max=PATH_CHARACTERS_MAX)
    if proof is None:
        progress(f"no equivocation is proved: {shown} was not written")
        return False
    write_result(target, proof)
    progress(f"wrote {shown}")
    return True


def _together(verdict: MergedVerdict) -> FileResult:
    """The comparison as a result of its own, beside those of the files."""
    first = verdict.findings[0].code if verdict.findings else None
    return FileResult(
        file=" + ".join(verdict.files),
        exit_code=verdict.exit_code,
        status=verdict.status.value,
        reason=verdict.reason,
        failure=first,
        text=to_json(verdict),
    )


def verify_views(
    artifacts: Sequence[str | os.PathLike[str] | BinaryIO],
    *,
    trust: TrustFile | None = None,
    protocols: Pins | None = None,
    image: ImagePin | None = None,
    replay: Budget | None = DEFAULT_BUDGET,
    observers: Sequence[Observer] = (),
) -> MergedVerdict:
    """Verifies each artifact as `verify` does, and compares what they say of the same sessions.

    Artifacts are paths, or streams of bytes that can be read again from their beginning. Memory
    grows with the messages that are compared, 56 bytes each, up to limits with names.
    `observers` are as many as artifacts, or none: each sees the records of its own.

    Raises:
        Unusable: codes `artifact.io`, `verify.files`. What is wrong with an artifact, or between
            them, is in the verdict.
    """
    if not 1 <= len(artifacts) <= VIEWS_MAX:
        raise Unusable(
            "verify.files",
            "there are too many records to be judged together",
            expected=f"1 to {VIEWS_MAX} files",
            actual=str(len(artifacts)),
            advice="Give --batch to judge each of them by itself",
        )
    views: list[View] = []
    for place, artifact in enumerate(artifacts):
        name, reopen = _opener(artifact, place)
        facts = ViewFacts()
        observer: Observer = facts
        if observers:
            observer = partial(_both, facts, observers[place])
        with reopen() as stream:
            verdict = verify_stream(
                stream,
                file=name,
                trust=trust,
                pins=protocols,
                with_fragment=True,
                image=image,
                budget=replay,
                observer=observer,
            )
        views.append(view_of(place, name, verdict, facts, reopen))
    return merge(views, trust)


def _both(one: Observer, other: Observer, record: RawRecord, world: World) -> None:
    one(record, world)
    other(record, world)


def _opener(artifact: str | os.PathLike[str] | BinaryIO, place: int) -> tuple[str, Reopen]:
    if isinstance(artifact, str | os.PathLike):
        path = Path(artifact)
        return str(path), partial(_open, path)
    return f"record {place + 1}", partial(_rewound, artifact)


def _open(path: Path) -> AbstractContextManager[BinaryIO]:
    return open_artifact(path)


@contextmanager
def _rewound(stream: BinaryIO) -> Iterator[BinaryIO]:
    stream.seek(0)
    yield stream
