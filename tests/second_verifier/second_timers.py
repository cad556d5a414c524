"""Timed choices: where their clocks are started, and when they run out."""

from __future__ import annotations

from second_verifier.second_image import TIMED
from second_verifier.second_lookup import Facts, Part, require
from second_verifier.second_state import Clock
from second_verifier.second_wire import Record, Refused


class Timers(Part):
    def on_timer(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        role = self.local(session, facts["role"])
        require(facts["now"] >= self.file.now, "time runs backwards")
        self.file.now = facts["now"]
        self.round(facts["round"])
        state = role.at
        require(state.kind == TIMED, "no timed choice begins here")
        ways = state.transitions
        role.clock = Clock(
            facts["now"] + state.within,
            ways["within"].next,
            ways["timeout"].next,
            state.peer,
            session.edges[role.name, state.peer].sent,
        )
        role.state = role.clock.chooses
        role.moved = True
        self.leaf(record, role.signer)

    def on_expire(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        role = self.local(session, facts["role"])
        clock, role.clock = role.clock, None
        if clock is None or role.state != clock.chooses:
            raise Refused("no clock runs here")
        sent = session.edges[role.name, clock.receiver].sent
        require(sent == clock.sent, "the choice was made in time")
        require(self.file.now >= clock.runs_out, "a clock that runs out too soon")
        role.state = clock.late
        owner = self.coroutine(facts["coroutine"])
        require(role.owner in (None, facts["coroutine"]), "an endpoint that the coroutine has not")
        self.waits_no_longer(owner)
        self.leaf(record, role.signer)
