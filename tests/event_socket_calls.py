"""A call's core without sockets or clocks: feed it, and see what it would do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

from troth.streaming.eventsocket.endings import Outcome
from troth.streaming.eventsocket.event import Event
from troth.streaming.eventsocket.inbound_core import InboundCore
from troth.streaming.eventsocket.limits import Limits, nanoseconds
from troth.streaming.eventsocket.outbound_core import OutboundCore
from troth.streaming.eventsocket.outputs import (
    Answered,
    Close,
    Completed,
    Deliver,
    Failed,
    Noted,
    Output,
    Ready,
    Settle,
    Write,
)
from troth.streaming.eventsocket.shell_record import ConnectionRecorder
from troth.vm.errors import TrothError

UUID: Final = "11111111-2222-3333-4444-555555555555"
OK: Final = b"Content-Type: command/reply\nReply-Text: +OK\n\n"
NOTICE: Final = b"Content-Type: text/disconnect-notice\n\n"
LINGER_NOTICE: Final = (
    b"Content-Type: text/disconnect-notice\nContent-Disposition: linger\nLinger-Time: -1\n"
    b"Content-Length: 0\n\n"
)
CONNECT_REPLY: Final = (
    f"Event-Name: CHANNEL_DATA\nUnique-ID: {UUID}\nvariable_some_var: a%20b\n"
    "Content-Type: command/reply\nReply-Text: %2BOK%0A\nSocket-Mode: async\nControl: full\n\n"
).encode()

OutputT = TypeVar("OutputT", bound=Output)


def event(name: str, uuid: str | None = UUID, **headers: str) -> bytes:
    """EV(name), with underscores in names of headers for hyphens."""
    lines = [f"Event-Name: {name}"]
    if uuid is not None:
        lines.append(f"Unique-ID: {uuid}")
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
    inner = ("\n".join(lines) + "\n\n").encode()
    return b"Content-Length: %d\nContent-Type: text/event-plain\n\n%b" % (len(inner), inner)


def refusal(text: str) -> bytes:
    return f"Content-Type: command/reply\nReply-Text: {text}\n\n".encode()


def response(body: str) -> bytes:
    head = f"Content-Type: api/response\nContent-Length: {len(body.encode())}\n\n"
    return head.encode() + body.encode()


def uuids() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"app-{number}"


class CallDriver:
    """An `OutboundCore` with everything it put out."""

    def __init__(
        self,
        limits: Limits | None = None,
        recorder: ConnectionRecorder | None = None,
        **options: object,
    ) -> None:
        self.now_ns = 0
        self.recorder = recorder
        source = uuids()
        linger_s = options.get("linger_s")
        assert linger_s is None or isinstance(linger_s, int)
        self.core = OutboundCore(
            now_ns=0,
            next_uuid=lambda: next(source),
            limits=limits,
            linger=bool(options.get("linger", True)),
            linger_s=linger_s,
            recorded=recorder is not None,
        )
        self.outputs: list[Output] = []
        self.drain()

    def drain(self) -> None:
        while (output := self.core.poll()) is not None:
            if isinstance(output, Noted):
                assert self.recorder is not None, "nobody asked for it"
                self.recorder.note(output.fact)
            else:
                self.outputs.append(output)

    def feed(self, *data: bytes) -> CallDriver:
        for piece in data:
            self.core.receive(piece, self.now_ns)
            self.drain()
        return self

    def wait(self, seconds: float) -> CallDriver:
        """Time passes; every deadline on the way is kept."""
        until = self.now_ns + nanoseconds(seconds)
        while (deadline := self.core.deadline_ns()) is not None and deadline <= until:
            assert deadline >= self.now_ns, "a deadline that has passed must go away"
            self.now_ns = deadline
            self.core.tick(self.now_ns)
            self.drain()
        self.now_ns = until
        return self

    def command(self, text: str) -> int:
        serial = self.core.command(text, f"{text}\n\n".encode(), self.now_ns)
        self.drain()
        return serial

    def execute(self, name: str, argument: str = "", loops: int = 1, lock: bool = True) -> int:
        serial = self.core.execute(name, argument, self.now_ns, loops=loops, event_lock=lock)
        self.drain()
        return serial

    def written(self) -> list[bytes]:
        return [output.data for output in self.of(Write)]

    def of(self, kind: type[OutputT]) -> list[OutputT]:
        return [output for output in self.outputs if isinstance(output, kind)]

    def completed(self) -> list[int]:
        return [output.serial for output in self.of(Completed)]

    def answered(self) -> list[int]:
        return [output.serial for output in self.of(Answered)]

    def errors(self) -> dict[int, TrothError]:
        return {output.serial: output.error for output in self.of(Failed)}

    def events(self) -> list[str | None]:
        return [
            output.message.name for output in self.of(Deliver) if isinstance(output.message, Event)
        ]

    @property
    def is_ready(self) -> bool:
        return bool(self.of(Ready))

    @property
    def settled(self) -> Outcome | None:
        found = self.of(Settle)
        assert len(found) <= 1, "a session settles once"
        return found[0].outcome if found else None

    @property
    def closed(self) -> Outcome | None:
        found = self.of(Close)
        assert len(found) <= 1, "a session closes once"
        return found[0].outcome if found else None


def set_up(
    limits: Limits | None = None, recorder: ConnectionRecorder | None = None, **options: object
) -> CallDriver:
    """A call whose handler may run."""
    driver = CallDriver(limits, recorder, **options)
    driver.feed(CONNECT_REPLY, OK)
    if options.get("linger", True):
        driver.feed(OK)
    assert driver.is_ready
    return driver


def inbound(limits: Limits | None = None, user: str | None = None) -> InboundCore:
    source = uuids()
    return InboundCore(
        now_ns=0, next_uuid=lambda: next(source), password="ClueCon", user=user, limits=limits
    )
