"""The text forms of proofs: what `troth prove` and `troth checkpoint` write.

* An event of a published run: a C2SP `tlog-proof` (https://c2sp.org/tlog-proof). The entry that it
  proves is the final head of the run; the proof of the event itself is the extra data.
* An event under a head alone: the line `troth/event-proof@v1`, and the proof in base64.
* An equivocation: the line `troth/equivocation-proof@v1`, and the proof in base64.
* Growth: what a C2SP witness is asked with (https://c2sp.org/tlog-witness), `old` and a size,
  hashes, and the new checkpoint.
* A checkpoint: the note itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

from troth.conformance.checkpoints import parse_decimal, parse_hash
from troth.conformance.equivocation import (
    Equivocation,
    encode_equivocation,
    parse_equivocation,
)
from troth.conformance.event_proof import (
    EVENT_PROOF_BYTES_MAX,
    PATH_HASHES_MAX,
    EventProof,
    parse_event_proof,
)
from troth.conformance.notes import (
    NOTE_BYTES_MAX,
    Note,
    decode_text,
    from_base64,
    parse_note,
    to_base64,
)
from troth.conformance.proof_codes import refused

PROOF_BYTES_MAX: Final = 2 * EVENT_PROOF_BYTES_MAX + 2 * NOTE_BYTES_MAX
TLOG_PROOF_LINE: Final = "c2sp.org/tlog-proof@v1"
EVENT_PROOF_LINE: Final = "troth/event-proof@v1"
EQUIVOCATION_LINE: Final = "troth/equivocation-proof@v1"
_OLD: Final = "old "
_GROWTH_HASHES_MAX: Final = 63
"""What the C2SP witness protocol allows."""


class PublishedEvent(NamedTuple):
    """`entry` is the place in the publication log that holds the head of the event's run."""

    event: EventProof
    entry: int
    path: tuple[bytes, ...]
    note: Note


class SealedEvent(NamedTuple):
    event: EventProof


class Growth(NamedTuple):
    """That a log has grown from `old_size` to the note's size, and nothing else."""

    old_size: int
    path: tuple[bytes, ...]
    note: Note


class Published(NamedTuple):
    note: Note


class SignedTwice(NamedTuple):
    """That somebody said two things of which only one can be true."""

    equivocation: Equivocation


Proof: TypeAlias = PublishedEvent | SealedEvent | Growth | Published | SignedTwice


def encode_published(proof: PublishedEvent) -> str:
    extra = to_base64(proof.event.encode())
    head = (TLOG_PROOF_LINE, f"extra {extra}", f"index {proof.entry}")
    return _lines((*head, *map(to_base64, proof.path), "")) + proof.note.encode()


def encode_sealed(event: EventProof) -> str:
    return _lines((EVENT_PROOF_LINE, to_base64(event.encode())))


def encode_equivocation_file(proof: Equivocation) -> str:
    return _lines((EQUIVOCATION_LINE, to_base64(encode_equivocation(proof))))


def encode_growth(growth: Growth) -> str:
    head = f"{_OLD}{growth.old_size}"
    return _lines((head, *map(to_base64, growth.path), "")) + growth.note.encode()


def _lines(lines: Iterable[str]) -> str:
    return "".join(line + "\n" for line in lines)


def parse_proof(data: bytes) -> Proof:
    """Reads any of the forms; nothing is known then about whether the proof holds.

    Raises:
        Malformed: codes `proof.malformed`, `proof.version`.
        LimitExceeded: code `proof.limit`.
    """
    text = decode_text(data, PROOF_BYTES_MAX, "the proof")
    first, _, rest = text.partition("\n")
    if first == TLOG_PROOF_LINE:
        return _published_event(rest)
    if first == EVENT_PROOF_LINE:
        return SealedEvent(_event(_one_line(rest)))
    if first == EQUIVOCATION_LINE:
        data = from_base64(_one_line(rest), "the proof of the equivocation")
        return SignedTwice(parse_equivocation(data))
    for line in (TLOG_PROOF_LINE, EVENT_PROOF_LINE, EQUIVOCATION_LINE):
        stem = line[:-1]
        if first.startswith(stem) and first != stem:
            raise refused(
                "proof.version",
                "this proof has a version that is not known here",
                expected=line,
                actual=first[:80],
            )
    if first.startswith(_OLD):
        return _growth(first.removeprefix(_OLD), rest)
    return Published(parse_note(text))


def _one_line(text: str) -> str:
    if not text.endswith("\n"):
        raise refused(
            "proof.malformed", "the proof stops early", expected="a line end after its last line"
        )
    return text[:-1]


def _event(encoded: str) -> EventProof:
    return parse_event_proof(from_base64(encoded, "the proof of the event"))


def _published_event(text: str) -> PublishedEvent:
    extra, _, rest = text.partition("\n")
    if not extra.startswith("extra "):
        raise refused(
            "proof.malformed",
            "the proof does not say of which event it is",
            expected="a line with extra data, as `troth prove` writes it",
            actual=extra[:80],
        )
    index, _, rest = rest.partition("\n")
    if not index.startswith("index "):
        raise refused(
            "proof.malformed", "the proof does not say its index", expected="a line `index N`"
        )
    path, note = _hashes_and_note(rest, PATH_HASHES_MAX)
    event = _event(extra.removeprefix("extra "))
    number = parse_decimal(index.removeprefix("index "), "the index")
    return PublishedEvent(event, number, path, note)


def _growth(size: str, rest: str) -> Growth:
    path, note = _hashes_and_note(rest, _GROWTH_HASHES_MAX)
    return Growth(parse_decimal(size, "the old size"), path, note)


def _hashes_and_note(text: str, hashes_max: int) -> tuple[tuple[bytes, ...], Note]:
    """Lines with hashes, an empty line, and a note."""
    before, separator, note = ("\n" + text).partition("\n\n")
    if not separator:
        raise refused(
            "proof.malformed",
            "the proof ends before its checkpoint",
            expected="hashes, an empty line, and a checkpoint",
        )
    lines = before.removeprefix("\n").split("\n") if before else []
    if len(lines) > hashes_max:
        raise refused(
            "proof.limit",
            "the proof has too many hashes",
            expected=f"at most {hashes_max}",
            actual=str(len(lines)),
        )
    return tuple(parse_hash(line, "a hash") for line in lines), parse_note(note)
