"""Coroutines: how they begin and end, what they print, ask for and guard."""

from __future__ import annotations

from second_verifier.second_crashes import must_depart
from second_verifier.second_crypto import short_id
from second_verifier.second_image import Checker
from second_verifier.second_lookup import Facts, Part, require
from second_verifier.second_state import Coroutine, Crash
from second_verifier.second_wire import Record, Refused


class Lives(Part):
    def on_spawn(self, record: Record, facts: Facts) -> None:
        parent_id, index = b"", 0
        if facts["parent"] is None:
            require(not self.file.coroutines, "only the first coroutine has no parent")
            require(facts["program"] == self.file.facts["entry"], "a run begins with its entry")
        else:
            parent = self.coroutine(facts["parent"])
            parent_id, index = parent.id, parent.spawned
            parent.spawned += 1
            require(self.file.facts["entry"] is not None, "what the host plays spawns nothing")
            require(facts["program"] is not None, "only the host itself has no program")
        if self.file.image is not None and facts["program"] is not None:
            known = len(self.file.image.programs)
            require(facts["program"] < known, "the image has no such program")
        made = short_id("coroutine id", self.file.facts["seed"], parent_id, index)
        require(facts["coroutine_id"] == made, "not the coroutine's id")
        self.file.coroutines.append(Coroutine(made, facts["program"]))
        alive = sum(one.alive for one in self.file.coroutines)
        require(alive <= self.limit[1], "too many coroutines")
        self.leaf(record)

    def on_transfer(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        role = self.local(session, facts["role"])
        self.coroutine(facts["from"])
        self.coroutine(facts["to"])
        require(role.owner in (None, facts["from"]), "an endpoint that the coroutine has not")
        require(not role.moved, "an endpoint that was used already")
        role.owner = facts["to"]
        self.leaf(record)

    def on_halt(self, record: Record, facts: Facts) -> None:
        ends = self.coroutine(facts["coroutine"])
        require(not ends.guards, "a guard is left behind")
        require(ends.waits is None, "halts while it waits for an effect")
        ends.alive = False
        self.leaf(record)

    def on_fault(self, record: Record, facts: Facts) -> None:
        ends = self.coroutine(facts["coroutine"])
        if facts["session"] is None:
            require(facts["role"] is None, "a role of no session")
        else:
            session = self.session(facts, ended=True)
            require(facts["role"] is not None, "an endpoint has a role")
            self.role(session, facts["role"])
        if self.file.image is not None and ends.program is not None:
            name, instructions = self.file.image.programs[ends.program]
            require(facts["program"] == name, "not the coroutine's program")
            require(facts["pc"] <= instructions, "the program is not so long")
        ends.alive = False
        self.waits_no_longer(ends)
        crash, self.file.crash = self.file.crash, None
        require((crash is None) == (facts["code"] != "vm.fault.crash"), "a crash without its word")
        if crash is not None:
            said = (facts["session"], facts["role"])
            require(said == (crash.session, crash.role), "another role has crashed")
            require(crash.coroutine in (None, facts["coroutine"]), "not who played it")
            self._crashed(crash, facts["coroutine"])
        for guard in ends.guards:
            del self.file.guards[guard]
        ends.guards.clear()
        self.file.fault = facts["code"]
        self.file.fault_reaches = record.number + 1
        self.leaf(record)

    def _crashed(self, crash: Crash, coroutine: int) -> None:
        self.file.crashed = coroutine
        session = self.file.sessions[crash.session]
        gone = session.roles[session.protocol.roles[crash.role]]
        if session.alive and must_depart(session, coroutine, gone):
            self.file.departs = crash.session, crash.role

    def on_print(self, record: Record, facts: Facts) -> None:
        self.coroutine(facts["coroutine"])
        self.leaf(record)

    # --- effects and time ----------------------------------------------------------------

    def on_invoke(self, record: Record, facts: Facts) -> None:
        asks = self.coroutine(facts["coroutine"])
        require(asks.waits is None, "asks twice at once")
        made = short_id("effect id", asks.id, asks.invoked)
        require(facts["effect_id"] == made, "not the effect's id")
        asks.invoked += 1
        asks.waits = made
        if self.file.image is not None:
            require(facts["effect"] < len(self.file.image.effects), "the image has no such effect")
            parameters, _ = self.file.image.effects[facts["effect"]]
            Checker().payload(facts["arguments"], parameters)
        self.file.effects[made] = facts["effect"]
        self.leaf(record)

    def on_complete(self, record: Record, facts: Facts) -> None:
        effect = self.file.effects.pop(facts["effect_id"], None)
        require(effect is not None, "nobody waits for this effect")
        self.round(facts["round"])
        if facts["failed"]:
            _utf8(facts["result"])
        elif self.file.image is not None and effect is not None:
            _, result = self.file.image.effects[effect]
            Checker().payload(facts["result"], [["", result]])
        for one in self.file.coroutines:
            if one.waits == facts["effect_id"]:
                one.waits = None
        self.leaf(record)

    def on_time(self, record: Record, facts: Facts) -> None:
        require(facts["now"] >= self.file.now, "time runs backwards")
        self.file.now = facts["now"]
        self.round(facts["round"])
        self.leaf(record)

    # --- guards --------------------------------------------------------------------------

    def on_acquire(self, record: Record, facts: Facts) -> None:
        takes = self.coroutine(facts["coroutine"])
        guard: int = facts["guard"]
        if self.file.image is not None:
            require(guard < self.file.image.guards, "the image has no such guard")
        require(guard not in self.file.guards, "somebody holds the guard")
        self.file.guards[guard] = facts["coroutine"]
        takes.guards.add(guard)
        self.leaf(record)

    def on_release(self, record: Record, facts: Facts) -> None:
        gives = self.coroutine(facts["coroutine"])
        require(facts["guard"] in gives.guards, "the coroutine does not hold the guard")
        gives.guards.remove(facts["guard"])
        del self.file.guards[facts["guard"]]
        self.leaf(record)


def _utf8(data: bytes) -> None:
    try:
        data.decode()
    except UnicodeDecodeError as problem:
        raise Refused("the text of a failure is not UTF-8") from problem
