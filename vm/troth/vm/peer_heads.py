"""The signed heads of logs that other machines keep, as far as messages may still need them.

A principal signs one head after each of its rounds; a message that is sealed by round comes with
its place under one of them. Only the newest heads of the newest logs are kept.
"""

from __future__ import annotations

from typing import Final

from troth.vm.envelope import HeadEnvelope
from troth.vm.events import Proof
from troth.vm.merkle import verify_inclusion
from troth.vm.statements import DIGEST_BYTES

LOGS_KEPT: Final = 4
"""Of one principal: it may start another run, whose log is another."""

HEADS_KEPT: Final = 1024
"""Of one log."""


class PeerHeads:
    """By principal and log, the heads by size; the oldest of each are forgotten."""

    __slots__ = ("_logs",)

    def __init__(self) -> None:
        self._logs: dict[bytes, dict[bytes, dict[int, HeadEnvelope]]] = {}

    def knows(self, head: HeadEnvelope) -> bool:
        known = self._logs.get(head.principal, {}).get(head.log_id, {}).get(head.size)
        return known == head

    def has(self, principal: bytes, size: int) -> bool:
        """Whether a head of this size is known of any of the principal's logs."""
        return any(size in heads for heads in self._logs.get(principal, {}).values())

    def add(self, head: HeadEnvelope) -> bool:
        """Takes a head whose signature holds; False for a second one of the same size."""
        logs = self._logs.setdefault(head.principal, {})
        if head.log_id not in logs and len(logs) >= LOGS_KEPT:
            del logs[next(iter(logs))]
        heads = logs.setdefault(head.log_id, {})
        known = heads.get(head.size)
        if known is not None and known.root != head.root:
            return False
        heads[head.size] = head
        if len(heads) > HEADS_KEPT:
            del heads[next(iter(heads))]
        return True

    def included(self, principal: bytes, proof: Proof, statement: bytes) -> bool:
        """Whether one of the principal's logs has the statement at that place."""
        leaf = proof.number.to_bytes(8, "big") + statement
        path = [
            proof.path[at : at + DIGEST_BYTES] for at in range(0, len(proof.path), DIGEST_BYTES)
        ]
        return any(
            verify_inclusion(leaf, proof.leaf, proof.size, path, heads[proof.size].root)
            for heads in self._logs.get(principal, {}).values()
            if proof.size in heads
        )

    def forget(self, principal: bytes) -> None:
        """Drops the logs of a principal with whom no session goes on."""
        self._logs.pop(principal, None)


def included(heads: PeerHeads, principal: bytes, proof: Proof, statement: bytes) -> bool:
    """`PeerHeads.included`, as a part of the machine that a re-execution can replace."""
    return heads.included(principal, proof, statement)
