"""What follows a construct continues every branch of it that ends, for every nesting of two."""

from __future__ import annotations

from itertools import product

import pytest

from constructs import CONSTRUCTS, protocol_text
from protocol_semantics import explore, follow
from troth.dsl.compile import compile_source
from troth.dsl.diag import Diagnostics
from troth.dsl.expand_families import expand_families
from troth.dsl.parser import parse
from troth.dsl.protocols import CheckedProtocol, check_protocols
from troth.vm.types import LocalType, StateKind


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
    text = protocol_text(outer, inner)
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
    body = [*CONSTRUCTS[inner](1, ["B -> A: within()"]), "A -> *: more()", "continue Z"]
    lines += [f"        {line}" for line in body]
    text = "\n".join([*lines, "    A -> B: after()", ""])
    text += protocol_text("message", "message").split("protocol P(", 1)[0]
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
