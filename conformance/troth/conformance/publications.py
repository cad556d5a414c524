"""A principal's publication log: the final heads of its runs, one after another, for ever.

Each run has logs of its own, which nobody could compare from one run to the next. So a key has
one more log, across runs: an entry is the final head of one run's log, exactly as the principal
has signed it. Its origin never changes, so a witness that has seen it with five runs notices
when one of them is gone later.

The file beside the key is text: a line with the form's version, the origin, and one line of
base64 for each entry. It is public.
"""

from __future__ import annotations

from typing import Final

from troth.conformance.checkpoints import Checkpoint, origin_of
from troth.conformance.heads import Head, parse_head
from troth.conformance.notes import decode_text, from_base64, to_base64
from troth.conformance.proof_codes import refused
from troth.vm.keys import VerifierKey
from troth.vm.merkle import Tree

VERSION_LINE: Final = "troth/publications@v1"
PUBLICATIONS_MAX: Final = 1 << 17
PUBLICATIONS_BYTES_MAX: Final = 1 << 26


class Publications:
    """The entries of one publication log."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._tree = Tree()
        self._entries: dict[bytes, int] = {}
        self._runs: dict[bytes, int] = {}

    @property
    def size(self) -> int:
        return self._tree.size

    def index_of(self, entry: bytes) -> int | None:
        """Where the entry is; None when it was not published."""
        return self._entries.get(entry)

    def add(self, entry: bytes) -> int:
        """Adds the final head of a run, and says where it is; once, however often it is added.

        Raises:
            Malformed: code `proof.malformed`, for what is not a final head, and
                `proof.statement`, when the run was published with another final head.
            LimitExceeded: code `proof.limit`.
        """
        known = self._entries.get(entry)
        if known is not None:
            return known
        head = parse_head(entry)
        if not head.final:
            raise refused(
                "proof.malformed",
                "this head was not signed for the end of a run",
                expected="a final head",
                actual=f"a head after {head.size} leaves, on the way",
            )
        self._refuse_second(head)
        index = self._tree.size
        self._tree.append(entry)
        self._entries[entry] = self._runs[head.log_id] = index
        return index

    def _refuse_second(self, head: Head) -> None:
        earlier = self._runs.get(head.log_id)
        if earlier is not None:
            raise refused(
                "proof.statement",
                "another final head of the same run was published before",
                expected=f"entry {earlier}, the only final head of log {head.log_id.hex()}",
                actual=f"one of {head.size} leaves and root {head.root.hex()}",
            )
        if self._tree.size >= PUBLICATIONS_MAX:
            raise refused(
                "proof.limit",
                "the publication log is full",
                expected=f"at most {PUBLICATIONS_MAX} runs of one key",
            )

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        """The head of the first `size` entries, of all without it."""
        size = self.size if size is None else size
        return Checkpoint(self.origin, size, self._tree.root(size))

    def inclusion_proof(self, index: int, size: int) -> tuple[bytes, ...]:
        return self._tree.inclusion_proof(index, size)

    def consistency_proof(self, old_size: int, size: int) -> tuple[bytes, ...]:
        """Empty for an old log without entries: every log begins with nothing."""
        return self._tree.consistency_proof(old_size, size) if old_size else ()

    def covers(self, checkpoint: Checkpoint) -> bool:
        """Whether the checkpoint is a head that this log has, or once had."""
        if checkpoint.origin != self.origin or checkpoint.size > self.size:
            return False
        return self.checkpoint(checkpoint.size).root == checkpoint.root


def first_lines(key: VerifierKey) -> str:
    """How the file of a key's publication log begins."""
    return f"{VERSION_LINE}\n{origin_of(key)}\n"


def entry_line(entry: bytes) -> str:
    return to_base64(entry) + "\n"


def parse_publications(data: bytes) -> tuple[Publications, int]:
    """Reads the file; also says how many of its bytes are whole lines.

    A last line without its line end was being written when the machine stopped. No checkpoint
    covers it, so it is left out.

    Raises:
        Malformed: codes `proof.malformed`, `proof.version`, `proof.statement`.
        LimitExceeded: code `proof.limit`.
    """
    text = decode_text(data, PUBLICATIONS_BYTES_MAX, "the publication log")
    whole = text[: text.rfind("\n") + 1]
    lines = whole.split("\n")[:-1]
    if not lines or lines[0] != VERSION_LINE:
        code = "proof.version" if lines and lines[0].startswith("troth/pub") else "proof.malformed"
        raise refused(
            code,
            "this is not a publication log that can be read here",
            expected=VERSION_LINE,
            actual=lines[0][:80] if lines else "another file",
        )
    if len(lines) < 2 or not lines[1]:
        raise refused("proof.malformed", "the publication log does not name its origin")
    publications = Publications(lines[1])
    for number, line in enumerate(lines[2:]):
        if publications.add(from_base64(line, f"entry {number}")) != number:
            raise refused("proof.malformed", f"entry {number} is there already")
    return publications, len(whole.encode())
