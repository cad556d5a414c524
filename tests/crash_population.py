"""Draws protocols that say what follows a crash, their programs, and a crash at some moment.

`python -m crash_population --members 1000` runs many, and prints what happened. A member is run
with and without the crash, in turns and in lanes, recorded, judged by both verifiers at all
levels, and compared with the reference.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

import builders
from constructs import CONSTRUCTS, parts
from population import conversation, projected
from population_campaign import HOST
from population_programs import TooLongError
from replay_samples import judged, record_run
from second_verifier import judge
from troth.conformance.reference import Setup, run_both
from troth.conformance.reference.compare import Disturb
from troth.dsl.compile import compile_source
from troth.vm.errors import Unusable
from troth.vm.image import Image
from troth.vm.instructions import Seal
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.loader import load
from troth.vm.reader import ArtifactReader
from troth.vm.records import Kind
from troth.vm.trouble_kind import Trouble

NAMES: Final = tuple(CONSTRUCTS)
ROLES: Final = ("D", "A", "B", "W[0]", "W[1]")
SEED: Final = 20_261_126
_EVERYBODY_ELSE: Final = {"A": "B, W[0], W[1]", "B": "A, W[0], W[1]"}


@dataclass
class Tally:
    """What happened, and what should not have."""

    members: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def crash_text(before: str, inside: str, after: str, *, loops: bool, greets: bool) -> str:
    """One construct before the choice of D, one in its branch, one in the branch of its crash.

    Where D greets before, who waits for that has no way on after a crash.
    """
    choice = [
        "choice at D:",
        *_in(["D -> A: going()", "A -> *: told()", *CONSTRUCTS[inside](2, [])]),
        *(["    continue Again"] if loops else []),
        "or:",
        *_in(["D -> A: enough()", "A -> B, W[0], W[1]: over()"]),
        "on crash D:",
        *_in(["A -> B, W[0], W[1]: alone()", *_without_d(CONSTRUCTS[after](3, []))]),
    ]
    body = ["A -> *: start()", *CONSTRUCTS[before](1, [])]
    body += ["D -> B: hello()"] if greets else []
    body += ["rec Again:", *_in(choice)] if loops else choice
    edges = ["edge A -> B: replay = nullifier, buffer = latest, capacity = 1"]
    head = edges if "lossy loop" in (before, inside, after) else []
    lines = ["protocol P(A, B, W[2], D):", *_in([*head, *body]), ""]
    return "\n".join([*parts(3), *lines])


def _in(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _without_d(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        sender = line.strip().partition(" -> *")[0]
        yield line.replace("-> *", f"-> {_EVERYBODY_ELSE[sender]}") if "-> *" in line else line


def drawn(number: int, seed: int = SEED) -> tuple[str, Random]:
    """The script of a member, which depends on its number alone."""
    rng = Random(f"{seed} {number}")
    while True:
        before, inside, after = (rng.choice(NAMES) for _ in range(3))
        loops, greets = rng.random() < 0.5, rng.random() < 0.4
        text = crash_text(before, inside, after, loops=loops, greets=greets)
        try:
            return conversation(rng, projected(text, "P")).script(), rng
        except TooLongError:
            continue


class Backwards:
    """Executes lanes one after the other, the last first."""

    lanes = True

    def run(self, jobs: Sequence[Callable[[], None]]) -> None:
        for job in reversed(jobs):
            job()

    def share(self, count: int, work: Callable[[Iterator[int]], None]) -> None:
        work(iter(range(count)))


def try_member(number: int, tally: Tally, *, moments: int, seed: int = SEED) -> None:
    script, rng = drawn(number, seed)
    tally.members += 1
    known = len(tally.problems)
    image = compile_source(script, "crashes.troth")
    rounds = _rounds(image)
    for _ in range(moments):
        role = rng.choice((*ROLES[:1] * 6, *ROLES[1:]))
        crash = Disturb(0, Trouble.CRASH, role)
        after = rng.randint(1, rng.choice((rounds, rounds // 3 + 1)))
        _try_crash(image, after, crash, rng.choice(tuple(Seal)), tally)
    said = tally.problems[known:]
    tally.problems[known:] = [f"member {number}: {problem}\n{script}" for problem in said]


def _rounds(image: Image) -> int:
    both = run_both(load(image), _setup(image), round_ns=1_000_000)
    assert both.difference is None, both.difference
    return both.rounds


def _setup(image: Image) -> Setup:
    keys = builders.make_signer()
    return Setup(
        image=image,
        seed=builders.SEED,
        signer=keys,
        roster=keys,
        limits=DEFAULT_LIMITS,
        seals_rounds=True,
    )


def _try_crash(image: Image, after: int, crash: Disturb, seal: Seal, tally: Tally) -> None:
    host = replace(HOST, troubles=((after, crash),))
    try:
        sample = record_run(image, host, seal=seal)
    except (Unusable, IndexError):
        tally.happened["nobody played the role any more"] += 1
        return
    where = f"{crash.role} after {after}, sealed by {seal}"
    if record_run(image, host, seal=seal, workers=Backwards()).data != sample.data:
        tally.problems.append(f"{where}: another order of lanes is another run")
    verdict, other = judged(sample), judge(sample.data, {})
    if verdict.findings or not verdict.levels[4].ok or other.word != "valid":
        tally.problems.append(f"{where}: {verdict.findings[:1]} {other}")
    both = run_both(load(image), _setup(image), acts={after: [crash]}, round_ns=1_000_000)
    if both.difference is not None:
        tally.problems.append(f"{where}: {both.difference}")
    _count(sample.data, where, tally)


def _count(data: bytes, where: str, tally: Tally) -> None:
    records = [record.items for record in ArtifactReader(io.BytesIO(data))]
    kinds = Counter(Kind(record[0]) for record in records)
    last = [record for record in records if record[0] == Kind.STATUS][-1]
    departed = kinds[Kind.DEPART] > 0
    ends = {2: "closed", 4: "faulted"}.get(last[2])
    if ends is None or (ends == "closed" and not departed):
        tally.problems.append(f"{where}: the session ends with {last}")
    tally.happened[f"{'departed' if departed else 'not provided for'}, {ends}"] += 1
    tally.happened["went on without"] += kinds[Kind.DETECT]
    tally.happened["undelivered"] += kinds[Kind.UNDELIVERED]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=1_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--moments", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=600)
    arguments = parser.parse_args()
    started, tally = time.monotonic(), Tally()
    for number in range(arguments.first, arguments.first + arguments.members):
        try_member(number, tally, moments=arguments.moments)
        if time.monotonic() - started > 60 * arguments.minutes:
            break
    seconds = time.monotonic() - started
    print(f"seed {SEED}, {tally.members} members from {arguments.first}, {seconds:.0f} s")
    print(dict(tally.happened))
    print(*[f"{len(tally.problems)} problems", *tally.problems[:5]], sep="\n")
    sys.exit(bool(tally.problems))


if __name__ == "__main__":
    main()
