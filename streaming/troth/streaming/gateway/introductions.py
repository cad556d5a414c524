"""What parties tell each other of themselves through a gateway, and its form in programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypedDict

from troth.streaming.gateway.codec import CANDIDATES_MAX, ID_BYTES, KEY_BYTES
from troth.streaming.gateway.messages import Refused
from troth.streaming.paths.candidates import from_items
from troth.streaming.paths.checks import Credential
from troth.vm.errors import Invalid, Malformed
from troth.vm.keys import valid_name

PROPOSAL_BYTES_MAX: Final = 8_192


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a party tells the other of itself; the password is good for checks of paths only."""

    proposal: bytes
    candidates: tuple[tuple[int, str, int], ...]
    check_name: str
    check_password: str = field(repr=False)
    lease_key: bytes


@dataclass(frozen=True, slots=True)
class Opening:
    """There is a session; what one party is told of the other."""

    session: bytes
    peer_name: str
    peer_key: bytes
    introduction: Introduction


class CandidateRecord(TypedDict):
    kind: int
    host: str
    port: int


class IntroductionRecord(TypedDict):
    proposal: bytes
    candidates: list[CandidateRecord]
    check_name: str
    check_password: str
    lease_key: bytes


class OpeningRecord(TypedDict):
    session: bytes
    peer_name: str
    peer_key: bytes
    introduction: IntroductionRecord


class RefusalRecord(TypedDict):
    code: str
    text: str
    limit: str
    wait_ms: int


NO_REFUSAL: Final[RefusalRecord] = {"code": "", "text": "", "limit": "", "wait_ms": 0}
NO_INTRODUCTION: Final[IntroductionRecord] = {
    "proposal": b"", "candidates": [], "check_name": "", "check_password": "", "lease_key": b"",
}  # fmt: skip
NO_OPENING: Final[OpeningRecord] = {
    "session": b"", "peer_name": "", "peer_key": b"", "introduction": NO_INTRODUCTION,
}  # fmt: skip


def introduction_record(introduction: Introduction) -> IntroductionRecord:
    return {
        "proposal": introduction.proposal,
        "candidates": [
            {"kind": kind, "host": host, "port": port}
            for kind, host, port in introduction.candidates
        ],
        "check_name": introduction.check_name,
        "check_password": introduction.check_password,
        "lease_key": introduction.lease_key,
    }


def introduction_of(record: IntroductionRecord) -> Introduction:
    """
    Raises:
        Malformed: codes `gateway.introduction` and `path.candidate`; nobody could use it.
    """
    proposal, key = record["proposal"], record["lease_key"]
    if len(proposal) > PROPOSAL_BYTES_MAX:
        raise _unusable(f"a proposal of at most {PROPOSAL_BYTES_MAX} bytes", f"{len(proposal)}")
    if len(key) != KEY_BYTES:
        raise _unusable(f"a lease key of {KEY_BYTES} bytes", f"{len(key)}")
    try:
        Credential(record["check_name"], record["check_password"])
    except Invalid as error:
        raise _unusable(error.expected or "a credential", error.actual or "") from None
    items = [(it["kind"], it["host"], it["port"]) for it in record["candidates"]]
    found = from_items(items, CANDIDATES_MAX)
    candidates = tuple((int(c.kind), c.address.host, c.address.port) for c in found)
    return Introduction(
        proposal, candidates, record["check_name"], record["check_password"], key
    )  # fmt: skip


def opening_record(opening: Opening) -> OpeningRecord:
    return {
        "session": opening.session,
        "peer_name": opening.peer_name,
        "peer_key": opening.peer_key,
        "introduction": introduction_record(opening.introduction),
    }


def opening_of(record: OpeningRecord) -> Opening:
    """
    Raises:
        Malformed: codes `gateway.introduction` and `path.candidate`; nobody could use it.
    """
    require_identity(record["peer_name"], record["peer_key"], record["session"])
    introduction = introduction_of(record["introduction"])
    return Opening(record["session"], record["peer_name"], record["peer_key"], introduction)


def require_identity(name: str, key: bytes, number: bytes) -> None:
    """
    Raises:
        Malformed: code `gateway.introduction`.
    """
    if not valid_name(name):
        raise _unusable("the name of a key", ascii(name[:40]))
    if (len(key), len(number)) != (KEY_BYTES, ID_BYTES):
        expected = f"a key of {KEY_BYTES} bytes and a number of {ID_BYTES}"
        raise _unusable(expected, f"{len(key)} and {len(number)}")


def refusal_record(refused: Refused) -> RefusalRecord:
    return {
        "code": refused.code,
        "text": refused.text,
        "limit": refused.limit,
        "wait_ms": refused.wait_ms,
    }


def refusal_of(record: Mapping[str, object] | RefusalRecord) -> Refused:
    code, text, limit, wait_ms = (record[key] for key in ("code", "text", "limit", "wait_ms"))
    assert isinstance(wait_ms, int)
    return Refused(0, str(code), str(text), str(limit), wait_ms)


def _unusable(expected: str, actual: str) -> Malformed:
    return Malformed(
        "gateway.introduction",
        "nobody can be met with this introduction",
        expected=expected,
        actual=actual,
        advice="See that both ends have the same version",
    )
