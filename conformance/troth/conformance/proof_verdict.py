"""What checking a proof found out: plain frozen values, rendered elsewhere as JSON and as prose."""

from __future__ import annotations

from dataclasses import dataclass

from troth.conformance.proof_codes import PROOF_BY_CODE


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReport:
    """The record that is proved.

    Attributes:
        record: its number in the artifact.
        kind: `message`, `notice`, `receipt`, `cancel`, `delegation`, or a kind of record.
        said: what it says, in one line.
        session: the session's id in hex; None where the record names none.
        protocol, protocol_id: by the session's descriptor; None when that is not in the proof.
        role: who states it.
        in_descriptor: whether the descriptor has the signer for that role; None when unknown.
        payload_open: whether the content of the message is in the proof.
        observed: by the descriptor nobody plays the role for the record: the signer watched it.
    """

    record: int
    kind: str
    said: str
    session: str | None
    protocol: str | None
    protocol_id: str | None
    role: str | None
    in_descriptor: bool | None
    payload_open: bool
    observed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EquivocationReport:
    """Two things that the signer said, of which only one can be true.

    Attributes:
        what: what they are, in words.
        first, second: the two, in one line each.
        session, protocol, role: whose word it was; None for heads of a log.
        log_id: the log that the heads are of; None for statements.
        signers: the keys that signed, in hex: one, or two where the role was delegated.
    """

    what: str
    first: str
    second: str
    session: str | None
    protocol: str | None
    role: str | None
    log_id: str | None
    signers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """The run's log under the head that was signed. `leaf` is the record's place in it."""

    log_id: str
    leaf: int
    size: int
    root: str
    round: int
    sessions_open: int
    sessions_ended: int
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessReport:
    """A witness of yours, and until when at the latest it had seen the checkpoint."""

    name: str
    key: str
    unix_time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationReport:
    """A checkpoint of a publication log.

    Attributes:
        entry: the place in it of the run in question; None for a checkpoint alone.
        grown_from: the size of the earlier checkpoint that it continues; None when none is given.
        others: how many signatures of nobody known here the checkpoint has.
    """

    origin: str
    size: int
    root: str
    entry: int | None
    grown_from: int | None
    witnesses: tuple[WitnessReport, ...]
    witnesses_wanted: int
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerReport:
    """Whose log it is.

    Attributes:
        name: the name that the proof gives the key, which nobody has to believe.
        trusted_as: the trust file's name for the key; None when it is not in there.
    """

    name: str
    key: str
    trusted_as: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofVerdict:
    """Everything `troth check-proof` has to say about one file.

    Attributes:
        exit_code: as those of `verify`: 0 holds and trusted, 2 does not hold, 3 of another
            version, 4 holds but lacks witnesses, 5 holds but the signer is not trusted.
        code: why it is not 0; None when it is.
        proves, does_not_prove: sentences.
    """

    file: str
    form: str
    exit_code: int
    status: str
    code: str | None
    reason: str
    expected: str | None = None
    actual: str | None = None
    signer: SignerReport | None = None
    event: EventReport | None = None
    run: RunReport | None = None
    publication: PublicationReport | None = None
    equivocation: EquivocationReport | None = None
    proves: tuple[str, ...] = ()
    does_not_prove: tuple[str, ...] = ()
    trust_given: bool = False

    @property
    def advice(self) -> str | None:
        return None if self.code is None else PROOF_BY_CODE[self.code].advice

    @property
    def docs(self) -> str | None:
        """Where the code is explained."""
        if self.code is None:
            return None
        return f"docs/reference/verdicts.md#{PROOF_BY_CODE[self.code].anchor}"
