"""Every code that a finding about several records of one session can carry."""

from __future__ import annotations

from typing import Final, NamedTuple

from troth.conformance.codes import EXIT_INVALID, Category


class MergeCode(NamedTuple):
    """`cause` is a sentence of fact, `advice` a sentence on what to do."""

    code: str
    category: Category
    cause: str
    advice: str

    @property
    def exit_code(self) -> int:
        return EXIT_INVALID

    @property
    def anchor(self) -> str:
        """Where the page of verdicts explains the code."""
        return self.code.replace(".", "-")


_KEEP: Final = "Keep all the records, and show the proof to whoever has to decide"

MERGE_CODES: Final = (
    MergeCode(
        "merge.equivocation.message",
        Category.EQUIVOCATED,
        "Somebody with authority for a role signed two different messages for one place of an "
        "edge, and told one party the one and another party the other.",
        _KEEP,
    ),
    MergeCode(
        "merge.equivocation.statement",
        Category.EQUIVOCATED,
        "Somebody with authority for a role signed two notices, receipts or cancellations of "
        "which only one can be true.",
        _KEEP,
    ),
    MergeCode(
        "merge.equivocation.head",
        Category.EQUIVOCATED,
        "A principal signed two heads of one log that do not fit together: it kept two records "
        "of one run.",
        _KEEP,
    ),
    MergeCode(
        "merge.differs",
        Category.FORGED,
        "Two records have different statements in one place, and no signature in them shows "
        "who of the two recorders wrote another than it got.",
        "Ask both parties for whole records, sealed to the end",
    ),
    MergeCode(
        "merge.unsent",
        Category.WITHHELD,
        "A message that one party received, with its sender's signature or place in its log, is "
        "not in the sender's record, which is whole.",
        "Do not rely on the sender's record: it leaves out what its principal signed",
    ),
    MergeCode(
        "merge.unrecorded",
        Category.WITHHELD,
        "A statement that one party got, with its signature, is not in the record of who signed "
        "it, which is whole.",
        "Do not rely on the record of the one who signed: it leaves out what it told others",
    ),
    MergeCode(
        "merge.withheld.receipt",
        Category.WITHHELD,
        "The receiver signed for more messages than its record, which is whole, says it got.",
        "Do not rely on the receiver's record: it leaves out what it signed for",
    ),
    MergeCode(
        "merge.withheld.close",
        Category.WITHHELD,
        "The receiver's record is whole and its session closed or went on to the end of the "
        "run, without a message that its sender counts.",
        "Ask both parties what became of the message: one of them does not tell",
    ),
)

MERGE_BY_CODE: Final = {entry.code: entry for entry in MERGE_CODES}
