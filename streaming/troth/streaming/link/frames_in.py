"""Fragments to frames: put together, repaired by parity, shown in order or given up in time.

Of every lane the frames leave in the order of their numbers. One that is not whole holds back
those behind it until its playout time is over; then it is given up, and what needs it is dropped
until a key frame comes, which the sender is asked for. Where repairs are frequent, pictures that
are whole wait a little as well (`playout_delay`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from troth.streaming.link.fragments import Fragment, Shape
from troth.streaming.link.outputs import Event, Frame, Freeze
from troth.streaming.link.parity import recover
from troth.streaming.link.playout_delay import PlayoutDelay
from troth.streaming.transport_limits import (
    FRAMES_OPEN_BYTES_MAX,
    FRAMES_OPEN_MAX,
    KEY_FRAME_REQUEST_NS,
    PLAYOUT_DELAY_MAX_NS,
    TAIL_NS,
)
from troth.streaming.wire import malformed

VIDEO: Final = 0


@dataclass(slots=True)
class _Open:
    """A frame that is being put together."""

    shape: Shape
    first_ns: int
    data: dict[int, bytes] = field(default_factory=dict)
    parity: dict[int, bytes] = field(default_factory=dict)
    size: int = 0
    by_parity: int = 0
    by_repetition: int = 0
    last_ns: int = 0
    """When a fragment came that was sent for the first time."""

    unseen: int = 0
    """How many shards at the end nothing has been seen of: what is sent after them neither."""

    tail_asked: bool = False

    def add(self, fragment: Fragment, now_ns: int) -> bool:
        """Takes a fragment; says whether it was new."""
        if not fragment.repeated:
            seen = self.shape.shards if fragment.is_parity else fragment.position + 1
            self.unseen = min(self.unseen, self.shape.shards - seen)
            self.last_ns = now_ns
        known = self.parity if fragment.is_parity else self.data
        if fragment.position in known:
            return False
        known[fragment.position] = fragment.shard
        self.size += len(fragment.shard)
        self.by_repetition += fragment.repeated
        self._repair(fragment.position % self.shape.groups)
        return True

    def _repair(self, group: int) -> None:
        shape = self.shape
        if not self.parity or len(self.data) == shape.shards:
            return
        groups, size = shape.groups, shape.group_size(group)
        data = {
            column: self.data[index]
            for column in range(size)
            if (index := group + column * groups) in self.data
        }
        if len(data) == size:
            return
        parity = {p // groups: shard for p, shard in self.parity.items() if p % groups == group}
        found = recover(data, parity, size, shape.shard_bytes)
        if found is None:
            return
        for column, shard in found.items():
            index = group + column * groups
            self.data[index] = shard[: shape.shard_size(index)]
            self.size += len(self.data[index])
            self.by_parity += 1

    @property
    def whole(self) -> bool:
        return len(self.data) == self.shape.shards


@dataclass(slots=True)
class _Lane:
    expected: int = 0
    open: dict[int, _Open] = field(default_factory=dict)
    done: dict[int, Frame] = field(default_factory=dict)
    broken: bool = False
    last_good: int = 0
    asked_ns: int = -KEY_FRAME_REQUEST_NS
    held: int = 0
    """Bytes that are held for frames, open and done."""

    def head_since_ns(self) -> int | None:
        """When the first frame from the expected one on was first heard of."""
        times = [one.first_ns for one in self.open.values()]
        times += [frame.first_ns for frame in self.done.values()]
        return min(times, default=None)

    def weigh(self) -> None:
        """Counts what is held, after something was taken away."""
        self.held = sum(one.size for one in self.open.values())
        self.held += sum(len(frame.data) for frame in self.done.values())


@dataclass(slots=True)
class FrameCounts:
    """What came of frames, over the whole link."""

    shown: int = 0
    lost: int = 0
    undecodable: int = 0
    by_parity: int = 0
    by_repetition: int = 0
    duplicates: int = 0
    too_late: int = 0
    jitter_ns: int = 0


class FrameReceiver:
    """All lanes of one direction."""

    def __init__(self, playout_ns: int) -> None:
        self._playout_ns = playout_ns
        self._lanes: dict[int, _Lane] = {}
        self.counts = FrameCounts()
        self.opened = 0
        """How many frames have begun: each has a deadline of its own."""
        self._transit_ns: int | None = None
        self.delay = PlayoutDelay(min(PLAYOUT_DELAY_MAX_NS, playout_ns // 4))
        """Of the video: sound is short, and a repair of it is not seen."""

        self.release_ns: int | None = None
        """When the next frame that is whole is to be shown."""

    def receive(self, fragment: Fragment, now_ns: int) -> list[Event]:
        """A fragment; gives the frames that can be shown by it.

        Raises:
            Malformed: code `transport.chunk`: it contradicts another fragment of its frame.
        """
        lane = self._lanes.setdefault(fragment.lane, _Lane())
        number = fragment.frame
        if number < lane.expected:
            self.counts.too_late += 1
            return []
        if number in lane.done:
            self.counts.duplicates += 1
            return []
        frame = lane.open.get(number)
        if frame is None:
            frame = _Open(fragment.shape, now_ns, unseen=fragment.shape.shards)
            lane.open[number] = frame
            self.opened += 1
            self._measure(fragment.shape.captured_ns, now_ns)
        elif frame.shape is not fragment.shape and frame.shape != fragment.shape:
            raise malformed("chunk", "fragments of a frame that agree", "another shape", 0)
        if not frame.add(fragment, now_ns):
            self.counts.duplicates += 1
            return []
        lane.held += len(fragment.shard)
        if frame.whole:
            self._finish(lane, fragment.lane, number, frame, now_ns)
            return self._show(lane, fragment.lane, now_ns)
        return self._make_room(lane, fragment.lane, now_ns)

    def _measure(self, captured_ns: int, now_ns: int) -> None:
        transit_ns = now_ns - captured_ns
        if self._transit_ns is not None:
            change_ns = abs(transit_ns - self._transit_ns)
            self.counts.jitter_ns += (change_ns - self.counts.jitter_ns) // 16
        self._transit_ns = transit_ns

    def _finish(self, lane: _Lane, name: int, number: int, frame: _Open, now_ns: int) -> None:
        del lane.open[number]
        data = frame.data
        lane.done[number] = Frame(
            lane=name,
            number=number,
            key=frame.shape.key,
            data=b"".join([data[index] for index in range(frame.shape.shards)]),
            captured_ns=frame.shape.captured_ns,
            first_ns=frame.first_ns,
            completed_ns=now_ns,
            repaired=frame.by_parity + frame.by_repetition,
        )
        self.counts.by_parity += frame.by_parity
        self.counts.by_repetition += frame.by_repetition
        if name == VIDEO:
            captured_ns, again = frame.shape.captured_ns, frame.by_repetition > 0
            self.delay.saw(number, captured_ns, now_ns, again=again)

    def _due_ns(self, lane: _Lane, name: int) -> int | None:
        """When the head is to be shown, if it is whole."""
        frame = lane.done.get(lane.expected)
        if frame is None:
            return None
        if name != VIDEO:
            return frame.completed_ns
        return self.delay.due_ns(frame.captured_ns, frame.completed_ns)

    def _show(self, lane: _Lane, name: int, now_ns: int) -> list[Event]:
        shown: list[Event] = []
        while (due_ns := self._due_ns(lane, name)) is not None and due_ns <= now_ns:
            frame = lane.done.pop(lane.expected)
            lane.expected += 1
            if frame.key:
                lane.broken = False
            if lane.broken:
                self.counts.undecodable += 1
                continue
            lane.last_good = frame.number
            self.counts.shown += 1
            shown.append(replace(frame, shown_ns=now_ns))
        if name == VIDEO:
            self.release_ns = due_ns
        lane.weigh()
        return shown

    def _make_room(self, lane: _Lane, name: int, now_ns: int) -> list[Event]:
        events: list[Event] = []
        while len(lane.open) + len(lane.done) > FRAMES_OPEN_MAX or (
            lane.held > FRAMES_OPEN_BYTES_MAX
        ):
            events += self._give_up(lane, name, now_ns)
        return events

    def _give_up(self, lane: _Lane, name: int, now_ns: int) -> list[Event]:
        """The head is lost, and with it all before the next frame that anything is known of."""
        head = lane.expected
        if head in lane.done:  # it only waits for its time, and there is none
            return self._show(lane, name, now_ns + PLAYOUT_DELAY_MAX_NS)
        lane.open.pop(head, None)
        following = min([*lane.open, *lane.done], default=head + 1)
        lane.expected = max(following, head + 1)
        self.counts.lost += lane.expected - head
        freeze: list[Event] = [] if lane.broken else [Freeze(name, head)]
        lane.broken = True
        return freeze + self._show(lane, name, now_ns)

    def tick(self, now_ns: int) -> list[Event]:
        """Gives up what is over its time."""
        events: list[Event] = []
        for name, lane in self._lanes.items():
            if name == VIDEO and self.release_ns is not None and self.release_ns <= now_ns:
                events += self._show(lane, name, now_ns)
            while (since_ns := lane.head_since_ns()) is not None:
                if now_ns < since_ns + self._playout_ns and not self._may_skip(lane, now_ns):
                    break
                events += self._give_up(lane, name, now_ns)
        return events

    def _is_doubtful(self, lane: _Lane, now_ns: int) -> bool:
        """Whether the head has waited so long that it will hardly be whole in time."""
        since_ns = lane.head_since_ns()
        return since_ns is not None and now_ns >= since_ns + self._playout_ns * 2 // 3

    def _may_skip(self, lane: _Lane, now_ns: int) -> bool:
        """A doubtful head is not waited for when a key frame behind it is there."""
        return self._is_doubtful(lane, now_ns) and any(f.key for f in lane.done.values())

    def requests(self, now_ns: int) -> list[tuple[int, int]]:
        """Lanes to ask a key frame for now, each with its last good frame."""
        found = []
        for name, lane in self._lanes.items():
            wanted = lane.broken or self._is_doubtful(lane, now_ns)
            if wanted and now_ns >= lane.asked_ns + KEY_FRAME_REQUEST_NS:
                lane.asked_ns = now_ns
                found.append((name, lane.last_good))
        return found

    def _tail(self) -> _Open | None:
        """The newest video frame, while its end has not been seen and not been asked for."""
        lane = self._lanes.get(VIDEO)
        if lane is None or not lane.open:
            return None
        newest = max(lane.open)
        frame = lane.open[newest]
        later = any(number > newest for number in lane.done)
        return None if later or frame.tail_asked or not frame.unseen else frame

    def _patience_ns(self) -> int:
        return TAIL_NS + 2 * self.counts.jitter_ns

    def ask_tail(self, now_ns: int) -> int:
        """How many packets after the newest to ask for: the end of a frame that does not come."""
        frame = self._tail()
        if frame is None or now_ns < frame.last_ns + self._patience_ns():
            return 0
        frame.tail_asked = True
        return frame.unseen

    def wants(self, last: int) -> bool:
        """Whether a packet lost when that was the newest video frame may still be of use.

        It may have been a repetition for any frame that is not whole, however old.
        """
        for name, lane in self._lanes.items():
            if name != VIDEO and lane.done:
                return True  # something is missing in front of a frame that is there
        lane = self._lanes.setdefault(VIDEO, _Lane())
        end = min(last, lane.expected + FRAMES_OPEN_MAX)
        return any(number not in lane.done for number in range(lane.expected, end + 1))

    @property
    def deadline_ns(self) -> int | None:
        tail = self._tail()
        times = [] if tail is None else [tail.last_ns + self._patience_ns()]
        if self.release_ns is not None:
            times.append(self.release_ns)
        for lane in self._lanes.values():
            since_ns = lane.head_since_ns()
            if since_ns is not None:
                times.append(since_ns + self._playout_ns)
                doubtful_ns = since_ns + self._playout_ns * 2 // 3
                if doubtful_ns > lane.asked_ns:
                    times.append(max(doubtful_ns, lane.asked_ns + KEY_FRAME_REQUEST_NS))
            if lane.broken:
                times.append(lane.asked_ns + KEY_FRAME_REQUEST_NS)
        return min(times, default=None)
