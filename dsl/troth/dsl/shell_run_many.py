"""Runs many machines in processes: several scripts, or one with several seeds.

Machines share nothing, so they need no common interpreter and its lock. Each process runs one
machine after the other; what the machines print is told in the order of the machines, as soon as
all before it have ended.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from troth.dsl import shell_load
from troth.dsl.shell_host_output import host_output_aside
from troth.vm.error_text import describe_error
from troth.vm.errors import InternalError, Place, TrothError, Unusable
from troth.vm.shell_effects import load_effects_module
from troth.vm.shell_keys import load_or_create
from troth.vm.shell_options import RunOptions, seed_from_number
from troth.vm.shell_run import run

PROCESSES_MAX: Final = 256
MACHINES_MAX: Final = 1_000_000
_AHEAD: Final = 4
"""Machines that are handed out per process before their turn to be told comes."""


@dataclass(frozen=True, slots=True)
class Job:
    """One machine: `options` have neither effects nor seed, which are made where it runs."""

    file: Path
    seed: int | None
    effects: Path | None
    options: RunOptions

    @property
    def name(self) -> str:
        return str(self.file) if self.seed is None else f"{self.file} with seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Told:
    """What one machine printed, and why it did not end well; "" when it did."""

    job: Job
    lines: tuple[str, ...]
    why: str

    @property
    def ok(self) -> bool:
        return not self.why


def make_jobs(
    files: Sequence[Path], seeds: range | None, effects: Path | None, options: RunOptions
) -> list[Job]:
    """Every file with every seed; with `record` a folder, each has a file of its own in it.

    Raises:
        Unusable: code `run.processes`, for too many, or two that have one record.
    """
    numbers: Sequence[int | None] = [None] if seeds is None else seeds
    if len(files) * len(numbers) > MACHINES_MAX:
        raise Unusable(
            "run.processes",
            "these are too many machines for one command",
            expected=f"at most {MACHINES_MAX}",
            actual=str(len(files) * len(numbers)),
        )
    jobs = []
    records: set[Path] = set()
    for file in files:
        for seed in numbers:
            mine = options
            if options.record is not None:
                ending = "" if seed is None else f"-{seed}"
                record = Path(options.record) / f"{file.stem}{ending}.replay"
                if record in records:
                    raise Unusable(
                        "run.processes",
                        "two machines would write the same record",
                        place=Place(file=str(record)),
                        advice="Give the scripts names of their own",
                    )
                records.add(record)
                mine = replace(options, record=record)
            jobs.append(Job(file, seed, effects, mine))
    return jobs


def run_many(jobs: Sequence[Job], processes: int) -> Iterator[Told]:
    """Runs all of them, at most `processes` at once; yields them in their order.

    Raises:
        Unusable: a folder or key that all need cannot be made; a process died.
    """
    _prepare(jobs)
    # Not by fork: a copy of a process with threads may wait for locks that nobody holds.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        try:
            ahead = processes * _AHEAD
            running = [pool.submit(_run_one, job) for job in jobs[:ahead]]
            for number in range(len(jobs)):
                told = running[number].result()
                if len(running) < len(jobs):
                    running.append(pool.submit(_run_one, jobs[len(running)]))
                yield told
        except BrokenProcessPool as error:
            raise Unusable(
                "run.processes",
                "a process that runs machines has died",
                advice="Look for too little memory, or an effect that ends its process",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _prepare(jobs: Sequence[Job]) -> None:
    """Makes what several processes would make at once: the folder of records, and keys."""
    known: set[Path] = set()
    for job in jobs:
        if job.options.record is not None:
            _make_folder(Path(job.options.record).parent)
        if job.options.keys is None or job.file in known:
            continue
        known.add(job.file)
        for protocol in shell_load.load_image(job.file).protocols:
            for role in protocol.roles:
                load_or_create(Path(job.options.keys), role)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unusable(
            "run.processes",
            f"the folder of the records cannot be made: {error.strerror}",
            place=Place(file=str(folder)),
            advice="With several machines --record is a folder",
        ) from error


def _run_one(job: Job) -> Told:
    """In a process of its own."""
    lines: list[str] = []
    try:
        with host_output_aside():
            effects = None if job.effects is None else load_effects_module(job.effects)
            options = replace(
                job.options,
                effects=effects,
                seed=None if job.seed is None else seed_from_number(job.seed),
            )
            image = shell_load.load_image(job.file)
            result = run(image, options=options, write_line=lines.append)
    except InternalError:
        raise
    except TrothError as error:
        return Told(job, tuple(lines), describe_error(error))
    return Told(job, tuple(lines), "" if result.ok else result.report.describe())
