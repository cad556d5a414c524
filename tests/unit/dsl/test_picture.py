"""Pictures of local types: what shares an arc, how texts are broken, limits, and a known one."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree

import pytest

from troth.dsl.compile import compile_module
from troth.dsl.picture_dot import to_dot
from troth.dsl.picture_graph import Arc, arcs_of, cells_of
from troth.dsl.picture_layers import CELLS_MAX, layers_of
from troth.dsl.picture_layout import layout
from troth.dsl.picture_svg import to_svg
from troth.vm.errors import LimitExceeded
from troth.vm.types import LocalType, State, StateKind, Transition

END: Final = State(StateKind.END, "", ())

SCRIPT: Final = """
protocol Burst(Sender, Receiver):
    rec More:
        choice at Sender:
            Sender -> Receiver: item(n: int)
            continue More
        or:
            Sender -> Receiver: last()
        or:
            Sender -> Receiver: stop(why: str)
"""


def local_of(script: str, role: str) -> LocalType:
    module = compile_module(script, "p.troth")
    return module.protocol(module.protocol_names[0]).role(role).local_type


def test_messages_with_the_same_ends_share_an_arc() -> None:
    assert arcs_of(local_of(SCRIPT, "Sender")) == (
        Arc(0, 0, True, ("Receiver!item(n: int)",)),
        Arc(0, 1, True, ("Receiver!last()", "Receiver!stop(why: str)")),
    )
    assert arcs_of(local_of(SCRIPT, "Receiver"))[0] == Arc(0, 0, False, ("Sender?item(n: int)",))


def test_wide_messages_have_a_line_for_each_field() -> None:
    script = (
        "protocol P(A, B):\n    A -> B: order(name: str, "
        "items: list[{count: int, number: int, price: float, title: str, note: str}], paid: bool)\n"
    )
    ((_, _, _, lines),) = arcs_of(local_of(script, "A"))
    assert lines == (
        "B!order(",
        "  name: str,",
        "  items: list[{count: int, note: str, number: int, price:",
        "    float, title: str}],",
        "  paid: bool)",
    )


def test_a_name_without_blanks_is_cut() -> None:
    label = "x" * 255
    moves = (Transition(label, (), 1),)
    ((_, _, _, lines),) = arcs_of(LocalType((State(StateKind.SEND, "B", moves), END)))
    assert max(map(len, lines)) == 60
    assert "".join(line.strip() for line in lines) == f"B!{label}()"


def test_columns() -> None:
    assert [cells_of(text) for text in ("ab", "é", "e\u0301", "漢字")] == [2, 1, 1, 4]


def test_a_choice_has_no_crossing() -> None:
    local = local_of(SCRIPT, "Sender")
    layers = layers_of(len(local.states), arcs_of(local))
    assert layers.is_upward == (False, False)
    assert layers.order == ((0,), (2,), (1,))


def test_the_end_alone() -> None:
    drawing = layout(LocalType((END,)), "P.R")
    assert [(state.number, state.is_end) for state in drawing.states] == [(0, True)]
    assert (drawing.texts, drawing.courses, drawing.loops) == ((), (), ())
    ElementTree.fromstring(to_svg(LocalType((END,)), "P.R"))


def test_long_titles_fit() -> None:
    wide = layout(LocalType((END,)), "x" * 100).width
    assert wide > 1.8 * layout(LocalType((END,)), "x" * 50).width > 700


DOT: Final = """\
digraph "Burst.Sender" {
  label="Burst.Sender"; labelloc=t; fontname=monospace;
  node [shape=circle, fontname=monospace];
  edge [fontname=monospace];
  start [shape=point, label=""];
  0;
  1 [shape=doublecircle];
  start -> 0;
  0 -> 0 [label="Receiver!item(n: int)"];
  0 -> 1 [label="Receiver!last()\\lReceiver!stop(why: str)\\l"];
}
"""


def test_dot_as_a_whole() -> None:
    assert to_dot(local_of(SCRIPT, "Sender"), "Burst.Sender") == DOT


def chain_of(count: int) -> LocalType:
    steps = [
        State(StateKind.SEND, "B", (Transition("m", (), number + 1),)) for number in range(count)
    ]
    return LocalType((*steps, END))


def test_the_largest_picture() -> None:
    count = (CELLS_MAX - 1) // 2
    assert len(layout(chain_of(count), "P.R").states) == count + 1
    with pytest.raises(LimitExceeded, match=r"project\.picture"):
        to_svg(chain_of(count + 1), "P.R")
    assert to_dot(chain_of(count + 1), "P.R").count(" -> ") == count + 2


def test_arcs_that_pass_very_many_layers() -> None:
    """Few states, but every one leads back to the first: the places passed are what counts."""
    steps = [
        State(StateKind.SEND, "B", (Transition("a", (), number + 1), Transition("b", (), 0)))
        for number in range(200)
    ]
    with pytest.raises(LimitExceeded, match=r"project\.picture"):
        to_svg(LocalType((*steps, END)), "P.R")


def test_states_that_nothing_leads_to() -> None:
    """No checked type has them, but a picture does not depend on that."""
    lost = State(StateKind.RECV, "B", (Transition("m", (), 0), Transition("n", (), 2)))
    texts = ElementTree.fromstring(to_svg(LocalType((END, lost, lost)), "P.R")).itertext()
    assert {"0", "1", "2"} <= set(texts)


def test_it_suits_light_and_dark() -> None:
    svg = to_svg(chain_of(1), "P.R")
    assert "@media (prefers-color-scheme: dark)" in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
