"""Where two runs part: the first thing that one did and the other did not, track by track.

Both files are read once, in step. A track's actions wait in memory until the other file has come
as far, so memory grows with how far apart the two are, and what waits for too long is let go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import BinaryIO, Final, TypeAlias

from troth.conformance.codes import EXIT_INCOMPLETE, EXIT_INVALID, EXIT_VALID
from troth.conformance.run_tracks import Action, Track, Tracks
from troth.vm.limits import Limits

WAITING_MAX: Final = 4096
"""Actions of one track that may wait for the other file."""

OTHERS_MAX: Final = 20
CONTEXT_ACTIONS: Final = 3
EXIT_SAME: Final = EXIT_VALID
EXIT_DIFFERENT: Final = EXIT_INVALID
EXIT_CUT: Final = EXIT_INCOMPLETE


@dataclass(frozen=True, slots=True)
class SideReport:
    """What one of the runs did: a record of its file, in one line."""

    record: int
    offset: int
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceReport:
    """One track, where the two runs part on it.

    Attributes:
        where: the track, in words.
        a, b: what each did next there; None when it did nothing more.
        only_content: the same was done, with another content.
        before: the last few things that both did, on any track, the latest last.
    """

    where: str
    session: int | None
    protocol: str | None
    role: str | None
    coroutine: int | None
    a: SideReport | None
    b: SideReport | None
    only_content: bool
    before: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SetupReport:
    """Something that the runs were made with and that differs."""

    name: str
    a: str
    b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffReport:
    """How two runs differ.

    Attributes:
        exit_code: 0 the same, 2 different, 4 the same as far as the shorter file goes.
        first: of the differences the one that comes first in its file.
        others: some more, one for each track.
        tracks_differing: on how many tracks the runs part.
        actions: how many things both did.
        contents_unknown: for how many of them the content is not in both files.
        tracks_given_up: tracks on which the files were too far apart to be compared.
    """

    a: str
    b: str
    exit_code: int
    status: str
    reason: str
    setup: tuple[SetupReport, ...]
    first: DifferenceReport | None
    others: tuple[DifferenceReport, ...]
    tracks_differing: int
    actions: int
    contents_unknown: int
    tracks_given_up: int
    a_stops_early: bool
    b_stops_early: bool


_Side: TypeAlias = int
_A: Final = 0
_B: Final = 1


class _Waiting:
    """Actions of one side that the other has not come to."""

    __slots__ = ("actions", "lost", "side")

    def __init__(self, side: _Side) -> None:
        self.side = side
        self.actions: deque[Action] = deque()
        self.lost = False


class Comparison:
    """Reads two artifacts; `report` says what came of it."""

    def __init__(self, a: BinaryIO, b: BinaryIO) -> None:
        """
        Raises:
            Malformed, LimitExceeded, Unusable: a file does not make sense.
        """
        self._tracks = (Tracks(a), Tracks(b))
        self._waiting: dict[Track, _Waiting] = {}
        self._parted: dict[Track, None] = {}
        self._given_up: dict[Track, None] = {}
        self._found: list[tuple[int, DifferenceReport]] = []
        self._differing = 0
        self._actions = 0
        self._unknown = 0
        self._before: deque[str] = deque(maxlen=CONTEXT_ACTIONS)
        self._read()
        self._cut = self._finish()

    def _read(self) -> None:
        """One action of each file in turn, to the end of both."""
        running: list[tuple[_Side, Iterator[tuple[Track, Action]]]] = [
            (side, iter(tracks)) for side, tracks in enumerate(self._tracks)
        ]
        while running:
            for entry in list(running):
                side, actions = entry
                found = next(actions, None)
                if found is None:
                    running.remove(entry)
                else:
                    self._take(side, *found)

    def _take(self, side: _Side, track: Track, action: Action) -> None:
        if track in self._parted or track in self._given_up:
            return
        waiting = self._waiting.get(track)
        if waiting is None:
            waiting = self._waiting[track] = _Waiting(side)
        if waiting.side == side:
            # Nothing comes after what was let go, or it would seem to follow on what is there.
            waiting.lost = waiting.lost or len(waiting.actions) == WAITING_MAX
            if not waiting.lost:
                waiting.actions.append(action)
            return
        earlier = waiting.actions.popleft()
        pair = (earlier, action) if waiting.side == _A else (action, earlier)
        if self._same(*pair):
            self._actions += 1
            self._before.append(pair[0].said)
            if not waiting.actions:
                del self._waiting[track]
                if waiting.lost:
                    self._given_up[track] = None
            return
        del self._waiting[track]
        self._part(track, *pair)

    def _same(self, a: Action, b: Action) -> bool:
        if a.shape != b.shape:
            return False
        if a.commitment is not None and a.commitment == b.commitment:
            return True
        if a.content is not None and b.content is not None:
            return a.content == b.content
        if a.commitment is None or b.commitment is None or a.commitment[0] == b.commitment[0]:
            # In one and the same session a payload has one commitment.
            return False
        self._unknown += 1
        return True

    def _part(self, track: Track, a: Action | None, b: Action | None) -> None:
        self._parted[track] = None
        self._differing += 1
        one = a or b
        assert one is not None, "somebody did something"
        report = DifferenceReport(
            where=track.name,
            session=track.session,
            protocol=track.protocol or None,
            role=track.role or None,
            coroutine=track.coroutine,
            a=_side(a),
            b=_side(b),
            only_content=a is not None and b is not None and a.shape == b.shape,
            before=tuple(self._before),
        )
        self._found.append((one.record, report))
        if len(self._found) > OTHERS_MAX + 1:
            # The earliest ones are kept.
            self._found.remove(max(self._found, key=_place))

    def _finish(self) -> bool:
        """What waits in vain is a difference, unless the other file stops early: True then."""
        cut = False
        for track, waiting in list(self._waiting.items()):
            if self._tracks[1 - waiting.side].torn:
                cut = True
                continue
            first = waiting.actions[0]
            pair = (first, None) if waiting.side == _A else (None, first)
            self._part(track, *pair)
        return cut or self._tracks[_A].torn != self._tracks[_B].torn

    def report(self, a: str, b: str) -> DiffReport:
        """What was found, with names for the two files."""
        differences = [report for _, report in sorted(self._found, key=_place)]
        exit_code, status, reason = self._conclusion()
        return DiffReport(
            a=a,
            b=b,
            exit_code=exit_code,
            status=status,
            reason=reason,
            setup=_setup(*self._tracks),
            first=differences[0] if differences else None,
            others=tuple(differences[1:]),
            tracks_differing=self._differing,
            actions=self._actions,
            contents_unknown=self._unknown,
            tracks_given_up=len(self._given_up),
            a_stops_early=self._tracks[_A].torn,
            b_stops_early=self._tracks[_B].torn,
        )

    def _conclusion(self) -> tuple[int, str, str]:
        if self._differing:
            return EXIT_DIFFERENT, "different", "the two runs part"
        if self._cut:
            return EXIT_CUT, "incomplete", "the two runs agree as far as the shorter file goes"
        if self._given_up:
            why = "the files are too far apart in parts to be compared there"
            return EXIT_DIFFERENT, "different", why
        return EXIT_SAME, "same", "every endpoint and every coroutine did the same in both runs"


def _place(entry: tuple[int, DifferenceReport]) -> tuple[int, str]:
    return entry[0], entry[1].where


def _side(action: Action | None) -> SideReport | None:
    return None if action is None else SideReport(action.record, action.offset, action.said)


def _setup(a: Tracks, b: Tracks) -> tuple[SetupReport, ...]:
    """What the runs were made with, where that differs."""
    one, other = a.header, b.header
    found: list[SetupReport] = []
    if one is not None and other is not None:
        for name in one._fields:
            mine, theirs = getattr(one, name), getattr(other, name)
            if mine == theirs or name == "anchor_unix_ns":
                continue
            if name == "limits":
                found += _limits(mine, theirs)
            else:
                found.append(SetupReport(name, _shown(mine), _shown(theirs)))
    for index, (mine, theirs) in enumerate(zip(a.principals, b.principals, strict=False)):
        if mine.key != theirs.key:
            name = f"key of principal {index}"
            found.append(
                SetupReport(
                    name, f"{mine.name} {mine.key.hex()}", f"{theirs.name} {theirs.key.hex()}"
                )
            )
    return tuple(found)


def _limits(mine: tuple[int, ...], theirs: tuple[int, ...]) -> list[SetupReport]:
    names = [field.name for field in fields(Limits)]
    return [
        SetupReport(name, str(one), str(other))
        for name, one, other in zip(names, mine, theirs, strict=False)
        if one != other
    ]


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return "none" if value is None else str(value)
