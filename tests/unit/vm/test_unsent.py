"""What waits for its number on a line: in order, and of what may be lost a bounded amount."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossy_scripts import KEYS_FIRST
from spread_machines import Party
from troth.dsl import compile_source
from troth.vm.events import Arrived, Overwritten, Received, Undelivered
from troth.vm.instructions import Seal
from troth.vm.link import WINDOW_BYTES_MAX, WINDOW_MAX, Link
from troth.vm.link_frames import Ack, Data, Frame
from troth.vm.switchboard import Switchboard
from troth.vm.unsent import LOSSY_BYTES_MAX, LOSSY_MAX, Care, Unsent

HEADS = st.sampled_from([Care.HEAD, Care.LOSSY, Care.LOSSY, Care.RELIABLE])


def taken(unsent: Unsent) -> list[bytes]:
    said = []
    while unsent:
        said.append(unsent.take().envelope)
    return said


def test_of_what_may_be_lost_the_oldest_goes_and_all_else_stays() -> None:
    unsent = Unsent()
    unsent.add(b"first", Care.RELIABLE)
    for number in range(LOSSY_MAX + 10):
        unsent.add(b"frame %d" % number, Care.LOSSY)
    unsent.add(b"last", Care.RELIABLE)
    said = taken(unsent)
    assert said[0] == b"first"
    assert said[1:-1] == [b"frame %d" % number for number in range(10, LOSSY_MAX + 10)]
    assert said[-1] == b"last"


def test_what_may_be_lost_is_bounded_by_its_bytes_too() -> None:
    unsent = Unsent()
    size = LOSSY_BYTES_MAX // 4
    for number in range(9):
        unsent.add(bytes([number]) * size, Care.LOSSY)
    assert [said[0] for said in taken(unsent)] == [5, 6, 7, 8]


def test_a_head_goes_with_the_last_message_that_it_was_to_prove() -> None:
    unsent = Unsent()
    for number in range(LOSSY_MAX):
        unsent.add(b"head %d" % number, Care.HEAD, opens=True)
        unsent.add(b"frame %d" % number, Care.LOSSY)
        if number == 3:
            unsent.add(b"key", Care.RELIABLE)
    for number in range(5):
        unsent.add(b"late %d" % number, Care.LOSSY)
    assert taken(unsent)[:5] == [b"head 3", b"key", b"head 5", b"frame 5", b"head 6"]


@settings(max_examples=100, deadline=None)
@given(
    said=st.lists(st.tuples(HEADS, st.booleans(), st.integers(0, 3)), max_size=60),
    most=st.integers(1, 8),
)
def test_no_message_is_ever_without_its_heads(
    said: list[tuple[Care, bool, int]], most: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("troth.vm.unsent.LOSSY_MAX", most)
        unsent, heads, out = Unsent(), list[bytes](), list[bytes]()
        needed: dict[bytes, tuple[Care, tuple[bytes, ...]]] = {}
        for place, (care, wanted, takes) in enumerate(said):
            name = b"%d" % place
            opens = wanted and care is Care.HEAD
            if opens:
                heads = []
            if care is Care.HEAD:
                heads.append(name)
            needed[name] = (care, tuple(heads))
            unsent.add(name, care, opens=opens)
            out += [unsent.take().envelope for _ in range(min(takes, len(unsent)))]
        out += taken(unsent)
    assert out == sorted(out, key=int), "in order"
    assert {name for name, (care, _) in needed.items() if care is Care.RELIABLE} <= set(out)
    for name in out:
        care, before = needed[name]
        assert care is Care.HEAD or set(before) <= set(out)


# --- the line ------------------------------------------------------------------------------------


def test_a_line_that_is_down_keeps_a_bounded_amount_of_what_may_be_lost() -> None:
    link = Link(bytes(16), ())
    for number in range(50_000):
        link.send(b"frame %d" % number, Care.LOSSY)
        if number % 1000 == 0:
            link.frames(0)
    assert link.kept <= WINDOW_MAX + LOSSY_MAX
    link.lost(0)
    link.connected()
    newest = 0
    while not link.idle:
        frames = [frame for frame in link.frames(0) if isinstance(frame, Data)]
        assert frames, "what is kept is sent"
        assert len(frames) <= WINDOW_MAX
        newest = max(frame.number for frame in frames)
        last = frames[-1].envelope
        link.acknowledged(Ack(newest + 1, ()))
    assert last == b"frame 49999"
    assert newest == WINDOW_MAX + LOSSY_MAX - 1, "what is lost has taken no number"


def test_a_long_envelope_goes_alone() -> None:
    link = Link(bytes(16), ())
    for _ in range(3):
        link.send(bytes(WINDOW_BYTES_MAX), Care.RELIABLE)
    for number in range(3):
        assert link.deadline_ns() == 0
        assert [f.number for f in link.frames(0) if isinstance(f, Data)] == [number]
        assert link.deadline_ns() != 0
        link.acknowledged(Ack(number + 1, ()))
    assert link.idle


class Ends:
    """Two machines with their switchboards, and a line between them that can be cut."""

    def __init__(self, script: str, seal: Seal) -> None:
        image = compile_source(script, "line.troth")
        homes = (("Host",), ("Viewer",))
        self.parties = [
            Party(image, home, bytes([n + 1]) * 32, seal=seal) for n, home in enumerate(homes)
        ]
        self.boards = [
            Switchboard(
                party.machine,
                bytes([number]) * 16,
                bytes(16),
                party.home,
                party.keys.principal,
                lambda _: None,
            )
            for number, party in enumerate(self.parties)
        ]
        keys = [frozenset({p.keys.principal("Stream", p.home[0])}) for p in self.parties]
        for number, board in enumerate(self.boards):
            board.connected(self.boards[1 - number].hello, keys[1 - number])
            self.parties[number].machine.start()

    def step(self, *, up: bool = True, now_ns: int = 0) -> bool:
        """One round of both, and all that they say to each other, unless it is cut."""
        moved = False
        for party, board in zip(self.parties, self.boards, strict=True):
            moved = party.machine.run_round(now_ns) or moved
            events = party.machine.poll_events()
            party.events += events
            board.collect(events)
        for number, board in enumerate(self.boards):
            if up:
                for frame in board.frames(bytes([1 - number]) * 16, now_ns):
                    moved = self._bring(number, frame) or moved
        return moved

    def _bring(self, sender: int, frame: Frame) -> bool:
        self.boards[1 - sender].take(bytes([sender]) * 16, frame)
        return not isinstance(frame, Ack)

    @property
    def kept(self) -> int:
        return self.boards[0].links[bytes([1]) * 16].kept


@pytest.mark.parametrize("seal", Seal)
def test_a_sender_with_nobody_on_the_line_keeps_a_bounded_amount(
    seal: Seal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("troth.vm.unsent.LOSSY_MAX", 16)
    monkeypatch.setattr("troth.vm.link.WINDOW_MAX", 8)
    script = KEYS_FIRST.format(more=", buffer = latest").replace("range(2)", "range(1)")
    ends = Ends(script.replace("range(100)", "range(2000)"), seal)
    for _ in range(4):
        ends.step()
    most = 0
    while ends.step(up=False):
        most = max(most, ends.kept)
    assert 16 <= most <= 2 * (16 + 8) + 8, "frames, and heads of logs"
    for turn in range(10_000):
        if not ends.step(now_ns=turn * 10**9):
            break
    for party in ends.parties:
        party.finish()
        assert party.verdict().exit_code == 0, party.verdict().reason
    assert ends.kept == 0


@pytest.mark.parametrize("seal", Seal)
def test_what_may_not_be_lost_gets_through_whatever_is_lost_around_it(
    seal: Seal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("troth.vm.unsent.LOSSY_MAX", 2)
    monkeypatch.setattr("troth.vm.link.WINDOW_MAX", 3)
    ends, chance = Ends(KEYS_FIRST.format(more=""), seal), Random(7)
    for turn in range(10_000):
        if not ends.step(up=turn < 4 or chance.random() < 0.2, now_ns=turn * 10**9) and turn > 500:
            break
    for party in ends.parties:
        party.finish()
        assert party.verdict().exit_code == 0, party.verdict().reason
    received = [one for one in ends.parties[1].events if isinstance(one, Received)]
    arrived = [one.label for one in ends.parties[1].events if isinstance(one, Arrived)]
    assert [label for label in arrived if label != "frame"] == ["key", "key", "done"]
    left = [one for one in ends.parties[1].events if isinstance(one, Undelivered | Overwritten)]
    assert len(received) + len(left) == len(arrived) < 103, "some were lost"
