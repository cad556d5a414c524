"""Level 2, what came from other machines: did they sign it?

Everything here but a message's arrival is covered by the machine's own log as it stands, and
proves what another principal said by that principal's signature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from troth.conformance.divergence import Divergence
from troth.conformance.world import Principal, Session, World
from troth.vm import statements
from troth.vm.envelope import HeadEnvelope
from troth.vm.events import Proof
from troth.vm.record_codec import Items
from troth.vm.records import Kind
from troth.vm.signatures import acceptable_key, verify

Handler: TypeAlias = Callable[[Items], None]


class PeerIntegrity:
    """The checks of level 2 on what other machines said, one method a kind."""

    def __init__(
        self,
        world: World,
        machine_leaf: Handler,
        leaf: Callable[[Principal, bytes], None],
        plays: Callable[[Principal, Session, int], None],
    ) -> None:
        """`leaf` adds what is covered to a log, `plays` notes that a principal acts for a role."""
        self.world = world
        self._machine_leaf = machine_leaf
        self._leaf = leaf
        self._plays = plays

    def handlers(self) -> Mapping[int, Handler]:
        return {
            Kind.PEER: self.peer,
            Kind.ARRIVE: self.arrive,
            Kind.PEER_HEAD: self.head,
            Kind.PEER_JOIN: self.join,
            Kind.PEER_DELEGATE: self.delegate,
            Kind.PEER_NOTICE: self.notice,
            Kind.PEER_RECEIPT: self.receipt,
            Kind.PEER_ROTATE: self.rotate,
            Kind.PEER_CANCEL: self.cancel,
            Kind.PEER_FAIL: self.fail,
        }

    def peer(self, items: Items) -> None:
        self._machine_leaf(items)
        key = self.world.principals[-1].key
        if not acceptable_key(key):
            raise Divergence(
                "integrity.key",
                f"the public key of {items[1] or 'a principal'} is not acceptable",
                expected="the canonical encoding of a point of the prime-order group",
                expected_side="Ed25519",
                actual=key.hex(),
            )

    def arrive(self, items: Items) -> None:
        _, _, sender, receiver, kind, label, generation, sequence, *rest = items
        salt, payload, commitment, signature, size, *place, round_number = rest
        world = self.world
        session, edge = world.session, world.edge
        assert session is not None
        assert edge is not None
        if commitment is None:
            commitment = statements.payload_commitment(salt, payload)
        world.statement = statement = statements.message_statement(
            session.id,
            edge.config.sender,
            edge.config.receiver,
            kind,
            session.protocol.labels[label],
            generation,
            sequence,
            commitment,
        )
        proof = None if size is None else Proof(size, *place)
        taker = session.signers[receiver]
        self._plays(taker, session, receiver)
        self._leaf(taker, statements.arrival(statement, signature, proof, round_number))
        self._plays(session.signers[sender], session, sender)
        if session.round_sealed:
            self._require_proof(session, sender, statement, signature, proof)
        elif proof is not None or not verify(session.signers[sender].key, statement, signature):
            raise self._forged("integrity.message", session, sender)

    def _require_proof(
        self, session: Session, sender: int, statement: bytes, signature: bytes, proof: Proof | None
    ) -> None:
        key = session.signers[sender].key
        if signature or proof is None or not self.world.heads.included(key, proof, statement):
            name = session.protocol.roles[sender]
            raise Divergence(
                "integrity.inclusion",
                f"no signed head of the log of {name} covers this message",
                expected="a place under a PEER_HEAD of this size, and no signature",
                expected_side="descriptor",
                actual="a signature" if signature else "another place",
                session=session,
                edge=self.world.edge,
                role=name,
            )

    def head(self, items: Items) -> None:
        self._machine_leaf(items)
        principal = self.world.principals[items[1]]
        head = HeadEnvelope(principal.key, *items[2:-1])
        if not verify(principal.key, statements.head_statement(*head[1:-1]), head.signature):
            raise _seal(principal, "its signature does not verify")
        if not self.world.heads.add(head):
            raise _seal(principal, "there is another of this size")

    # --- statements --------------------------------------------------------------------------

    def join(self, items: Items) -> None:
        session = self.world.judged
        nonce = session.nonces[items[2]]
        self._said("integrity.join", items, lambda role: (role, nonce), statements.join_statement)

    def delegate(self, items: Items) -> None:
        session, role = self.world.judged, items[2]
        old, new = session.signers[role], self.world.principals[items[3]]
        self._said(
            "integrity.delegation",
            items,
            lambda name: (name, old.key, new.key),
            statements.delegation_statement,
        )
        session.signers[role] = new

    def notice(self, items: Items) -> None:
        roles = self.world.judged.protocol.roles
        finals = tuple((roles[receiver], *counts) for receiver, *counts in items[3])
        self._said(
            "integrity.notice", items, lambda role: (role, finals), statements.notice_statement
        )

    def receipt(self, items: Items) -> None:
        sender = self.world.judged.protocol.roles[items[3]]
        self._said(
            "integrity.receipt",
            items,
            lambda role: (role, sender, *items[4:9]),
            statements.receipt_statement,
        )

    def rotate(self, items: Items) -> None:
        receiver = self.world.judged.protocol.roles[items[3]]
        self._said(
            "integrity.rotation",
            items,
            lambda role: (role, receiver, *items[4:6]),
            statements.rotate_statement,
        )

    def cancel(self, items: Items) -> None:
        self._said(
            "integrity.cancel", items, lambda role: (role, items[3]), statements.cancel_statement
        )

    def fail(self, items: Items) -> None:
        self._said(
            "integrity.fail", items, lambda role: (role, *items[3:5]), statements.fail_statement
        )

    def _said(
        self,
        code: str,
        items: Items,
        facts: Callable[[str], Sequence[object]],
        make_statement: Callable[..., bytes],
    ) -> None:
        """A statement of the role that the record names, by whoever stands behind it."""
        session, role = self.world.judged, items[2]
        self._machine_leaf(items)
        signer = session.signers[role]
        self._plays(signer, session, role)
        statement = make_statement(session.id, *facts(session.protocol.roles[role]))
        if not verify(signer.key, statement, items[-2]):
            raise self._forged(code, session, role)

    def _forged(self, code: str, session: Session, role: int) -> Divergence:
        name, signer = session.protocol.roles[role], session.signers[role]
        return Divergence(
            code,
            f"the signature for {name}, which another machine holds, does not verify",
            expected=f"a signature of {signer.name or 'the principal'} (key {signer.key.hex()}) "
            "over this record's statement",
            expected_side="descriptor",
            actual="another signature",
            session=session,
            edge=self.world.edge if code == "integrity.message" else None,
            role=name,
        )


def _seal(principal: Principal, what: str) -> Divergence:
    return Divergence(
        "integrity.seal",
        f"the head of the log of {principal.name or 'a principal'} cannot be relied on: {what}",
        expected="a head that the principal signed, one for each size",
        expected_side="recorded before",
        actual="another head",
    )
