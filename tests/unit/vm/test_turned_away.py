"""What another machine said and has no place yet: in order, once, bounded, forgotten rightly."""

from __future__ import annotations

from troth.vm.envelope import MessageEnvelope
from troth.vm.turned_away import BYTES_MAX, MESSAGES_MAX, Carried, TurnedAway

LEFT, RIGHT = b"left".ljust(16), b"right".ljust(16)


def message(session: bytes = b"s", sender: str = "A") -> MessageEnvelope:
    return MessageEnvelope(session, sender, "B", 0, "x", 0, 0, b"", b"", b"", None)


def numbers(kept: TurnedAway, session: bytes = b"s") -> list[int]:
    """Takes everything of a session, edge by edge."""
    found = []
    for edge in kept.edges(session):
        while (came := kept.first(session, edge)) is not None:
            kept.drop(came, message(session, edge.sender))
            found.append(came.number)
    return found


def test_in_the_order_in_which_it_was_said_and_once() -> None:
    kept = TurnedAway()
    for number in (5, 3, 9, 3):
        kept.keep(Carried(LEFT, number, b"abc"), message())
    assert len(kept) == 3
    assert numbers(kept) == [3, 5, 9]
    assert len(kept) == 0
    assert kept.edges(b"s") == ()


def test_only_what_was_said_later_on_the_same_edge_is_behind() -> None:
    kept = TurnedAway()
    kept.keep(Carried(LEFT, 5, b""), message())
    assert kept.is_behind(Carried(LEFT, 6, b""), message())
    for came, said in (
        (Carried(LEFT, 4, b""), message()),
        (Carried(LEFT, 5, b""), message()),
        (Carried(RIGHT, 6, b""), message()),
        (Carried(LEFT, 6, b""), message(sender="C")),
        (Carried(LEFT, 6, b""), message(session=b"t")),
    ):
        assert not kept.is_behind(came, said)


def test_what_a_party_makes_it_keep_is_bounded_and_given_back() -> None:
    kept = TurnedAway()
    for number in range(2 * MESSAGES_MAX):
        kept.keep(Carried(LEFT, number, b""), message())
    assert numbers(kept) == list(range(MESSAGES_MAX))
    for number in range(4):
        kept.keep(Carried(LEFT, number, bytes(BYTES_MAX // 2)), message())
    assert numbers(kept) == [0, 1]


def test_another_line_begins_with_nothing_of_the_one_before() -> None:
    kept = TurnedAway()
    kept.keep(Carried(LEFT, 1, bytes(BYTES_MAX)), message())
    kept.keep(Carried(RIGHT, 2, b""), message(b"t"))
    kept.forget(LEFT)
    assert kept.edges(b"s") == ()
    assert numbers(kept, b"t") == [2]
    kept.keep(Carried(LEFT, 1, bytes(BYTES_MAX)), message())
    assert numbers(kept) == [1], "its bytes were given back"
