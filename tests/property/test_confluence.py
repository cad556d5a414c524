"""Programs that have the confluence flag mean the same under every policy and quantum.

With `TROTH_LONG=1` there are 3,000 of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import Final

import pytest

from crowded_machines import crowded_script
from e2e.command_line import EXAMPLES, troth
from parity_samples import execute
from population import conversations
from troth.dsl.compile import compile_source
from troth.vm.confluence import reasons_against
from troth.vm.scheduling import Cooperative, Priority, RoundRobin

LONG: Final = os.environ.get("TROTH_LONG") == "1"
MEMBERS: Final = 3_000 if LONG else 20
SEED: Final = 20250302
POLICIES: Final = (
    Cooperative(),
    RoundRobin(),
    Priority({"left": 3, "hub": 2, "run0": 1, "parent": 9}, 2),
    Priority({"right": 500, "worker": 200}, 1000),
)


def test_a_confluent_program_means_the_same_in_every_order() -> None:
    parted = 0
    for number in range(MEMBERS):
        rng = Random(SEED + number)
        conversation = next(iter(conversations(rng, 1, [], calm=True))) if number % 2 == 0 else None
        image = compile_source(crowded_script(rng, conversation, calm=True), f"member {number}")
        assert not reasons_against(image)
        first = execute(image, quantum=64)
        assert b"vm.fault." not in first.artifact
        for policy in POLICIES:
            for quantum in rng.sample((1, 2, 3, 5, 11, 1000), 2):
                other = execute(image, quantum=quantum, policy=policy)
                assert other.fragment == first.fragment, f"member {number}: {policy}, {quantum}"
                parted += other.rounds != first.rounds
    # It is a different order, most of the time.
    assert parted > MEMBERS * len(POLICIES)


def test_others_can_part() -> None:
    """Without the flag the order of turns does make a difference, to some."""
    parted = 0
    for number in range(20):
        image = compile_source(crowded_script(Random(SEED + number)), f"member {number}")
        assert reasons_against(image)
        fragments = {execute(image, quantum=q).fragment for q in (1, 3, 64)}
        parted += len(fragments) > 1
    assert parted


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("acquire till\n    release till", "guard"),
        ('fail "no"', "failure"),
        ("let n = call look()", "effects"),
        ("open P as a, b with policy = error\n    spawn x(a)\n    spawn y(b)", "full"),
        (
            'open P as a, b\n    spawn y(b)\n    cancel a "no"',
            "cancellation",
        ),
    ],
)
def test_each_reason_is_told(tmp_path: Path, statement: str, why: str) -> None:
    script = tmp_path / "x.troth"
    script.write_text(f"""guard till

effect look() -> int

protocol P(A, B):
    A -> B: hello()

program x(s: P.A):
    send s.B hello()
    close s

program y(s: P.B):
    recv s.A hello()
    close s

main:
    {statement}
""")
    done = troth("check", "--confluence", script)
    assert done.code == 0, done.err
    assert "x.troth is not known to be confluent\n  main, line " in done.out
    assert why in done.out


def test_edges_and_speculation_are_reasons(tmp_path: Path) -> None:
    script = tmp_path / "x.troth"
    script.write_text("""
protocol P(A, B):
    edge A -> B: policy = resize{99}
    A -> B: hello()

program x(s: P.A):
    speculate:
        send s.B hello()
        commit
    close s

program y(s: P.B):
    recv s.A hello()
    close s

main:
    open P as a, b
    spawn x(a)
    spawn y(b)
""")
    said = troth("check", "--confluence", script).out
    assert "x, line 7: a speculation" in said
    assert "P, edge A -> B: whether a buffer is full" in said


def test_examples() -> None:
    done = troth("check", "--confluence", EXAMPLES / "ring.troth", EXAMPLES / "two_buyer.troth")
    assert done.code == 0
    assert "ring.troth is confluent\n" in done.out
    assert "effects are called in the order of turns" in done.out
