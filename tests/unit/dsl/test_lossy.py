"""Messages that may be lost: where they are allowed, and what they become."""

from __future__ import annotations

import pytest

from protocol_helpers import check, sound
from troth.vm.instructions import BufferMode, Policy
from troth.vm.local_types import lossy_labels


def test_a_message_of_a_loop_of_its_own_may_be_lost() -> None:
    protocol = sound("""
        protocol P(A, B):
            edge A -> B: replay = nullifier, buffer = latest, capacity = 2
            loop at A:
                A -> B: frame(n: int) lossy
    """)
    assert lossy_labels(protocol.image) == {("A", "B"): ("frame",)}
    assert protocol.image.edges[0].buffer is BufferMode.LATEST
    for role in ("A", "B"):
        (state, _) = protocol.local_type(role).states
        assert [(move.label, move.next, move.lossy) for move in state.transitions] == [
            ("done", 1, False),
            ("frame", 0, True),
        ]


@pytest.mark.parametrize(
    "body",
    [
        "rec X:\n                A -> B: tick() lossy\n                continue X",
        "rec X:\n                choice at A:\n                    A -> B: tick() lossy\n"
        "                    continue X\n                or:\n                    A -> B: key()\n"
        "                    continue X\n                or:\n                    A -> B: stop()",
        "A -> B: start()\n            loop at A:\n                A -> B: tick() lossy\n"
        "            B -> A: seen()",
    ],
)
def test_what_leads_both_sides_back_may_be_lost(body: str) -> None:
    sound(f"""
        protocol P(A, B):
            edge A -> B: replay = off, policy = drop
            {body}
    """)


@pytest.mark.parametrize(
    "body",
    [
        "A -> B: m() lossy",
        "loop at A:\n                A -> B: m() lossy\n                B -> A: seen()",
        "loop at A:\n                A -> B: m() lossy\n                A -> C: m()",
        "loop at A:\n                A -> B, C: m() lossy",
        "choice at A:\n                A -> B: m() lossy\n"
        "            or:\n                A -> B: n()",
        # The sender is back where it was, and the receiver waits for one more.
        "rec X:\n                A -> B: m() lossy\n                A -> B: n()\n"
        "                continue X",
    ],
)
def test_what_moves_a_side_may_not(body: str) -> None:
    found = check(f"""
        protocol P(A, B, C):
            B -> C: x()
            {body}
    """)
    assert "protocol.message.lossy" in found.codes


def test_the_same_label_elsewhere_is_another_edge() -> None:
    sound("""
        protocol P(A, B):
            edge A -> B: replay = nullifier
            loop at A:
                A -> B: m() lossy
            B -> A: m()
    """)


def test_dropping_is_set_for_one_edge_and_not_for_the_session() -> None:
    protocol = sound("""
        protocol P(A, B):
            edge A -> B: replay = nullifier, policy = drop
            loop at A:
                A -> B: m() lossy
    """)
    assert protocol.image.edges[0].policy is Policy.DROP


def test_lossy_is_still_a_name() -> None:
    protocol = sound("""
        protocol P(lossy, B):
            lossy -> B: lossy(lossy: int)
    """)
    assert lossy_labels(protocol.image) == {}
