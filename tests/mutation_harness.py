"""Changes artifacts in every small way and counts what the verifier catches.

A change is caught when the verdict's exit code is 2, 3 or 4, with a located finding, and the
verdict can be shown. Anything else, an exception included, is a false accept or a crash.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

from artifact_surgery import raw_records
from troth.conformance import to_json, to_prose, verify
from troth.vm.keys import TrustFile
from troth.vm.records import MAGIC

CAUGHT_EXITS: Final = frozenset({2, 3, 4})

Mutant = tuple[str, bytes]


@dataclass(slots=True)
class Tally:
    """What became of the mutants; `missed` describes those that were not caught."""

    tried: int = 0
    caught: int = 0
    by_exit: dict[int, int] = field(default_factory=dict)
    by_code: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def summary(self, name: str) -> str:
        exits = ", ".join(f"exit {code}: {count}" for code, count in sorted(self.by_exit.items()))
        return f"{name}: tried {self.tried}, caught {self.caught} ({exits})"


def check_all(mutants: Iterable[Mutant], original: bytes, trust: TrustFile) -> Tally:
    """Verifies every mutant that differs from the original."""
    tally = Tally()
    for description, data in mutants:
        if data == original:
            continue
        tally.tried += 1
        _check(description, data, trust, tally)
    return tally


def _check(description: str, data: bytes, trust: TrustFile, tally: Tally) -> None:
    verdict = verify(io.BytesIO(data), trust=trust)
    tally.by_exit[verdict.exit_code] = tally.by_exit.get(verdict.exit_code, 0) + 1
    first = verdict.findings[0] if verdict.findings else None
    shown = json.loads(to_json(verdict))["exit_code"] == verdict.exit_code
    shown = shown and to_prose(verdict).isprintable() is False
    located = first is not None and 0 <= first.offset <= len(data)
    if verdict.exit_code in CAUGHT_EXITS and located and shown:
        assert first is not None
        tally.caught += 1
        tally.by_code[first.code] = tally.by_code.get(first.code, 0) + 1
    else:
        tally.missed.append(f"{description}: exit {verdict.exit_code}, {first}")


# --- the changes ---------------------------------------------------------------------------


def bit_flips(data: bytes, seed: int) -> Iterator[Mutant]:
    """One flipped bit at every byte; which one depends on the seed."""
    rng = random.Random(seed)
    for position in range(len(data)):
        bit = rng.randrange(8)
        yield f"bit {bit} of byte {position}", _with_byte(data, position, data[position] ^ 1 << bit)


def byte_values(data: bytes, positions: Iterable[int]) -> Iterator[Mutant]:
    """All 255 other values at each position."""
    for position in positions:
        for value in range(256):
            yield f"byte {position} is {value}", _with_byte(data, position, value)


def sampled_positions(data: bytes, count: int, seed: int) -> list[int]:
    return sorted(random.Random(seed).sample(range(len(data)), min(count, len(data))))


def truncations(data: bytes) -> Iterator[Mutant]:
    for length in range(len(data)):
        yield f"cut at {length}", data[:length]


def record_changes(data: bytes) -> Iterator[Mutant]:
    """Every record dropped, repeated in place and at the end, and swapped with every other."""
    pieces = [record.data for record in raw_records(data)]
    for i, piece in enumerate(pieces):
        yield f"record {i} dropped", _joined(pieces[:i] + pieces[i + 1 :])
        yield f"record {i} repeated", _joined([*pieces[: i + 1], piece, *pieces[i + 1 :]])
        yield f"record {i} repeated at the end", _joined([*pieces, piece])
    for i, j in combinations(range(len(pieces)), 2):
        swapped = list(pieces)
        swapped[i], swapped[j] = swapped[j], swapped[i]
        yield f"records {i} and {j} swapped", _joined(swapped)


def record_moves(data: bytes) -> Iterator[Mutant]:
    """Every record moved to every other place."""
    pieces = [record.data for record in raw_records(data)]
    for i, piece in enumerate(pieces):
        rest = pieces[:i] + pieces[i + 1 :]
        for j in range(len(pieces)):
            yield f"record {i} moved to {j}", _joined([*rest[:j], piece, *rest[j:]])


def _joined(pieces: list[bytes]) -> bytes:
    return MAGIC + b"".join(pieces)


def _with_byte(data: bytes, position: int, value: int) -> bytes:
    changed = bytearray(data)
    changed[position] = value
    return bytes(changed)
