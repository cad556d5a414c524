"""Turns two places in two records into a proof, when signatures show who said both."""

from __future__ import annotations

from typing import Final

from troth.conformance.claims import claim_of, head_of
from troth.conformance.equivocation import (
    Claim,
    Equivocation,
    SignedHead,
    TwoHeads,
    TwoStatements,
    check_equivocation,
)
from troth.conformance.event_proof import leaf_of
from troth.conformance.heads import Head
from troth.conformance.merge_views import View
from troth.conformance.run_logs import RunLogs
from troth.vm import events as ev
from troth.vm.errors import LimitExceeded, Malformed, TrothError
from troth.vm.merkle import Tree
from troth.vm.reader import ArtifactReader
from troth.vm.record_events import EventDecoder
from troth.vm.records import Kind

LEAVES_MAX: Final = 4_000_000
"""Leaves of a log that are kept to show that a head does not continue an earlier one."""


def claim_in(view: View, record: int) -> Claim | None:
    """What the record shows somebody to have said; None when it shows nothing."""
    try:
        found = claim_of(view.reopen, record)
    except TrothError:
        return None
    return None if found is None else found.claim


def two_statements(one: View, record: int, other: View, number: int) -> TwoStatements | None:
    """A proof from the two records; None when they do not prove anything together."""
    try:
        first, second = claim_of(one.reopen, record), claim_of(other.reopen, number)
    except TrothError:
        return None
    if first is None or second is None:
        return None
    proof = TwoStatements(first.descriptor, first.claim, second.claim)
    return proof if holds(proof) else None


def holds(proof: Equivocation) -> bool:
    try:
        check_equivocation(proof)
    except (Malformed, LimitExceeded):
        return False
    return True


def two_heads(
    key: bytes, log_id: bytes, one: View, record: int, other: View, number: int
) -> TwoHeads | None:
    """Two heads of one size; None when they do not prove anything together."""
    first, second = signed_head(one, record, log_id), signed_head(other, number, log_id)
    if first is None or second is None:
        return None
    proof = TwoHeads(key, first, second)
    return proof if holds(proof) else None


def fork(
    key: bytes, log_id: bytes, other: View, number: int, keeper: View, last: int
) -> TwoHeads | None:
    """A head that the log as its keeper shows it does not have; `last` is its last SEAL there."""
    early, late = signed_head(other, number, log_id), signed_head(keeper, last, log_id)
    if early is None or late is None or early.head.size >= late.head.size:
        return None
    tree = _tree(keeper, key, late.head.size)
    if tree is None:
        return None
    size = early.head.size
    path = tree.consistency_proof(size, late.head.size)
    proof = TwoHeads(key, early, late, tree.root(size), tuple(path))
    return proof if holds(proof) else None


def _tree(view: View, key: bytes, size: int) -> Tree | None:
    if size > LEAVES_MAX:
        return None
    tree = Tree()
    try:
        with view.reopen() as stream:
            logs = RunLogs(stream)
            before: list[bytes] = []
            for leaf in logs:
                data = leaf_of(leaf.record.index, leaf.covered)
                if not logs.logs:
                    # What comes before the first principal is in its log, too.
                    before.append(data)
                    continue
                if before and next(iter(logs.logs)) == key:
                    for earlier in before:
                        tree.append(earlier)
                before = []
                if key in logs.logs and leaf.log is logs.logs[key].path:
                    tree.append(data)
    except TrothError:
        return None
    return tree if tree.size >= size else None


def signed_head(view: View, record: int, log_id: bytes) -> SignedHead | None:
    """The head in a SEAL or a PEER_HEAD."""
    decoder = EventDecoder()
    try:
        with view.reopen() as stream:
            for raw in ArtifactReader(stream):
                event = decoder.decode(raw)
                if raw.index < record:
                    continue
                if raw.items[0] == Kind.SEAL:
                    _, _, *items, signature = raw.items
                    return SignedHead(Head(log_id, *items), signature)
                return head_of(event) if isinstance(event, ev.PeerHead) else None
    except TrothError:
        return None
    return None
