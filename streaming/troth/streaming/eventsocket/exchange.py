"""What both directions share: messages in, commands out, and who waits for what.

An exchange belongs to a core, which decides what messages mean for its session. Nothing here knows
a clock or a socket: time comes in as nanoseconds, bytes go out as `Write`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from troth.streaming.eventsocket import commands
from troth.streaming.eventsocket.endings import Ending
from troth.streaming.eventsocket.errors import (
    CallHungUp,
    CommandRefused,
    ConnectionEnded,
    Progress,
)
from troth.streaming.eventsocket.event import Event
from troth.streaming.eventsocket.facts import Asked, Fact, Replied
from troth.streaming.eventsocket.headers import LineMemory
from troth.streaming.eventsocket.limits import Limits, nanoseconds
from troth.streaming.eventsocket.messages import ApiResponse, CommandReply, Message
from troth.streaming.eventsocket.outputs import (
    Answered,
    Completed,
    Failed,
    Noted,
    Output,
    Remark,
    Write,
)
from troth.streaming.eventsocket.parser import MessageParser
from troth.streaming.eventsocket.replies import Expected, Order, Replies
from troth.streaming.eventsocket.running import Applications, Running
from troth.vm.errors import LimitExceeded, TrothError

UuidSource = Callable[[], str]

HANGUP: Final = "hangup"
"""The application that is done when the call is over."""


class Exchange:
    """The traffic of one connection. Serials count its commands, those of applications too."""

    def __init__(
        self,
        limits: Limits,
        next_uuid: UuidSource,
        memory: LineMemory | None,
        *,
        recorded: bool = False,
    ) -> None:
        self.outputs: deque[Output] = deque()
        self.limits = limits
        self.next_uuid = next_uuid
        self.stray_replies = 0
        self.hung_up = False
        self.hangup_cause: str | None = None
        self._parser = MessageParser(limits, memory=memory)
        self._replies = Replies(limits)
        self._applications = Applications(limits)
        self._serial = 0
        self._ending: Ending | None = None
        self._recorded = recorded

    # --- commands ---------------------------------------------------------------------------

    def command(
        self,
        label: str,
        data: bytes,
        now_ns: int,
        *,
        expected: Expected = Expected.REPLY,
        limit_s: float | None = None,
    ) -> int:
        """Queues a command and returns its serial; what comes of it is an output."""
        serial = self._next_serial()
        is_api = expected is Expected.RESPONSE
        default_s = self.limits.api_reply_s if is_api else self.limits.reply_s
        limit_ns = nanoseconds(default_s if limit_s is None else limit_s)
        self._add(Order(serial, label, data, expected, limit_ns), now_ns)
        return serial

    def execute(
        self,
        application: str,
        argument: str,
        now_ns: int,
        *,
        uuid: str | None = None,
        event_lock: bool = True,
        loops: int = 1,
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """Queues an application; its serial is completed, or fails."""
        application_uuid = self.next_uuid()
        data = commands.execute(
            application,
            argument,
            application_uuid=application_uuid,
            uuid=uuid,
            event_lock=event_lock,
            loops=loops,
            headers=headers,
        )
        serial = self._next_serial()
        if self.hung_up and uuid is None:
            # The switch would say +OK, run nothing, and never complete it.
            self.outputs.append(Failed(serial, CallHungUp(application, self.hangup_cause)))
            return serial
        order = Order(serial, application, data, Expected.REPLY, nanoseconds(self.limits.reply_s))
        try:
            self._applications.add(application_uuid, Running(serial, application, loops))
        except LimitExceeded as error:
            self.outputs.append(Failed(serial, error))
            return serial
        self._add(order, now_ns)
        return serial

    def forget(self, serial: int, now_ns: int) -> None:
        """The caller has given up."""
        self._replies.forget(serial)
        self._applications.forget(serial)
        self._pump(now_ns)

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial

    def _add(self, order: Order, now_ns: int) -> None:
        if self._ending is not None:
            error = ConnectionEnded(order.label, Progress.NOT_SENT, self._ending)
            self._fail(order.serial, error)
            return
        try:
            self._replies.add(order)
        except LimitExceeded as error:
            self._fail(order.serial, error)
            return
        self._pump(now_ns)

    def _pump(self, now_ns: int) -> None:
        order = self._replies.take(now_ns)
        if order is not None:
            self.write(order.label, order.data)

    def write(self, label: str, data: bytes) -> None:
        """Sends a command."""
        self.note(Asked(label, data))
        self.outputs.append(Write(data))

    def note(self, fact: Fact) -> None:
        """For the record, when there is one."""
        if self._recorded:
            self.outputs.append(Noted(fact))

    def _fail(self, serial: int, error: TrothError) -> None:
        self._applications.forget(serial)
        self.outputs.append(Failed(serial, error))

    # --- messages ---------------------------------------------------------------------------

    def messages(self, data: bytes) -> Iterator[Message]:
        """The messages that these bytes complete.

        Raises:
            Malformed: the switch sends what is no message.
            LimitExceeded: it sends too much.
        """
        self._parser.feed(data)
        while (message := self._parser.next_message()) is not None:
            yield message

    def finish(self) -> None:
        """The stream is at its end.

        Raises:
            Malformed: it ended inside of a message.
        """
        self._parser.finish()

    def order_of(self, reply: CommandReply | ApiResponse, now_ns: int) -> Order | None:
        """The command that this reply answers, if its caller still waits.

        Raises:
            LimitExceeded: too many replies came that nobody asked for.
        """
        was_due, order = self._replies.answer(reply)
        self.note(Replied(reply, was_due))
        if not was_due:
            self._count_stray(reply)
        self._pump(now_ns)
        return order

    def _count_stray(self, reply: CommandReply | ApiResponse) -> None:
        self.stray_replies += 1
        self.outputs.append(Remark("stray reply", reply.text[:80]))
        if self.stray_replies > self.limits.stray_replies_max:
            raise LimitExceeded(
                "esl.limit.stray_replies_max",
                "the switch keeps answering what nobody asked",
                expected=f"at most stray_replies_max={self.limits.stray_replies_max}",
                actual="more",
                advice="A channel variable may forge replies to getvar; use uuid_getvar",
            )

    def resolve(self, order: Order, reply: CommandReply | ApiResponse) -> None:
        """Gives a reply to its caller. `-ERR` to a command is an error; to an `api` it is text."""
        if isinstance(reply, CommandReply) and reply.is_error:
            self._fail(order.serial, CommandRefused(order.label, reply.text))
        elif not self._applications.accept(order.serial):
            self.outputs.append(Answered(order.serial, reply))

    def observe(self, event: Event) -> None:
        """Completes the application whose completion this is."""
        found = self._applications.observe(event)
        if found is None:
            return
        running, completion = found
        self._replies.forget(running.serial)
        if completion.hung_up and running.label != HANGUP:
            cause = completion.hangup_cause
            error = CallHungUp(running.label, cause, completion)
            self.outputs.append(Failed(running.serial, error))
        else:
            self.outputs.append(Completed(running.serial, completion))

    # --- the end ----------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        return self._ending is not None

    def close(self, ending: Ending) -> None:
        """Nobody waits any longer; whatever is asked from now on fails at once."""
        self._ending = ending
        running = self._applications.close()
        serials = {application.serial for application in running}
        for order, progress in self._replies.close():
            if order.serial not in serials:
                error = ConnectionEnded(order.label, progress, ending)
                self.outputs.append(Failed(order.serial, error))
            else:
                self._fail_running(order.serial, order.label, progress)
                serials.discard(order.serial)
        for application in running:
            if application.serial in serials:
                self._fail_running(application.serial, application.label, Progress.ACCEPTED)

    def _fail_running(self, serial: int, label: str, progress: Progress) -> None:
        error: TrothError
        if self.hung_up:
            error = CallHungUp(label, self.hangup_cause)
        else:
            error = ConnectionEnded(label, progress, self._ending)
        self.outputs.append(Failed(serial, error))

    def reply_deadline_ns(self) -> int | None:
        return self._replies.deadline_ns()

    def late_command(self, now_ns: int) -> Order | None:
        """The command whose reply is later than its limit allows."""
        deadline = self._replies.deadline_ns()
        return self._replies.oldest() if deadline is not None and deadline <= now_ns else None


class ExchangeOwner:
    """What every core hands through to its exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def command(
        self,
        label: str,
        data: bytes,
        now_ns: int,
        *,
        expected: Expected = Expected.REPLY,
        limit_s: float | None = None,
    ) -> int:
        """As `Exchange.command`."""
        return self._exchange.command(label, data, now_ns, expected=expected, limit_s=limit_s)

    def execute(
        self,
        application: str,
        argument: str,
        now_ns: int,
        *,
        uuid: str | None = None,
        event_lock: bool = True,
        loops: int = 1,
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """As `Exchange.execute`."""
        return self._exchange.execute(
            application,
            argument,
            now_ns,
            uuid=uuid,
            event_lock=event_lock,
            loops=loops,
            headers=headers,
        )

    def forget(self, serial: int, now_ns: int) -> None:
        """As `Exchange.forget`."""
        self._exchange.forget(serial, now_ns)

    def poll(self) -> Output | None:
        """The next thing to be carried out; None when there is nothing."""
        outputs = self._exchange.outputs
        return outputs.popleft() if outputs else None

    def _put(self, output: Output) -> None:
        self._exchange.outputs.append(output)
