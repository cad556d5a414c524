"""Artifacts of each format version that are kept for ever, with the verdicts on them.

`python -m golden_artifacts` in `tests` writes those of the version that this code writes. While
that version is not released, a change of the format is followed by writing them anew, and the
difference is looked at; from the release on they stay as they are, and a change of the format is
a new version with a folder of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Final

from artifact_surgery import Sample, flipped, join, parse, with_field
from mutation_corpus import artifact
from troth.conformance import Verdict, verify
from troth.vm.keys import TrustFile, parse_trust
from troth.vm.records import FORMAT_VERSION, Kind

GOLDEN: Final = Path(__file__).parent / "golden"
VERDICTS: Final = "verdicts.json"
TRUST: Final = "trust"

MODES: Final = tuple(
    f"{name}-{replay}-{seal}"
    for name in ("hello", "drain")
    for replay in ("sequence", "nullifier", "off")
    for seal in ("message", "round")
)
KEPT: Final = (
    *MODES,
    "delegation-sequence-message", "delegation-nullifier-round",
    "two_buyer-sequence-message", "two_buyer-off-round",
    "nested_recursion-message", "ring-round",
    "cancelled-message", "cancelled-round", "faulted-message", "faulted-round",
    "late_fault-message", "undone-round", "host_cancels", "host_asks-drain", "linger",
    "guarded-message", "speculative-message", "speculative-round",
    "hidden-message", "hidden_delegation-round",
    "desktop-message", "desktop-round", "bundle_cancelled-round", "bundle_faulted-message",
    "timed_effect-message", "timed_effect-round",
    "trouble-crash", "trouble-healed-round", "trouble-corrupt", "trouble-timeout",
    "latest-message", "drops-round", "rotates-message", "rotates-round",
    "redacted-hello-message", "redacted-delegation-round",
    "resumed-hello-message", "resumed-two_buyer-round", "sealed_often",
    "spread-hello-0-message", "spread-hello-1-round",
    "spread-delegation-0-round", "spread-delegation-1-message",
    "spread-drain-0-nullifier", "spread-drain-1-off",
    "spread-cancelled-0-message", "spread-faulted-1-round", "spread-late_fault-1-message",
)  # fmt: skip
"""Of the corpus: every replay mode and seal, every ending, and every way to be spread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the verdict on an artifact must go on to be."""

    exit_code: int
    status: str
    levels: list[bool | None]
    first: str | None
    record: int | None
    fragment: str | None


def judged(data: bytes, trust: TrustFile) -> Judged:
    verdict = verify(BytesIO(data), trust=trust, fragment=True)
    return Judged(
        exit_code=verdict.exit_code,
        status=str(verdict.status),
        levels=[level.ok for level in verdict.levels],
        first=_first(verdict),
        record=verdict.findings[0].record if verdict.findings else None,
        fragment=verdict.fragment,
    )


def _first(verdict: Verdict) -> str | None:
    return verdict.findings[0].code if verdict.findings else None


# --- what is written -------------------------------------------------------------------------


@cache
def written() -> dict[str, bytes]:
    """The artifacts by name, as this code writes them."""
    made = {name: artifact(name) for name in KEPT}
    damaged = dict(_damaged(made["hello-sequence-message"]))
    return {name: sample.data for name, sample in made.items()} | damaged


def _damaged(sample: Sample) -> Iterator[tuple[str, bytes]]:
    """One for each other kind of verdict."""
    records, data = parse(sample.data), sample.data
    sends = [number for number, record in enumerate(records) if record[0] == Kind.SEND]
    first = records[sends[0]]
    forged = [*records]
    forged[sends[0]] = with_field(first, 9, flipped(first[9], 1))
    yield "damaged-forged", join(forged)
    yield "damaged-dropped", join([*records[: sends[1]], *records[sends[1] + 1 :]])
    yield "damaged-repeated", join([*records[: sends[1]], *records[sends[0] :]])
    yield "damaged-cut", data[: len(data) * 2 // 3]
    yield "damaged-unsealed", join(records[:-1])
    yield "damaged-later_version", join([with_field(records[0], 1, 1_000_000), *records[1:]])
    yield "damaged-surplus", data + b"\x90"
    yield "damaged-empty", b""


def trust_text() -> str:
    """The keys of all that sign, one line each."""
    pairs = {name: pair for kept in KEPT for name, pair in artifact(kept).keys.items()}
    return "".join(pairs[name].public_text + "\n" for name in sorted(pairs))


# --- what is kept ----------------------------------------------------------------------------


def versions() -> list[int]:
    """The format versions of which artifacts are kept."""
    return sorted(int(folder.name) for folder in GOLDEN.iterdir() if folder.is_dir())


def kept(version: int) -> dict[str, bytes]:
    files = sorted((GOLDEN / str(version)).glob("*.replay"))
    return {file.stem: file.read_bytes() for file in files}


def kept_trust(version: int) -> TrustFile:
    return parse_trust((GOLDEN / str(version) / TRUST).read_bytes(), TRUST)


def kept_verdicts(version: int) -> dict[str, Judged]:
    found = json.loads((GOLDEN / str(version) / VERDICTS).read_text())
    return {name: Judged(**fields) for name, fields in found.items()}


def main() -> None:
    folder = GOLDEN / str(FORMAT_VERSION)
    folder.mkdir(parents=True, exist_ok=True)
    before = kept(FORMAT_VERSION)
    text = trust_text()
    (folder / TRUST).write_text(text)
    trust = parse_trust(text, TRUST)
    made = written()
    for name in before.keys() - made.keys():
        (folder / f"{name}.replay").unlink()
    for name, data in made.items():
        (folder / f"{name}.replay").write_bytes(data)
    lines = [
        f"{json.dumps(name)}: {json.dumps(_plain(judged(data, trust)))}"
        for name, data in sorted(made.items())
    ]
    (folder / VERDICTS).write_text("{\n" + ",\n".join(lines) + "\n}\n")
    changed = sum(before.get(name) != data for name, data in made.items())
    print(f"format {FORMAT_VERSION}: {len(made)} artifacts, {changed} of them new or changed")


def _plain(found: Judged) -> dict[str, object]:
    return {name: getattr(found, name) for name in Judged.__dataclass_fields__}


if __name__ == "__main__":
    main()
