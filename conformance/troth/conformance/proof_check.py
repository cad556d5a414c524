"""Checks a proof offline: from the proof and public keys alone.

The parts are checked from the inside out: the statement, its place in the run's log, the head
that its principal signed, the place of that head in the principal's publication log, the
checkpoint, and those of your witnesses who have cosigned it. The first that does not hold ends it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from troth.conformance.checkpoints import (
    Checkpoint,
    cosignatures,
    is_signed,
    key_of_origin,
    log_key,
    parse_checkpoint,
)
from troth.conformance.equivocation import check_equivocation
from troth.conformance.event_proof import EventProof, check_event
from troth.conformance.notes import Note
from troth.conformance.proof_codes import PROOF_BY_CODE, refused
from troth.conformance.proof_files import (
    Growth,
    Proof,
    Published,
    PublishedEvent,
    SealedEvent,
    SignedTwice,
    parse_proof,
)
from troth.conformance.proof_sentences import does_not_prove, proves
from troth.conformance.proof_verdict import (
    EquivocationReport,
    EventReport,
    ProofVerdict,
    PublicationReport,
    RunReport,
    SignerReport,
    WitnessReport,
)
from troth.conformance.session_keys import read_descriptor
from troth.conformance.statement_words import Covered, read_covered
from troth.conformance.verdict import Word
from troth.vm.errors import LimitExceeded, Malformed
from troth.vm.keys import Standing, TrustFile, VerifierKey, valid_name
from troth.vm.merkle import verify_consistency, verify_inclusion
from troth.vm.signatures import acceptable_key
from troth.vm.statements import payload_commitment, session_id

_FORMS: Final = {
    PublishedEvent: "published event",
    SealedEvent: "event",
    Growth: "growth",
    Published: "checkpoint",
    SignedTwice: "equivocation",
}
_STATUS: Final = {
    0: Word.VALID,
    2: Word.INVALID,
    3: Word.UNSUPPORTED,
    4: Word.INCOMPLETE,
    5: Word.SELF_CONSISTENT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the checker knows beforehand.

    Attributes:
        trust: the keys you trust; None when you gave none.
        witnesses: the witnesses you trust.
        witnesses_wanted: how many of them must have cosigned.
        earlier: a checkpoint that you have seen before, as its file holds it.
    """

    trust: TrustFile | None = None
    witnesses: tuple[VerifierKey, ...] = ()
    witnesses_wanted: int = 0
    earlier: bytes | None = None


@dataclass(slots=True)
class _Found:
    """What has been found out so far; what follows is only ever added."""

    form: str = "unknown"
    signer: VerifierKey | None = None
    event: EventReport | None = None
    run: RunReport | None = None
    publication: PublicationReport | None = None
    equivocation: EquivocationReport | None = None
    cosigners: tuple[VerifierKey, ...] = ()


def check_proof(data: bytes, file: str, known: Known) -> ProofVerdict:
    """The verdict on one proof; never raises for what is in it."""
    found = _Found()
    try:
        proof = parse_proof(data)
        found.form = _FORMS[type(proof)]
        _check(proof, known, found)
        _check_trust(known, found)
    except (Malformed, LimitExceeded) as error:
        code = error.code if error.code in PROOF_BY_CODE else "proof.malformed"
        verdict = _verdict(file, code, error.message, known, found)
        return replace(verdict, expected=error.expected, actual=error.actual)
    return _verdict(file, None, "The proof holds, and its signer is trusted.", known, found)


def _verdict(file: str, code: str | None, reason: str, known: Known, found: _Found) -> ProofVerdict:
    exit_code = 0 if code is None else PROOF_BY_CODE[code].exit_code
    verdict = ProofVerdict(
        file=file,
        form=found.form,
        exit_code=exit_code,
        status=_STATUS[exit_code].value,
        code=code,
        reason=reason,
        signer=_signer(found, known.trust),
        event=found.event,
        run=found.run,
        publication=found.publication,
        equivocation=found.equivocation,
        trust_given=known.trust is not None,
    )
    if exit_code in (2, 3):
        # Parts of what does not hold as a whole prove nothing.
        return verdict
    return replace(verdict, proves=proves(verdict), does_not_prove=does_not_prove(verdict))


def _check(proof: Proof, known: Known, found: _Found) -> None:
    match proof:
        case SealedEvent():
            _check_event(proof.event, found)
        case PublishedEvent():
            _check_event(proof.event, found)
            _check_published(proof, known, found)
        case SignedTwice():
            _check_equivocation(proof, known, found)
        case Growth():
            _check_growth(proof, known, found)
        case Published():
            _check_note(proof.note, known, found)
    if known.earlier is not None and not isinstance(proof, Growth):
        _check_earlier(known.earlier, known, found)


# --- the event -------------------------------------------------------------------------------


def _check_event(proof: EventProof, found: _Found) -> None:
    check_event(proof)
    found.signer = VerifierKey(proof.name, proof.public_key)
    covered = read_covered(proof.covered, proof.record, proof.payload)
    if proof.payload is not None:
        assert proof.salt is not None, "a payload comes with its salt"
        if covered.commitment != payload_commitment(proof.salt, proof.payload):
            raise refused(
                "proof.statement",
                "the payload in the proof is not the one that the statement commits to",
                expected=_hex(covered.commitment) or "no payload: this is no message",
                actual=payload_commitment(proof.salt, proof.payload).hex(),
            )
    protocol = _check_descriptor(proof, covered)
    found.event = EventReport(
        record=proof.record,
        kind=covered.kind,
        said=covered.text,
        session=_hex(covered.session),
        protocol=protocol.name,
        protocol_id=_hex(protocol.id),
        role=covered.role,
        in_descriptor=protocol.names_signer,
        observed=protocol.observed,
        payload_open=proof.payload is not None,
    )
    head = proof.head
    found.run = RunReport(
        log_id=head.log_id.hex(),
        leaf=proof.leaf_index,
        size=head.size,
        root=head.root.hex(),
        round=head.round_number,
        sessions_open=head.sessions_open,
        sessions_ended=head.sessions_ended,
        final=head.final,
    )


def _hex(data: bytes | None) -> str | None:
    return None if data is None else data.hex()


@dataclass(frozen=True, slots=True)
class _Protocol:
    """What a descriptor says, as far as it matters here."""

    name: str | None = None
    id: bytes | None = None
    names_signer: bool | None = None
    observed: bool = False


def _check_descriptor(proof: EventProof, covered: Covered) -> _Protocol:
    if proof.descriptor is None:
        return _Protocol()
    if covered.session is None or session_id(proof.descriptor) != covered.session:
        raise refused(
            "proof.statement",
            "the descriptor in the proof is not that of the statement's session",
            expected=_hex(covered.session) or "none: the record names no session",
            actual=session_id(proof.descriptor).hex(),
        )
    read = read_descriptor(proof.descriptor)
    if read is None:
        raise refused("proof.statement", "the session's descriptor cannot be read")
    protocol_id, name, keys, observed = read
    if covered.role is None or covered.role not in keys:
        raise refused(
            "proof.statement",
            "the statement is of a role that its session does not have",
            expected=", ".join(keys),
            actual=covered.role,
        )
    signs = keys[covered.role] == proof.public_key
    return _Protocol(name, protocol_id, signs, covered.role in observed)


# --- equivocation ----------------------------------------------------------------------------


def _check_equivocation(proof: SignedTwice, known: Known, found: _Found) -> None:
    """The keys are all that is proved, so their names are those of the trust file."""
    checked = check_equivocation(proof.equivocation)
    found.signer, *others = (_known_as(key, known) for key in checked.keys)
    found.cosigners = tuple(others)
    protocol = checked.protocol
    found.equivocation = EquivocationReport(
        what=checked.what,
        first=checked.said[0],
        second=checked.said[1],
        session=_hex(checked.session),
        protocol=None if protocol is None else protocol.protocol,
        role=checked.role,
        log_id=_hex(checked.log_id),
        signers=tuple(key.hex() for key in checked.keys),
    )


def _known_as(key: bytes, known: Known) -> VerifierKey:
    names = known.trust.lookup(key) if known.trust is not None else ()
    return VerifierKey(names[0] if names else "", key)


# --- the publication log ----------------------------------------------------------------------


def _check_published(proof: PublishedEvent, known: Known, found: _Found) -> None:
    event = proof.event
    checkpoint = _check_note(proof.note, known, found)
    signer = found.signer
    assert signer is not None
    if signer.public_key != event.public_key:
        raise refused(
            "proof.origin",
            "the checkpoint is of the publication log of another key than the run's",
            expected=f"a log of key {event.public_key.hex()}",
            actual=checkpoint.origin,
        )
    own = key_of_origin(checkpoint.origin)
    if own is not None and own.name != event.name:
        raise refused(
            "proof.origin",
            "the run calls the key by another name than its publication log",
            expected=own.name,
            actual=event.name,
        )
    if not verify_inclusion(
        event.head.statement, proof.entry, checkpoint.size, proof.path, checkpoint.root
    ):
        raise refused(
            "proof.inclusion",
            f"the publication log does not hold the head of the run as entry {proof.entry}",
            expected=f"hashes that lead to the root {checkpoint.root.hex()}",
            actual=f"{len(proof.path)} hashes that lead elsewhere",
        )
    assert found.publication is not None
    found.publication = replace(found.publication, entry=proof.entry)


def _check_note(note: Note, known: Known, found: _Found) -> Checkpoint:
    """The checkpoint is signed by the key that its origin names, or by one of that name."""
    checkpoint = parse_checkpoint(note)
    signer = _signer_of(note, checkpoint, known)
    found.signer = signer
    witnesses = cosignatures(note, known.witnesses)
    found.publication = PublicationReport(
        origin=checkpoint.origin,
        size=checkpoint.size,
        root=checkpoint.root.hex(),
        entry=None,
        grown_from=None,
        witnesses=tuple(
            WitnessReport(name=one.witness.name, key=one.witness.text, unix_time=one.unix_time)
            for one in witnesses
        ),
        witnesses_wanted=known.witnesses_wanted,
        others=max(0, len(note.signatures) - 1 - len(witnesses)),
    )
    return checkpoint


def _signer_of(note: Note, checkpoint: Checkpoint, known: Known) -> VerifierKey:
    own = key_of_origin(checkpoint.origin)
    if own is not None:
        if not acceptable_key(own.public_key) or not valid_name(own.name):
            raise refused("proof.origin", "the origin names no acceptable key")
        if not is_signed(note, log_key(own)):
            raise _unsigned(own.name)
        return own
    for key in known.trust.keys if known.trust is not None else ():
        if is_signed(note, key):
            return key
    raise _unsigned("any key in the trust file")


def _unsigned(name: str) -> Exception:
    return refused(
        "proof.signature",
        f"the checkpoint is not signed by {name}",
        expected="a signature of the log's own key",
        actual="signatures of others only",
    )


def _check_growth(proof: Growth, known: Known, found: _Found) -> None:
    if known.earlier is None:
        raise refused(
            "proof.malformed",
            "this proof is about two checkpoints, and only the later one is in it",
            expected="the earlier checkpoint, given with --since",
        )
    checkpoint = _check_note(proof.note, known, found)
    earlier = _earlier(known.earlier, checkpoint, known)
    if earlier.size != proof.old_size:
        raise refused(
            "proof.consistency",
            "the proof begins at another size than the earlier checkpoint",
            expected=str(earlier.size),
            actual=str(proof.old_size),
        )
    _follows(earlier, checkpoint, proof.path)
    assert found.publication is not None
    found.publication = replace(found.publication, grown_from=earlier.size)


def _check_earlier(data: bytes, known: Known, found: _Found) -> None:
    """Without hashes only a checkpoint of the same size can be compared."""
    report = found.publication
    if report is None:
        raise refused("proof.malformed", "there is no checkpoint that could follow another")
    checkpoint = Checkpoint(report.origin, report.size, bytes.fromhex(report.root))
    earlier = _earlier(data, checkpoint, known)
    _follows(earlier, checkpoint, ())
    found.publication = replace(report, grown_from=earlier.size)


def _earlier(data: bytes, later: Checkpoint, known: Known) -> Checkpoint:
    proof = parse_proof(data)
    if not isinstance(proof, Published | Growth | PublishedEvent):
        raise refused("proof.malformed", "the earlier file holds no checkpoint")
    before = _Found()
    checkpoint = _check_note(proof.note, replace(known, witnesses=()), before)
    if checkpoint.origin != later.origin:
        raise refused(
            "proof.origin",
            "the two checkpoints are of different logs",
            expected=checkpoint.origin,
            actual=later.origin,
        )
    return checkpoint


def _follows(earlier: Checkpoint, later: Checkpoint, path: tuple[bytes, ...]) -> None:
    if earlier.size == 0:
        holds = not path
    else:
        holds = verify_consistency(earlier.size, later.size, earlier.root, later.root, path)
    if holds:
        return
    if earlier.size < later.size and not path:
        raise refused(
            "proof.malformed",
            "the log has grown since the earlier checkpoint, and nothing here shows how",
            expected="a proof made with `troth prove --since`",
        )
    raise refused(
        "proof.consistency",
        "the log does not begin with what the earlier checkpoint covers",
        expected=f"the first {earlier.size} entries with root {earlier.root.hex()}",
        actual=f"a log of {later.size} entries with root {later.root.hex()}",
    )


# --- trust -----------------------------------------------------------------------------------


def _check_trust(known: Known, found: _Found) -> None:
    """A contradiction comes first, and what is missing before what is unknown, as in `verify`."""
    signer, trust = found.signer, known.trust
    assert signer is not None, "every form of proof has a signer"
    standing = Standing.UNKNOWN
    if trust is not None:
        standing = trust.standing(signer.name, signer.public_key)
        for other in found.cosigners:
            if standing is Standing.TRUSTED:
                standing = trust.standing(other.name, other.public_key)
    if standing is Standing.CONTRADICTED:
        assert trust is not None
        raise refused(
            "proof.contradicted",
            f"{signer.name} has another key than the trust file says",
            expected=" or ".join(key.hex() for key in trust.keys_named(signer.name)),
            actual=signer.public_key.hex(),
        )
    _check_witnesses(known, found)
    if standing is Standing.UNKNOWN:
        where = "there is no trust file" if trust is None else "it is not in the trust file"
        raise refused(
            "proof.trust",
            f"the proof holds, but nothing says whose key signed it: {where}",
            expected="a key that you trust",
            actual=signer.public_key.hex(),
        )


def _check_witnesses(known: Known, found: _Found) -> None:
    report = found.publication
    count = 0 if report is None else len(report.witnesses)
    if count < known.witnesses_wanted:
        raise refused(
            "proof.witnesses",
            "the proof holds, but fewer of your witnesses have cosigned than you asked for",
            expected=f"{known.witnesses_wanted} of them",
            actual="no checkpoint" if report is None else str(count),
        )


def _signer(found: _Found, trust: TrustFile | None) -> SignerReport | None:
    key = found.signer
    if key is None:
        return None
    names = trust.lookup(key.public_key) if trust is not None else ()
    return SignerReport(
        name=key.name, key=key.public_key.hex(), trusted_as=names[0] if names else None
    )
