"""Whether recorded traffic keeps the protocol of its kind: bytes of both sides in, a verdict out.

Every message is told to a machine whose roles are held to the local types of `outbound.troth` or
`inbound.troth`. Traffic that does not keep them is refused at the first message that breaks them,
with its offset. Commands that were sent ahead of replies count when their turn comes, as for the
switch. What follows the end of a call, while the switch lingers, belongs to no event.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from troth.streaming.eventsocket.endings import Ending, Outcome
from troth.streaming.eventsocket.event import Event
from troth.streaming.eventsocket.facts import Asked, Fact, Over, Replied, Seen, Shut
from troth.streaming.eventsocket.limits import Limits
from troth.streaming.eventsocket.messages import (
    ApiResponse,
    CommandReply,
    DisconnectNotice,
    Message,
)
from troth.streaming.eventsocket.narrator import EXIT, Narrator
from troth.streaming.eventsocket.parser import MessageParser
from troth.streaming.eventsocket.privacy import Privacy
from troth.streaming.eventsocket.replies import Expected, Order, Replies
from troth.streaming.eventsocket.shell_record import OUTBOUND, PlaneStage, protocol_image
from troth.streaming.eventsocket.testing.commands_in import Command, CommandReader
from troth.vm.errors import Fault, Malformed, Place
from troth.vm.image import Image
from troth.vm.loaded import LoadedImage

COMPLETE: Final = "CHANNEL_HANGUP_COMPLETE"
NOTICE: Final = "text/disconnect-notice"
_AHEAD_MAX: Final = 65_536


class Told(NamedTuple):
    """What a check has seen: messages of the switch, and commands to it."""

    messages: int
    commands: int


class TrafficCheck:
    """One connection. Feed it both directions as they came, then `finish`.

    Each method raises `Malformed`: code `esl.protocol` where the protocol is broken, else that of
    the framing. Its place is the offset of the message in the bytes from the switch.
    """

    def __init__(
        self, direction: str = OUTBOUND, *, image: Image | LoadedImage | None = None
    ) -> None:
        limits = Limits(pending_commands_max=_AHEAD_MAX)
        self._one_call = direction == OUTBOUND
        self._parser = MessageParser(limits)
        self._reader = CommandReader()
        self._replies = Replies(limits)
        self._stage = PlaneStage(image or protocol_image(direction), direction)
        self._narrator = Narrator(self._stage.tell, Privacy(), one_call=self._one_call, strict=True)
        self._offset = 0
        self._commands = 0
        self._messages = 0
        self._facts_of_the_end: set[str] = set()

    def sent(self, data: bytes) -> None:
        """Bytes to the switch."""
        for command in self._reader.feed(data):
            self._commands += 1
            is_api = command.word == "api"
            expected = Expected.RESPONSE if is_api else Expected.REPLY
            self._replies.add(Order(self._commands, _label(command), _data(command), expected, 0))
            self._ask()

    def received(self, data: bytes) -> None:
        """Bytes from the switch."""
        self._parser.feed(data)
        while (message := self._parser.next_message()) is not None:
            self._messages += 1
            self._offset = message.offset
            self._message(message)

    def finish(self) -> Told:
        """The connection is at its end."""
        self._parser.finish()
        missing: tuple[str, ...] = ()
        if self._one_call:
            missing = tuple(f for f in (COMPLETE, NOTICE) if f not in self._facts_of_the_end)
        ending = Ending.CUT if missing or not self._one_call else Ending.LATCHED
        self._tell(Over(Outcome(ending, missing)))
        self._tell(Shut())
        self._stage.finish()
        return Told(self._messages, self._commands)

    def _message(self, message: Message) -> None:
        if isinstance(message, CommandReply | ApiResponse):
            due, order = self._replies.answer(message)
            if order is None or order.label != EXIT:
                self._tell(Replied(message, due))
            self._ask()
        elif not self._is_over:
            self._tell(Seen(message))
            self._note_end(message)

    @property
    def _is_over(self) -> bool:
        return self._one_call and len(self._facts_of_the_end) == 2

    def _note_end(self, message: Message) -> None:
        if isinstance(message, DisconnectNotice):
            self._facts_of_the_end.add(NOTICE)
        elif (
            isinstance(message, Event)
            and message.name == COMPLETE
            and self._narrator.uuid in (None, message.uuid)
        ):
            self._facts_of_the_end.add(COMPLETE)

    def _ask(self) -> None:
        order = self._replies.take(0)
        if order is not None:
            self._tell(Asked(order.label, order.data))

    def _tell(self, fact: Fact) -> None:
        try:
            self._narrator.note(fact)
            self._stage.flush()
        except Fault as fault:
            raise Malformed(
                "esl.protocol",
                "the traffic breaks the protocol here",
                place=Place(offset=self._offset),
                expected=fault.expected,
                actual=fault.actual,
                advice="Look at the message at this offset and at the command before it",
            ) from fault


def check_traffic(
    pieces: Iterable[tuple[bool, bytes]],
    direction: str = OUTBOUND,
    *,
    image: Image | LoadedImage | None = None,
) -> Told:
    """Checks a whole connection, of pieces `(from the switch, bytes)` in the order in time.

    Raises:
        Malformed: it does not keep the protocol; the place is the offset.
        LimitExceeded: it is more than a connection may hold.
    """
    check = TrafficCheck(direction, image=image)
    for from_switch, data in pieces:
        (check.received if from_switch else check.sent)(data)
    return check.finish()


def _label(command: Command) -> str:
    return f"api {command.rest.split(' ', 1)[0]}" if command.word == "api" else command.word


def _data(command: Command) -> bytes:
    lines = [command.line, *(f"{name}: {value}" for name, value in command.headers.items())]
    return "\n".join(lines).encode("utf-8", "replace") + b"\n\n" + command.body.encode()
