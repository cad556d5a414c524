"""The soonest of many deadlines, and a listener that does not look at all of its links."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from link_crowd import Crowd
from link_pairs import MS, SECOND
from troth.streaming.link import CloseReason, ControlMessage, SecureLink
from troth.streaming.link.deadlines import Deadlines
from troth.streaming.link.listener import KEPT_CLOSED_NS

LINKS = 40
STEP = st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 50)), st.booleans())


@given(st.lists(STEP, max_size=60))
def test_the_soonest_is_that_of_a_look_at_all(steps: list[tuple[int, int | None, bool]]) -> None:
    deadlines, all_of_them = Deadlines(), dict[int, int]()
    for number, at_ns, takes in steps:
        deadlines.set(number, at_ns)
        all_of_them.pop(number, None)
        if at_ns is not None:
            all_of_them[number] = at_ns
        if takes:
            now_ns = at_ns or 10
            due = {one for one, due_ns in all_of_them.items() if due_ns <= now_ns}
            taken = deadlines.take(now_ns)
            assert sorted(taken) == sorted(due)
            for one in due:
                del all_of_them[one]
        assert deadlines.soonest_ns == min(all_of_them.values(), default=None)
    assert len(deadlines._heap) <= 2 * len(steps)


def test_deadlines_that_only_move_on_take_no_memory() -> None:
    deadlines = Deadlines()
    for now_ns in range(10_000):
        deadlines.set(now_ns % 7, now_ns + 100)
        deadlines.take(now_ns)
    assert len(deadlines._heap) <= 7


@pytest.fixture(name="looks")
def _looks(monkeypatch: pytest.MonkeyPatch) -> list[SecureLink]:
    """Each look at a link's deadline."""
    looks: list[SecureLink] = []
    plain: Callable[[SecureLink], int | None] = SecureLink.deadline_ns.fget  # type: ignore[attr-defined] # of a property

    def looked_at(link: SecureLink) -> int | None:
        looks.append(link)
        return plain(link)

    monkeypatch.setattr(SecureLink, "deadline_ns", property(looked_at))
    return looks


def test_a_datagram_for_one_link_costs_no_look_at_the_others(looks: list[SecureLink]) -> None:
    crowd = Crowd(LINKS)
    link, data = crowd.word_for(3)
    looks.clear()
    crowd.turn(data)
    assert set(map(id, looks)) == {id(link)}
    assert len(looks) <= 6


def test_every_link_is_served_when_its_time_comes_and_when_its_user_wants_it() -> None:
    crowd = Crowd(LINKS)
    for link in crowd.links:
        link.send_control(b"said by its user")
    assert crowd.listener.deadline_ns == 0
    crowd.run(SECOND)
    heard = [[e for e in peer.events() if isinstance(e, ControlMessage)] for peer in crowd.peers]
    assert [len(one) for one in heard] == [1] * LINKS
    sent = [link.counts.packets_sent for link in crowd.links]
    crowd.run(SECOND)
    assert all(
        link.counts.packets_sent > before for link, before in zip(crowd.links, sent, strict=True)
    ), "each keeps its path alive"
    crowd.links[5].close(CloseReason.USER, "enough", crowd.now_ns)
    crowd.run(KEPT_CLOSED_NS + 100 * MS)
    assert len(crowd.listener.links) == LINKS - 1
    assert crowd.peers[5].closed is not None
    assert crowd.peers[5].closed.text == "enough"
