"""The session of a client, without a socket or a clock.

It waits for the switch to ask, authenticates, and is then ready until the connection ends. A wrong
password and an access list that does not admit us are errors of their own: to try again would not
help, so whoever reconnects must not.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from troth.streaming.eventsocket import commands
from troth.streaming.eventsocket.endings import Ending, Outcome
from troth.streaming.eventsocket.errors import AccessDenied, AuthenticationFailed, NoAnswer
from troth.streaming.eventsocket.event import Event
from troth.streaming.eventsocket.exchange import Exchange, ExchangeOwner, UuidSource
from troth.streaming.eventsocket.facts import Over, Seen, Shut
from troth.streaming.eventsocket.headers import NO_HEADERS, Headers, LineMemory
from troth.streaming.eventsocket.limits import Limits, nanoseconds
from troth.streaming.eventsocket.messages import (
    ApiResponse,
    AuthRequest,
    CommandReply,
    DisconnectNotice,
    LogLine,
    Message,
    Rejection,
)
from troth.streaming.eventsocket.outputs import Close, Deliver, Ready, Remark
from troth.vm.errors import TrothError


class ClientPhase(Enum):
    AWAITING_REQUEST = "awaiting auth/request"
    AUTHENTICATING = "authenticating"
    READY = "ready"
    EXITING = "exiting"
    CLOSED = "closed"


class ClientSignal(Enum):
    REQUEST = "auth/request"
    ADMITTED = "+OK accepted"
    LEAVE = "we leave"
    END = "the connection is of no more use"


class ClientAction(Enum):
    NOTHING = "nothing"
    AUTHENTICATE = "send the password"
    READY = "let the client work"
    EXIT = "close the queues and say exit"
    CLOSE = "close the queues and the socket"


_P, _S, _A = ClientPhase, ClientSignal, ClientAction

CLIENT_TRANSITIONS: Final[
    Mapping[tuple[ClientPhase, ClientSignal], tuple[ClientPhase, ClientAction]]
] = {
    (_P.AWAITING_REQUEST, _S.REQUEST): (_P.AUTHENTICATING, _A.AUTHENTICATE),
    (_P.AWAITING_REQUEST, _S.LEAVE): (_P.CLOSED, _A.CLOSE),
    (_P.AWAITING_REQUEST, _S.END): (_P.CLOSED, _A.CLOSE),
    (_P.AUTHENTICATING, _S.ADMITTED): (_P.READY, _A.READY),
    (_P.AUTHENTICATING, _S.LEAVE): (_P.CLOSED, _A.CLOSE),
    (_P.AUTHENTICATING, _S.END): (_P.CLOSED, _A.CLOSE),
    (_P.READY, _S.LEAVE): (_P.EXITING, _A.EXIT),
    (_P.READY, _S.END): (_P.CLOSED, _A.CLOSE),
    (_P.EXITING, _S.END): (_P.CLOSED, _A.CLOSE),
}
"""What is not listed changes nothing."""


class InboundCore(ExchangeOwner):
    """One connection of a client. Feed it with `receive`, `lost`, `tick`; carry out `poll`."""

    def __init__(
        self,
        *,
        now_ns: int,
        next_uuid: UuidSource,
        password: str,
        user: str | None = None,
        limits: Limits | None = None,
        memory: LineMemory | None = None,
        recorded: bool = False,
    ) -> None:
        self.limits = limits or Limits()
        self.phase = ClientPhase.AWAITING_REQUEST
        self.outcome: Outcome | None = None
        self.error: TrothError | None = None
        self.permissions: Headers = NO_HEADERS
        super().__init__(Exchange(self.limits, next_uuid, memory, recorded=recorded))
        # Made at once, so that a password that cannot be sent is an error before a connection.
        self._auth = commands.auth(password) if user is None else commands.userauth(user, password)
        self._auth_serial = 0
        self._noticed = False
        self._shutdown = False
        self._deadline_ns: int | None = now_ns + nanoseconds(self.limits.set_up_s)

    def receive(self, data: bytes, now_ns: int) -> None:
        """Bytes from the switch."""
        if self.phase in (ClientPhase.EXITING, ClientPhase.CLOSED):
            return
        try:
            for message in self._exchange.messages(data):
                self._handle(message, now_ns)
                if self.phase in (ClientPhase.EXITING, ClientPhase.CLOSED):
                    return
        except TrothError as error:
            self._end(Ending.MALFORMED, error, now_ns)

    def lost(self, ending: Ending, detail: str, now_ns: int) -> None:
        """The connection is gone: at its end (`Ending.CUT`), or reset."""
        if ending is Ending.CUT and self._shutdown:
            ending = Ending.SHUTDOWN
        elif ending is Ending.CUT and self._noticed:
            ending = Ending.CLOSED_EARLY
        self._end(ending, None, now_ns, detail)

    def tick(self, now_ns: int) -> None:
        """Time has passed."""
        if self._deadline_ns is not None and self._deadline_ns <= now_ns:
            self._deadline_ns = None
            if self.phase is not ClientPhase.EXITING:
                error = NoAnswer(self.phase.value, "set_up_s", self.limits.set_up_s)
                self._end(Ending.SILENCE, error, now_ns)
            else:
                self._end(Ending.LEFT, None, now_ns)
        late = self._exchange.late_command(now_ns)
        if late is not None and self.phase is ClientPhase.READY:
            error = NoAnswer(late.label, "its limit", late.limit_ns / 1e9)
            self._end(Ending.SILENCE, error, now_ns)

    def leave(self, now_ns: int) -> None:
        """We are done with this switch."""
        if self.outcome is None:
            self.outcome = Outcome(Ending.LEFT)
        self._signal(ClientSignal.LEAVE, now_ns)

    def deadline_ns(self) -> int | None:
        """When `tick` is next to be called."""
        deadlines = (self._deadline_ns, self._exchange.reply_deadline_ns())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _handle(self, message: Message, now_ns: int) -> None:
        if isinstance(message, CommandReply | ApiResponse):
            self._handle_reply(message, now_ns)
            return
        self._exchange.note(Seen(message))
        if isinstance(message, Event):
            self._exchange.observe(message)
            self._put(Deliver(message))
        elif isinstance(message, AuthRequest):
            self._signal(ClientSignal.REQUEST, now_ns)
        elif isinstance(message, LogLine):
            self._put(Deliver(message))
        elif isinstance(message, DisconnectNotice):
            self._noticed = True
            self._shutdown |= message.is_shutdown
        elif isinstance(message, Rejection):
            self._end(Ending.REJECTED, AccessDenied(), now_ns)
        else:
            self._put(Remark("unexpected message", type(message).__name__))

    def _handle_reply(self, reply: CommandReply | ApiResponse, now_ns: int) -> None:
        order = self._exchange.order_of(reply, now_ns)
        if order is None:
            return
        if order.serial != self._auth_serial or not isinstance(reply, CommandReply):
            self._exchange.resolve(order, reply)
        elif reply.is_error:
            self._end(Ending.REFUSED, AuthenticationFailed(reply.text), now_ns)
        else:
            self.permissions = reply.headers
            self._signal(ClientSignal.ADMITTED, now_ns)

    def _signal(self, signal: ClientSignal, now_ns: int) -> None:
        self.phase, action = CLIENT_TRANSITIONS.get(
            (self.phase, signal), (self.phase, ClientAction.NOTHING)
        )
        match action:
            case ClientAction.AUTHENTICATE:
                self._auth_serial = self._exchange.command("auth", self._auth, now_ns)
            case ClientAction.READY:
                self._deadline_ns = None
                self._put(Ready())
            case ClientAction.EXIT:
                assert self.outcome is not None, "whoever leaves has said so"
                self._exchange.note(Over(self.outcome))
                self._exchange.close(Ending.LEFT)
                self._deadline_ns = now_ns + nanoseconds(self.limits.exit_s)
                self._exchange.write("exit", commands.line("exit"))
            case ClientAction.CLOSE:
                assert self.outcome is not None, "only a connection that has ended is closed"
                self._deadline_ns = None
                if not self._exchange.is_closed:
                    self._exchange.note(Over(self.outcome))
                    self._exchange.close(self.outcome.ending)
                self._exchange.note(Shut())
                self._put(Close(self.outcome))
            case ClientAction.NOTHING:
                if signal is ClientSignal.REQUEST:
                    self._put(Remark("unexpected message", signal.value))

    def _end(self, ending: Ending, error: TrothError | None, now_ns: int, detail: str = "") -> None:
        if self.outcome is None:
            self.outcome = Outcome(ending, (), detail if error is None else str(error))
            self.error = error
        self._signal(ClientSignal.END, now_ns)
