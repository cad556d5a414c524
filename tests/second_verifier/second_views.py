"""Several files of one session, side by side.

The page: "Several views".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from second_verifier.second_crypto import derived, log_root, short_id
from second_verifier.second_endings import CLOSED
from second_verifier.second_judge import INCOMPLETE, INVALID, VALID, Judgement, Reading
from second_verifier.second_state import File, Session
from second_verifier.second_wire import decoded, encoded

HEAD: Final = b"\0troth/v1/"
ALONE: Final = ("message", "notice", "receipt", "cancel")
"""Statements of which there is one for each place."""
COMPARED: Final = (*ALONE, "join", "fail")

Edge = tuple[str, str]


class View(NamedTuple):
    """A file that is compared. What it says of a session is by the session's id."""

    reading: Reading
    sessions: dict[bytes, Session]

    @property
    def file(self) -> File:
        return self.reading.file

    @property
    def whole(self) -> bool:
        return self.reading.judgement.word == VALID

    def said(self, session: bytes, *, own: bool | None = None) -> Iterator[bytes]:
        for one in self.file.told:
            if one.session == session and own in (None, one.own) and tag_of(one.said) in COMPARED:
                yield one.said

    def holds(self, session: bytes, role: str) -> bool:
        found = self.sessions.get(session)
        return found is not None and found.roles[role].here


def judge_together(readings: Sequence[Reading]) -> Judgement:
    """The judgement on all of them, those of each by itself among it."""
    for one in readings:
        if one.judgement.word == INVALID:
            return one.judgement
    distinct = {one.data: one for one in readings}.values()
    views = [View(one, {session.id: session for session in one.file.sessions}) for one in distinct]
    problem = next(_problems(views), None)
    if problem is not None:
        return Judgement(INVALID, None, problem)
    for one in readings:
        if one.judgement.word == INCOMPLETE:
            return one.judgement
    return Judgement(VALID, None, "everything fits together")


def _problems(views: Sequence[View]) -> Iterator[str]:
    yield from _heads(views)
    for session in {session: None for view in views for session in view.sessions}:
        having = [view for view in views if session in view.sessions]
        yield from _places(session, having)
        yield from _unrecorded(session, having)
        for edge in having[0].sessions[session].edges:
            yield from _messages(session, edge, having)
    yield from _meetings(views)


# --- statements ------------------------------------------------------------------------------


def tag_of(said: bytes) -> str:
    return said.removeprefix(HEAD).partition(b"\0")[0].decode()


def place_of(said: bytes) -> tuple[object, ...] | None:
    """What only one statement can fill; None where several may be made."""
    tag, items = tag_of(said), decoded(said.removeprefix(HEAD).partition(b"\0")[2])
    match tag:
        case "message":
            return (tag, items[1], items[2], *items[5:7])
        case "notice" | "cancel":
            return (tag, items[1])
        case "receipt":
            return (tag, *items[1:6])
    return None


def maker_of(said: bytes) -> str:
    role: str = decoded(said.removeprefix(HEAD).partition(b"\0")[2])[1]
    return role


def _places(session: bytes, views: Iterable[View]) -> Iterator[str]:
    filled: dict[tuple[object, ...], bytes] = {}
    for view in views:
        for said in view.said(session):
            place = place_of(said)
            if place is not None and filled.setdefault(place, said) != said:
                yield f"two statements in one place: {place}"


def _unrecorded(session: bytes, views: Sequence[View]) -> Iterator[str]:
    for view in views:
        for said in view.said(session, own=False):
            role = maker_of(said)
            for maker in views:
                if maker.whole and maker.holds(session, role) and tag_of(said) != "message":
                    if said not in maker.said(session):
                        yield f"{role} has not recorded its {tag_of(said)}"
                    break


# --- messages --------------------------------------------------------------------------------


def _messages(session: bytes, edge: Edge, views: Sequence[View]) -> Iterator[str]:
    sender, receiver = (_best(session, role, views) for role in edge)
    if sender is None or receiver is None or _keys(sender) & _keys(receiver):
        return
    sent = [said for said in sender.said(session, own=True) if _is_on(said, edge)]
    came = [said for said in receiver.said(session, own=False) if _is_on(said, edge)]
    if sender.whole and not {place_of(one) for one in came} <= {place_of(one) for one in sent}:
        yield f"{edge[0]} has not recorded a message"
    if receiver.whole and not {place_of(one) for one in sent} <= {place_of(one) for one in came}:
        closed = receiver.sessions[session].status == CLOSED
        if closed or any(_taken(session, edge, view) > len(came) for view in views):
            yield f"{edge[1]} has not recorded a message"


def _best(session: bytes, role: str, views: Sequence[View]) -> View | None:
    """The file of the role that goes to its end; else the first one."""
    having = [view for view in views if view.holds(session, role)]
    return next((view for view in having if view.whole), having[0] if having else None)


def _is_on(said: bytes, edge: Edge) -> bool:
    place = place_of(said)
    return place is not None and place[:3] == ("message", *edge)


def _taken(session: bytes, edge: Edge, view: View) -> int:
    """How many messages of an edge its receiver has signed for."""
    places = [place_of(said) for said in view.said(session)]
    return max(
        (int(str(one[4])) + int(str(one[5])) for one in places if one is not None
         and one[:3] == ("receipt", edge[1], edge[0])),
        default=0,
    )  # fmt: skip


# --- logs and meetings -----------------------------------------------------------------------


def _keys(view: View) -> set[bytes]:
    """The logs that the file holds."""
    return {
        derived("log id", encoded([view.file.header, one.key]))
        for one in view.file.principals
        if not one.peer
    }


def _heads(views: Sequence[View]) -> Iterator[str]:
    known: dict[tuple[bytes, int], bytes] = {}
    heads = [head for view in views for head in view.file.heads]
    for log, size, root in heads:
        if known.setdefault((log, size), root) != root:
            yield "two heads of one log and size"
    for view in views:
        for one in view.file.principals:
            log = derived("log id", encoded([view.file.header, one.key]))
            for named, size, root in heads:
                covered = not one.peer and named == log and size <= one.sealed_size
                if covered and root != log_root(one.leaves[:size]):
                    yield "a head that is not one of the log's"


def _meetings(views: Sequence[View]) -> Iterator[str]:
    """A session that a party joined is in its file, when its nonce is of that run."""
    for view in views:
        for session in view.sessions.values():
            for role in session.roles.values():
                key = view.file.principals[role.opened_by].key
                for other in views:
                    mine = {one.key for one in other.file.principals if not one.peer}
                    if role.here or not role.joined or key not in mine or not other.whole:
                        continue
                    if session.id not in other.sessions and _is_of(
                        other, view, role.name, role.nonce
                    ):
                        yield f"{role.name} has not recorded a session that it joined"


def _is_of(other: View, view: View, role: str, nonce: bytes) -> bool:
    """Whether the nonce is one that a coroutine of the file has given or was about to give."""
    if other.file.facts["image_id"] != view.file.facts["image_id"]:
        return False
    seed = other.file.facts["seed"]
    return any(
        short_id("role nonce", seed, one.id, index, role) == nonce
        for one in other.file.coroutines
        for index in range(one.opened + 1)
    )
