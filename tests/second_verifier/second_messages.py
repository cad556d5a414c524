"""Messages: sent, arrived, received, refused, delegated.

The page: "SEND" and what follows, "Consumption roots", levels 3 and 4.
"""

from __future__ import annotations

from second_verifier.second_crypto import (
    derived,
    history,
    leaf_hash,
    path_root,
    require_signature,
    statement,
)
from second_verifier.second_image import (
    RECEIVE,
    SEND,
    Checker,
    Endpoint,
    Transition,
    hides_endpoint,
)
from second_verifier.second_lookup import Facts, Part, require
from second_verifier.second_state import NOTHING, Edge, Message, Role, Session
from second_verifier.second_wire import Record, encoded


class Messages(Part):
    def on_send(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        sender = self.local(session, facts["sender"])
        receiver = self.role(session, facts["receiver"])
        edge = self.edge(session, sender, receiver)
        label, said = self._said(session, edge, facts)
        leaf = self.stated(record, session, sender.signer, said, facts["signature"])
        place = (facts["generation"], facts["sequence"])
        require(place == edge.place_of(edge.sent), "not the next number of the edge")
        require(place[0] == edge.rotated, "a generation that its sender has not begun")
        require(edge.room(receiver.here) > 0, "more in flight than the edge holds")
        require(edge.may_begin(receiver.here), "a generation begins too early")
        retired = not edge.renews or not receiver.here or edge.retired == edge.rotated
        require(retired, "a generation that was not retired")
        self.may_act(sender)
        step = self._step(sender, SEND, receiver.name, label)
        require(facts["step_kind"] == (len(sender.at.transitions) > 1), "not the step kind")
        message = Message(*place, label, said, facts["payload"], leaf, sender.signer)
        self._hand_over(message, step, sender, receiver)
        sender.state, sender.moved = step.next, True
        edge.sent += 1
        edge.reliable_sent += not step.lossy
        edge.sent_roots.append(history(edge.sent_roots[-1], said))
        edge.flight.append(message)
        if receiver.crashed:
            self.file.discards.append(edge)

    def _said(self, session: Session, edge: Edge, facts: Facts) -> tuple[str, bytes]:
        """The label and the statement of a SEND or ARRIVE."""
        require(not session.causes, "the session is about to end")
        require(edge.rotate > 0 or facts["generation"] == 0, "no such generation")
        labels = session.protocol.labels
        require(facts["label"] < len(labels), "the protocol has no such label")
        salt, payload, commitment = facts["salt"], facts["payload"], facts["commitment"]
        there = (salt is None, payload is None, commitment is None)
        require(there in ((False, False, True), (True, True, False)), "payload or commitment")
        if payload is not None:
            require(not edge.digest, "a payload on an edge without payloads")
            require(len(payload) <= self.limit[4], "a payload that is too long")
            commitment = derived("payload commitment", salt, payload)
        label = labels[facts["label"]]
        place = (edge.sender, edge.receiver, facts["step_kind"], label)
        numbers = (facts["generation"], facts["sequence"])
        return label, statement("message", session.id, *place, *numbers, commitment)

    def _step(self, role: Role, kind: int, peer: str, label: str) -> Transition:
        require(not role.noticed, "a role that is done")
        at = role.at
        require((at.kind, at.peer) == (kind, peer), "not what the role has to do here")
        found = at.transitions.get(label)
        require(found is not None, "a label that is not offered here")
        assert found is not None
        return found

    # --- endpoints in payloads -----------------------------------------------------------

    def _hand_over(self, message: Message, step: Transition, sender: Role, receiver: Role) -> None:
        """Checks the payload; its endpoints leave the sender."""
        if message.payload is None:
            for protocol, name in hides_endpoint(step.fields):
                self._forget_owners(protocol, name)
            return
        checker = Checker()
        checker.payload(message.payload, step.fields)
        for endpoint in checker.endpoints:
            message.endpoints.append(self._handed(endpoint, sender, receiver))

    def _handed(self, endpoint: Endpoint, sender: Role, receiver: Role) -> Role:
        for session in self.file.sessions:
            if session.id == endpoint.session:
                require(session.alive, "an endpoint of a session that has ended")
                require(session.protocol.name == endpoint.protocol, "of another protocol")
                require(endpoint.role in session.roles, "of a role that there is not")
                role = session.roles[endpoint.role]
                require(role.here and receiver.here, "an endpoint goes to another machine")
                require(not role.moved and not role.noticed, "an endpoint that was used")
                known = role.owner is not None and sender.owner is not None
                require(not known or role.owner == sender.owner, "not the sender's endpoint")
                require(role.signer == receiver.signer, "the receiver does not sign for it")
                role.owner, role.travels = None, True
                return role
        require(False, "an endpoint of no session")
        raise AssertionError

    def _forget_owners(self, protocol: str, name: str) -> None:
        for session in self.file.sessions:
            if session.protocol.name == protocol and name in session.roles:
                session.roles[name].owner = None

    def on_delegate(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        role = self.local(session, facts["role"])
        require(not self.principal(facts["new_principal"]).peer, "a principal elsewhere")
        said = self._certificate(session, role, facts)
        self.stated(record, session, role.signer, said, facts["signature"])
        require(not role.moved and not role.noticed, "an endpoint that was used")
        role.signer = facts["new_principal"]

    def on_peer_delegate(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        role = self.remote(session, facts["role"])
        self.round(facts["round"])
        require(self.principal(facts["new_principal"]).peer, "a principal that is here")
        said = self._certificate(session, role, facts)
        require_signature(self.principal(role.signer).key, said, facts["signature"])
        role.signer = facts["new_principal"]
        self.leaf(record)

    def _certificate(self, session: Session, role: Role, facts: Facts) -> bytes:
        old, new = self.principal(role.signer), self.principal(facts["new_principal"])
        require(role.signer != facts["new_principal"], "delegates to itself")
        return statement("delegation", session.id, role.name, old.key, new.key)

    # --- the other end -------------------------------------------------------------------

    def on_receive(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        receiver = self.local(session, facts["receiver"])
        sender = self.role(session, facts["sender"])
        edge = self.edge(session, sender, receiver)
        require(not session.causes, "the session is about to end")
        require(bool(edge.flight), "a message that was not sent")
        place = (facts["generation"], facts["sequence"])
        any_order = edge.replay == "nullifier" and not sender.here
        matches = [m for m in edge.flight if (m.generation, m.sequence) == place]
        message = matches[0] if any_order and matches else edge.flight[0]
        require(place == (message.generation, message.sequence), "not the next of the edge")
        if session.seal == "round" and message.leaf is not None:
            covered = self.principal(message.signer).sealed_size
            require(message.leaf < covered, "received before a seal covers it")
        require(not edge.parted, "a message passes a partition")
        require(place not in edge.corrupted, "a message that was changed in flight")
        self.may_act(receiver)
        edge.flight.remove(message)
        require(edge.room_due < 0, "nothing made room for what arrived")
        edge.consume(message)
        require(facts["root"] == edge.root, "not the consumption root")
        step = self._step(receiver, RECEIVE, sender.name, message.label)
        edge.reliable += not step.lossy
        if message.payload is not None and not sender.here:
            checker = Checker()
            checker.payload(message.payload, step.fields)
            require(not checker.endpoints, "an endpoint from another machine")
        for role in message.endpoints:
            role.owner, role.travels = receiver.owner, False
        receiver.state, receiver.moved = step.next, True
        self.leaf(record, receiver.signer)

    def on_arrive(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        sender = self.remote(session, facts["sender"])
        receiver = self.local(session, facts["receiver"])
        edge = self.edge(session, sender, receiver)
        self.round(facts["round"])
        require(not edge.parted, "a message passes a partition")
        label, said = self._said(session, edge, facts)
        proof = self._authentic(session, sender, facts, said)
        place_said = (facts["generation"], facts["sequence"])
        if edge.replay == "sequence":
            require(place_said == (0, len(edge.arrived)), "not the next number of the edge")
        elif edge.replay == "nullifier":
            require(place_said not in edge.arrived, "a message that came before")
        require(place_said[0] <= edge.rotated, "a generation that its sender has not begun")
        now = place_said[0] == edge.rotated == edge.retired
        require(not edge.renews or now, "a message of another generation")
        require(edge.room_due < 0, "nothing made room for what arrived")
        if len(edge.flight) >= edge.capacity:
            lossy = session.protocol.lossy(sender.name, receiver.name)
            gives_way = edge.latest or label not in lossy
            found = any(one.label in lossy for one in edge.flight)
            require(gives_way and found, "more in flight than the edge holds")
            edge.room_due = record.number + 1
        edge.arrived.add(place_said)
        self.tell(session, said, own=False)
        message = Message(*place_said, label, said, facts["payload"], None, sender.signer)
        edge.flight.append(message)
        place = encoded([said, facts["signature"], proof, facts["round"]])
        self.leaf(record, receiver.signer, b"\0troth/v1/arrival\0" + place)

    def _authentic(
        self, session: Session, sender: Role, facts: Facts, said: bytes
    ) -> list[object] | None:
        principal = self.principal(sender.signer)
        proof = [facts[name] for name in ("head_size", "number", "leaf", "path")]
        if session.seal == "message":
            require(proof == [None] * 4, "a signature, not a place")
            require_signature(principal.key, said, facts["signature"])
            return None
        require(facts["signature"] == b"" and None not in proof, "a place, not a signature")
        size, number, leaf, path = proof
        require(size in principal.heads, "no head of that size")
        require(leaf < size and len(path) % 32 == 0, "a place that is not in the log")
        hashes = [path[i : i + 32] for i in range(0, len(path), 32)]
        hashed = leaf_hash(number.to_bytes(8, "big") + said)
        found = path_root(hashed, leaf, size, hashes)
        require(found == principal.heads[size], "not at its place under the signed head")
        return proof

    # --- what is lost, and generations -----------------------------------------------------

    def on_overwrite(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        receiver = self.local(session, facts["receiver"])
        edge = self.edge(session, self.role(session, facts["sender"]), receiver)
        place = (facts["generation"], facts["sequence"])
        found = [one for one in edge.flight if (one.generation, one.sequence) == place]
        require(edge.lossy and bool(found), "nothing of the kind was there to overwrite")
        sender = self.role(session, facts["sender"])
        lossy = session.protocol.lossy(sender.name, receiver.name)
        require(found[0].label in lossy, "a message that may not be lost")
        require(len(edge.flight) >= edge.capacity, "there is room in the buffer")
        if not sender.here:
            oldest = next(one for one in edge.flight if one.label in lossy)
            require(found[0] is oldest, "not the oldest that may be lost")
            require(edge.room_due == record.number, "nothing arrived that needs its place")
            edge.room_due = -1
        edge.flight.remove(found[0])
        edge.overwrite(found[0])
        self.leaf(record)

    def on_drop(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        sender = self.local(session, facts["sender"])
        receiver = self.role(session, facts["receiver"])
        edge = self.edge(session, sender, receiver)
        labels = session.protocol.labels
        require(facts["label"] < len(labels), "the protocol has no such label")
        label = labels[facts["label"]]
        step = self._step(sender, SEND, receiver.name, label)
        require(step.lossy and edge.lossy, "a message that may not be lost")
        full = edge.room(receiver.here) <= 0 or not edge.may_begin(receiver.here)
        require(full, "there is room in the buffer")
        self.leaf(record)

    def on_rotate(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        sender = self.local(session, facts["sender"])
        edge = self.edge(session, sender, self.role(session, facts["receiver"]))
        said = self._rotation(session, edge, facts)
        require(edge.sent == (edge.rotated + 1) * edge.rotate, "not at the end of a generation")
        self.stated(record, session, sender.signer, said, facts["signature"])
        edge.rotated += 1
        edge.rotated_at = record.number

    def on_peer_rotate(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        sender = self.remote(session, facts["sender"])
        edge = self.edge(session, sender, self.role(session, facts["receiver"]))
        self.round(facts["round"])
        said = self._rotation(session, edge, facts)
        require_signature(self.principal(sender.signer).key, said, facts["signature"])
        edge.rotated += 1
        edge.rotated_at = record.number
        self.leaf(record)

    def _rotation(self, session: Session, edge: Edge, facts: Facts) -> bytes:
        require(edge.rotate > 0 and facts["count"] == edge.rotate, "not a whole generation")
        require(facts["generation"] == edge.rotated, "not the generation that is under way")
        place = (edge.sender, edge.receiver, facts["generation"], facts["count"])
        return statement("rotate", session.id, *place)

    def on_retire(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        receiver = self.local(session, facts["receiver"])
        edge = self.edge(session, self.role(session, facts["sender"]), receiver)
        require(facts["generation"] == edge.retired < edge.rotated, "no generation to retire")
        taken = edge.consumed + edge.discarded
        whole = taken == (edge.retired + 1) * edge.rotate
        if edge.renews:
            whole = edge.rotated_at + 1 == record.number
        require(whole, "not all of the generation was taken")
        require(facts["root"] == edge.root, "not the root of the generation")
        edge.retired += 1
        edge.nullifiers.clear()
        edge.root = NOTHING
        self.leaf(record, receiver.signer)

    # --- what did not pass ---------------------------------------------------------------

    def on_reject(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        receiver = self.local(session, facts["receiver"])
        edge = self.edge(session, self.role(session, facts["sender"]), receiver)
        require(bool(edge.flight), "nothing was there to reject")
        require(edge.room_due < 0, "nothing made room for what arrived")
        require(not edge.parted, "a message passes a partition")
        edge.flight.pop(0)
        edge.discarded += 1
        session.causes.add(4)
        self.leaf(record)

    def on_refuse(self, record: Record, facts: Facts) -> None:
        session = self.session(facts)
        sender = self.remote(session, facts["sender"])
        receiver = self.role(session, facts["receiver"])
        require(receiver.here, "refused for somebody else")
        edge = self.edge(session, sender, receiver)
        self.round(facts["round"])
        count = edge.refused.get(facts["code"], 0) + 1
        edge.refused[facts["code"]] = count
        require(count <= self.limit[9], "more are listed than the limit says")
        self.leaf(record)
