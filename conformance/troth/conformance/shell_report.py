"""The command `troth report`: a page about an artifact, and the same from Python."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

from troth.conformance.image_pin import ImagePin
from troth.conformance.judge import verify_stream
from troth.conformance.protocols import Pins
from troth.conformance.replay_meter import DEFAULT_BUDGET, Budget
from troth.conformance.report_collect import Collector
from troth.conformance.report_model import Report
from troth.conformance.report_page import page
from troth.conformance.shell_files import load_image_pin, load_pins
from troth.conformance.shell_terminal import progress, write
from troth.conformance.shell_verify import add_judging, budget_of
from troth.conformance.shell_views import verify_views
from troth.conformance.verdict import Verdict
from troth.conformance.views_verdict import MergedVerdict
from troth.vm.errors import Place, Unusable
from troth.vm.escape import PATH_CHARACTERS_MAX, escape, plain
from troth.vm.keys import TrustFile
from troth.vm.shell_artifact import open_artifact
from troth.vm.shell_keys import load_trust
from troth.vm.shell_protect import refuse_precious, refuse_same_file

Subparsers = Any  # argparse does not export the type of add_subparsers()

TITLE_NAMES_MAX: Final = 4


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "report", help="verify an artifact and make a page of it that opens in any browser"
    )
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="a .replay artifact, or several parties' records of one session",
    )
    parser.add_argument(
        "-o", "--out", type=Path, metavar="OUT", help="write the page to OUT (default: FILE.html)"
    )
    add_judging(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Writes the page and says what the verdict in it is.

    Raises:
        TrothError: a file cannot be read, used or written.
    """
    files: list[Path] = arguments.files
    source = files[0]
    out: Path = arguments.out or source.with_name(source.name + ".html")
    progress(f"verifying {escape(', '.join(map(str, files)))}")
    trust = None if arguments.trust is None else load_trust(arguments.trust)
    protocols = None if arguments.protocol is None else load_pins(arguments.protocol)
    image = None if arguments.image is None else load_image_pin(arguments.image)
    budget = budget_of(arguments)
    verdict: Verdict | MergedVerdict
    if len(files) == 1:
        verdict = report(source, out, trust=trust, protocols=protocols, image=image, replay=budget)
    else:
        verdict = report_views(
            files, out, trust=trust, protocols=protocols, image=image, replay=budget
        )
    shown = plain(str(out), characters_max=PATH_CHARACTERS_MAX)
    names = escape(", ".join(file.name for file in files), characters_max=PATH_CHARACTERS_MAX)
    be = "is" if len(files) == 1 else "are"
    write(f"{shown}: {names} {be} {verdict.status.value}")
    return 0


Artifact: TypeAlias = str | os.PathLike[str] | BinaryIO


def report(
    artifact: Artifact,
    out: str | os.PathLike[str],
    *,
    trust: TrustFile | None = None,
    protocols: Pins | None = None,
    image: ImagePin | None = None,
    replay: Budget | None = DEFAULT_BUDGET,
) -> Verdict:
    """Verifies an artifact as `verify` does, and writes a page about it to `out`.

    The page is one HTML file that needs no other and asks for nothing over a network. An earlier
    result at `out` is replaced, once the new one is complete; an artifact, key or script is not.
    Memory grows with what the page shows, which has limits with names.

    Raises:
        Unusable: codes `artifact.io`, `report.io`, `output.…`. What is wrong with the artifact
            is in the verdict, and on the page.
    """
    target = _target(out, [artifact])
    collector = Collector()
    named = isinstance(artifact, str | os.PathLike)
    path = Path(artifact) if isinstance(artifact, str | os.PathLike) else Path("artifact")
    stream = open_artifact(path) if named else contextlib.nullcontext(artifact)
    with stream as source:
        assert not isinstance(source, str | os.PathLike)
        verdict = verify_stream(
            source,
            file=str(path) if named else "",
            trust=trust,
            pins=protocols,
            with_fragment=True,
            image=image,
            budget=replay,
            observer=collector,
        )
    view = collector.view(verdict, path.name)
    _write(target, page(Report(title=view.name, views=(view,), version=_version())))
    return verdict


def report_views(
    artifacts: Sequence[Artifact],
    out: str | os.PathLike[str],
    *,
    trust: TrustFile | None = None,
    protocols: Pins | None = None,
    image: ImagePin | None = None,
    replay: Budget | None = DEFAULT_BUDGET,
) -> MergedVerdict:
    """Verifies several parties' records as `verify_views` does, and writes one page about them.

    Raises:
        Unusable: as `report` and `verify_views`.
    """
    target = _target(out, artifacts)
    collectors = [Collector() for _ in artifacts]
    merged = verify_views(
        artifacts,
        trust=trust,
        protocols=protocols,
        image=image,
        replay=replay,
        observers=collectors,
    )
    names = shown_names(artifacts)
    views = tuple(
        collector.view(verdict, name)
        for collector, verdict, name in zip(collectors, merged.views, names, strict=True)
    )
    title = ", ".join(names[:TITLE_NAMES_MAX])
    _write(target, page(Report(escape(title), views, _version(), merged)))
    return merged


def _target(out: str | os.PathLike[str], artifacts: Sequence[Artifact]) -> Path:
    target = Path(out)
    refuse_precious(target)
    paths = [Path(one) for one in artifacts if isinstance(one, str | os.PathLike)]
    refuse_same_file(target, paths)
    return target


def shown_names(artifacts: Sequence[Artifact]) -> list[str]:
    """How a page calls the records: it goes to others, who need no folders of this machine.

    As many folders as it takes to tell two files apart stay.
    """
    paths = [Path(one) if isinstance(one, str | os.PathLike) else None for one in artifacts]
    parts = 1
    while parts < max((len(path.parts) for path in paths if path is not None), default=1):
        tails = [_tail(path, parts) for path in paths if path is not None]
        if len(set(tails)) == len(set(filter(None, paths))):
            break
        parts += 1
    return [
        f"record {number + 1}" if path is None else _tail(path, parts)
        for number, path in enumerate(paths)
    ]


def _tail(path: Path, parts: int) -> str:
    return str(Path(*path.parts[-parts:]))


def _write(target: Path, pieces: Iterable[str]) -> None:
    """All of it or nothing: a page that is cut short must not take another one's place."""
    try:
        if target.exists() and not target.is_file():
            # A pipe or a device, such as standard output.
            with target.open("w", encoding="utf-8") as file:
                file.writelines(pieces)
            return
        _replace(target, pieces)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise Unusable(
            "report.io",
            f"the page cannot be written: {reason}",
            place=Place(file=str(target)),
            advice="Check the path, its permissions and the space on the disk",
        ) from error


def _replace(target: Path, pieces: Iterable[str]) -> None:
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with part.open("x", encoding="utf-8") as file:
            file.writelines(pieces)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _version() -> str:
    try:
        return version("troth")
    except PackageNotFoundError:
        return ""
