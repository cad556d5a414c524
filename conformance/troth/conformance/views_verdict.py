"""What comparing several records of the same sessions found out: plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from troth.conformance.codes import Category
from troth.conformance.merge_codes import MERGE_BY_CODE
from troth.conformance.verdict import Verdict, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class SideReport:
    """What one record has of it.

    Attributes:
        view: the record's place among those that were given.
        said: the record in words, as far as it is known.
        identity: the digest of a message's identity, or of a statement.
        key: the public key of who said it; None where it could not be shown.
        signature: over the statement, or over the head of the log that holds it.
    """

    view: int
    file: str
    record: int | None
    said: str
    identity: str | None = None
    key: str | None = None
    signature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeFinding:
    """Something that records of one session cannot both be right about.

    Attributes:
        party: the role that the finding is about; "" for a log.
        blamed: the trust file's name, or the key, of who signed; None when it is not shown who.
        proof: what `troth check-proof` accepts, as text; None when the signatures alone do not
            prove it.
    """

    code: str
    message: str
    session: str | None
    protocol: str | None
    edge: str | None
    party: str
    blamed: str | None
    generation: int | None
    number: int | None
    sides: tuple[SideReport, ...]
    proof: str | None = None

    @property
    def category(self) -> Category:
        return MERGE_BY_CODE[self.code].category

    @property
    def advice(self) -> str:
        return MERGE_BY_CODE[self.code].advice

    @property
    def docs(self) -> str:
        """Where the code is explained."""
        return f"docs/reference/verdicts.md#{MERGE_BY_CODE[self.code].anchor}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeReport:
    """One edge between two machines.

    Attributes:
        sent: by the sender's record; None when it is not there.
        arrived: by the receiver's record; None when it is not there.
        same: messages that both have, with the same identity.
        in_flight: sent and not arrived, and nothing shows that they came.
        ahead: arrived, but the sender's record ends before it says that it sent them.
        refused: of those in flight, how many came and were refused.
    """

    sender: str
    receiver: str
    sent: int | None
    arrived: int | None
    same: int
    in_flight: int
    ahead: int
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyReport:
    """How one record sees a session. `whole` says that the record goes to its end."""

    view: int
    file: str
    number: int
    roles: tuple[str, ...]
    status: str
    detail: str
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedSession:
    """One session of several machines. `missing` are roles of which no record was given."""

    id: str
    protocol: str
    parties: tuple[PartyReport, ...]
    missing: tuple[str, ...]
    edges: tuple[EdgeReport, ...]
    ends_differ: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedVerdict:
    """Everything `troth verify A B …` has to say.

    Attributes:
        exit_code: 2 when there is a finding, otherwise that of the worst of the records.
        sessions: those of several machines, the first few.
        sessions_more: how many there are besides.
        notes: what is worth knowing and not wrong, a sentence each.
        views: the verdict on each record by itself, in the order given.
    """

    files: tuple[str, ...]
    exit_code: int
    status: Word
    reason: str
    findings: tuple[MergeFinding, ...]
    findings_cut: bool
    sessions: tuple[MergedSession, ...]
    sessions_more: int
    messages_same: int
    messages_in_flight: int
    notes: tuple[str, ...]
    views: tuple[Verdict, ...]
