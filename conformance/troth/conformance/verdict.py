"""What a verification found out: plain frozen values, rendered elsewhere as JSON and as prose."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from troth.conformance.codes import BY_CODE, Category


class Word(StrEnum):
    """The verdict in one word."""

    VALID = "valid"
    INVALID = "invalid"
    UNSUPPORTED = "unsupported"
    INCOMPLETE = "incomplete"
    SELF_CONSISTENT = "self-consistent"


@dataclass(frozen=True, slots=True)
class LevelResult:
    """One level of verification. `why` says why it failed, or why it did not run."""

    level: int
    name: str
    ran: bool
    ok: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One divergence between what the file records and what follows from the rest of it.

    Attributes:
        offset: where the record starts in the file, in bytes from 0.
        record: the record's number, from 0; None when there is no record.
        said: what the record says, in one line; "" when it cannot be read.
        position: the local type's state, one line per branch, the offending one marked `>`.
        program, line: what was being executed (level 5).
        expected: with `expected_side`, such as "recomputed from the records before".
        actual: with `actual_side`, such as "recorded".
        context: the three records before, one line each, oldest first.
    """

    code: str
    message: str
    offset: int
    record: int | None = None
    said: str = ""
    session: str | None = None
    edge: str | None = None
    role: str | None = None
    position: str | None = None
    program: str | None = None
    line: int | None = None
    expected: str | None = None
    expected_side: str = "recomputed"
    actual: str | None = None
    actual_side: str = "recorded"
    context: tuple[str, ...] = ()

    @property
    def category(self) -> Category:
        return BY_CODE[self.code].category

    @property
    def level(self) -> int:
        return BY_CODE[self.code].level

    @property
    def advice(self) -> str:
        return BY_CODE[self.code].advice

    @property
    def docs(self) -> str:
        """Where the code is explained."""
        return f"docs/reference/verdicts.md#{BY_CODE[self.code].anchor}"


@dataclass(frozen=True, slots=True)
class PrincipalReport:
    """One principal of the file.

    Attributes:
        name: the name the file gives it.
        key: its verifier key in the text form of trust files.
        trusted_as: the trust file's name for the key; None when it is not in there.
        contradicted: the trust file has another key for this name.
        roles: `Protocol.Role` for each role it signed for, sorted.
        observed: likewise for each role that it did not play but watched, and signed for.
        here: its log is in this file; otherwise another machine keeps it.
    """

    name: str
    key: str
    trusted_as: str | None
    contradicted: bool
    roles: tuple[str, ...]
    here: bool = True
    observed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PinReport:
    """By which protocol sessions were judged. `pinned` is False for the file's own word."""

    protocol: str
    id: str
    pinned: bool
    sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the file holds."""

    bytes: int = 0
    records: int = 0
    sessions: int = 0
    closed: int = 0
    cancelled: int = 0
    faulted: int = 0
    open: int = 0
    messages: int = 0
    received: int = 0
    undelivered: int = 0
    overwritten: int = 0
    dropped: int = 0
    """Messages that may be lost, and were not signed."""
    delegations: int = 0
    rejects: int = 0
    refused: int = 0
    """Messages of other machines that did not pass when they came."""
    withheld: int = 0
    coroutines: int = 0
    faults: int = 0
    effects: int = 0
    prints: int = 0
    seals: int = 0
    rounds: int = 0
    incarnations: int = 0
    """How often the run was resumed."""


@dataclass(frozen=True, slots=True)
class Sealing:
    """`records` first records are covered by seals, `unsealed` leaves after them are not."""

    records: int
    unsealed: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Protection:
    """What the run had against forgery and repetition, other than the scripts say.

    Attributes:
        replay_override: the replay mode that replaced every one of the scripts; None for theirs.
        seal_override: the same for seals.
        sessions_off: how many sessions had an edge whose replay mode was `off`.
        edges_off: the first few such edges, as `Protocol: Sender -> Receiver`.
    """

    replay_override: str | None
    seal_override: str | None
    sessions_off: int
    edges_off: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Everything `troth verify` has to say about one file.

    Attributes:
        exit_code: 0 valid and authentic, 2 invalid, 3 unsupported, 4 incomplete, 5 consistent
            with itself only.
        findings: in file order; the first is the one to look at.
        findings_cut: verification stopped collecting findings at its limit.
        fragment: hex digest of the canonical fragment; None unless the file is whole and right.
        hosting: which principals one process hosted, in a sentence.
        outcome_recorded: the end record's own word for how the run went; None without one.
    """

    file: str
    exit_code: int
    status: Word
    reason: str
    levels: tuple[LevelResult, ...]
    findings: tuple[Finding, ...]
    findings_cut: bool
    principals: tuple[PrincipalReport, ...]
    pins: tuple[PinReport, ...]
    image: str | None
    image_in_file: bool
    image_pinned: bool
    runner: str | None
    anchor_unix_ns: int | None
    counts: Counts
    sealing: Sealing
    protection: Protection
    fragment: str | None
    hosting: str
    outcome_recorded: str | None
    trust_given: bool
