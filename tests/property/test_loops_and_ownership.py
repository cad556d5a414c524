"""Statements about endpoints, thrown together: the checker is at least as strict as the loader.

The checker walks every statement once, the loader follows every path until nothing changes. They
must not differ where loops, leaving them, and endpoints that are handed on come together. Each
script that the checker accepts is loaded by it, and a refusal there is an internal error.
"""

from __future__ import annotations

from random import Random
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from troth.dsl.compile import check_source

HEAD: Final = """protocol Stream(From, To):
    rec More:
        choice at From:
            From -> To: item(n: int)
            continue More
        or:
            From -> To: stop()

protocol Hire(Boss, Worker):
    rec More:
        Boss -> Worker: take(job: Stream.From)
        continue More

program rest(s: Stream.From):
    send s.To stop()
    close s

program mixed(s: Stream.From, h: Hire.Boss, w: Hire.Worker):
    let c = true
    let x = 0
"""

STATEMENTS: Final = (
    "send s.To item(x)",
    "send s.To stop()",
    "close s",
    'cancel s "x"',
    "spawn rest(s)",
    "send h.Worker take(s)",
    "send h.Worker take(j)",
    "recv w.Boss take(s)",
    "recv w.Boss take(j)",
    "send j.To item(1)",
    "spawn rest(j)",
    'cancel j "x"',
    "open Stream as s, q",
    'cancel q "x"',
    "let y = 1",
    'let y = "a"',
    "print y",
    "x = x + 1",
    'fail "x"',
)
HEADS: Final = ("if c:", "loop NAME:", "while c:", "for i in range(3):", "while true:")
ENDS: Final = ("close s", 'cancel s "x"', 'cancel h "x"', 'cancel w "x"')


def _block(rng: Random, depth: int, loops: list[str], lines: list[str]) -> None:
    blank = "    " * (depth + 1)
    for _ in range(rng.choice((1, 1, 2, 3))):
        kind = rng.random()
        if depth < 4 and kind < 0.35:
            head = rng.choice(HEADS)
            name = f"l{len(loops)}"
            inner = {"if c:": loops, "loop NAME:": [*loops, name]}.get(head, [*loops, ""])
            lines.append(blank + head.replace("NAME", name))
            _block(rng, depth + 1, inner, lines)
            if head == "if c:" and rng.random() < 0.6:
                lines.append(f"{blank}else:")
                _block(rng, depth + 1, loops, lines)
        elif loops and kind < 0.6:
            verb = rng.choice(("break", "break", "continue"))
            lines.append(f"{blank}{verb} {rng.choice(loops)}".rstrip())
            return
        else:
            lines.append(blank + rng.choice(STATEMENTS))


def _script(seed: int) -> str:
    rng = Random(seed)
    lines: list[str] = []
    _block(rng, 0, [], lines)
    lines += [f"    {end}" for end in rng.sample(ENDS, 3)]
    return HEAD + "\n".join(lines) + "\n"


@settings(max_examples=300, deadline=None)
@given(st.integers(min_value=0, max_value=2**32))
def test_what_the_checker_accepts_loads(seed: int) -> None:
    check_source(_script(seed), "mixed.troth").render()


def test_a_good_part_is_accepted() -> None:
    """Otherwise the property above would say little."""
    found = [check_source(_script(seed), "mixed.troth").has_errors for seed in range(150)]
    assert found.count(False) >= 8
    assert found.count(True) >= 8
