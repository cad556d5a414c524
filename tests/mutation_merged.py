"""One changed record among the others of its session, judged together by both verifiers.

The others are read once for many changes, as they are the same each time.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import BinaryIO

import second_verifier
from artifact_surgery import raw_records
from mutation_kinds import Target
from troth.conformance.judge import verify_stream
from troth.conformance.merge import merge
from troth.conformance.merge_views import View, view_of
from troth.conformance.replay_meter import DEFAULT_BUDGET, Budget
from troth.conformance.verdict import Verdict
from troth.conformance.view_facts import ViewFacts
from troth.conformance.views_verdict import MergedVerdict, MergeFinding
from troth.vm.covered import statement_of
from troth.vm.record_events import EventDecoder
from troth.vm.statements import identity_digest


def _opened(data: bytes) -> AbstractContextManager[BinaryIO]:
    return nullcontext(io.BytesIO(data))


class Beside:
    """The other records of the session, and what both verifiers say with a changed one."""

    def __init__(self, target: Target) -> None:
        assert target.together is not None
        self._place = target.together.place
        self._original = target.sample.data
        self._trust = target.sample.trust
        self._keys = {name: pair.public_key for name, pair in target.sample.keys.items()}
        views = target.together.views()
        self._views = [self._view(place, data, DEFAULT_BUDGET) for place, data in enumerate(views)]
        self._readings = [second_verifier.read(data, self._keys) for data in views]
        self._statements = dict(_statements(self._original))

    def _view(self, place: int, data: bytes, budget: Budget | None) -> View:
        """As `verify_views` makes it."""
        facts = ViewFacts()
        verdict = verify_stream(
            io.BytesIO(data),
            file=f"record {place + 1}",
            trust=self._trust,
            with_fragment=True,
            budget=budget,
            observer=facts,
        )
        return view_of(place, verdict.file, verdict, facts, partial(_opened, data))

    def first(self, data: bytes, budget: Budget | None = DEFAULT_BUDGET) -> MergedVerdict:
        """Without a budget the changed record is not run again."""
        views = list(self._views)
        views[self._place] = self._view(self._place, data, budget)
        return merge(views, self._trust)

    def second(self, data: bytes) -> second_verifier.Judgement:
        readings = list(self._readings)
        readings[self._place] = second_verifier.read(data, self._keys)
        return second_verifier.judge_together(readings)

    def changed(self, verdict: MergedVerdict) -> Verdict:
        """What is said of the changed record by itself."""
        return verdict.views[self._place]

    def codes(self, verdict: MergedVerdict) -> list[str]:
        """What is found, in the changed record and then between the records."""
        alone = [one.code for one in self.changed(verdict).findings]
        return alone + [one.code for one in verdict.findings]

    def named(self, verdict: MergedVerdict, data: bytes) -> Iterator[tuple[bytes, int | None]]:
        """The records that the first finding names, each with the file that has it.

        What the changed record lacks is named by the record that another party has of it: so it
        is the statement's place in the record before it was changed.
        """
        alone = self.changed(verdict).findings
        if alone:
            yield data, alone[0].record
        elif verdict.findings:
            yield from self._sides(verdict.findings[0], data)

    def _sides(self, finding: MergeFinding, data: bytes) -> Iterator[tuple[bytes, int | None]]:
        for side in finding.sides:
            if side.view == self._place and side.record is not None:
                yield data, side.record
            elif side.identity in self._statements:
                yield self._original, self._statements[side.identity]


def _statements(data: bytes) -> Iterator[tuple[str, int]]:
    decoder = EventDecoder()
    for raw in raw_records(data):
        said = statement_of(decoder.decode(raw))
        if said is not None:
            yield identity_digest(said).hex(), raw.index
