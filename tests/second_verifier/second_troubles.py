"""Trouble from outside: crash, partition and heal, corruption after signing, timeout.

The page: "TROUBLE", level 4.
"""

from __future__ import annotations

from typing import Final

from second_verifier.second_lookup import Facts, Part, require
from second_verifier.second_state import Crash, Edge, Role, Session
from second_verifier.second_wire import Record

CRASH, PARTITION, HEAL, CORRUPT, TIMEOUT = range(5)
CRASHED: Final = "vm.fault.crash"


class Troubles(Part):
    def on_trouble(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        role = self.role(session, facts["role"])
        alone = facts["trouble"] in (CRASH, TIMEOUT)
        require((facts["peer"] is None) == alone, "a peer where there is none")
        # A message is changed in its receiver's buffer.
        at = role if facts["trouble"] != CORRUPT else self.role(session, facts["peer"])
        require(at.here, "a role that another machine holds")
        require(not session.causes, "the session is about to end")
        self.round(facts["round"])
        what, peer, until = facts["trouble"], facts["peer"], facts["until"]
        require((until is None) == (what != TIMEOUT), "a time where there is none")
        if peer is None:
            require(not role.noticed, "a role that is done")
        if what == CRASH:
            self.file.crash = Crash(facts["session"], facts["role"], role.owner)
        elif what == TIMEOUT:
            require(until > max(self.file.now, role.silent_until), "a time that is over")
            role.silent_until = until
        else:
            self._of_edges(session, what, role, self.role(session, peer))
        self.leaf(record)

    def _of_edges(self, session: Session, what: int, role: Role, peer: Role) -> None:
        there, back = (role.name, peer.name), (peer.name, role.name)
        if what == CORRUPT:
            edge = self.edge(session, role, peer)
            require(bool(edge.flight), "nothing is in flight")
            edge.corrupted.add((edge.flight[0].generation, edge.flight[0].sequence))
            return
        edges: list[Edge] = [session.edges[one] for one in (there, back) if one in session.edges]
        require(bool(edges), "no edge between them")
        for edge in edges:
            require(edge.parted != (what == PARTITION), "parted twice, or healed for nothing")
            edge.parted = what == PARTITION
