"""A role departs, and others go on without it.

The page: "DEPART" and "DETECT".
"""

from __future__ import annotations

from second_verifier.second_crashes import CRASHED, can_do_without, has_survivor
from second_verifier.second_endings import count_notice
from second_verifier.second_image import CRASH, RECEIVE
from second_verifier.second_lookup import Facts, Part, require
from second_verifier.second_wire import Record


class Departures(Part):
    def on_depart(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        role = self.local(session, facts["role"])
        due, self.file.departs = self.file.departs, None
        require(due in (None, (facts["session"], facts["role"])), "another role departs")
        right_behind = self.file.fault_reaches == record.number and self.file.fault == CRASHED
        require(right_behind, "nobody has crashed right before")
        self.file.fault_reaches += 1
        require(not session.causes, "the session is about to end")
        require(not role.noticed and not role.travels, "a role that nobody plays")
        require(role.owner in (None, self.file.crashed), "not who has crashed")
        require(has_survivor(session, role), "nobody can go on without the role")
        crashed = self.file.crashed
        require(
            crashed is not None and can_do_without(session, crashed, role),
            "nobody can go on without all of its roles",
        )
        count_notice(self.file, session, role)
        role.crashed = True
        self.file.discards += [
            edge for edge in session.edges.values() if edge.receiver == role.name and edge.flight
        ]
        self.leaf(record)

    def on_detect(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        role = self.local(session, facts["receiver"])
        gone = self.role(session, facts["sender"])
        edge = self.edge(session, gone, role)
        require(not session.causes, "the session is about to end")
        require(gone.crashed, "a crash that was not")
        require(not edge.flight, "a message is still to be received")
        require(not edge.parted, "a crash is seen through a partition")
        self.may_act(role)
        state = role.at
        require((state.kind, state.peer) == (RECEIVE, gone.name), "does not wait for that role")
        require(CRASH in state.transitions, "the type does not say what follows")
        role.state, role.moved = state.transitions[CRASH].next, True
        self.leaf(record, role.signer)
