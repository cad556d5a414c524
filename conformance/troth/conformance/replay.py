"""Level 5: does running the image again on the recorded inputs give this record?

The machine of the run is made once more from the header and the image. Its inputs come from the
file, at the rounds at which the file says they came: results of effects, times, cancellations by
the host. No effect is called, no key is held, no signature is made. Every event is compared with
the file as it happens, so a program that does something else is stopped there, and one that goes
on for ever when its budget is spent.

What belongs to the host is taken from the file: which keys stand behind the roles, the salts,
and when heads of logs were signed (levels 2 and 3 check what they cover).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Final, NamedTuple

from troth.conformance.describe import describe
from troth.conformance.divergence import Divergence
from troth.conformance.replay_ahead import (
    RECOMPUTED,
    Ahead,
    FileEnds,
    Parted,
    Refuted,
    Unreadable,
    Withheld,
)
from troth.conformance.replay_meter import Budget, Meter
from troth.conformance.replay_run import Run
from troth.conformance.replay_words import whereabouts
from troth.conformance.verdict import Finding
from troth.conformance.world import Header, World
from troth.vm.errors import Unusable
from troth.vm.fragment import FragmentBuilder
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.loaded import LoadedImage
from troth.vm.machine import SEED_BYTES
from troth.vm.reader import RawRecord
from troth.vm.records import Kind
from troth.vm.scheduling import parse_policy

QUANTUM_MAX: Final = 1 << 20
"""A turn of more instructions is not run again: it could not be stopped in between."""

ROLES_NAMED_MAX: Final = 8

CAPPED: Final = (
    "registers_max",
    "roles_max",
    "message_bytes_max",
    "value_bytes_max",
    "buffer_capacity_max",
    "speculation_depth_max",
)
"""Limits of a run that level 5 accepts only up to their defaults."""


class ReplayResult(NamedTuple):
    """What became of level 5; `why` says why it did not run, failed, or how far it could go."""

    ran: bool
    ok: bool
    why: str


class Replay:
    """Runs one file's image again.

    Attributes:
        result: what became of it.
        finding: where program and file part; None when they do not.
    """

    def __init__(
        self, world: World, findings: list[Finding], budget: Budget, *, with_fragment: bool
    ) -> None:
        """`findings` is the list to which the earlier levels add theirs."""
        self.result = ReplayResult(ran=False, ok=False, why="there is nothing to run")
        self.finding: Finding | None = None
        self.fragment = FragmentBuilder() if with_fragment else None
        self._world = world
        self._findings = findings
        self._meter = Meter(budget)
        self._run: Run | None = None

    def follow(self, records: Iterator[RawRecord]) -> None:
        """Runs the image in step with `records`, as far as both go together.

        Raises:
            Unusable: the file cannot be read.
        """
        ahead = Ahead(records, self._findings)
        try:
            self.result = self._follow(ahead)
        except FileEnds:
            why = "as far as the file goes"
            self.result = ReplayResult(ran=self._run is not None, ok=self._run is not None, why=why)
        except Withheld as withheld:
            why = f"not beyond record {withheld.record.index}, whose payload is not in the file"
            self.result = ReplayResult(ran=self._run is not None, ok=False, why=why)
        except Refuted:
            self.result = self._refuted()
        except Unreadable as unreadable:
            raise unreadable.error from None
        except Divergence as divergence:
            self._file(divergence)

    def _follow(self, ahead: Ahead) -> ReplayResult:
        ahead.take()
        first = ahead.peek()
        world = self._world
        header, image = world.header, world.image
        if first is None or header is None:
            raise FileEnds
        if first.items[0] == Kind.IMAGE:
            ahead.take()
        why = obstacle(header, image)
        if why or image is None:
            return ReplayResult(ran=False, ok=False, why=why)
        self._run = run = Run(ahead, world, header, image, self._meter, self.fragment)
        run.to_the_end()
        unseen = [f"{protocol}.{a} -> {b}" for protocol, a, b in run.signer.unseen]
        why = f"but for payloads of {', '.join(unseen)}, not in the file" if unseen else ""
        return ReplayResult(ran=True, ok=True, why=why)

    def compare_fragment(self, recorded: FragmentBuilder) -> None:
        """After the end: what the program did has to mean what the file means."""
        if self.fragment is None or not self.result.ok or not self._world.ended:
            return
        expected, actual = self.fragment.digest().hex(), recorded.digest().hex()
        if expected != actual:
            self._file(
                Divergence(
                    "replay.divergence",
                    "the canonical fragment is another",
                    expected=expected,
                    expected_side=RECOMPUTED,
                    actual=actual,
                )
            )

    def _refuted(self) -> ReplayResult:
        finding = self._findings[0]
        why = f"not beyond record {finding.record}, where level {finding.level} fails"
        return ReplayResult(ran=self._run is not None, ok=False, why=why)

    def _file(self, divergence: Divergence) -> None:
        run = self._run
        assert run is not None, "only a run diverges"
        record = run.comparison.record or self._world.record
        if isinstance(divergence, Parted):
            record = divergence.record
        view = run.comparison.view()
        where = whereabouts(record.items, view)
        program, line = run.position()
        self.finding = Finding(
            code=divergence.code,
            message=divergence.message,
            offset=record.offset,
            record=record.index,
            said=describe(record, view),
            session=where.session,
            edge=where.edge,
            role=where.role,
            program=program,
            line=line,
            expected=divergence.expected,
            expected_side=divergence.expected_side,
            actual=divergence.actual,
            actual_side=divergence.actual_side,
            context=tuple(describe(r, view) for r in run.comparison.context(record)),
        )
        why = f"{divergence.code} at byte {record.offset}"
        self.result = ReplayResult(ran=True, ok=False, why=why)


def played(home: tuple[str, ...] | None) -> str:
    """Why a run cannot be repeated in which no program ran."""
    if home is None:
        return "Python code played all roles, and its decisions are not in the file"
    roles = home or ("(unnamed)",)
    listed = ", ".join(roles[:ROLES_NAMED_MAX])
    if len(roles) > ROLES_NAMED_MAX:
        listed += f" and {len(roles) - ROLES_NAMED_MAX} more"
    which = f"role {listed} was" if len(roles) == 1 else f"roles {listed} were"
    return f"the {which} played by Python code, whose decisions are not in the file"


def obstacle(header: Header, image: LoadedImage | None) -> str:
    """Why this record cannot be run again here; "" when it can."""
    if header.entry is None:
        return played(header.home)
    if image is None:
        return "the file does not hold the image; give it with --image"
    if header.entry >= max(1, len(image.image.programs)):
        return f"its entry, program {header.entry}, is not in the image"
    try:
        parse_policy(header.policy)
    except Unusable:
        return f"the policy {header.policy} is not known here"
    if len(header.seed) != SEED_BYTES:
        return f"its seed has {len(header.seed)} bytes, not {SEED_BYTES}"
    if header.quantum > QUANTUM_MAX:
        return f"its quantum of {header.quantum} is above {QUANTUM_MAX}"
    limits = dict(zip((field.name for field in fields(Limits)), header.limits, strict=True))
    for name in CAPPED:
        cap = getattr(DEFAULT_LIMITS, name)
        if limits[name] > cap:
            return f"its limit {name} = {limits[name]} is above {cap}, what this verifier allows"
    return ""
