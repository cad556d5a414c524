"""The frame of the file: header, image, principals, protocols, seals, end."""

from __future__ import annotations

from second_verifier.second_crypto import (
    derived,
    log_root,
    require_key,
    require_signature,
    statement,
)
from second_verifier.second_endings import CLOSED
from second_verifier.second_image import Image, image_id, parsed_image
from second_verifier.second_lookup import Facts, Part, require
from second_verifier.second_state import Principal
from second_verifier.second_wire import Record, Refused, encoded

LIMITS: int = 12
"""How many limits a header has."""


class Unsupported(Refused):
    """A format version that this verifier does not know."""


class Frame(Part):
    def on_header(self, record: Record, facts: Facts) -> None:
        require(record.number == 0, "HEADER is record 0")
        if facts["version"] != 1:
            raise Unsupported("a format version other than 1")
        require(len(facts["limits"]) == LIMITS, "a header has as many limits as there are")
        self.file.header, self.file.facts = record.data, facts
        self.leaf(record)

    def on_image(self, record: Record, facts: Facts) -> None:
        require(record.number == 1, "IMAGE is record 1")
        require(image_id(facts["image"]) == self.file.facts["image_id"], "not the header's image")
        self.file.image = parsed_image(facts["image"])
        self.leaf(record)

    def on_principal(self, record: Record, facts: Facts) -> None:
        require_key(facts["public_key"])
        self._introduced(facts, peer=False)
        trusted = self.file.trust.get(facts["name"])
        require(trusted in (None, facts["public_key"]), "the trust file has another key")
        first = all(one.peer for one in self.file.principals)
        made = Principal(facts["name"], facts["public_key"], False)
        if first:
            made.leaves = self.file.loose
        self.file.principals.append(made)
        self.leaf(record, len(self.file.principals) - 1)

    def on_peer(self, record: Record, facts: Facts) -> None:
        require_key(facts["public_key"])
        self._introduced(facts, peer=True)
        self.file.principals.append(Principal(facts["name"], facts["public_key"], True))
        self.leaf(record)

    def _introduced(self, facts: Facts, *, peer: bool) -> None:
        known = [one.key for one in self.file.principals if one.peer == peer]
        require(facts["public_key"] not in known, "a key that is there already")

    def on_protocol(self, record: Record, facts: Facts) -> None:
        image: Image | None = self.file.image
        require(image is not None, "without its image no protocol can be checked")
        assert image is not None
        found = image.protocols.get(facts["protocol_id"])
        require(found is not None, "the image has no such protocol")
        assert found is not None
        require(found not in self.file.protocols, "a protocol that is there already")
        same = (found.name, found.roles, found.labels) == (
            facts["name"],
            facts["roles"],
            facts["labels"],
        )
        require(same, "not as the image has the protocol")
        self.file.protocols.append(found)
        self.leaf(record)

    def on_incarnation(self, record: Record, facts: Facts) -> None:
        require(facts["number"] == self.file.incarnations + 1, "incarnations count from 1")
        self.file.incarnations += 1
        self.round(facts["round"])
        self.leaf(record)

    def on_end(self, record: Record, facts: Facts) -> None:
        require(facts["records"] == record.number, "END counts the records before it")
        alive = (
            one.alive and any(not other.alive for other in one.together)
            for one in self.file.sessions
        )
        require(not any(alive), "a session of a bundle outlives the others")
        require(facts["outcome"] in ("ok", "failed"), "no such outcome")
        self.round(facts["rounds"])
        require(facts["rounds"] >= self.file.sealed_round, "rounds run backwards")
        require((facts["outcome"] == "ok") == self._all_well(), "not how the run ended")
        self.file.ended = True
        self.leaf(record)

    def _all_well(self) -> bool:
        closed = all(one.status == CLOSED for one in self.file.sessions)
        over = not any(one.alive for one in self.file.coroutines)
        return closed and over and not self.file.fault

    def on_seal(self, record: Record, facts: Facts) -> None:
        del record  # A seal is a leaf of no log.
        sealer = self.principal(facts["principal"])
        require(not sealer.peer, "a peer's seal is not in this file")
        self._in_order(facts)
        require(facts["size"] == len(sealer.leaves), "not the size of the log")
        new = facts["size"] > sealer.sealed_size
        require(new or self.file.ended, "a seal before the end that seals nothing new")
        require(facts["root"] == log_root(sealer.leaves), "not the root of the log")
        require(facts["previous_root"] == sealer.sealed_root, "does not continue the seal before")
        require(facts["head_round"] >= self.file.sealed_round, "rounds run backwards")
        self.file.sealed_round = facts["head_round"]
        ended = self.file.ended_sessions
        opened = len(self.file.sessions) - ended
        counts = (facts["sessions_open"], facts["sessions_ended"])
        require(counts == (opened, ended), "counts the sessions wrongly")
        log_id = derived("log id", encoded([self.file.header, sealer.key]))
        require_signature(sealer.key, head_statement(log_id, facts), facts["signature"])
        sealer.sealed_size, sealer.sealed_root = facts["size"], facts["root"]

    def _in_order(self, facts: Facts) -> None:
        require(facts["final"] == self.file.ended, "final are the seals after END, no others")
        index: int = facts["principal"]
        if self.file.ended:
            mine = [i for i, one in enumerate(self.file.principals) if not one.peer]
            done = self.file.final_seals
            require(done < len(mine) and mine[done] == index, "one final seal for each, in order")
            self.file.final_seals += 1
        if self.file.last_kind == "SEAL":
            require(index > self.file.last_sealed, "a seal after another is of a later principal")
        self.file.last_sealed = index


def head_statement(log_id: bytes, facts: Facts) -> bytes:
    names = ("size", "root", "previous_root", "head_round", "sessions_open", "sessions_ended")
    return statement("head", log_id, *(facts[name] for name in names), facts["final"])
