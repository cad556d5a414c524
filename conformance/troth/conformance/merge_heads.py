"""Compares signed heads: a principal that signs two histories of one log is caught by them.

A head reaches another party when messages are sealed by round. It has to be one of the log's own
heads, in the record of whoever keeps that log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from troth.conformance.equivocation import TwoHeads
from troth.conformance.merge_findings import Findings, Place
from troth.conformance.merge_proofs import fork, two_heads
from troth.conformance.merge_views import View
from troth.conformance.view_facts import HeadFact

_Prover: TypeAlias = Callable[[bytes, bytes, View, int, View, int], TwoHeads | None]

ATTEMPTS_MAX: Final = 16
"""Proofs that are tried: each reads two records again, and one that holds is enough."""


def compare_heads(views: Sequence[View], findings: Findings) -> None:
    _Comparison(views, findings).run()


class _Comparison:
    """Looks for heads of one log that do not fit together. One pair of each log is enough."""

    def __init__(self, views: Sequence[View], findings: Findings) -> None:
        self._views = views
        self._findings = findings
        self._keys = {log_id: key for view in views for log_id, key in view.facts.logs.items()}
        self._forked: set[bytes] = set()
        self._attempts = 0

    def run(self) -> None:
        self._of_one_size()
        for keeper in self._views:
            self._strangers(keeper)

    def _of_one_size(self) -> None:
        known: dict[tuple[bytes, int], tuple[View, HeadFact]] = {}
        for view in self._views:
            for place, facts in view.facts.heads.items():
                for fact in facts:
                    if fact.record >= view.until:
                        continue
                    first, earlier = known.setdefault(place, (view, fact))
                    if earlier.root != fact.root:
                        here, there = Place(first, earlier.record), Place(view, fact.record)
                        self._try(two_heads, place[0], here, there)

    def _strangers(self, keeper: View) -> None:
        """Heads that others have of sizes at which the keeper of the log shows none."""
        own: dict[bytes, dict[int, int]] = {}
        for (log_id, size), facts in keeper.facts.heads.items():
            if facts[-1].own and facts[-1].record < keeper.until:
                own.setdefault(log_id, {})[size] = facts[-1].record
        last = {log_id: max(sizes) for log_id, sizes in own.items()}
        for view in self._views:
            if view is keeper:
                continue
            for (log_id, size), facts in view.facts.heads.items():
                sizes = own.get(log_id)
                if sizes is None or size in sizes or facts[0].record >= view.until:
                    continue
                if 0 < size < last[log_id]:
                    here = Place(keeper, sizes[last[log_id]])
                    self._try(fork, log_id, Place(view, facts[0].record), here)

    def _try(self, prove: _Prover, log_id: bytes, one: Place, other: Place) -> None:
        key = self._keys.get(log_id) or one.view.facts.peers.get(log_id)
        if key is None or log_id in self._forked or self._attempts >= ATTEMPTS_MAX:
            return
        self._attempts += 1
        proof = prove(key, log_id, *one, *other)
        if proof is not None:
            self._forked.add(log_id)
            self._findings.add_heads(proof, one, other)
