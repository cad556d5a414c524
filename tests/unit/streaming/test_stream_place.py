"""Machines inside a link: what the reliable stream still carries is not said again over it."""

from __future__ import annotations

from link_pairs import MS, SECOND, Pair
from troth.streaming.link import ControlMessage
from troth.streaming.netem import Conditions, Step
from troth.streaming.session.shell_place import LinkPlace
from troth.vm.link_frames import Data, Frame, Hello, Prove


def _frame(number: int) -> Frame:
    return Data(number, b"envelope")


def test_what_is_under_way_is_not_doubled_and_what_has_arrived_may_be_said_again() -> None:
    pair = Pair(1, [Step(0, Conditions(delay_ns=20 * MS))])
    pair.connect()
    place = LinkPlace(pair.client, lambda: None)
    lines = place.lines(
        Hello(1, bytes(16), bytes(16), ("Client",)),
        prove=lambda _challenge: Prove(()),
        on_line=lambda _line: None,
        on_frame=lambda _line, _frame: None,
        on_lost=lambda _line: None,
    )
    for _ in range(5):
        assert lines.send(_frame(1))
        assert lines.send(_frame(2))
    pair.run(SECOND)
    assert len(pair.of(ControlMessage, pair.host_events)) == 2
    assert lines.send(_frame(1))
    pair.run(SECOND)
    assert len(pair.of(ControlMessage, pair.host_events)) == 3
