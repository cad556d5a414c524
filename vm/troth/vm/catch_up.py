"""Brings a new machine to where a recorded run stopped.

A run is a function of its image, its settings, its keys and what came through the doors. So the
recorded part is run again with the recorded inputs, and the recorder has to make the very same
bytes: the file is compared, not believed. Nothing is released and no effect is called meanwhile.

Where the file stops in the middle of a round the machine finishes that round, and the rest of
its bytes are written. Inputs of a round of which nothing else is in the file do not bind: they
are dropped, and their effects are asked for again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from troth.vm.codec import decode_payload
from troth.vm.errors import Place, TrothError, Unusable
from troth.vm.events import Event, Met, Refused, Troubled
from troth.vm.history import INTO_ROUND, ROUND_OF, Input, Inputs
from troth.vm.image import Image
from troth.vm.limits import RECORD_BYTES_MAX
from troth.vm.machine import EffectRequest, Machine
from troth.vm.peer_history import PeerHistory
from troth.vm.peer_input import envelope_of
from troth.vm.recorder import Recorder
from troth.vm.records import PEER_INPUTS, Kind
from troth.vm.types import Field


class Recorded(Protocol):
    """The file of the run that is brought up to date."""

    @property
    def behind(self) -> bool:
        """Whether there are records that bind and have not been reproduced."""

    @property
    def followed(self) -> bool:
        """Whether the file had something after what has been reproduced."""

    def write(self, data: bytes) -> None:
        """Compares with what is in the file, and writes what is beyond it.

        Raises:
            Unusable: codes `resume.differs`, `artifact.io`.
        """


class CatchUp:
    """Runs the recorded part again.

    Attributes:
        now_ns: the last time the machine was told.
        events: how many events there were.
        unproven: the events of the last round, if nothing proves that what they released was
            really released before the stop.
        outstanding: effects that were asked for and not answered, by id, in order.
        ended: the recorded part has reached the end of the run.
        peers: what has to be known of other machines.
    """

    def __init__(self, machine: Machine, recorder: Recorder, image: Image, inputs: Inputs) -> None:
        """The machine has started and nothing else; the recorder is its evidence."""
        self.now_ns = 0
        self.events = 0
        self.unproven: list[Event] = []
        self.outstanding: dict[bytes, EffectRequest] = {}
        self.ended = False
        self.peers = PeerHistory()
        self._machine = machine
        self._recorder = recorder
        self._image = image
        self._inputs = inputs
        self._take: Final[dict[int, Callable[[Input], None]]] = {
            Kind.TIME: self._time,
            Kind.TIMER: self._timer,
            Kind.COMPLETE: self._complete,
            Kind.CANCEL: self._cancel,
            Kind.ASK_END: self._ask_end,
            Kind.TROUBLE: self._trouble,
            Kind.INCARNATION: self._incarnation,
            Kind.END: self._end,
            **dict.fromkeys(PEER_INPUTS, self._peer),
        }

    def follow(self, file: Recorded) -> None:
        """
        Raises:
            Unusable: codes `resume.differs`, `resume.input`, `artifact.io`.
            LimitExceeded: the run took more rounds than its limits allow.
        """
        # The first coroutine stands before any round.
        self._commit(file)
        while file.behind and not self.ended:
            one = self._inputs.peek()
            if one is not None and self._is_due(one):
                one = self._inputs.take()
                self._tell_time()
                self._feed(one)
            else:
                self._round(one)
            self._commit(file)

    def _tell_time(self) -> None:
        """The time between two rounds, at which an input has made a session linger."""
        after = self._inputs.peek()
        if after is None or after.record.items[0] != Kind.TIME:
            return
        if after.record.items[2] == self._machine.rounds:
            self._feed(self._inputs.take())
            self._machine.tell_time(self.now_ns)

    def _is_due(self, one: Input) -> bool:
        """Whether it comes now, between two rounds, and not before or within the next."""
        record = one.record
        kind = record.items[0]
        return kind not in INTO_ROUND and record.items[ROUND_OF[kind]] == self._machine.rounds

    def _round(self, one: Input | None) -> None:
        number = self._machine.rounds + 1
        while one is not None and one.record.items[0] in INTO_ROUND:
            if one.record.items[ROUND_OF[one.record.items[0]]] != number:
                break
            self._feed(self._inputs.take())
            one = self._inputs.peek()
        if not self._machine.run_round(self.now_ns):
            raise Unusable(
                "resume.differs",
                "the record goes on where the program does nothing more",
                place=Place(record=None if one is None else one.record.index),
                expected=f"nothing of the kind in round {number}",
                advice=DIFFERS_ADVICE,
            )

    def _commit(self, file: Recorded) -> None:
        events = self._machine.poll_events()
        for request in self._machine.poll_effects():
            self.outstanding[request.effect_id] = request
        self.events += len(events)
        self.peers.take(events, self._machine.poll_meetings(), self._machine.poll_outgoing())
        file.write(self._recorder.take_bytes())
        self.unproven = [] if file.followed else events

    # --- what the host did -------------------------------------------------------------------

    def _feed(self, one: Input) -> None:
        record = one.record
        try:
            self._take[record.items[0]](one)
        except TrothError as error:
            raise Unusable(
                "resume.input",
                f"what the record says of the host cannot be: {error.message}",
                place=Place(offset=record.offset, record=record.index),
                expected=error.expected,
                actual=error.actual,
                advice=DIFFERS_ADVICE,
            ) from error

    def _time(self, one: Input) -> None:
        self.now_ns = max(self.now_ns, one.record.items[1])

    def _timer(self, one: Input) -> None:
        self.now_ns = max(self.now_ns, one.record.items[3])

    def _peer(self, one: Input) -> None:
        """What another machine said, or that it was found, or that its word was refused."""
        event, machine = one.event, self._machine
        if isinstance(event, Met):
            machine.meet(event.coroutine, event.parties)
            return
        if isinstance(event, Refused):
            taken = machine.refuse(*event[:5])
            code = "no message of another machine can arrive there"
        else:
            assert event is not None, "the record of an input says something"
            envelope = envelope_of(event)
            assert envelope is not None, "all other inputs are envelopes"
            code = machine.deliver(envelope).code
            taken = not code
        if not taken:
            raise Unusable("resume.peer", f"the machine does not take this now: {code}")

    def _complete(self, one: Input) -> None:
        _, effect_id, failed, result, _ = one.record.items
        request = self.outstanding.get(effect_id)
        if failed or request is None:
            # The machine refuses an effect that nobody waits for.
            self._machine.complete_failed(effect_id, result.decode(errors="replace"))
        else:
            field = Field("result", self._image.effects[request.effect].result)
            (value,) = decode_payload(result, (field,), bytes_max=RECORD_BYTES_MAX)
            self._machine.complete(effect_id, value)
        self.outstanding.pop(effect_id, None)

    def _cancel(self, one: Input) -> None:
        _, session, _, reason, *_ = one.record.items
        self._machine.cancel_session(self._recorder.session_id(session), reason)

    def _ask_end(self, one: Input) -> None:
        _, session, now_ns, _ = one.record.items
        self.now_ns = max(self.now_ns, now_ns)
        self._machine.end_session(self._recorder.session_id(session), now_ns)

    def _trouble(self, one: Input) -> None:
        event = one.event
        assert isinstance(event, Troubled), "the record of trouble says what it was"
        self._machine.apply_trouble(event)

    def _incarnation(self, one: Input) -> None:
        self._recorder.resumed(*one.record.items[1:])

    def _end(self, one: Input) -> None:
        self._recorder.finish(self._machine.rounds, one.record.items[3])
        self.ended = True


DIFFERS_ADVICE: Final = (
    "Resume with the keys of the run and the Troth that made it; "
    "`troth verify` says whether the record was changed"
)
