"""Local types: scope of recursion, canonical form, refusals, limits, and how they are written."""

from __future__ import annotations

from typing import Final

import msgpack
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from troth.vm.automata import minimise
from troth.vm.errors import Invalid, LimitExceeded
from troth.vm.image import EdgeSettings, Protocol
from troth.vm.instructions import Policy
from troth.vm.limits import STATES_MAX
from troth.vm.local_text import TEXT_NODES_MAX
from troth.vm.local_types import (
    edges,
    format_state,
    format_term,
    initial_type,
    is_canonical,
    labels,
    protocol_id,
    resolve,
    to_term,
)
from troth.vm.types import (
    Branch,
    End,
    Field,
    LocalType,
    Mu,
    Primitive,
    Recv,
    Send,
    State,
    StateKind,
    Term,
    Transition,
    Var,
)

END: Final = End()
X: Final = Var("X")
Y: Final = Var("Y")
N: Final = Field("n", Primitive.INT)


def send(peer: str, *branches: tuple[str, Term]) -> Term:
    return Send(peer, tuple(Branch(label, (), then) for label, then in branches))


def recv(peer: str, *branches: tuple[str, Term]) -> Term:
    return Recv(peer, tuple(Branch(label, (), then) for label, then in branches))


def run(local: LocalType, *said: str) -> int:
    """The state after these labels."""
    state = 0
    for label in said:
        moves = {move.label: move.next for move in local.states[state].transitions}
        state = moves[label]
    return state


# --- recursion ------------------------------------------------------------------------------

NESTED: Final = Mu(
    "X", send("C", ("batch", Mu("Y", send("C", ("item", Y), ("next", X), ("stop", END)))))
)


def test_an_inner_loop_continues_the_outer_one() -> None:
    local = resolve(NESTED)
    assert len(local.states) == 3
    assert run(local, "batch", "item", "item") == run(local, "batch")
    assert run(local, "batch", "item", "next") == 0
    assert local.states[run(local, "batch", "stop")].kind is StateKind.END


def test_a_name_used_again_hides_the_outer_one() -> None:
    inner = Mu("X", send("B", ("b", X), ("c", END)))
    local = resolve(Mu("X", send("B", ("a", inner), ("d", X))))
    assert run(local, "a", "b") == run(local, "a") != 0
    assert run(local, "d") == 0


def test_the_hidden_name_is_back_after_the_inner_scope() -> None:
    inner = Mu("X", send("B", ("b", X), ("c", END)))
    local = resolve(Mu("X", send("B", ("a", inner), ("z", X))))
    reordered = resolve(Mu("X", send("B", ("z", X), ("a", inner))))
    assert local == reordered
    assert run(local, "z") == 0


def test_several_binders_of_one_place() -> None:
    local = resolve(Mu("X", Mu("Y", send("B", ("a", X), ("b", Y)))))
    assert len(local.states) == 1
    assert run(local, "a") == run(local, "b") == 0


@pytest.mark.parametrize(
    "other",
    [
        Mu("Y", send("B", ("a", Y))),
        send("B", ("a", Mu("X", send("B", ("a", X))))),
        Mu("X", send("B", ("a", send("B", ("a", X))))),
        Mu("X", send("B", ("a", Mu("Y", send("B", ("a", X)))))),
        Mu("X", send("B", ("a", Mu("Y", send("B", ("a", send("B", ("a", Y)))))))),
    ],
)
def test_types_are_equal_when_they_unfold_to_the_same_tree(other: Term) -> None:
    assert resolve(other) == resolve(Mu("X", send("B", ("a", X))))


def test_types_that_differ_differ() -> None:
    loop = Mu("X", send("B", ("a", X)))
    different: list[Term] = [
        Mu("X", send("C", ("a", X))),
        Mu("X", recv("B", ("a", X))),
        Mu("X", send("B", ("b", X))),
        Mu("X", send("B", ("a", X), ("b", X))),
        Mu("X", Send("B", (Branch("a", (N,), X),))),
        Mu("X", send("B", ("a", recv("B", ("a", X))))),
        send("B", ("a", END)),
        END,
    ]
    found = [resolve(term) for term in (loop, *different)]
    assert len(set(found)) == len(found)


def test_states_are_numbered_breadth_first_in_order_of_labels() -> None:
    deep = send("B", ("x", send("B", ("y", END))))
    local = resolve(recv("A", ("later", deep), ("early", send("C", ("z", END)))))
    assert [state.peer for state in local.states] == ["A", "C", "B", "", "B"]
    assert [move.label for move in local.states[0].transitions] == ["early", "later"]


@pytest.mark.parametrize(
    ("term", "code"),
    [
        (Mu("X", X), "type.unguarded"),
        (Mu("X", Mu("Y", X)), "type.unguarded"),
        (Mu("X", Mu("Y", Y)), "type.unguarded"),
        (send("B", ("a", Mu("X", X))), "type.unguarded"),
        (X, "type.unbound"),
        (send("B", ("a", Mu("Y", END)), ("b", Y)), "type.unbound"),
        (Mu("X", send("B", ("a", Y))), "type.unbound"),
        (send("B"), "type.empty"),
        (Mu("X", recv("B", ("a", Recv("C", ())))), "type.empty"),
        (send("B", ("a", END), ("a", END)), "type.label"),
    ],
)
def test_refusals(term: Term, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        resolve(term)
    assert caught.value.code == code


# --- size -----------------------------------------------------------------------------------


def _chain(length: int, end: Term = END) -> Term:
    term = end
    for place in range(length):
        term = send("B", (f"m{place % 7}", term))
    return term


def test_states_at_the_limit_and_one_past_it() -> None:
    local = resolve(_chain(STATES_MAX - 1))
    assert len(local.states) == STATES_MAX
    assert is_canonical(local)
    with pytest.raises(LimitExceeded) as caught:
        resolve(_chain(STATES_MAX))
    assert caught.value.code == "type.size"


def test_a_long_loop_collapses() -> None:
    term: Term = X
    for _ in range(5_000):
        term = send("B", ("a", term))
    assert len(resolve(Mu("X", term)).states) == 1


def test_a_term_that_shares_its_parts_is_bounded() -> None:
    term: Term = END
    for _ in range(60):
        term = send("B", ("a", term), ("b", term))
    with pytest.raises(LimitExceeded) as caught:
        resolve(term)
    assert caught.value.code == "type.size"


def test_writing_is_bounded() -> None:
    states = [
        State(
            StateKind.SEND,
            "B",
            (Transition("a", (), number + 1), Transition("b", (N,), number + 1)),
        )
        for number in range(40)
    ]
    local = minimise([*states, State(StateKind.END, "", ())])
    assert len(local.states) == 41
    with pytest.raises(LimitExceeded) as caught:
        to_term(local)
    assert caught.value.code == "type.size"
    assert TEXT_NODES_MAX < 2**40


def test_long_types_are_written() -> None:
    local = resolve(_chain(9_000))
    term = to_term(local)
    assert format_term(term).count("\n") == 9_000
    assert format_term(term, compact=True).endswith(". end")


# --- canonical form -------------------------------------------------------------------------

LABELS: Final = ("a", "b", "c")


@st.composite
def automata(draw: st.DrawFn) -> list[State]:
    """Any automaton, mostly not minimal, with unreachable states."""
    count = draw(st.integers(1, 8))
    states = []
    for _ in range(count):
        kind = draw(st.sampled_from((StateKind.SEND, StateKind.RECV, StateKind.END)))
        if kind is StateKind.END:
            states.append(State(kind, "", ()))
            continue
        chosen = draw(st.lists(st.sampled_from(LABELS), min_size=1, unique=True).map(sorted))
        moves = tuple(
            Transition(label, draw(st.sampled_from([(), (N,)])), draw(st.integers(0, count - 1)))
            for label in chosen
        )
        states.append(State(kind, draw(st.sampled_from(["P", "Q"])), moves))
    return states


def _alike(states: list[State]) -> set[tuple[int, int]]:
    """The pairs of states nothing can tell apart, by the definition: the greatest fixed point."""

    def looks(state: State) -> object:
        return (state.kind, state.peer, [(move.label, move.fields) for move in state.transitions])

    numbers = range(len(states))
    pairs = {(i, j) for i in numbers for j in numbers if looks(states[i]) == looks(states[j])}
    while True:
        kept = {
            (i, j)
            for i, j in pairs
            if all(
                (one.next, other.next) in pairs
                for one, other in zip(states[i].transitions, states[j].transitions, strict=True)
            )
        }
        if kept == pairs:
            return pairs
        pairs = kept


@given(automata())
def test_minimising_agrees_with_the_definition(states: list[State]) -> None:
    alike = _alike(states)
    canonical = [minimise(states, start) for start in range(len(states))]
    for i, one in enumerate(canonical):
        assert is_canonical(one)
        for j, other in enumerate(canonical):
            assert (one == other) == ((i, j) in alike)


@given(automata(), st.randoms(use_true_random=False))
def test_numbers_do_not_matter(states: list[State], random: object) -> None:
    order = list(range(len(states)))
    random.shuffle(order)  # type: ignore[attr-defined]
    place = {old: new for new, old in enumerate(order)}
    renamed = [
        State(
            states[old].kind,
            states[old].peer,
            tuple(
                Transition(move.label, move.fields, place[move.next])
                for move in states[old].transitions
            ),
        )
        for old in order
    ]
    assert minimise(renamed, place[0]) == minimise(states, 0)


@given(automata())
def test_terms_and_automata_are_the_same_types(states: list[State]) -> None:
    local = minimise(states)
    try:
        term = to_term(local)
    except LimitExceeded:
        return
    assert resolve(term) == local


# --- text -----------------------------------------------------------------------------------


def test_text_of_a_whole_type() -> None:
    stop = recv("A", ("quit", END), ("go", X))
    term = Mu("X", Send("Seller", (Branch("title", (Field("name", Primitive.STR), N), stop),)))
    local = resolve(term)
    assert format_term(to_term(local), compact=True) == (
        "rec X. Seller!title(name: str, n: int). A&{go(). X, quit(). end}"
    )
    assert format_term(to_term(local)).splitlines() == [
        "rec X.",
        "Seller!title(name: str, n: int).",
        "A&{",
        "  go():",
        "    X",
        "  quit():",
        "    end",
        "}",
    ]
    assert format_term(END) == "end"
    assert format_term(recv("B", ("m", END)), compact=True) == "B?m(). end"


def test_variables_are_named_from_the_outside_in() -> None:
    assert format_term(to_term(resolve(NESTED)), compact=True) == (
        "rec X. C!batch(). rec Y. C+{item(). Y, next(). X, stop(). end}"
    )


def test_text_of_a_position() -> None:
    local = resolve(NESTED)
    assert format_state(local, 0) == "state 0: C!batch()"
    assert format_state(local, 1) == "state 1: C+{item(), next(), stop()}"
    assert format_state(local, 1, marked="next") == "state 1: C+{item(), >next()<, stop()}"
    assert format_state(local, 2) == "state 2: end"
    assert format_state(local, 3) == "state 3: no such state"
    assert format_state(resolve(recv("C", ("a", END), ("b", END))), 0) == "state 0: C&{a(), b()}"


# --- protocols ------------------------------------------------------------------------------


def _protocol(
    name: str = "Batches", first: Term = NESTED, policy: Policy | None = None
) -> Protocol:
    other = Mu(
        "X", recv("P", ("batch", Mu("Y", recv("P", ("item", Y), ("next", X), ("stop", END)))))
    )
    settings = (EdgeSettings(sender="P", receiver="C", policy=policy),) if policy else ()
    return Protocol(name, ("P", "C"), (resolve(first), resolve(other)), settings)


def test_what_can_be_read_off_a_protocol() -> None:
    protocol = _protocol()
    assert edges(protocol) == (("P", "C"),)
    assert labels(protocol.local_types) == ("batch", "item", "next", "stop")
    assert initial_type(protocol, "C") is protocol.local_types[1]
    with pytest.raises(Invalid) as caught:
        initial_type(protocol, "D")
    assert caught.value.code == "protocol.role"


def test_protocol_ids() -> None:
    unrolled = send(
        "C", ("batch", Mu("Y", send("C", ("item", Y), ("next", NESTED), ("stop", END))))
    )
    assert protocol_id(_protocol(first=unrolled)) == protocol_id(_protocol())
    different = {
        protocol_id(_protocol()),
        protocol_id(_protocol("Other")),
        protocol_id(_protocol(policy=Policy.BLOCK)),
        protocol_id(_protocol(policy=Policy.DROP)),
        protocol_id(_protocol(first=send("C", ("batch", END)))),
    }
    assert len(different) == 5
    assert all(len(identity) == 32 for identity in different)


def test_protocol_id_is_the_hash_of_its_arrays() -> None:
    # Written out by hand: a content id that changed would orphan every pinned protocol.
    ping = Protocol(
        "Ping",
        ("A", "B"),
        (resolve(Send("B", (Branch("ping", (N,), END),))), resolve(recv("A", ("ping", END)))),
        (EdgeSettings(sender="A", receiver="B", capacity=8, policy=Policy.DROP),),
    )
    end = [2, "", []]
    types = [
        [[[0, "B", [["ping", [["n", 1]], 1, False]]], end]],
        [[[1, "A", [["ping", [], 1, False]]], end]],
    ]
    edge = ["A", "B", None, None, 8, "drop", None, None, None]
    data = msgpack.packb(["Ping", ["A", "B"], types, [edge]])
    expected = blake3(data, derive_key_context="troth/v1 protocol id").digest()
    assert protocol_id(ping) == expected
