"""Publishes runs, and makes the proofs that stand on what was published."""

from __future__ import annotations

from typing import BinaryIO

from troth.conformance.checkpoints import is_signed, log_key, parse_checkpoint
from troth.conformance.event_proof import EventProof
from troth.conformance.heads import Head
from troth.conformance.notes import Note
from troth.conformance.proof_files import Growth, PublishedEvent
from troth.conformance.publications import Publications
from troth.conformance.run_logs import RunLogs
from troth.vm.errors import Malformed, Unusable
from troth.vm.keys import KeyPair


def final_heads(stream: BinaryIO) -> dict[bytes, tuple[str, Head]]:
    """By public key, the principals of a whole run with the last heads that they signed.

    Raises:
        Unusable: code `publish.incomplete`, when the file is not a whole run.
        Malformed, LimitExceeded: the file is not an artifact, or a head in it does not hold.
    """
    logs = RunLogs(stream)
    for leaf in logs:
        del leaf
    found: dict[bytes, tuple[str, Head]] = {}
    for key, log in logs.logs.items():
        if log.head is None or not log.head.final or logs.torn:
            raise Unusable(
                "publish.incomplete",
                "only a whole run can be published",
                expected="a final head of every principal",
                actual="a file that stops before them",
                advice="Get the whole artifact; a run that was cut off stays unpublished",
            )
        found[key] = (log.name, log.head)
    return found


def continues(publications: Publications, note: Note, pair: KeyPair) -> bool:
    """Whether the log still begins as the note of its own key says.

    Raises:
        Malformed: the note is not a checkpoint, or its signature does not hold.
    """
    checkpoint = parse_checkpoint(note)
    return is_signed(note, log_key(pair.verifier)) and publications.covers(checkpoint)


def published_event(event: EventProof, publications: Publications, note: Note) -> PublishedEvent:
    """The proof of an event of a run that was published.

    Raises:
        Unusable: codes `prove.unpublished`, `prove.checkpoint`.
    """
    entry = publications.index_of(event.head.statement)
    if entry is None:
        raise Unusable(
            "prove.unpublished",
            "the publication log does not hold this run",
            expected="the final head of the run",
            advice="Publish the run with `troth checkpoint` first, or give its signer's log",
        )
    size = _size_of(publications, note)
    if entry >= size:
        raise Unusable(
            "prove.checkpoint",
            "the checkpoint is older than the publication of this run",
            expected=f"a checkpoint of more than {entry} runs",
            actual=f"one of {size}",
            advice="Give a later checkpoint of this log",
        )
    return PublishedEvent(event, entry, publications.inclusion_proof(entry, size), note)


def growth(publications: Publications, earlier: Note, later: Note) -> Growth:
    """The proof that a log has only grown from one checkpoint to the other.

    Raises:
        Unusable: code `prove.checkpoint`.
    """
    old_size, size = _size_of(publications, earlier), _size_of(publications, later)
    if old_size > size:
        raise Unusable(
            "prove.checkpoint",
            "the earlier checkpoint is the later one",
            expected=f"one of at most {size} runs",
            actual=f"one of {old_size}",
            advice="Give the older one with --since",
        )
    return Growth(old_size, publications.consistency_proof(old_size, size), later)


def _size_of(publications: Publications, note: Note) -> int:
    try:
        checkpoint = parse_checkpoint(note)
    except Malformed as error:
        raise Unusable(
            "prove.checkpoint", f"this is no checkpoint: {error.message}", advice=error.advice
        ) from error
    if not publications.covers(checkpoint):
        raise Unusable(
            "prove.checkpoint",
            "the checkpoint is not one of this publication log",
            expected=f"a head of {publications.origin}",
            actual=f"{checkpoint.size} runs of {checkpoint.origin}",
            advice="Give the log and the checkpoint of the same key; if they are, the log was "
            "rewritten",
        )
    return checkpoint.size
