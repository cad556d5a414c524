"""Scripts with messages that may be lost, and a line between two machines that waits."""

from __future__ import annotations

from typing import Final

from spread_machines import Courier, Party
from troth.dsl import compile_source
from troth.vm.envelope import MessageEnvelope, ReceiptEnvelope
from troth.vm.events import Event
from troth.vm.image import Image
from troth.vm.instructions import ReplayMode

KEYS_FIRST: Final = """
protocol Stream(Host, Viewer):
    edge Host -> Viewer: replay = nullifier, capacity = 2{more}
    rec Next:
        choice at Host:
            Host -> Viewer: frame(n: int) lossy
            continue Next
        or:
            Host -> Viewer: key(n: int)
            continue Next
        or:
            Host -> Viewer: done()

program host(s: Stream.Host):
    for i in range(2):
        send s.Viewer key(i)
    for i in range(100):
        send s.Viewer frame(i)
    send s.Viewer done()
    close s

program viewer(s: Stream.Viewer):
    loop:
        recv s.Host:
            frame(n):
                continue
            key(n):
                continue
            done():
                break
    close s

main:
    open Stream as h, v
    spawn host(h)
    spawn viewer(v)
"""

IN_ORDER: Final = """
protocol Stream(Host, Viewer):
    edge Host -> Viewer: replay = nullifier, capacity = {capacity}{more}
    loop at Host:
        Host -> Viewer: frame(n: int) lossy
    Host -> Viewer: one(n: int)
    Host -> Viewer: two(n: int)
    Host -> Viewer: three(n: int)
    Viewer -> Host: seen()
    Host -> Viewer: four(n: int)

program host(s: Stream.Host):
    for i in range({frames}):
        send s.Viewer frame(i)
    send s.Viewer done()
    send s.Viewer one(1)
    send s.Viewer two(2)
    send s.Viewer three(3)
    recv s.Viewer seen()
    send s.Viewer four(4)
    close s

program viewer(s: Stream.Viewer):
    loop:
        recv s.Host:
            frame(n):
                continue
            done():
                break
    recv s.Host one(first)
    recv s.Host two(second)
    recv s.Host three(third)
    send s.Host seen()
    recv s.Host four(fourth)
    print str(first) + str(second) + str(third) + str(fourth)
    close s

main:
    open Stream as h, v
    spawn host(h)
    spawn viewer(v)
"""
HOMES: Final = (("Host",), ("Viewer",))


def in_order(capacity: int = 1, more: str = "", frames: int = 3) -> Image:
    return compile_source(
        IN_ORDER.format(capacity=capacity, more=more, frames=frames), "in_order.troth"
    )


class Line:
    """The machine of the viewer, and what that of the host has said to it, by label."""

    def __init__(self, image: Image, replay: ReplayMode | None = None) -> None:
        self.host, self.viewer = (
            Party(image, home, bytes([number + 1]) * 32, replay=replay)
            for number, home in enumerate(HOMES)
        )
        self.said: dict[str, MessageEnvelope] = {}
        self.first: MessageEnvelope | None = None
        self.receipts: list[ReceiptEnvelope] = []
        self._courier = Courier([self.host, self.viewer])
        for party in self._courier.parties:
            party.machine.start()
        self.go_on()

    def go_on(self) -> None:
        while self.step():
            pass

    def step(self) -> bool:
        """What the host says is kept, and so are receipts; all else gets there."""
        stepped = [party.step() for party in self._courier.parties]
        self._courier.introduce()
        for party, other in ((self.host, self.viewer), (self.viewer, self.host)):
            for outgoing in party.machine.poll_outgoing():
                envelope = outgoing.envelope
                if isinstance(envelope, MessageEnvelope) and party is self.host:
                    self.said[envelope.label] = envelope
                    self.first = self.first or envelope
                elif isinstance(envelope, ReceiptEnvelope):
                    self.receipts.append(envelope)
                else:
                    other.machine.deliver(envelope)
        return any(stepped)

    def deliver(self, label: str) -> str:
        code = self.viewer.machine.deliver(self.said[label]).code
        self.go_on()
        return code

    def receipt(self) -> str:
        """The last receipt of the viewer reaches the host."""
        code = self.host.machine.deliver(self.receipts[-1]).code
        self.go_on()
        return code


def counts_of(party: Party, kind: type[Event]) -> int:
    return sum(type(event) is kind for event in party.events)
