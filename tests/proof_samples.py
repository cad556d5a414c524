"""Proofs of recorded runs, published with the keys of their principals."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache

from nacl.signing import SigningKey

import c2sp_reader as c2sp
from artifact_surgery import Sample
from troth.conformance.checkpoints import origin_of, sign_checkpoint
from troth.conformance.event_proof import EventProof
from troth.conformance.notes import Note, parse_note
from troth.conformance.proof_check import Known, check_proof
from troth.conformance.proof_files import PublishedEvent, encode_published, encode_sealed
from troth.conformance.proof_verdict import ProofVerdict
from troth.conformance.proving import event_of
from troth.conformance.publications import Publications
from troth.conformance.publishing import final_heads, published_event
from troth.vm.keys import KeyPair, VerifierKey, parse_witnesses
from verify_samples import sample

REPLY = 14
"""The record in which Server replies, in a run of `hello`."""

W1, W2 = SigningKey(b"1" * 32), SigningKey(b"2" * 32)
WITNESSES: tuple[VerifierKey, ...] = parse_witnesses(
    f"{c2sp.witness_key('witness.example/w1', W1)}\n{c2sp.witness_key('witness.example/w2', W2)}\n",
    "witnesses",
)


@dataclass(frozen=True)
class Publisher:
    """A key whose publication log holds the runs of `hello` with the first few seeds."""

    pair: KeyPair
    publications: Publications
    runs: tuple[Sample, ...]

    def note(self, size: int | None = None) -> Note:
        return sign_checkpoint(self.publications.checkpoint(size), self.pair)

    def published(self, run: int = 0, record: int = REPLY) -> PublishedEvent:
        event = event_of(io.BytesIO(self.runs[run].data), record)
        return published_event(event, self.publications, self.note())


@cache
def publisher(runs: int, name: str = "Server") -> Publisher:
    samples = tuple(sample("hello", seed=seed) for seed in range(1, runs + 1))
    pair = samples[0].keys[name]
    publications = Publications(origin_of(pair.verifier))
    for one in samples:
        publications.add(final_heads(io.BytesIO(one.data))[pair.public_key][1].statement)
    return Publisher(pair, publications, samples)


def cosigned(
    note: Note, *witnesses: tuple[str, SigningKey], unix_time: int = 1_700_000_000
) -> Note:
    text = note.encode()
    for name, key in witnesses:
        text = c2sp.cosign(text, name, key, unix_time)
    return parse_note(text)


def check(proof: EventProof | PublishedEvent | str | bytes, known: Known) -> ProofVerdict:
    if isinstance(proof, PublishedEvent):
        proof = encode_published(proof)
    if isinstance(proof, EventProof):
        proof = encode_sealed(proof)
    if isinstance(proof, str):
        proof = proof.encode()
    return check_proof(proof, "proof", known)
