"""Compares signed heads: a principal that signs two histories of one log is caught by them.

A head reaches another party when messages are sealed by round. It has to be one of the log's own
heads, in the record of whoever keeps that log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from troth.conformance.merge_findings import Findings, Place
from troth.conformance.merge_proofs import fork, two_heads
from troth.conformance.merge_views import View
from troth.conformance.view_facts import HeadFact

FORKS_MAX: Final = 4
"""Heads that are looked for in their log; one that is not there is enough."""


def compare_heads(views: Sequence[View], findings: Findings) -> None:
    keys = {log_id: key for view in views for log_id, key in view.facts.logs.items()}
    known: dict[tuple[bytes, int], tuple[View, HeadFact]] = {}
    forked: set[bytes] = set()
    for view in views:
        for place, facts in view.facts.heads.items():
            log_id, _ = place
            key = keys.get(log_id) or view.facts.peers.get(log_id)
            for fact in facts:
                if fact.record >= view.until or key is None:
                    continue
                first, earlier = known.setdefault(place, (view, fact))
                if earlier.root == fact.root or log_id in forked:
                    continue
                here, there = Place(first, earlier.record), Place(view, fact.record)
                proof = two_heads(key, log_id, *here, *there)
                if proof is not None:
                    forked.add(log_id)
                    findings.add_heads(proof, here, there)
    _look_for_forks(views, forked, findings)


def _look_for_forks(views: Sequence[View], forked: set[bytes], findings: Findings) -> None:
    """Heads of sizes at which the keeper of the log shows none."""
    for keeper in views:
        for log_id, key in keeper.facts.logs.items():
            own = {
                size: facts[-1].record
                for (log, size), facts in keeper.facts.heads.items()
                if log == log_id and facts[-1].own and facts[-1].record < keeper.until
            }
            if not own or log_id in forked:
                continue
            last = max(own)
            looked = 0
            for view in views:
                if view is keeper or looked == FORKS_MAX:
                    continue
                for (log, size), facts in view.facts.heads.items():
                    strange = log == log_id and 0 < size < last and size not in own
                    if not strange or facts[0].record >= view.until or looked == FORKS_MAX:
                        continue
                    looked += 1
                    there, here = Place(view, facts[0].record), Place(keeper, own[last])
                    proof = fork(key, log_id, *here, *there)
                    if proof is not None and log_id not in forked:
                        forked.add(log_id)
                        findings.add_heads(proof, there, here)
