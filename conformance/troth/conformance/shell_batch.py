"""Judging many artifacts at once: `troth verify DIR…` and `troth verify --batch FILE…`."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from troth.conformance.batch import BatchOptions, Bounds, FileResult, Tally
from troth.conformance.codes import EXIT_VALID
from troth.conformance.image_pin import ImagePin
from troth.conformance.protocols import Pins
from troth.conformance.replay_meter import DEFAULT_BUDGET, Budget
from troth.conformance.shell_batch_pool import Pool
from troth.conformance.shell_batch_state import State
from troth.conformance.shell_ci_reports import CiReports
from troth.conformance.shell_terminal import write
from troth.vm.errors import Unusable
from troth.vm.escape import PATH_CHARACTERS_MAX, plain
from troth.vm.keys import TrustFile
from troth.vm.shell_cores import cores

SUFFIX: Final = ".replay"


class BatchPlan(NamedTuple):
    """How a batch is carried out; nothing in it changes a verdict."""

    jobs: int
    bounds: Bounds
    state: Path | None
    json: bool


def find_artifacts(paths: Iterable[Path]) -> list[str]:
    """Files as they are named, and the artifacts in and below folders, each folder sorted.

    Links to folders are not followed, and only regular files are taken from folders.

    Raises:
        Unusable: code `batch.nothing`, when there is none; `batch.folder` when one is unreadable.
    """
    found: dict[str, None] = {}
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(_below(path)))
        else:
            found[str(path)] = None
    if not found:
        raise Unusable(
            "batch.nothing",
            "there is no artifact to verify",
            expected=f"files called …{SUFFIX} in the folder or below it",
            advice="Check the path; other files are verified when they are named after --batch",
        )
    return list(found)


def _below(folder: Path) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise Unusable(
            "batch.folder",
            f"a folder cannot be read: {error.strerror or error}",
            advice="Make it readable, or name the files to verify",
        ) from error

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(place, name)
            if name.endswith(SUFFIX) and _is_regular(path):
                yield path


def _is_regular(path: str) -> bool:
    """Opening a pipe would wait for ever; what has gone meanwhile is reported when it is opened."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True


def verify_many(
    artifacts: Iterable[str | os.PathLike[str]],
    *,
    trust: TrustFile | None = None,
    protocols: Pins | None = None,
    image: ImagePin | None = None,
    replay: Budget | None = DEFAULT_BUDGET,
    jobs: int | None = None,
    bounds: Bounds = Bounds(),  # noqa: B008 - a frozen value
    state: str | os.PathLike[str] | None = None,
) -> Iterator[FileResult]:
    """Verifies files, and all artifacts in and below folders, in `jobs` processes.

    Gives one result for each file, in their order, as they come; the processes end with the
    iteration. `bounds` is what each file may take, and `state` a file that remembers results. The
    other arguments are those of `verify`.

    Raises:
        Unusable: code `batch.…`, for folders and a state that cannot be used. What is wrong with
            a file is in its result.
    """
    options = BatchOptions(trust=trust, pins=protocols, image=image, budget=replay)
    files = find_artifacts(map(Path, artifacts))
    with ExitStack() as stack:
        known = None if state is None else stack.enter_context(State(Path(state), options))
        pool = stack.enter_context(Pool(options, jobs or cores(), bounds=bounds, state=known))
        yield from pool.judge(files)


def run_batch(
    files: Sequence[str], options: BatchOptions, plan: BatchPlan, reports: CiReports
) -> int:
    """Prints a line for every file that is not valid, then the counts; the worst exit code.

    Raises:
        TrothError: the state or a report cannot be used.
    """
    tally = Tally()
    with ExitStack() as stack:
        state = None
        if plan.state is not None:
            state = stack.enter_context(State(plan.state, options))
        pool = stack.enter_context(Pool(options, plan.jobs, bounds=plan.bounds, state=state))
        bar = stack.enter_context(_progress())
        task = bar.add_task("verifying", total=len(files))
        try:
            for result in pool.judge(files):
                tally.add(result)
                reports.add(result)
                if plan.json:
                    write(result.text)
                elif result.exit_code != EXIT_VALID:
                    write(_line(result))
                bar.advance(task)
        except KeyboardInterrupt as interruption:
            interruption.add_note(_what_is_done(tally, len(files), plan))
            raise
    write(tally.to_json() if plan.json else _table(tally))
    reports.finish(tally.exit_code)
    return tally.exit_code


def _progress() -> Progress:
    """On standard error, and only when somebody watches."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def _line(result: FileResult) -> str:
    file = plain(result.file, characters_max=PATH_CHARACTERS_MAX)
    head = f"{file}: {result.status} (exit {result.exit_code}): {plain(result.reason)}"
    if result.failure is not None:
        return f"{head} [{result.failure}]"
    if not result.findings:
        return head
    first = result.findings[0]
    return f"{head} [{first.code} at byte {first.offset}]"


def _table(tally: Tally) -> str:
    rows = [(f"{word} (exit {code})", f"{count:,}") for word, code, count in tally.rows()]
    total = "all"
    if tally.remembered:
        total += f", {tally.remembered:,} of them remembered"
    rows.append((total, f"{tally.files:,}"))
    width = max(len(name) for name, _ in rows)
    digits = max(len(count) for _, count in rows)
    return "\n".join(f"{name:{width}}  {count:>{digits}}" for name, count in rows)


def _what_is_done(tally: Tally, total: int, plan: BatchPlan) -> str:
    done = f"{tally.files:,} of {total:,} files were reported"
    if plan.state is None:
        return f"{done}; with --state a batch goes on where it was interrupted"
    return f"{done}; the same command goes on from there"
