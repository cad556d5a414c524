"""Every code that `troth check-proof` can end with, as one literal table."""

from __future__ import annotations

from typing import Final, NamedTuple

from troth.conformance.codes import (
    EXIT_INCOMPLETE,
    EXIT_INVALID,
    EXIT_SELF_CONSISTENT,
    EXIT_UNSUPPORTED,
)
from troth.vm.errors import LimitExceeded, Malformed


class ProofCode(NamedTuple):
    """`cause` is a sentence of fact, `advice` a sentence on what to do."""

    code: str
    exit_code: int
    cause: str
    advice: str

    @property
    def anchor(self) -> str:
        """Where the page of verdicts explains the code."""
        return self.code.replace(".", "-")


_ANOTHER_COPY: Final = "Get another copy of the proof; this one was damaged or made up"

PROOF_CODES: Final = (
    ProofCode(
        "proof.malformed",
        EXIT_INVALID,
        "The file is not a proof, or a part of it does not have its form.",
        "Give a file that `troth prove` or `troth checkpoint` has written, unchanged",
    ),
    ProofCode(
        "proof.version",
        EXIT_UNSUPPORTED,
        "The proof has a version that this checker does not know.",
        "Use a Troth that reads the version named here",
    ),
    ProofCode(
        "proof.limit",
        EXIT_INVALID,
        "The proof is longer than any proof may be.",
        "Do not rely on it; no Troth writes such a proof",
    ),
    ProofCode(
        "proof.statement",
        EXIT_INVALID,
        "What the proof says about the statement is not what the statement says.",
        _ANOTHER_COPY,
    ),
    ProofCode(
        "proof.signature",
        EXIT_INVALID,
        "A signature is not one of the key that it names.",
        "Do not rely on the proof; ask the principal for its own",
    ),
    ProofCode(
        "proof.inclusion",
        EXIT_INVALID,
        "The hashes do not lead from the entry to the root: the log does not contain it here.",
        "Do not rely on the proof; ask the principal for its own",
    ),
    ProofCode(
        "proof.consistency",
        EXIT_INVALID,
        "The later log does not begin with the earlier one: entries were changed or dropped.",
        "Keep both checkpoints: together they show that the log was rewritten, or that the "
        "hashes between them are wrong; ask for the hashes again",
    ),
    ProofCode(
        "proof.origin",
        EXIT_INVALID,
        "The checkpoint is of another log than the one in question.",
        "Ask for a proof from the publication log of the principal who signed the run",
    ),
    ProofCode(
        "proof.cosignature",
        EXIT_INVALID,
        "A signature that names one of your witnesses is not that witness's.",
        "Ask the witness; somebody puts words into its mouth",
    ),
    ProofCode(
        "proof.contradicted",
        EXIT_INVALID,
        "The trust file knows the signer's name with another key.",
        "Find out who made the proof: it was not the principal you trust",
    ),
    ProofCode(
        "proof.witnesses",
        EXIT_INCOMPLETE,
        "Fewer of your witnesses have cosigned than you asked for.",
        "Ask for a checkpoint that more witnesses have cosigned",
    ),
    ProofCode(
        "proof.trust",
        EXIT_SELF_CONSISTENT,
        "Everything fits together, but the signer's key is not in the trust file.",
        "Get the signer's public key on a way of its own, and give it with --trust",
    ),
)

PROOF_BY_CODE: Final = {entry.code: entry for entry in PROOF_CODES}


def refused(
    code: str, message: str, *, expected: str | None = None, actual: str | None = None
) -> Malformed | LimitExceeded:
    """The error that says why a proof does not hold."""
    error = LimitExceeded if code == "proof.limit" else Malformed
    advice = PROOF_BY_CODE[code].advice
    return error(code, message, expected=expected, actual=actual, advice=advice)
