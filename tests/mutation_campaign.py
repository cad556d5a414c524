"""A million single changes of a hundred artifacts, each judged by both verifiers.

`python -m mutation_campaign --changes 1000000 --processes 2 --state FOLDER` in `tests`. What was
done is kept in FOLDER, one line for each portion, so a campaign goes on where it was stopped. It
prints the counts, and ends with 1 when a change was accepted, a verifier crashed, or the two did
not agree.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Final, NamedTuple, TypedDict

import second_verifier
from mutation_corpus import CORPUS
from mutation_kinds import Change, Target, change, target
from mutation_location import located
from mutation_merged import Beside
from troth.conformance import verify

PORTION: Final = 50
"""How many changes of one artifact are one unit of work."""
WORDS: Final = {0: "valid", 2: "invalid", 3: "invalid", 4: "incomplete", 5: "valid"}
HOLDS: Final = frozenset({0, 5})
SHOWN_MAX: Final = 40


class Portion(NamedTuple):
    """`family` is the beginning of the names of the families that are judged."""

    artifact: str
    first: int
    changes: int
    family: str = ""


DIGEST_BYTES: Final = 8
"""Enough to tell so many changed artifacts apart."""


class Result(TypedDict):
    """What became of a portion.

    `odd` has a line for all that is not as it should be, `digests` the beginning of the SHA-256 of
    every changed artifact, one behind the other, to count how many are different.
    """

    portion: list[str | int]
    counts: dict[str, int]
    odd: list[str]
    digests: str


@cache
def _target(name: str) -> Target:
    names = list(CORPUS)
    return target(name, names[(names.index(name) + 1) % len(names)])


def judge_portion(portion: Portion) -> Result:
    """Makes and judges the changes of one portion."""
    counts: Counter[str] = Counter()
    odd: list[str] = []
    digests: list[str] = []
    aim = _target(portion.artifact)
    for number in range(portion.first, portion.first + portion.changes):
        made = change(aim, number)
        if made is None:
            counts["none"] += 1
            continue
        if not made.family.startswith(portion.family):
            counts["another family"] += 1
            continue
        counts["tried"] += 1
        counts[f"family {made.family}"] += 1
        digests.append(sha256(made.data).digest()[:DIGEST_BYTES].hex())
        for problem in _judge(aim, made, counts):
            counts[problem] += 1
            odd.append(f"{portion.artifact} {number}: {problem}: {made.family}, {made.said}")
    return {
        "portion": list(portion),
        "counts": dict(counts),
        "odd": odd,
        "digests": "".join(digests),
    }


def _judge(aim: Target, made: Change, counts: Counter[str]) -> Iterator[str]:
    """What is not as it should be."""
    return (_judge_alone if aim.together is None else _judge_merged)(aim, made, counts)


@cache
def _beside(name: str) -> Beside:
    return Beside(_target(name))


def _judge_merged(aim: Target, made: Change, counts: Counter[str]) -> Iterator[str]:
    """The same of a record among others of the session."""
    beside = _beside(aim.name)
    try:
        second = beside.second(made.data)
    except Exception as problem:  # noqa: BLE001 - a crash is what is looked for
        yield f"second crashed {type(problem).__name__}"
        return
    try:
        four = beside.first(made.data, None)
        whole = beside.first(made.data) if four.exit_code in HOLDS else four
    except Exception as problem:  # noqa: BLE001 - a crash is what is looked for
        yield f"crashed {type(problem).__name__}"
        return
    word = WORDS.get(four.exit_code, "none")
    counts["merged"] += 1
    counts["agreed"] += word == second.word
    if word != second.word:
        yield f"disagreed {word} {beside.codes(four)[:1]} {second}"
    if whole.exit_code in HOLDS:
        yield "accepted"
        return
    counts["caught"] += 1
    if whole.exit_code != 4:
        counts["findings"] += 1
        right = any(
            located(aim.records, data, made.record, record)
            for data, record in beside.named(whole, made.data)
        )
        counts["located"] += right
        if not right:
            counts[f"elsewhere {made.family} {beside.codes(whole)[0]}"] += 1


def _judge_alone(aim: Target, made: Change, counts: Counter[str]) -> Iterator[str]:
    trust = {name: pair.public_key for name, pair in aim.sample.keys.items()}
    try:
        second = second_verifier.judge(made.data, trust)
    except Exception as problem:  # noqa: BLE001 - a crash is what is looked for
        yield f"second crashed {type(problem).__name__}"
        return
    try:
        four = verify(io.BytesIO(made.data), trust=aim.sample.trust, replay=None)
        holds = four.exit_code in HOLDS
        whole = verify(io.BytesIO(made.data), trust=aim.sample.trust) if holds else four
    except Exception as problem:  # noqa: BLE001 - a crash is what is looked for
        yield f"crashed {type(problem).__name__}"
        return
    word = WORDS.get(four.exit_code, "none")
    counts["agreed"] += word == second.word
    if word != second.word:
        first = four.findings[0] if four.findings else None
        at = (first.record, first.code) if first else None
        yield f"disagreed {word} {at} {second}"
    if whole.exit_code in HOLDS:
        yield "accepted"
        return
    counts["caught"] += 1
    if whole.exit_code != 4:
        right = located(aim.records, made.data, made.record, whole.findings[0].record)
        counts["located"] += right
        counts["findings"] += 1
        if not right:
            counts[f"elsewhere {made.family} {whole.findings[0].code}"] += 1


# --- many of them ----------------------------------------------------------------------------


def portions(
    changes: int, size: int = PORTION, prefix: str = "", family: str = ""
) -> Iterator[Portion]:
    """Portions of the artifacts in turn, until there are so many changes.

    Of all artifacts, or of those whose names begin with `prefix`. What is not of a family whose
    name begins with `family` is counted and not judged.
    """
    done = 0
    names = [name for name in CORPUS if name.startswith(prefix)]
    while True:
        for name in names:
            if done >= changes:
                return
            first = done // (size * len(names)) * size
            count = min(size, changes - done)
            yield Portion(name, first, count, family)
            done += count


def campaign(
    changes: int,
    processes: int,
    state: Path | None,
    *,
    size: int = PORTION,
    prefix: str = "",
    family: str = "",
) -> Counter[str]:
    """Judges what is not yet in the state; returns the counts of all."""
    total: Counter[str] = Counter()
    odd: list[str] = []
    different: set[int] = set()
    done = set()
    lines = _lines(state)
    if state is not None:
        state.write_text("".join(lines))  # Without the line that was being written.
    for line in lines:
        kept = json.loads(line)
        done.add(tuple(kept["portion"]))
        total.update(kept["counts"])
        odd += kept["odd"]
        different.update(_digests(kept["digests"]))
    left = [one for one in portions(changes, size, prefix, family) if tuple(one) not in done]
    for name in {one.artifact for one in left}:
        _target(name)  # Before the processes begin, so that they share what was recorded.
    with ProcessPoolExecutor(processes, mp_context=get_context("fork")) as pool:
        for number, result in enumerate(pool.map(judge_portion, left)):
            total.update(result["counts"])
            odd += result["odd"]
            different.update(_digests(result["digests"]))
            if state is not None:
                with state.open("a") as file:
                    file.write(json.dumps(result) + "\n")
            if sys.stderr.isatty() or number % 20 == 0:
                print(f"{total['tried']} tried", file=sys.stderr)
    for line in odd[:SHOWN_MAX]:
        print(line)
    total["different"] = len(different)
    return total


def _digests(joined: str) -> Iterator[int]:
    data = bytes.fromhex(joined)
    for at in range(0, len(data), DIGEST_BYTES):
        yield int.from_bytes(data[at : at + DIGEST_BYTES])


def _lines(state: Path | None) -> list[str]:
    if state is None or not state.exists():
        return []
    return [line for line in state.read_text().splitlines(keepends=True) if line.endswith("\n")]


def summary(total: Counter[str]) -> str:
    """The counts that the campaign is about."""
    crashed = sum(count for name, count in total.items() if "crashed" in name)
    lines = [
        f"artifacts: {len(CORPUS)}",
        f"tried: {total['tried']}, of which different: {total['different']},"
        f" judged among other records: {total['merged']}",
        f"caught: {total['caught']}",
        f"false accepts: {total['accepted']}",
        f"crashes: {crashed}",
        f"agreement of the two verifiers: {total['agreed']} of {total['tried']}",
        f"located: {total['located']} of {total['findings']} findings"
        f" ({100 * total['located'] / max(1, total['findings']):.2f} %)",
    ]
    names = sorted(name for name in total if name.startswith(("family", "elsewhere")))
    return "\n".join([*lines, *(f"  {name}: {total[name]}" for name in names)])


def holds(total: Counter[str]) -> bool:
    """Nothing accepted, nothing crashed, one opinion, and 95 of 100 findings in the right place."""
    fine = total["tried"] == total["caught"] == total["agreed"]
    return fine and total["located"] >= 0.95 * total["findings"]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mutation_campaign")
    parser.add_argument("--changes", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--artifacts", default="", help="only those whose names begin so")
    parser.add_argument("--family", default="", help="judge only families whose names begin so")
    parser.add_argument("--state", type=Path, help="a folder that remembers what was done")
    given = parser.parse_args(arguments)
    state = None
    if given.state is not None:
        given.state.mkdir(parents=True, exist_ok=True)
        state = given.state / "portions.jsonl"
    narrowed = {"prefix": given.artifacts, "family": given.family}
    total = campaign(given.changes, given.processes, state, **narrowed)
    print(summary(total))
    return 0 if holds(total) else 1


if __name__ == "__main__":
    sys.exit(main())
