"""Mode `nullifier` on a line that changes the order: what it may change, and where it ends."""

from __future__ import annotations

from random import Random
from typing import Final

import pytest

from artifact_surgery import key_pair, sign
from second_verifier import judge
from spread_machines import Courier, Party
from troth.dsl import compile_source
from troth.vm import statements
from troth.vm.envelope import MessageEnvelope, NoticeEnvelope
from troth.vm.events import Faulted, Received, Rejected, Status, StatusChanged, Undelivered
from troth.vm.instructions import ReplayMode

SCRIPT: Final = """
protocol Work(A, B):
{protocol}

program a(s: Work.A):
{sends}
    close s

program b(s: Work.B):
{receives}
    close s

main:
    open Work as x, y
    spawn a(x)
    spawn b(y)
"""

ITEMS: Final = (
    """
    rec Next:
        choice at A:
            A -> B: item(n: int)
            continue Next
        or:
            A -> B: done()
""",
    """
    send s.B item(1)
    send s.B item(2)
    send s.B done()
""",
    """
    loop:
        recv s.A:
            item(n):
                print str(n)
            done():
                break
""",
)
STRAIGHT: Final = (
    "    A -> B: one()\n    A -> B: two()",
    "    send s.B one()\n    send s.B two()",
    "    recv s.A one()\n    recv s.A two()",
)


class Reordered:
    """A machine of B that is told everything by hand, and all that A says."""

    def __init__(self, parts: tuple[str, str, str], mode: ReplayMode) -> None:
        text = SCRIPT.format(protocol=parts[0], sends=parts[1], receives=parts[2])
        image = compile_source(text, "work.troth")
        self.a, self.b = (
            Party(image, (role,), bytes([number + 1]) * 32, replay=mode)
            for number, role in enumerate("AB")
        )
        self.messages: list[MessageEnvelope] = []
        self.notices: list[NoticeEnvelope] = []
        self._courier = Courier([self.a, self.b], Random(1))
        for party in (self.a, self.b):
            party.machine.start()
        self.go_on()

    def go_on(self) -> None:
        while any([self.a.step(), self.b.step()]):
            self._courier.introduce()
            for outgoing in self.a.machine.poll_outgoing():
                match outgoing.envelope:
                    case MessageEnvelope():
                        self.messages.append(outgoing.envelope)
                    case NoticeEnvelope():
                        self.notices.append(outgoing.envelope)
                    case other:
                        self.b.machine.deliver(other)
            for outgoing in self.b.machine.poll_outgoing():
                self.a.machine.deliver(outgoing.envelope)

    def tell(self, *envelopes: MessageEnvelope | NoticeEnvelope) -> list[str]:
        codes = []
        for envelope in envelopes:
            codes.append(self.b.machine.deliver(envelope).code)
            self.go_on()
        return codes

    def received(self) -> list[int]:
        return [event.sequence for event in self.b.events if isinstance(event, Received)]

    def require_valid(self) -> None:
        self.b.finish()
        assert self.b.verdict().exit_code == 0, self.b.verdict().reason
        assert judge(self.b.data, {}).word == "valid"


def test_what_leaves_a_loop_can_overtake_what_is_in_it() -> None:
    """Both records are valid, and that of the receiver says what it did not take."""
    both = Reordered(ITEMS, ReplayMode.NULLIFIER)
    one, two, done = both.messages
    assert both.tell(two, done, *both.notices, one) == [""] * 4
    assert both.received() == [1, 2]
    both.b.now_ns = 10**12
    both.go_on()
    left = [event.sequence for event in both.b.events if isinstance(event, Undelivered)]
    assert left == [0]
    (end,) = [e for e in both.b.events if isinstance(e, StatusChanged) and e.status > 1]
    assert (end.status, end.detail) == (Status.CLOSED, "linger time is over")
    both.require_valid()


def test_in_mode_sequence_nothing_overtakes_anything() -> None:
    both = Reordered(ITEMS, ReplayMode.SEQUENCE)
    one, two, done = both.messages
    early = "vm.fault.replay.sequence"
    assert both.tell(two, done, *both.notices, one, two, done) == [early, early, "", "", "", ""]
    assert both.received() == [0, 1, 2]
    both.require_valid()


@pytest.mark.parametrize("last", ["notice", "message"])
def test_when_all_have_come_what_cannot_be_taken_is_refused(last: str) -> None:
    """Whoever waits learns of it, whichever comes last."""
    both = Reordered(STRAIGHT, ReplayMode.NULLIFIER)
    _, two = both.messages
    another = two._replace(sequence=0)
    commitment = statements.payload_commitment(another.salt, another.payload)
    said = statements.message_statement(*another[:7], commitment)
    another = another._replace(signature=sign(key_pair("A"), said))
    if last == "notice":
        assert both.tell(two, another, *both.notices) == [""] * 3
    else:
        assert both.tell(*both.notices, two, another) == [""] * 3
    assert both.received() == []
    (rejected,) = [event for event in both.b.events if isinstance(event, Rejected)]
    assert rejected.code == "vm.fault.label"
    assert [event.code for event in both.b.events if isinstance(event, Faulted)] == [rejected.code]
    both.require_valid()
