"""Whatever a protocol is made of, its programs run to the end and their records hold.

Every construct stands within every other, with statements after each; the programs are those of
the population, so choices go both ways, clocks run out and messages are lost. What does not
project is refused with the two runs that a role cannot tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from textwrap import dedent
from typing import Final

import pytest

from constructs import CONSTRUCTS, protocol_text
from population import Conversation, Projected, bundle, conversation, projected
from population_campaign import Tally, run_member, verify_member
from troth.dsl.compile import check_source

NAMES: Final = tuple(CONSTRUCTS)


def _done(conversations: Sequence[Conversation], verified: range) -> Tally:
    """All run to their end, and the records of some are judged by both verifiers."""
    tally = Tally()
    for number, one in enumerate(conversations):
        image = run_member(one.script(), tally)
        if number in verified:
            verify_member(image, number, tally)
    assert not tally.problems, tally.problems[0]
    return tally


@pytest.mark.parametrize("outer", NAMES)
def test_every_construct_runs_within_every_other(outer: str) -> None:
    """Of each pair one run, of some the record; both depend on the pair alone."""
    ran = [
        conversation(Random(f"{outer} {inner}"), projected(protocol_text(outer, inner), "P"))
        for inner in NAMES
    ]
    verified = range(NAMES.index(outer) % 4, len(NAMES), 4)
    tally = _done(ran, verified)
    assert tally.verified == len(verified)


@pytest.mark.parametrize(
    ("construct", "happened"),
    [("timed choice", "clocks run out"), ("lossy loop", "messages overwritten")],
)
def test_what_happens_at_times_does_happen(construct: str, happened: str) -> None:
    drawn = projected(protocol_text(construct, construct), "P")
    tally = _done([conversation(Random(seed), drawn) for seed in range(12)], range(0))
    assert tally.happened[happened] > 3
    tally = _done([conversation(Random(seed), drawn) for seed in range(12)], range(3))
    assert tally.verified == 3


@pytest.mark.parametrize("first", NAMES)
def test_every_construct_runs_in_a_bundle(first: str) -> None:
    """Beside another, which plays with the same principals in other roles."""
    second = NAMES[(NAMES.index(first) + 5) % len(NAMES)]
    parts = [_part(name, f"P{number}") for number, name in enumerate((first, second))]
    tally = _done([bundle(Random(f"{first} {seed}"), parts) for seed in range(2)], range(1))
    assert tally.verified == 1


def _part(construct: str, name: str) -> Projected:
    """With protocols to `do` of its own."""
    text = protocol_text(construct, "message", name)
    for word in ("Rally", "Ping", "Pong"):
        text = text.replace(f"{word}1", f"{word}{name}1").replace(f"{word}2", f"{word}{name}2")
    return projected(text, name)


FARM: Final = """
protocol Farm(Hub, Worker[N]):
    Hub -> Worker[*]: task(n: int)
    foreach w in Worker:
        choice at w within 6ms:
            w -> Hub: result(n: int)
            Hub -> w: thanks()
        timeout:
            w -> Hub: late()
    loop at Hub:
        Hub -> Worker[*]: again()
    Worker[*] -> Hub: bye()

program hub(s: Farm.Hub):
    foreach w in s.Worker:
        send s.w task(w)
    foreach w in s.Worker:
        recv s.w:
            result(n):
                send s.w thanks()
            late():
                pass
    for turn in range(3):
        foreach w in s.Worker:
            send s.w again()
    foreach w in s.Worker:
        send s.w done()
    foreach w in s.Worker:
        recv s.w bye()
    close s

program worker(s: Farm.Worker[i]):
    recv s.Hub task(n)
    within s:
        for nap in range(i % 2 * 12):
            yield
        send s.Hub result(n * i)
        recv s.Hub thanks()
    timeout:
        send s.Hub late()
    loop:
        recv s.Hub:
            again():
                pass
            done():
                break
    send s.Hub bye()
    close s

main:
    open Farm as h, ws with N = SIZE
    spawn hub(h)
    foreach w in ws:
        spawn worker(w)
"""


@pytest.mark.parametrize("size", range(2, 9))
def test_families_of_every_size_run_and_verify(size: int) -> None:
    """Every other worker is late."""
    tally = Tally()
    script = FARM.replace("SIZE", str(size))
    verify_member(run_member(script, tally), size, tally)
    assert not tally.problems, tally.problems[0]
    assert tally.happened["clocks started"] == size
    assert tally.happened["clocks run out"] == size // 2


# --- what is refused -------------------------------------------------------------------------

UNTOLD: Final = {
    "choice": """
        protocol P(A, B, C):
            choice at A:
                A -> B: left()
                C -> B: one()
            or:
                A -> B: right()
                C -> B: two()
    """,
    "timed choice": """
        protocol P(A, B, C):
            choice at A within 5s:
                A -> B: soon()
                C -> B: one()
            timeout:
                A -> B: late()
                C -> B: two()
    """,
    "what follows a timed choice": """
        protocol P(A, B, C):
            choice at A within 5s:
                A -> B: soon()
            timeout:
                A -> B: late()
                B -> C: late()
            C -> A: bye()
    """,
    "rec": """
        protocol P(A, B, C):
            rec X:
                choice at A:
                    A -> B: again()
                    C -> B: item()
                    continue X
                or:
                    A -> B: leave()
                    C -> B: last()
    """,
    "outer continue": """
        protocol P(A, B, C):
            rec X:
                A -> B: round()
                rec Y:
                    choice at A:
                        A -> B: inner()
                        C -> B: one()
                        continue Y
                    or:
                        A -> B: outer()
                        C -> B: two()
                        continue X
                    or:
                        A -> *: leave()
    """,
    "loop at": """
        protocol P(A, B, C):
            loop at A:
                A -> B: more()
                C -> B: item()
    """,
    "lossy loop": """
        protocol P(A, B, C):
            edge A -> B: replay = nullifier
            rec L:
                choice at A:
                    A -> B: frame() lossy
                    continue L
                or:
                    A -> B: over()
                    C -> B: one()
                or:
                    A -> B: stop()
                    C -> B: two()
    """,
    "do": """
        protocol Part(X, Y, Z):
            choice at X:
                X -> Y: left()
                Z -> Y: one()
            or:
                X -> Y: right()
                Z -> Y: two()
        protocol P(A, B, C):
            A -> B: start()
            do Part(A, B, C)
    """,
    "mutual do": """
        protocol Ping(X, Y, Z):
            choice at X:
                X -> Y: ping()
                Z -> Y: one()
                do Pong(X, Y, Z)
            or:
                X -> Y: stop()
                Z -> Y: two()
        protocol Pong(X, Y, Z):
            Y -> X: pong()
            do Ping(X, Y, Z)
        protocol P(A, B, C):
            A -> C: start()
            do Ping(A, B, C)
    """,
    "foreach": """
        protocol P(A, C, W[3]):
            foreach w in W:
                choice at w:
                    w -> A: yes()
                    C -> A: one()
                or:
                    w -> A: no()
                    C -> A: two()
    """,
    "a session of a bundle": """
        protocol Talk(L, R):
            L -> R: word()
        protocol P(A, B, C):
            choice at A:
                A -> B: left()
                C -> B: one()
            or:
                A -> B: right()
                C -> B: two()
        bundle Both(K, M, N):
            talk: Talk(K, M)
            other: P(M, N, K)
    """,
}
"""C (or Z) is not told, and would have to do different things."""


@pytest.mark.parametrize("construct", UNTOLD)
def test_what_does_not_project_is_refused_with_two_runs(construct: str) -> None:
    diagnostics = check_source(dedent(UNTOLD[construct]), "untold.troth")
    assert {item.code for item in diagnostics.found} == {"project.merge"}, diagnostics.render()
    for item in diagnostics.found:
        head, left, right = item.notes
        role = head.split()[4]
        assert head == f"two runs in which {role} has seen the same:"
        assert role in item.message
        assert _seen(left, role) == _seen(right, role)
        # What it would have to do is another thing in each.
        assert left.rpartition("; now ")[2] != right.rpartition("; now ")[2]


def _seen(run: str, role: str) -> list[str]:
    """The messages of a run that the role sent or received, without the lines they stand in."""
    steps = run.partition(". ")[2].rpartition("; now ")[0].split(", ")
    said = [step.partition(" (line")[0] for step in steps]
    return [one for one in said if role in one.partition(":")[0].split(" -> ")]
