"""A small coverage-guided fuzzer: what takes a new way through the code is changed further.

The same seed and number of executions try the same inputs.
"""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

from fuzz.edges import Edges

MEMORY_EVERY: Final = 25
PROBLEMS_MAX: Final = 20

Run = Callable[[bytes], str]
"""Does something with an input and says in a word what came of it. An exception is a problem."""

Change = Callable[[bytes, bytes, Random], bytes]
"""A new input from one and another."""


@dataclass(slots=True)
class Report:
    """What a campaign has tried. `problems` are inputs with what they did."""

    name: str
    executions: int = 0
    edges: int = 0
    edges_at_first: int = 0
    kept: int = 0
    lines_max: int = 0
    memory_max: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[tuple[str, bytes]] = field(default_factory=list)

    def summary(self) -> str:
        outcomes = ", ".join(f"{word} {count:,}" for word, count in self.outcomes.most_common(12))
        return (
            f"{self.name}: {self.executions:,} executions, {self.edges:,} edges "
            f"({self.edges_at_first:,} by the corpus), {self.kept:,} inputs kept, at most "
            f"{self.lines_max:,} lines and {self.memory_max / (1 << 20):.1f} MiB for one input, "
            f"{len(self.problems)} problems; {outcomes}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """`lines` and `memory_bytes` are what one input may take, and `watched` where ways are seen."""

    name: str
    run: Run
    change: Change
    corpus: tuple[bytes, ...]
    lines_max: int
    memory_bytes_max: int
    edges: Callable[[int], Edges] = Edges


def fuzz(campaign: Campaign, seed: int, more: Callable[[Report], bool]) -> Report:
    """Goes on while `more` says so, and until there are too many problems."""
    rng, report = Random(seed), Report(campaign.name)
    edges, seen = campaign.edges(campaign.lines_max), set[tuple[int, int, int]]()
    pool: list[bytes] = []
    for data in _inputs(campaign, pool, rng):
        if len(pool) >= len(campaign.corpus):
            if not more(report) or len(report.problems) >= PROBLEMS_MAX:
                break
        elif report.executions:
            report.edges_at_first = len(seen)
        problems = len(report.problems)
        new = _execute(campaign, data, edges, report) - seen
        if len(report.problems) > problems:
            # It is not run again: without its lines being counted it might never end.
            seen |= new
            pool += [data] if report.executions <= len(campaign.corpus) else []
        elif new or report.executions <= len(campaign.corpus):
            seen |= new
            pool.append(data)
            _weigh(campaign, data, report)
        elif report.executions % MEMORY_EVERY == 0:
            _weigh(campaign, data, report)
        if report.executions <= len(campaign.corpus):
            report.edges_at_first = len(seen)
    report.edges, report.kept = len(seen), len(pool) - len(campaign.corpus)
    return report


def _inputs(campaign: Campaign, pool: list[bytes], rng: Random) -> Iterator[bytes]:
    yield from campaign.corpus
    while True:
        # Late finds are changed more often: they have been changed least.
        place = max(rng.randrange(len(pool)), rng.randrange(len(pool)))
        yield campaign.change(pool[place], rng.choice(pool), rng)


def _execute(
    campaign: Campaign, data: bytes, edges: Edges, report: Report
) -> set[tuple[int, int, int]]:
    report.executions += 1
    try:
        with edges:
            word = campaign.run(data)
    except Exception as error:  # noqa: BLE001 - whatever comes out is what is looked for
        word = f"!{type(error).__name__}"
        report.problems.append((f"{type(error).__name__}: {error}", data))
    report.outcomes[word] += 1
    report.lines_max = max(report.lines_max, edges.lines)
    return edges.found


def _weigh(campaign: Campaign, data: bytes, report: Report) -> None:
    """Runs it once more, without tracing lines, to see what memory it takes."""
    tracemalloc.start()
    try:
        campaign.run(data)
        peak = tracemalloc.get_traced_memory()[1]
    except Exception:  # noqa: BLE001 - it has been reported
        return
    finally:
        tracemalloc.stop()
    report.memory_max = max(report.memory_max, peak)
    if peak > campaign.memory_bytes_max:
        report.problems.append((f"{peak:,} bytes of memory", data))


def for_executions(count: int) -> Callable[[Report], bool]:
    return lambda report: report.executions < count


def all_problems(reports: Iterable[Report]) -> list[str]:
    return [
        f"{report.name}: {what}: {data.hex()}"
        for report in reports
        for what, data in report.problems
    ]
