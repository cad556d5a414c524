"""Every construct of the protocol language as a function from a body to the lines around it.

All of them are about the roles A and B and a family W of two, so that each can stand within each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

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


def _mutual(n: int, body: Lines) -> Lines:
    return [f"do Ping{n}(A, B, W[0], W[1])", *body]


def _timed(n: int, body: Lines) -> Lines:
    return [
        *("choice at A within 4ms:", f"    A -> *: soon{n}()", *_in(body)),
        *("timeout:", f"    A -> *: late{n}()"),
    ]


def _lossy(n: int, body: Lines) -> Lines:
    choice = [
        *("choice at A:", f"    A -> B: frame{n}(n: int) lossy", f"    continue L{n}"),
        *("or:", f"    A -> *: over{n}()", *_in(body)),
    ]
    return [f"rec L{n}:", *_in(choice)]


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
    "mutual do": _mutual,
    "timed choice": _timed,
    "lossy loop": _lossy,
    "foreach": _foreach,
}


def protocol_text(outer: str, inner: str, name: str = "P") -> str:
    """`inner` within `outer`, something after each, and protocols to `do` for each level."""
    inside = [*CONSTRUCTS[inner](2, ["B -> A: within()"]), "A -> B: between()"]
    body = [*CONSTRUCTS[outer](1, inside), "A -> *: after()", "B -> A: last()"]
    edges = ["edge A -> B: replay = nullifier, buffer = latest, capacity = 1"]
    head = edges if "lossy loop" in (outer, inner) else []
    lines = [f"protocol {name}(A, B, W[2]):", *_in([*head, "A -> *: start()", *body]), ""]
    return "\n".join([*parts(2), *lines])


def parts(levels: int) -> list[str]:
    """The protocols to `do`, for each level."""
    return [
        line
        for n in range(1, levels + 1)
        for line in (
            f"protocol Rally{n}(X, Y, P, Q):",
            *_in(["choice at X:", f"    X -> Y, P, Q: ball{n}()", f"    do Rally{n}(Y, X, P, Q)"]),
            *_in(["or:", f"    X -> Y, P, Q: out{n}()"]),
            f"protocol Ping{n}(X, Y, P, Q):",
            *_in(["choice at X:", f"    X -> Y, P, Q: ping{n}()", f"    do Pong{n}(X, Y, P, Q)"]),
            *_in(["or:", f"    X -> Y, P, Q: stop{n}()"]),
            f"protocol Pong{n}(X, Y, P, Q):",
            *_in([f"Y -> X: pong{n}()", f"do Ping{n}(X, Y, P, Q)"]),
        )
    ]
