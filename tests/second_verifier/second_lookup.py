"""Indices of records, turned into what they name."""

from __future__ import annotations

from typing import Any

from second_verifier.second_crypto import leaf_hash, require_signature
from second_verifier.second_state import Coroutine, Edge, File, Principal, Role, Session, Told
from second_verifier.second_wire import Record, Refused

Facts = dict[str, Any]
"""The fields of a record; `second_shapes` has checked what each of them is."""


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Refused(otherwise)


class Part:
    """A part of the verifier: `on_KIND` for some kinds of records."""

    def __init__(self, file: File) -> None:
        self.file = file

    def session(self, facts: Facts, *, ended: bool = False) -> Session:
        index: int = facts["session"]
        require(index < len(self.file.sessions), "a session that was not opened")
        found = self.file.sessions[index]
        require(ended or found.alive, "a session that has ended")
        return found

    def role(self, session: Session, index: int) -> Role:
        names = session.protocol.roles
        require(index < len(names), "the protocol has no such role")
        return session.roles[names[index]]

    def local(self, session: Session, index: int) -> Role:
        """A role that this machine holds and that may still act."""
        role = self.role(session, index)
        require(role.here, "a role that another machine holds")
        require(not role.crashed, "a role that has crashed")
        require(role.joined or not session.spread, "a role that has not joined")
        return role

    def remote(self, session: Session, index: int) -> Role:
        role = self.role(session, index)
        require(session.spread and not role.here, "a role that this machine holds")
        return role

    def edge(self, session: Session, sender: Role, receiver: Role) -> Edge:
        found = session.edges.get((sender.name, receiver.name))
        require(found is not None, "the session has no such edge")
        assert found is not None
        return found

    def principal(self, index: int) -> Principal:
        require(index < len(self.file.principals), "a principal that was not introduced")
        return self.file.principals[index]

    def coroutine(self, index: int) -> Coroutine:
        require(index < len(self.file.coroutines), "a coroutine that was not spawned")
        found = self.file.coroutines[index]
        require(found.alive, "a coroutine that has ended")
        return found

    @property
    def limit(self) -> list[int]:
        """The limits of the run, in the order of the page on limits."""
        limits: list[int] = self.file.facts["limits"]
        return limits

    def round(self, number: int) -> None:
        require(number >= self.file.round, "rounds run backwards")
        self.file.round = number

    def waits_no_longer(self, one: Coroutine) -> None:
        """If it has asked for an effect, nobody waits for that now."""
        if one.waits is not None:
            self.file.effects.pop(one.waits, None)
            one.waits = None

    def may_act(self, role: Role) -> None:
        require(self.file.now >= role.silent_until, "a role that is timed out")

    # --- whose log -----------------------------------------------------------------------

    def leaf(self, record: Record, principal: int | None = None, said: bytes | None = None) -> int:
        """Adds the record to a log: of the first principal, when none is named."""
        hashed = leaf_hash(
            record.number.to_bytes(8, "big") + (record.data if said is None else said)
        )
        if principal is None:
            first = next((one for one in self.file.principals if not one.peer), None)
            leaves = self.file.loose if first is None else first.leaves
        else:
            require(not self.principal(principal).peer, "a peer's log is not in this file")
            leaves = self.principal(principal).leaves
        leaves.append(hashed)
        return len(leaves) - 1

    def stated(
        self, record: Record, session: Session, signer: int, said: bytes, signature: bytes
    ) -> int:
        """A statement of this machine: signed by itself, or by its round."""
        itself = session.seal == "message" or (
            session.spread and not said.startswith(b"\0troth/v1/message\0")
        )
        if itself:
            require_signature(self.principal(signer).key, said, signature)
        else:
            require(signature == b"", "a statement that its round signs carries no signature")
        self.tell(session, said, own=True)
        return self.leaf(record, signer, said)

    def tell(self, session: Session, said: bytes, *, own: bool) -> None:
        """Keeps a statement, to be compared with what other files have."""
        self.file.told.append(Told(session.id, said, own))
