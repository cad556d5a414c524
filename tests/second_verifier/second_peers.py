"""What other machines say about their logs."""

from __future__ import annotations

from second_verifier.second_crypto import require_signature
from second_verifier.second_frame import head_statement
from second_verifier.second_lookup import Facts, Part, require
from second_verifier.second_wire import Record


class Peers(Part):
    def on_peer_head(self, record: Record, facts: Facts) -> None:
        principal = self.principal(facts["principal"])
        require(principal.peer, "a head of a log that is in this file")
        self.round(facts["round"])
        require_signature(principal.key, head_statement(facts["log_id"], facts), facts["signature"])
        size: int = facts["size"]
        known = principal.heads.setdefault(size, facts["root"])
        require(known == facts["root"], "two heads of one size")
        self.file.heads.append((facts["log_id"], size, facts["root"]))
        self.leaf(record)
