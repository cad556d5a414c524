"""The verdict: the file is read once from front to back, and the first contradiction ends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from second_verifier.second_departures import Departures
from second_verifier.second_endings import DRAINING, Endings
from second_verifier.second_frame import Frame
from second_verifier.second_lives import Lives
from second_verifier.second_lookup import Facts, require
from second_verifier.second_messages import Messages
from second_verifier.second_opening import Opening
from second_verifier.second_peers import Peers
from second_verifier.second_shapes import KINDS, shaped
from second_verifier.second_state import File
from second_verifier.second_timers import Timers
from second_verifier.second_troubles import Troubles
from second_verifier.second_wire import MAGIC, Record, Refused, Torn, records

VALID: Final = "valid"
INVALID: Final = "invalid"
INCOMPLETE: Final = "incomplete"

PARTS: Final = (Frame, Lives, Opening, Messages, Endings, Peers, Timers, Troubles, Departures)


class Judgement(NamedTuple):
    """The word, the number of the first offending record, and why."""

    word: str
    record: int | None
    reason: str


class Reading(NamedTuple):
    """A file, the judgement on it, and what it has said as far as it was read."""

    data: bytes
    judgement: Judgement
    file: File


def judge(data: bytes, trust: Mapping[str, bytes] | None = None) -> Judgement:
    """Verifies a file at levels 1 to 4; `trust` has public keys by name."""
    return read(data, trust).judgement


def read(data: bytes, trust: Mapping[str, bytes] | None = None) -> Reading:
    """Verifies a file, and keeps what it says, to be compared with others."""
    file = File(trust or {})
    return Reading(data, _judge(data, file), file)


def _judge(data: bytes, file: File) -> Judgement:
    if not data.startswith(MAGIC):
        if MAGIC.startswith(data):
            return Judgement(INCOMPLETE, 0, "the magic is not whole")
        return Judgement(INVALID, 0, "no magic")
    handlers = _handlers(file)
    number = 0
    try:
        for record in records(data):
            number = record.number
            _step(file, handlers, record)
            number += 1
    except Torn:
        over = file.ended and _all_sealed(file)
        return Judgement(INVALID if over else INCOMPLETE, number, "the file ends in a record")
    except Refused as problem:
        return Judgement(INVALID, number, str(problem))
    if not (file.ended and _all_sealed(file)):
        return Judgement(INCOMPLETE, number, "the file ends before its final seals")
    return Judgement(VALID, None, "everything holds")


def _handlers(file: File) -> dict[str, Callable[[Record, Facts], None]]:
    parts = [part(file) for part in PARTS]
    return {
        kind.name: getattr(part, f"on_{kind.name.lower()}")
        for kind in KINDS.values()
        for part in parts
        if hasattr(part, f"on_{kind.name.lower()}")
    }


def _step(
    file: File, handlers: Mapping[str, Callable[[Record, Facts], None]], record: Record
) -> None:
    require(not (file.ended and _all_sealed(file)), "something follows the last seal")
    kind, facts = shaped(record)
    require(record.number > 0 or kind == "HEADER", "record 0 is HEADER")
    require(not file.ended or kind == "SEAL", "only seals follow END")
    opening = not file.due or kind in ("OPEN", "PRINCIPAL", "PEER", "PROTOCOL")
    require(opening, "a bundle is followed by its sessions")
    require(file.crash is None or kind == "FAULT", "a crash is followed by its fault")
    require(file.departs is None or kind == "DEPART", "a crash is followed by a departure")
    discards = bool(file.discards)
    require(not discards or kind == "UNDELIVERED", "sent to who has crashed, and not listed")
    announced = any(DRAINING in one.causes for one in file.sessions)
    require(
        not announced or discards or kind == "STATUS", "the first notice is followed by a status"
    )
    handlers[kind](record, facts)
    file.last_kind = kind


def _all_sealed(file: File) -> bool:
    return file.final_seals == sum(not one.peer for one in file.principals)
