"""What follows a construct continues every branch of it that ends, for every nesting of two."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Final

import pytest

from protocol_semantics import explore, follow
from troth.dsl.compile import compile_source
from troth.dsl.diag import Diagnostics
from troth.dsl.expand_families import expand_families
from troth.dsl.parser import parse
from troth.dsl.protocols import CheckedProtocol, check_protocols
from troth.vm.types import LocalType, StateKind

Lines = list[str]
Construct = Callable[[int, Lines], Lines]
"""Takes a number that keeps labels apart, and a body; gives the lines around it."""


def _in(lines: Lines) -> Lines:
    return [f"    {line}" for line in lines]


def _message(n: int, body: Lines) -> Lines:
    return [f"A -> B: m{n}()", *body]


def _multicast(n: int, body: Lines) -> Lines:
    return [f"B -> *: all{n}()", *body]


def _choice(n: int, body: Lines) -> Lines:
    return [
        *("choice at A:", f"    A -> *: left{n}()", *_in(body)),
        *("or:", f"    A -> *: right{n}()"),
    ]


def _single(n: int, body: Lines) -> Lines:
    return ["choice at A:", f"    A -> B: only{n}()", *_in(body)]


def _rec(n: int, body: Lines) -> Lines:
    """Goes round in one branch, and on in the other."""
    inner = [
        *("choice at A:", f"    A -> *: again{n}()", *_in(body), f"    continue X{n}"),
        *("or:", f"    A -> *: leave{n}()"),
    ]
    return [f"rec X{n}:", *_in(inner)]


def _outer(n: int, body: Lines) -> Lines:
    """An inner recursion that continues the outer one."""
    choice = [
        *("choice at A:", f"    A -> *: in{n}()", f"    continue Y{n}"),
        *("or:", f"    A -> *: out{n}()", f"    continue X{n}"),
        *("or:", f"    A -> *: leave{n}()"),
    ]
    return [
        *(f"rec X{n}:", f"    A -> *: round{n}()", *_in(body)),
        *_in([f"rec Y{n}:", f"    A -> *: turn{n}()", *_in(choice)]),
    ]


def _loop(n: int, body: Lines) -> Lines:
    return ["loop at A:", f"    A -> *: item{n}()", *_in(body)]


def _do(n: int, body: Lines) -> Lines:
    return [f"do Rally{n}(A, B, W[0], W[1])", *body]


def _foreach(n: int, body: Lines) -> Lines:
    inner = [
        *("choice at w:", f"    w -> A: yes{n}()"),
        *("or:", f"    w -> A: no{n}()"),
    ]
    return ["foreach w in W:", *_in(inner), *body]


CONSTRUCTS: Final[dict[str, Construct]] = {
    "message": _message,
    "multicast": _multicast,
    "choice": _choice,
    "choice of one": _single,
    "rec": _rec,
    "outer continue": _outer,
    "loop at": _loop,
    "do": _do,
    "foreach": _foreach,
}


def _protocol(outer: Construct, inner: Construct) -> str:
    """`inner` within `outer`, something after each, and a protocol to `do` for each level."""
    inside = [*inner(2, ["B -> A: within()"]), "A -> B: between()"]
    body = [*outer(1, inside), "A -> *: after()", "B -> A: last()"]
    parts = [
        line
        for n in (1, 2)
        for line in (
            f"protocol Rally{n}(X, Y, P, Q):",
            *_in(["choice at X:", f"    X -> Y, P, Q: ball{n}()", f"    do Rally{n}(Y, X, P, Q)"]),
            *_in(["or:", f"    X -> Y, P, Q: out{n}()"]),
        )
    ]
    return "\n".join([*parts, "protocol P(A, B, W[2]):", *_in(["A -> *: start()", *body]), ""])


def _checked(text: str) -> CheckedProtocol:
    diagnostics = Diagnostics("after.troth", text)
    parsed = expand_families(parse(text, "after.troth", diagnostics), diagnostics)
    protocols = check_protocols(parsed, diagnostics)
    assert not diagnostics.found, f"{text}\n{diagnostics.render()}"
    return protocols.checked["P"]


def _avoids(local: LocalType, label: str) -> bool:
    """Whether the end can be reached without ever meeting `label`."""
    pending, seen = [0], {0}
    while pending:
        state = local.states[pending.pop()]
        if state.kind is StateKind.END:
            return True
        for move in state.transitions:
            if move.label != label and move.next not in seen:
                seen.add(move.next)
                pending.append(move.next)
    return False


@pytest.mark.parametrize(("outer", "inner"), tuple(product(CONSTRUCTS, CONSTRUCTS)))
def test_what_follows_is_never_dropped(outer: str, inner: str) -> None:
    text = _protocol(CONSTRUCTS[outer], CONSTRUCTS[inner])
    checked = _checked(text)
    types = dict(zip(checked.roles, checked.image.local_types, strict=True))
    assert follow(checked.global_type, types) is None
    assert explore(types, capacity=2, configurations_max=3_000) is None
    for role, local in types.items():
        assert not _avoids(local, "after"), f"{role} can end without after\n{text}"
    for label in ("within", "between", "last"):
        assert any(move.label == label for state in types["A"].states for move in state.transitions)
    assert not _avoids(types["A"], "last")


@pytest.mark.parametrize("inner", CONSTRUCTS)
def test_what_nothing_gets_to_is_reported(inner: str) -> None:
    """Where every branch continues a loop there is no after."""
    lines = ["protocol P(A, B, W[2]):", "    A -> *: start()", "    rec Z:"]
    lines += _in(_in([*CONSTRUCTS[inner](1, ["B -> A: within()"]), "A -> *: more()", "continue Z"]))
    text = "\n".join([*lines, "    A -> B: after()", ""])
    text += _protocol(_message, _message).split("protocol P", 1)[0]
    diagnostics = Diagnostics("after.troth", text)
    parsed = expand_families(parse(text, "after.troth", diagnostics), diagnostics)
    check_protocols(parsed, diagnostics)
    assert [item.code for item in diagnostics.found] == ["protocol.unreachable"], text


def test_mutual_recursion_through_do_is_a_loop() -> None:
    image = compile_source(
        "\n".join(
            (
                "protocol Ping(A, B):",
                "    choice at A:",
                "        A -> B: ping()",
                "        do Pong(A, B)",
                "    or:",
                "        A -> B: stop()",
                "protocol Pong(A, B):",
                "    B -> A: pong()",
                "    do Ping(A, B)",
                "",
            )
        ),
        "mutual.troth",
    )
    ping, pong = image.protocols
    assert [len(local.states) for local in ping.local_types] == [3, 3]
    assert [len(local.states) for local in pong.local_types] == [3, 3]
