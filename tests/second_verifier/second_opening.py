"""How sessions are met, opened and joined.

The page: "The descriptor", "Sessions of several machines".
"""

from __future__ import annotations

from second_verifier.second_crypto import derived, require_signature, short_id, statement
from second_verifier.second_image import Protocol
from second_verifier.second_lookup import Facts, Part, require
from second_verifier.second_state import Coroutine, Edge, Role, Session
from second_verifier.second_wire import Item, Record, encoded


class Opening(Part):
    def on_meet(self, record: Record, facts: Facts) -> None:
        opener = self.coroutine(facts["coroutine"])
        require(opener.meeting is None, "the coroutine has met already")
        self.round(facts["round"])
        parties = {role: (key, nonce) for role, key, nonce in facts["parties"]}
        require(len(parties) == len(facts["parties"]), "a role comes twice")
        opener.meeting = parties
        self.leaf(record)

    def on_open(self, record: Record, facts: Facts) -> None:
        index: int = facts["protocol"]
        require(index < len(self.file.protocols), "a protocol that was not introduced")
        protocol = self.file.protocols[index]
        opener = self.coroutine(facts["coroutine"])
        require(len(facts["principals"]) == len(protocol.roles), "a principal for each role")
        roles = self._roles(protocol, facts, opener)
        edges = self._edges(protocol, facts)
        self._nonce(facts, opener, roles)
        rows = [
            [protocol.roles[row[0]], protocol.roles[row[1]], *row[2:]] for row in facts["edges"]
        ]
        keys = [self.principal(one).key for one in facts["principals"]]
        descriptor = encoded(
            [protocol.id, protocol.name, protocol.roles, keys, rows]
            + [facts[name] for name in ("seal", "linger", "nonce")]
            + [self._observed(protocol, facts["observed"])]
        )
        made = derived("session id", descriptor)
        require(facts["session_id"] == made, "not the hash of its descriptor")
        require(all(one.id != made for one in self.file.sessions), "a session that is there")
        override = self.file.facts["seal_override"]
        require(override in (None, facts["seal"]), "not the seal that the run asks for")
        spread = not all(role.here for role in roles.values())
        self.file.sessions.append(
            Session(made, protocol, roles, edges, facts["seal"], spread, facts["linger"])
        )
        alive = len(self.file.sessions) - self.file.ended_sessions
        require(alive <= self.limit[0], "too many sessions")
        require(len(roles) <= self.limit[3], "too many roles")
        opener.opened += 1
        opener.meeting = None
        self.leaf(record)

    def _roles(self, protocol: Protocol, facts: Facts, opener: Coroutine) -> dict[str, Role]:
        roles = {}
        for name, signer in zip(protocol.roles, facts["principals"], strict=True):
            here = self._is_home(protocol, name)
            principal = self.principal(signer)
            require(principal.peer != here, "a PRINCIPAL for a role here, a PEER for one elsewhere")
            owner = facts["coroutine"] if here else None
            roles[name] = Role(name, protocol.types[name], signer, here, owner)
        away = {name for name, role in roles.items() if not role.here}
        met = opener.meeting or {}
        require(set(met) == away, "who was met is not who is elsewhere")
        for name in away:
            require(met[name][0] == self.principal(roles[name].signer).key, "not who was met")
            roles[name].nonce = met[name][1]
        require(len(away) < len(roles), "no role is here")
        return roles

    def _observed(self, protocol: Protocol, roles: list[int]) -> list[Item]:
        said = self.file.facts["observed"] or []
        names: list[Item] = [
            name for name in protocol.roles if name in said or f"{protocol.name}.{name}" in said
        ]
        found = [protocol.roles[role] for role in roles if role < len(protocol.roles)]
        require(found == names, "not the roles that the run observes")
        return names

    def _is_home(self, protocol: Protocol, name: str) -> bool:
        home = self.file.facts["home"]
        return not isinstance(home, list) or name in home or f"{protocol.name}.{name}" in home

    def _nonce(self, facts: Facts, opener: Coroutine, roles: dict[str, Role]) -> None:
        seed, place = self.file.facts["seed"], (opener.id, opener.opened)
        if all(role.here for role in roles.values()):
            require(facts["nonce"] == short_id("session nonce", seed, *place), "not the nonce")
            return
        for role in roles.values():
            if role.here:
                role.nonce = short_id("role nonce", seed, *place, role.name)
        joint = short_id("joint nonce", *(role.nonce for role in roles.values()))
        require(facts["nonce"] == joint, "not the joint nonce")

    def _edges(self, protocol: Protocol, facts: Facts) -> dict[tuple[str, str], Edge]:
        names, edges = protocol.roles, {}
        for row in facts["edges"]:
            require(row[0] < len(names) and row[1] < len(names), "the protocol has no such role")
            pair = (names[row[0]], names[row[1]])
            fixed = protocol.fixed.get(pair, [None] * 7)
            require(row[8] == protocol.lossy(*pair), "not the messages that may be lost")
            edges[pair] = self._edge(pair, row[2:], fixed)
        require(len(edges) == len(facts["edges"]), "an edge comes twice")
        require(list(edges) == protocol.edges, "not the edges on which the protocol can send")
        return edges

    def _edge(self, pair: tuple[str, str], row: list[Item], fixed: list[Item]) -> Edge:
        replay, buffer, capacity, policy, top, payload, lossy, rotate = row
        override = self.file.facts["replay_override"]
        wanted = [override if override is not None else fixed[0], *fixed[1:]]
        for given, asked in zip([*row[:6], rotate], wanted, strict=True):
            require(asked in (None, given), "not the setting that the protocol fixes")
        require(1 <= capacity <= top <= self.limit[6], "a capacity that cannot be")
        require(policy == "resize" or top == capacity, "grows without the policy for it")
        loses = buffer == "latest" or policy == "drop"
        require(bool(lossy) or not loses, "loses messages without saying so")
        require(not lossy or replay != "sequence", "counts messages that may be lost")
        require(rotate == 0 or replay == "nullifier", "generations of nothing")
        return Edge(*pair, replay, top, payload == "digest", bool(lossy), rotate)

    def on_join(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        role = self.role(session, facts["role"])
        require(session.spread and role.here, "not a role of several machines that is here")
        self._join(session, role, facts["signature"])
        self.leaf(record, role.signer, statement("join", session.id, role.name, role.nonce))

    def on_peer_join(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        role = self.remote(session, facts["role"])
        self.round(facts["round"])
        self._join(session, role, facts["signature"])
        self.leaf(record)

    def _join(self, session: Session, role: Role, signature: bytes) -> None:
        require(not role.joined, "has joined already")
        said = statement("join", session.id, role.name, role.nonce)
        require_signature(self.principal(role.signer).key, said, signature)
        role.joined = True
