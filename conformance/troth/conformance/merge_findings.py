"""Makes findings of what does not fit together, with proofs where signatures allow it."""

from __future__ import annotations

from typing import Final, NamedTuple

from troth.conformance.describe import describe
from troth.conformance.divergence import Divergence
from troth.conformance.equivocation import Claim, TwoHeads, TwoStatements
from troth.conformance.merge_edges import Conflict, EdgeResult, Missing
from troth.conformance.merge_proofs import claim_in, two_statements
from troth.conformance.merge_views import Half, View
from troth.conformance.proof_files import encode_equivocation_file
from troth.conformance.protocols import ProtocolSource
from troth.conformance.structure import Structure
from troth.conformance.views_verdict import MergeFinding, SideReport
from troth.conformance.world import World
from troth.vm.errors import TrothError
from troth.vm.keys import TrustFile
from troth.vm.lifecycle import LIVE
from troth.vm.reader import ArtifactReader
from troth.vm.records import Kind
from troth.vm.statements import identity_digest

FINDINGS_MAX: Final = 20


class Place(NamedTuple):
    """A record of one of the files."""

    view: View
    record: int


class Findings:
    """Collects up to `FINDINGS_MAX`; `is_cut` says that there were more."""

    def __init__(self, trust: TrustFile | None) -> None:
        self._trust = trust
        self._found: list[MergeFinding] = []
        self.is_cut = False

    @property
    def found(self) -> tuple[MergeFinding, ...]:
        """Proved ones first, since nobody has to be asked about them; heads say the least."""
        return tuple(sorted(self._found, key=lambda one: (one.proof is None, one.session is None)))

    @property
    def is_full(self) -> bool:
        """Proofs are costly: nobody makes one that is not kept."""
        if len(self._found) >= FINDINGS_MAX:
            self.is_cut = True
        return self.is_cut

    # --- messages --------------------------------------------------------------------------

    def add_edge(self, result: EdgeResult) -> None:
        for conflict in result.conflicts:
            if not self.is_full:
                self._conflict(conflict)
        for missing in result.missing:
            if not self.is_full:
                self._missing(missing)

    def _conflict(self, conflict: Conflict) -> None:
        one, other = conflict.one, conflict.other
        views = one.half.view, other.half.view
        proof = two_statements(views[0], one.record, views[1], other.record)
        sides = (
            self._side(Place(views[0], one.record), one.digest, proof and proof.first),
            self._side(Place(views[1], other.record), other.digest, proof and proof.second),
        )
        generation, number = conflict.key
        edge = " -> ".join(conflict.edge)
        party = conflict.edge[0]
        what = f"message {number} of {edge}"
        message = (
            f"{party} signed two different messages as {what}"
            if proof is not None
            else f"the records have different messages as {what}"
        )
        self._found.append(
            MergeFinding(
                code="merge.differs" if proof is None else "merge.equivocation.message",
                message=message,
                session=one.half.session.id.hex(),
                protocol=one.half.session.protocol,
                edge=edge,
                party=party,
                blamed=self._blamed(proof),
                generation=generation,
                number=number,
                sides=sides,
                proof=None if proof is None else encode_equivocation_file(proof),
            )
        )

    def _missing(self, missing: Missing) -> None:
        told, edge = missing.told, " -> ".join(missing.edge)
        unsent = missing.code == "merge.unsent"
        lacking, has = (
            (missing.sender, missing.receiver) if unsent else (missing.receiver, missing.sender)
        )
        party = missing.edge[0] if unsent else missing.edge[1]
        claim = claim_in(has.view, told.record)
        signer = claim if unsent else None
        sides = [self._side(Place(has.view, told.record), told.digest, claim)]
        if missing.receipt is not None:
            half, record = missing.receipt
            signer = claim_in(half.view, record)
            sides.append(self._side(Place(half.view, record), None, signer))
        count = f" ({missing.messages} such)" if missing.messages > 1 else ""
        self._found.append(
            MergeFinding(
                code=missing.code,
                message=_MISSING[missing.code].format(
                    party=party, number=missing.key[1], edge=edge, count=count
                ),
                session=has.session.id.hex(),
                protocol=has.session.protocol,
                edge=edge,
                party=party,
                blamed=None if signer is None else self._name(signer.signer),
                generation=missing.key[0],
                number=missing.key[1],
                sides=(*sides, _lacking(lacking.view)),
            )
        )

    # --- other statements ------------------------------------------------------------------

    def add_statements(self, half: Half, text: str, party: str, one: Place, other: Place) -> None:
        """Two statements in one place."""
        if self.is_full:
            return
        proof = two_statements(one.view, one.record, other.view, other.record)
        sides = (
            self._side(one, None, proof and proof.first),
            self._side(other, None, proof and proof.second),
        )
        self._found.append(
            MergeFinding(
                code="merge.differs" if proof is None else "merge.equivocation.statement",
                message=f"{party} made two statements of which only one can be true: {text}",
                session=half.session.id.hex(),
                protocol=half.session.protocol,
                edge=None,
                party=party,
                blamed=self._blamed(proof),
                generation=None,
                number=None,
                sides=sides,
                proof=None if proof is None else encode_equivocation_file(proof),
            )
        )

    def add_unrecorded(self, half: Half, text: str, party: str, told: Place, lacks: View) -> None:
        """A statement that its maker's own record does not have."""
        if self.is_full:
            return
        claim = claim_in(told.view, told.record)
        self._found.append(
            MergeFinding(
                code="merge.unrecorded",
                message=f"the record of {party} does not have what {party} signed: {text}",
                session=half.session.id.hex(),
                protocol=half.session.protocol,
                edge=None,
                party=party,
                blamed=None if claim is None else self._name(claim.signer),
                generation=None,
                number=None,
                sides=(self._side(told, None, claim), _lacking(lacks)),
            )
        )

    def add_heads(self, proof: TwoHeads, one: Place, other: Place) -> None:
        if self.is_full:
            return
        signed = (proof.first, proof.second)
        sides = tuple(
            SideReport(
                view=place.view.place,
                file=place.view.file,
                record=place.record,
                said=f"{head.head.size} leaves with root {head.head.root.hex()}",
                identity=identity_digest(head.head.statement).hex(),
                key=proof.public_key.hex(),
                signature=head.signature.hex(),
            )
            for place, head in zip((one, other), signed, strict=True)
        )
        name = self._name(proof.public_key)
        self._found.append(
            MergeFinding(
                code="merge.equivocation.head",
                message=f"{name} signed two heads of one log that do not fit together",
                session=None,
                protocol=None,
                edge=None,
                party="",
                blamed=name,
                generation=None,
                number=None,
                sides=sides,
                proof=encode_equivocation_file(proof),
            )
        )

    # --- parts -----------------------------------------------------------------------------

    def _side(self, place: Place, digest: bytes | None, claim: Claim | None) -> SideReport:
        signature = None
        if claim is not None:
            digest = identity_digest(claim.statement)
            signature = claim.signature
            if signature is None and claim.place is not None:
                signature = claim.place.signature
        return SideReport(
            view=place.view.place,
            file=place.view.file,
            record=place.record,
            said=_said(place),
            identity=None if digest is None else digest.hex(),
            key=None if claim is None else claim.signer.hex(),
            signature=None if signature is None else signature.hex(),
        )

    def _blamed(self, proof: TwoStatements | None) -> str | None:
        if proof is None:
            return None
        keys = dict.fromkeys((proof.first.signer, proof.second.signer))
        return ", ".join(map(self._name, keys))

    def _name(self, key: bytes) -> str:
        names = () if self._trust is None else self._trust.lookup(key)
        return names[0] if names else f"key {key.hex()}"


_MISSING: Final = {
    "merge.unsent": "the record of {party} does not have message {number} of {edge}, which "
    "its principal signed{count}",
    "merge.withheld.receipt": "{party} signed for message {number} of {edge}, and its record "
    "does not have it{count}",
    "merge.withheld.close": "the record of {party} closes the session without message {number} "
    "of {edge}, which was sent{count}",
}


def _lacking(view: View) -> SideReport:
    return SideReport(view=view.place, file=view.file, record=None, said="nothing of the kind")


def _said(place: Place) -> str:
    """The record in words; "" when the file cannot be followed that far."""
    world = World()
    handlers = Structure(world, ProtocolSource(None)).handlers()
    try:
        with place.view.reopen() as stream:
            for raw in ArtifactReader(stream):
                world.record = raw
                handlers[raw.items[0]](raw.items)
                if raw.index == place.record:
                    return describe(raw, world).partition(" ")[2]
                if raw.items[0] == Kind.STATUS and raw.items[2] not in LIVE:
                    session = world.sessions.pop(raw.items[1])
                    world.sessions_by_id.pop(session.id, None)
    except (TrothError, Divergence):
        return ""
    return ""
