"""The session of one call, without a socket or a clock: bytes and times in, outputs out.

Set-up is three commands one after the other, then the handler may start. The end is the latch;
see `latch`. Every way in which a session can end passes `_settle`, exactly once: it closes the
queues, so that nobody waits for ever, and says how the session ended and what did not arrive.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from troth.streaming.eventsocket import commands, latch
from troth.streaming.eventsocket.endings import Ending, Outcome
from troth.streaming.eventsocket.errors import NoAnswer
from troth.streaming.eventsocket.event import Event, EventFormat
from troth.streaming.eventsocket.exchange import Exchange, ExchangeOwner, UuidSource
from troth.streaming.eventsocket.facts import Over, Seen, Shut
from troth.streaming.eventsocket.headers import NO_HEADERS, Headers, LineMemory
from troth.streaming.eventsocket.latch import Action, Phase, Signal
from troth.streaming.eventsocket.limits import Limits, nanoseconds
from troth.streaming.eventsocket.messages import (
    ApiResponse,
    CommandReply,
    DisconnectNotice,
    LogLine,
    Message,
    Rejection,
)
from troth.streaming.eventsocket.outputs import (
    Abandon,
    Close,
    Deliver,
    Ready,
    Remark,
    Settle,
)
from troth.vm.errors import TrothError

SYNCHRONOUS_LINGER_S: Final = 1
"""On a synchronous socket the connection holds the channel's own thread: what is to come after
the notice can come only after it has closed, so it lingers no longer than it must."""

_SIGNALS: Final = {
    "CHANNEL_HANGUP": Signal.HANGUP,
    "CHANNEL_HANGUP_COMPLETE": Signal.COMPLETE,
}
_TALKING: Final = (Phase.LIVE, Phase.HANGING_UP, Phase.AWAITING_NOTICE, Phase.AWAITING_COMPLETE)
_NOTHING_MISSING: Final = (Ending.LATCHED, Ending.LEFT, Ending.STOPPED)


class Step(Enum):
    """What the set-up waits for; the value is the command."""

    CONNECT = "connect"
    MYEVENTS = "myevents"
    LINGER = "linger"
    DONE = ""


_NEXT_STEP: Final = {
    Step.CONNECT: Step.MYEVENTS,
    Step.MYEVENTS: Step.LINGER,
    Step.LINGER: Step.DONE,
}


class OutboundCore(ExchangeOwner):
    """One call. Feed it with `receive`, `lost`, `tick`; carry out what `poll` gives."""

    def __init__(
        self,
        *,
        now_ns: int,
        next_uuid: UuidSource,
        limits: Limits | None = None,
        memory: LineMemory | None = None,
        event_format: EventFormat = EventFormat.PLAIN,
        linger: bool = True,
        linger_s: int | None = None,
        recorded: bool = False,
    ) -> None:
        self.limits = limits or Limits()
        self.headers: Headers = NO_HEADERS
        self.uuid: str | None = None
        self.phase = Phase.LIVE
        self.step = Step.CONNECT
        self.lingers = False
        self.outcome: Outcome | None = None
        super().__init__(Exchange(self.limits, next_uuid, memory, recorded=recorded))
        self._event_format = event_format
        self._linger = linger
        self._linger_s = linger_s
        self._seen: set[Signal] = set()
        self._shutdown = False
        self._dead = False
        self._deadline_ns: int | None = now_ns + nanoseconds(self.limits.set_up_s)
        self._step_serial = self._exchange.command("connect", commands.line("connect"), now_ns)

    # --- what goes in -----------------------------------------------------------------------

    def receive(self, data: bytes, now_ns: int) -> None:
        """Bytes from the switch."""
        if self.phase not in _TALKING:
            return
        try:
            for message in self._exchange.messages(data):
                self._handle(message, now_ns)
                if self.phase not in _TALKING:
                    return
        except TrothError as error:
            self._dead = True
            self._settle(Ending.MALFORMED, str(error), now_ns)

    def lost(self, ending: Ending, detail: str, now_ns: int) -> None:
        """The connection is gone: at its end (`Ending.CUT`), or reset."""
        self._dead = True
        if self.phase is Phase.EXITING:
            self._signal(Signal.END, now_ns)
            return
        if ending is Ending.CUT:
            try:
                self._exchange.finish()
            except TrothError as error:
                detail = str(error)
            ending = self._how_it_closed()
        self._settle(ending, detail, now_ns)

    def tick(self, now_ns: int) -> None:
        """Time has passed."""
        if self._deadline_ns is not None and self._deadline_ns <= now_ns:
            self._deadline_ns = None
            self._time_is_up(now_ns)
        late = self._exchange.late_command(now_ns) if self.phase in _TALKING else None
        if late is not None:
            self._dead = True
            error = NoAnswer(late.label, "its limit", late.limit_ns / 1e9)
            self._settle(Ending.SILENCE, str(error), now_ns)

    def leave(self, now_ns: int, ending: Ending = Ending.LEFT) -> None:
        """We leave the call, or the server is stopped; the call itself may live on."""
        self._settle(ending, "", now_ns)

    def hanging_up(self, now_ns: int) -> None:
        """We have asked the switch to hang up: from now on the end is due."""
        self._signal(Signal.HANGUP, now_ns)

    def settled(self, now_ns: int) -> None:
        """Handler and hooks have ended."""
        self._signal(Signal.SETTLED, now_ns)

    def deadline_ns(self) -> int | None:
        """When `tick` is next to be called."""
        deadlines = [self._deadline_ns]
        if self.phase in _TALKING:
            deadlines.append(self._exchange.reply_deadline_ns())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    @property
    def hung_up(self) -> bool:
        return self._exchange.hung_up

    @property
    def hangup_cause(self) -> str | None:
        return self._exchange.hangup_cause

    @property
    def is_set_up(self) -> bool:
        return self.step is Step.DONE

    # --- messages ---------------------------------------------------------------------------

    def _handle(self, message: Message, now_ns: int) -> None:
        if isinstance(message, CommandReply | ApiResponse):
            self._handle_reply(message, now_ns)
            return
        self._exchange.note(Seen(message))
        if isinstance(message, Event):
            self._handle_event(message, now_ns)
        elif isinstance(message, DisconnectNotice):
            self._shutdown |= message.is_shutdown
            self._signal(Signal.NOTICE, now_ns)
        elif isinstance(message, Rejection):
            self._settle(Ending.REJECTED, "", now_ns)
        elif isinstance(message, LogLine):
            self._put(Deliver(message))
        else:
            self._put(Remark("unexpected message", type(message).__name__))

    def _handle_event(self, event: Event, now_ns: int) -> None:
        self._exchange.observe(event)
        self._put(Deliver(event))
        name = event.name
        if name in ("CHANNEL_EXECUTE_COMPLETE", "CHANNEL_DATA") and self._is_ours(event):
            self.headers = event.headers
        signal = None if name is None else _SIGNALS.get(name)
        if signal is None or not self._is_ours(event):
            return
        self._exchange.hung_up = True
        self._exchange.hangup_cause = event.get("Hangup-Cause") or self._exchange.hangup_cause
        self._signal(signal, now_ns)

    def _is_ours(self, event: Event) -> bool:
        """Events of other legs arrive too, after `event plain ALL` for one."""
        return self.uuid is None or event.uuid == self.uuid

    def _handle_reply(self, reply: CommandReply | ApiResponse, now_ns: int) -> None:
        order = self._exchange.order_of(reply, now_ns)
        if order is None:
            return
        if order.serial == self._step_serial and isinstance(reply, CommandReply):
            self._set_up(reply, now_ns)
            return
        if isinstance(reply, ApiResponse) and reply.content.get("Event-Name") == "CHANNEL_DATA":
            dumped = reply.content
            if self.uuid is None or dumped.get("Unique-ID") == self.uuid:
                self.headers = dumped
        self._exchange.resolve(order, reply)

    def _set_up(self, reply: CommandReply, now_ns: int) -> None:
        if self.step is Step.CONNECT and not reply.is_error:
            self.headers = reply.headers
            self.uuid = reply.headers.get("Unique-ID")
        elif self.step is Step.LINGER:
            # Without `full` in the dialplan the switch never lingers: the session goes on, and its
            # end is a race that the switch may lose.
            self.lingers = not reply.is_error
            if reply.is_error:
                self._put(Remark("linger refused", reply.text))
        elif reply.is_error:
            self._settle(Ending.REFUSED, f"{self.step.value}: {reply.text}", now_ns)
            return
        self._next_step(now_ns)

    def _next_step(self, now_ns: int) -> None:
        self.step = _NEXT_STEP[self.step]
        if self.step is Step.LINGER and not self._linger:
            self.step = Step.DONE
        if self.step is Step.DONE:
            self._step_serial = 0
            if self.phase is Phase.LIVE:
                self._deadline_ns = None
                self._put(Ready())
            return
        data = commands.myevents(self._event_format)
        if self.step is Step.LINGER:
            static = self.headers.get("Socket-Mode") == "static"
            data = commands.linger(
                (self._linger_s or SYNCHRONOUS_LINGER_S) if static else self._linger_s
            )
        self._step_serial = self._exchange.command(self.step.value, data, now_ns)

    # --- the latch --------------------------------------------------------------------------

    def _signal(self, signal: Signal, now_ns: int) -> None:
        if self.phase in _TALKING:
            self._seen.add(signal)
        self.phase, action = latch.step(self.phase, signal)
        if action is Action.START_CLOCK:
            self._deadline_ns = now_ns + nanoseconds(self.limits.latch_s)
        elif action is Action.SETTLE:
            self._close_queues(Outcome(Ending.LATCHED, (), self._shutdown_detail()), now_ns)
        elif action is Action.EXIT:
            self._exit(now_ns)
        elif action is Action.CLOSE:
            assert self.outcome is not None, "only a settled session is closed"
            self._deadline_ns = None
            self._exchange.note(Shut())
            self._put(Close(self.outcome))

    def _settle(self, ending: Ending, detail: str, now_ns: int) -> None:
        """Any end but the latch's own."""
        if self.phase not in _TALKING:
            return
        if not self.is_set_up and ending in (Ending.CLOSED_EARLY, Ending.TIME_LIMIT):
            ending = Ending.NO_CALL
        signal = Signal.LEAVE if ending in (Ending.LEFT, Ending.STOPPED) else Signal.END
        self.phase, action = latch.step(self.phase, signal)
        assert action is Action.SETTLE, "a session that talks can settle"
        self._close_queues(Outcome(ending, self._missing(ending), detail), now_ns)

    def _close_queues(self, outcome: Outcome, now_ns: int) -> None:
        self.outcome = outcome
        self._deadline_ns = now_ns + nanoseconds(self.limits.hooks_s)
        self._exchange.note(Over(outcome))
        self._exchange.close(outcome.ending)
        self._put(Settle(outcome))

    def _exit(self, now_ns: int) -> None:
        if self._dead:
            self._signal(Signal.END, now_ns)
            return
        self._deadline_ns = now_ns + nanoseconds(self.limits.exit_s)
        self._exchange.write("exit", commands.line("exit"))

    def _time_is_up(self, now_ns: int) -> None:
        if self.phase is Phase.SETTLING:
            self._put(Abandon())
        elif self.phase is Phase.EXITING:
            self._signal(Signal.LIMIT, now_ns)
        elif self.phase is Phase.LIVE:
            self._dead = True
            what = f"the set-up, at {self.step.value}"
            error = NoAnswer(what, "set_up_s", self.limits.set_up_s)
            self._settle(Ending.SILENCE, str(error), now_ns)
        else:
            detail = f"latch_s={self.limits.latch_s:g} has passed"
            self._settle(Ending.TIME_LIMIT, detail, now_ns)

    def _missing(self, ending: Ending) -> tuple[str, ...]:
        if ending in _NOTHING_MISSING:
            return ()
        if not self.is_set_up:
            return (f"the reply to {self.step.value}",)
        wanted = (Signal.COMPLETE, Signal.NOTICE)
        return tuple(signal.value for signal in wanted if signal not in self._seen)

    def _how_it_closed(self) -> Ending:
        if self._shutdown:
            return Ending.SHUTDOWN
        return Ending.CLOSED_EARLY if Signal.NOTICE in self._seen else Ending.CUT

    def _shutdown_detail(self) -> str:
        return "the switch is shutting down" if self._shutdown else ""
