"""How sessions are met, opened and joined.

The page: "The descriptor", "Sessions of several machines".
"""

from __future__ import annotations

from second_verifier.second_crypto import derived, require_signature, short_id, statement
from second_verifier.second_image import Protocol
from second_verifier.second_lookup import Facts, Part, require
from second_verifier.second_state import Coroutine, Due, Edge, Role, Session, Together
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
        due = self._due(facts)
        roles = self._roles(protocol, facts, opener, due)
        edges = self._edges(protocol, facts)
        if due is None:
            self._nonce(facts, opener, roles)
        rows = [
            [protocol.roles[row[0]], protocol.roles[row[1]], *row[2:]] for row in facts["edges"]
        ]
        keys = [self.principal(one).key for one in facts["principals"]]
        descriptor = encoded(
            [protocol.id, protocol.name, protocol.roles, keys, rows]
            + [facts[name] for name in ("seal", "linger", "nonce")]
            + [self._watched(protocol, facts["observed"], due)]
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
        if due is not None:
            self.file.sessions[-1].bundle = due.together
            due.together.sessions.append(self.file.sessions[-1])
        alive = len(self.file.sessions) - self.file.ended_sessions
        require(alive <= self.limit[0], "too many sessions")
        require(len(roles) <= self.limit[3], "too many roles")
        if due is None:
            opener.opened += 1
            opener.meeting = None
        self.leaf(record)

    def on_bundle(self, record: Record, facts: Facts) -> None:
        opener = self.coroutine(facts["coroutine"])
        require(not self.file.due, "the sessions of a bundle are still to be opened")
        names, signers = facts["roles"], facts["principals"]
        require(len(signers) == len(names), "a principal for each role")
        shares = self._shares(facts, opener)
        rows = []
        for child, index, players in facts["sessions"]:
            require(index < len(self.file.protocols), "a protocol that was not introduced")
            require(all(player < len(names) for player in players), "the bundle has no such role")
            protocol = self.file.protocols[index]
            require(len(players) == len(protocol.roles), "a player for each role")
            rows.append((child, protocol, [names[player] for player in players]))
        image = self.file.image
        known = [] if image is None else image.bundles
        wanted = (facts["name"], names, rows)
        require(
            wanted in [(one.name, one.roles, one.sessions) for one in known],
            "the image has no such bundle",
        )
        keys = [self.principal(one).key for one in signers]
        hashed = [[child, protocol.id, players] for child, protocol, players in rows]
        descriptor = encoded([facts["name"], names, keys, hashed, facts["nonce"]])
        made = derived("bundle id", descriptor)
        require(facts["bundle_id"] == made, "not the hash of its descriptor")
        together = Together()
        for child, index, players in facts["sessions"]:
            if any(not self.principal(signers[player]).peer for player in players):
                own = [signers[player] for player in players]
                spread = any(self.principal(one).peer for one in own)
                parts = [shares[player] for player in players] if spread else []
                nonce = short_id("child nonce", made, child)
                mine = self.file.protocols[index].roles
                seen = self._observed(facts["name"], [names[player] for player in players], mine)
                due = Due(together, facts["coroutine"], index, own, nonce, parts, seen)
                self.file.due.append(due)
        together.size = len(self.file.due)
        opener.opened += 1
        opener.meeting = None
        self.leaf(record)

    def _shares(self, facts: Facts, opener: Coroutine) -> list[bytes]:
        """What each role of a bundle has added to its nonce, which is checked here."""
        seed, place = self.file.facts["seed"], (opener.id, opener.opened)
        met = opener.meeting or {}
        shares = []
        for name, signer in zip(facts["roles"], facts["principals"], strict=True):
            principal = self.principal(signer)
            here = self._is_home(facts["name"], name)
            require(principal.peer != here, "a PRINCIPAL for a role here, a PEER for one elsewhere")
            require(here != (name in met), "who was met is not who is elsewhere")
            if here:
                shares.append(short_id("role nonce", seed, *place, name))
            else:
                require(met[name][0] == principal.key, "not who was met")
                shares.append(met[name][1])
        require(len(met) < len(shares), "no role is here")
        wanted = (
            short_id("joint nonce", *shares) if met else short_id("session nonce", seed, *place)
        )
        require(facts["nonce"] == wanted, "not the nonce")
        return shares

    def _due(self, facts: Facts) -> Due | None:
        """The session that a bundle has to open next, which this must be then."""
        if not self.file.due:
            return None
        due = self.file.due.pop(0)
        names = ("coroutine", "protocol", "principals", "nonce")
        wanted = [due.coroutine, due.protocol, due.principals, due.nonce]
        require([facts[name] for name in names] == wanted, "not the next session of the bundle")
        return due

    def _roles(
        self, protocol: Protocol, facts: Facts, opener: Coroutine, due: Due | None
    ) -> dict[str, Role]:
        roles: dict[str, Role] = {}
        if due is not None:
            for place, name in enumerate(protocol.roles):
                signer = due.principals[place]
                here = not self.principal(signer).peer
                owner = facts["coroutine"] if here else None
                roles[name] = Role(name, protocol.types[name], signer, here, owner, signer)
                if due.shares:
                    roles[name].nonce = due.shares[place]
            return roles
        for name, signer in zip(protocol.roles, facts["principals"], strict=True):
            here = self._is_home(protocol.name, name)
            principal = self.principal(signer)
            require(principal.peer != here, "a PRINCIPAL for a role here, a PEER for one elsewhere")
            owner = facts["coroutine"] if here else None
            roles[name] = Role(name, protocol.types[name], signer, here, owner, signer)
        away = {name for name, role in roles.items() if not role.here}
        met = opener.meeting or {}
        require(set(met) == away, "who was met is not who is elsewhere")
        for name in away:
            require(met[name][0] == self.principal(roles[name].signer).key, "not who was met")
            roles[name].nonce = met[name][1]
        require(len(away) < len(roles), "no role is here")
        return roles

    def _watched(self, protocol: Protocol, said: list[int], due: Due | None) -> list[Item]:
        names = protocol.roles
        wanted = self._observed(protocol.name, names, names) if due is None else due.observed
        found = [names[role] for role in said if role < len(names)]
        require(found == wanted, "not the roles that the run observes")
        return wanted

    def _observed(self, owner: str, players: list[str], names: list[str]) -> list[Item]:
        """The names of those roles of a session whose players the run observes."""
        said = self.file.facts["observed"] or []
        return [
            name
            for player, name in zip(players, names, strict=True)
            if player in said or f"{owner}.{player}" in said
        ]

    def _is_home(self, owner: str, name: str) -> bool:
        """Whether a role of a protocol or bundle is held here."""
        home = self.file.facts["home"]
        return not isinstance(home, list) or name in home or f"{owner}.{name}" in home

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
        latest = buffer == "latest"
        return Edge(*pair, replay, top, payload == "digest", bool(lossy), latest, rotate)

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
        self.tell(session, said, own=role.here)
        role.joined = True
