"""Level 2: do ids, signatures, log roots and seals hold?

Every record but a seal is a leaf of exactly one principal's log, by its signed statement where
it has one and by its bytes otherwise. The leaf is added whether or
not the rest of the record holds, so that one forged signature is not reported as a forged root
as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from troth.conformance.divergence import Divergence
from troth.conformance.peers_integrity import PeerIntegrity
from troth.conformance.protocols import ProtocolSource
from troth.conformance.world import Principal, Session, World
from troth.vm import statements
from troth.vm.descriptor import BundleDescriptor, Descriptor
from troth.vm.merkle import Frontier
from troth.vm.record_codec import Items
from troth.vm.records import SIGNER_OWNED, Kind
from troth.vm.signatures import acceptable_key, verify

Handler: TypeAlias = Callable[[Items], None]

SIGNERS_TRIED_MAX: Final = 64
"""Whose signature a wrong one is, is asked of so many principals only."""

_MACHINE_KINDS: Final = frozenset(Kind) - SIGNER_OWNED - {Kind.PRINCIPAL, Kind.SEAL}

_OF_EDGES: Final = ("integrity.message", "integrity.receipt", "integrity.rotation")


class Integrity:
    """The checks of level 2, one method a kind."""

    def __init__(self, world: World, source: ProtocolSource) -> None:
        self.world = world
        self.source = source
        # Log 0 exists before its principal does: it takes what comes before.
        self._machine_log = Frontier()
        self._machine_from: int | None = None

    def handlers(self) -> Mapping[int, Handler]:
        checked: dict[int, Handler] = {
            Kind.PRINCIPAL: self.principal,
            Kind.PROTOCOL: self.protocol,
            Kind.OPEN: self.open,
            Kind.BUNDLE: self.bundle,
            Kind.SEND: self.send,
            Kind.RECEIVE: self.receive,
            Kind.DELEGATE: self.delegate,
            Kind.NOTICE: self.notice,
            Kind.RECEIPT: self.receipt,
            Kind.ROTATE: self.rotate,
            Kind.RETIRE: self.receive,
            Kind.TIMER: self.role_leaf,
            Kind.EXPIRE: self.role_leaf,
            Kind.DETECT: self.role_leaf,
            Kind.CANCEL: self.cancel,
            Kind.JOIN: self.join,
            Kind.FAIL: self.fail,
            Kind.SEAL: self.seal,
        }
        plain: dict[int, Handler] = dict.fromkeys(_MACHINE_KINDS, self.machine_leaf)
        peers = PeerIntegrity(self.world, self.machine_leaf, self._leaf, _plays)
        return {**plain, **checked, **peers.handlers()}

    # --- leaves ---

    def _leaf(self, owner: Principal, covered: bytes | None = None) -> None:
        """Adds the record at hand to its owner's log: what is signed, or else its bytes."""
        record = self.world.record
        owner.log.append_record(record.index, record.data if covered is None else covered)
        if owner.unsealed_from is None:
            owner.unsealed_from = record.index

    def machine_leaf(self, items: Items) -> None:  # noqa: ARG002 - the record at hand is hashed
        """Adds the record to the log of the first principal that keeps one here."""
        if self.world.keepers:
            self._leaf(self.world.keepers[0])
            return
        record = self.world.record
        self._machine_log.append_record(record.index, record.data)
        if self._machine_from is None:
            self._machine_from = record.index

    # --- ids and keys ---

    def principal(self, items: Items) -> None:
        owner = self.world.principals[-1]
        owner.log_id = statements.log_id(self.world.header_bytes, owner.key)
        if owner is self.world.keepers[0]:
            owner.log = self._machine_log
            owner.unsealed_from = self._machine_from
        self._leaf(owner)
        if not acceptable_key(owner.key):
            raise Divergence(
                "integrity.key",
                f"the public key of {items[1] or 'a principal'} is not acceptable",
                expected="the canonical encoding of a point of the prime-order group",
                expected_side="Ed25519",
                actual=owner.key.hex(),
            )

    def protocol(self, items: Items) -> None:
        self.machine_leaf(items)
        entry = self.world.protocols[-1]
        tables = entry.tables
        if tables is None:
            if self.source.has_image:
                raise Divergence(
                    "integrity.protocol",
                    f"no protocol of the image has the id recorded for {entry.name}",
                    expected="the content id of a protocol of the image",
                    actual=entry.id.hex(),
                )
            return
        protocol = tables.protocol
        expected = (protocol.name, protocol.roles, tables.labels)
        recorded = (entry.name, entry.roles, entry.labels)
        for what, wanted, found in zip(
            ("name", "roles", "labels"), expected, recorded, strict=True
        ):
            if wanted != found:
                raise Divergence(
                    "integrity.protocol",
                    f"the {what} recorded are not those of the protocol with this id",
                    expected=_listed(wanted),
                    actual=_listed(found),
                )

    def open(self, items: Items) -> None:
        self.machine_leaf(items)
        session = self.world.judged
        _, identity, _, _, _, seal, linger_ns, nonce, _, observed = items
        descriptor = Descriptor(
            protocol_id=session.protocol.id,
            protocol=session.protocol.name,
            roles=session.protocol.roles,
            principals=tuple(signer.key for signer in session.signers),
            edges=tuple(edge.config for edge in session.edges.values()),
            seal=seal,
            linger_ns=linger_ns,
            nonce=nonce,
            observed=tuple(session.protocol.roles[role] for role in observed),
        )
        if descriptor.session != identity:
            raise Divergence(
                "integrity.session",
                "the session id is not the hash of the session's descriptor",
                expected=descriptor.session.hex(),
                actual=identity.hex(),
                session=session,
            )

    def bundle(self, items: Items) -> None:
        self.machine_leaf(items)
        _, identity, name, roles, principals, rows, nonce, _ = items
        world = self.world
        descriptor = BundleDescriptor(
            name,
            roles,
            tuple(world.principals[index].key for index in principals),
            tuple(
                (child, world.protocols[number].id, tuple(roles[player] for player in players))
                for child, number, players in rows
            ),
            nonce,
        )
        if descriptor.bundle != identity:
            raise Divergence(
                "integrity.session",
                "the bundle id is not the hash of the bundle's descriptor",
                expected=descriptor.bundle.hex(),
                actual=identity.hex(),
            )

    # --- signatures ---

    def send(self, items: Items) -> None:
        _, _, sender, _, kind, label, generation, sequence, salt, payload, commitment, sig = items
        world = self.world
        session = world.session
        edge = world.edge
        assert session is not None
        assert edge is not None
        if commitment is None:
            commitment = statements.payload_commitment(salt, payload)
        config = edge.config
        statement = statements.message_statement(
            session.id,
            config.sender,
            config.receiver,
            kind,
            session.protocol.labels[label],
            generation,
            sequence,
            commitment,
        )
        world.statement = statement
        signer = session.signers[sender]
        if session.acted[sender] is not signer:
            _plays(signer, session, sender)
        # As `_leaf` does; messages are most of a file.
        number = world.record[0]
        signer.log.append_record(number, statement)
        if signer.unsealed_from is None:
            signer.unsealed_from = number
        # As `_authentic` does.
        if bool(sig) if session.round_sealed else not verify(signer.key, statement, sig):
            raise self._forged("integrity.message", session, sender, statement, sig)

    def receive(self, items: Items) -> None:
        session, record = self.world.session, self.world.record
        assert session is not None
        owner = session.signers[items[2]]
        if session.acted[items[2]] is not owner:
            _plays(owner, session, items[2])
        owner.log.append_record(record[0], record[2])
        if owner.unsealed_from is None:
            owner.unsealed_from = record[0]

    def role_leaf(self, items: Items) -> None:
        """For records of what a role did that carry no statement: session, role."""
        session, role = self.world.sessions[items[1]], items[2]
        owner = session.signers[role]
        if session.acted[role] is not owner:
            _plays(owner, session, role)
        self._leaf(owner)

    def delegate(self, items: Items) -> None:
        _, _, role, principal, signature = items
        session = self.world.judged
        old, new = session.signers[role], self.world.principals[principal]
        name = session.protocol.roles[role]
        statement = statements.delegation_statement(session.id, name, old.key, new.key)
        self._leaf(old, statement)
        _plays(old, session, role)
        session.signers[role] = new
        self.world.tally.delegations += 1
        if not _authentic(session, old, statement, signature):
            raise self._forged("integrity.delegation", session, role, statement, signature, old)

    def notice(self, items: Items) -> None:
        _, _, role, rows, signature = items
        session = self.world.judged
        roles = session.protocol.roles
        finals = tuple((roles[receiver], *counts) for receiver, *counts in rows)
        statement = statements.notice_statement(session.id, roles[role], finals)
        self._signed("integrity.notice", session, role, statement, signature)

    def receipt(self, items: Items) -> None:
        _, _, role, sender, generation, consumed, reliable, discarded, root, signature = items
        session = self.world.judged
        roles = session.protocol.roles
        statement = statements.receipt_statement(
            session.id, roles[role], roles[sender], generation, consumed, reliable, discarded, root
        )
        self._signed("integrity.receipt", session, role, statement, signature)

    def rotate(self, items: Items) -> None:
        _, _, sender, receiver, generation, count, signature = items
        session = self.world.judged
        roles = session.protocol.roles
        statement = statements.rotate_statement(
            session.id, roles[sender], roles[receiver], generation, count
        )
        self._signed("integrity.rotation", session, sender, statement, signature)

    def cancel(self, items: Items) -> None:
        _, _, role, reason, _, signature = items
        if role is None:
            self.machine_leaf(items)
            if signature:
                raise Divergence(
                    "integrity.cancel",
                    "the host's own cancellation carries a signature",
                    expected="no signature: no role has spoken",
                    expected_side="format",
                    actual=f"{len(signature)} bytes",
                    session=self.world.judged,
                )
            return
        session = self.world.judged
        statement = statements.cancel_statement(session.id, session.protocol.roles[role], reason)
        self._signed("integrity.cancel", session, role, statement, signature)

    def join(self, items: Items) -> None:
        _, _, role, signature = items
        session = self.world.judged
        name = session.protocol.roles[role]
        statement = statements.join_statement(session.id, name, session.nonces[role])
        self._signed("integrity.join", session, role, statement, signature)

    def fail(self, items: Items) -> None:
        _, _, role, code, reason, signature = items
        session = self.world.judged
        name = session.protocol.roles[role]
        statement = statements.fail_statement(session.id, name, code, reason)
        self._signed("integrity.fail", session, role, statement, signature)

    def _signed(
        self, code: str, session: Session, role: int, statement: bytes, signature: bytes
    ) -> None:
        signer = session.signers[role]
        _plays(signer, session, role)
        self._leaf(signer, statement)
        if not _authentic(session, signer, statement, signature):
            raise self._forged(code, session, role, statement, signature)

    def _forged(
        self,
        code: str,
        session: Session,
        role: int,
        statement: bytes,
        signature: bytes,
        signer: Principal | None = None,
    ) -> Divergence:
        """Says whose signature it is, if it is anybody's of this file."""
        signer = signer or session.signers[role]
        name = session.protocol.roles[role]
        if session.round_sealed and (code == "integrity.message" or not session.peers):
            return Divergence(
                code,
                f"what {name} states carries a signature in a session that is sealed by round",
                expected="no signature: the head of the signer's log covers the statement",
                expected_side="descriptor",
                actual=f"{len(signature)} bytes",
                session=session,
                role=name,
            )
        asked = self.world.principals[:SIGNERS_TRIED_MAX]
        other = next((p for p in asked if verify(p.key, statement, signature)), None)
        found = f"a signature of {_named(other)}" if other else "a signature of nobody here"
        if other is None and len(asked) < len(self.world.principals):
            found = f"a signature of none of the first {len(asked)} principals"
        return Divergence(
            code,
            f"the signature for {name} does not verify",
            expected=f"a signature of {_named(signer)} over this record's statement",
            expected_side="authority by descriptor and delegations",
            actual=found,
            session=session,
            edge=self.world.edge if code in _OF_EDGES else None,
            role=name,
        )

    # --- seals ---

    def seal(self, items: Items) -> None:
        world = self.world
        _, index, size, root, previous, _, opened, ended, final, signature = items
        owner = world.principals[index]
        statement = statements.head_statement(owner.log_id, *items[2:-1])
        if not verify(owner.key, statement, signature):
            raise _seal("integrity.seal", owner, _UNSIGNED)
        if final is not world.ended:
            raise _seal(
                "integrity.final",
                owner,
                "it was not signed for the end of the run"
                if world.ended
                else "it was signed for the end of the run",
                "a final head" if world.ended else "a head on the way",
                "a final head" if final else "a head on the way",
            )
        if owner.log_broken:
            return
        owner.log_broken = True
        self._check_head(owner, size, root, previous)
        alive = len(world.sessions)
        counted = (alive, world.sessions_opened - alive)
        if (opened, ended) != counted:
            raise _seal(
                "integrity.counts",
                owner,
                "it counts other sessions",
                "{} open, {} ended".format(*counted),
                f"{opened} open, {ended} ended",
            )
        owner.log_broken = False
        owner.sealed_size = size
        owner.sealed_root = root
        owner.unsealed_from = None

    def _check_head(self, owner: Principal, size: int, root: bytes, previous: bytes) -> None:
        if previous != owner.sealed_root:
            raise _seal(
                "integrity.head",
                owner,
                "it does not name the root sealed before",
                owner.sealed_root.hex(),
                previous.hex(),
            )
        if size <= owner.sealed_size and not self.world.ended:
            raise _seal(
                "integrity.head",
                owner,
                "it seals nothing new",
                f"more than {owner.sealed_size} leaves",
                str(size),
            )
        log = owner.log
        if size != log.size:
            raise _seal(
                "integrity.root",
                owner,
                "its log has another size",
                f"{log.size} leaves",
                f"{size} leaves",
            )
        found = log.root
        if root != found:
            here = self.world.record.index
            since = here if owner.unsealed_from is None else owner.unsealed_from
            raise _seal(
                "integrity.root",
                owner,
                f"one of its records from {since} to {here - 1} is not what was sealed",
                found.hex(),
                root.hex(),
            )


_UNSIGNED: Final = (
    "its signature does not verify, so this record was changed, or record 0, which all seals cover"
)


def _authentic(session: Session, signer: Principal, statement: bytes, signature: bytes) -> bool:
    """A statement is signed by itself, or by its round: then the log's next head covers it.

    What other machines are told as well is signed by itself in any case.
    """
    if session.round_sealed and not session.peers:
        return not signature
    return verify(signer.key, statement, signature)


def _plays(signer: Principal, session: Session, role: int) -> None:
    """Being named in a descriptor or a certificate is nothing: only who acts has played a role."""
    session.acted[role] = signer
    played = signer.observed if role in session.observed else signer.roles
    played.add(f"{session.protocol.name}.{session.protocol.roles[role]}")


def _named(principal: Principal) -> str:
    return f"{principal.name or 'a principal without a name'} (key {principal.key.hex()})"


def _listed(value: Sequence[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _seal(
    code: str,
    owner: Principal,
    why: str,
    expected: str | None = None,
    actual: str | None = None,
) -> Divergence:
    return Divergence(
        code,
        f"the seal of {_named(owner)} does not hold: {why}",
        expected=expected or f"a signature of {_named(owner)}",
        actual=actual or "another signature",
    )
