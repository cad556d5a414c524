"""Level 5's machine: made like the recorded one, and driven by the inputs in the file."""

from __future__ import annotations

from typing import Final

from troth.conformance.describe import describe
from troth.conformance.divergence import Divergence
from troth.conformance.replay_ahead import (
    RECOMPUTED,
    Ahead,
    FileEnds,
    Parted,
    RecordedSigner,
)
from troth.conformance.replay_compare import Comparison, EventSink
from troth.conformance.replay_meter import Meter, metered_decode
from troth.conformance.replay_peers import PeerInputs
from troth.conformance.world import Header, World
from troth.vm.codec import decode_payload
from troth.vm.coroutine import Coroutine
from troth.vm.errors import TrothError
from troth.vm.events import Event, Proof, Troubled
from troth.vm.evidence import Position, Sealed
from troth.vm.fragment import FragmentBuilder
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.limits import RECORD_BYTES_MAX
from troth.vm.loaded import LoadedImage
from troth.vm.machine import Machine, MachineState, Outcome
from troth.vm.peer_heads import PeerHeads
from troth.vm.reader import RawRecord
from troth.vm.record_codec import Items
from troth.vm.records import PEER_INPUTS, Kind
from troth.vm.run_coop import TurnEnd, take_turn
from troth.vm.settings import Overrides
from troth.vm.statements import DIGEST_BYTES, payload_commitment
from troth.vm.substitutes import Substitutes
from troth.vm.trouble_kind import Trouble
from troth.vm.turn import Turn
from troth.vm.types import Field

_SHORT_PAYLOAD: Final = 256
"""Bytes up to which encoding and hashing a payload is part of the instruction."""

_ROUND_WORK: Final = 16
_TURN_WORK: Final = 10
"""What a round and a turn cost besides their instructions."""


class Run:
    """The machine and what drives it."""

    def __init__(
        self,
        ahead: Ahead,
        world: World,
        header: Header,
        image: LoadedImage,
        meter: Meter,
        fragment: FragmentBuilder | None,
    ) -> None:
        self.ahead = ahead
        self.signer = RecordedSigner(ahead, world)
        self.comparison = Comparison(ahead, self.signer, world, image.image, meter)
        self.signer.number_of = self.comparison.number_of
        self.signer.protocol_of = self.comparison.protocol_of
        self._world = world
        self._image = image.image
        assert header.entry is not None, "a run of no program is not run again"
        self._entry = image.image.programs[header.entry].name if image.image.programs else None
        self._meter = meter
        self._fragment = fragment
        self._now_ns = 0
        self._machine = self._make(header, image)
        self._peers = PeerInputs(self._machine, self.comparison, world)
        meter.held = self._machine.held
        meter.value_bytes_max = world.limits.value_bytes_max

    def _make(self, header: Header, image: LoadedImage) -> Machine:
        replay, seal = header.replay, header.seal
        return Machine(
            image,
            seed=header.seed,
            signer=self.signer,
            roster=self.signer,
            limits=self._world.limits,
            quantum=header.quantum,
            policy=header.policy,
            overrides=Overrides(
                replay=None if replay is None else ReplayMode(replay),
                seal=None if seal is None else Seal(seal),
            ),
            evidence=_Recorded(),
            home=header.home,
            observed=header.observed or (),
            substitutes=Substitutes(
                verify=_holds,
                acceptable_key=_acceptable,
                included=_included,
                before_linger=self._tell_time,
                before_timer=self._tell_timer,
                commitment=self._commitment,
                execute=self._execute,
                decode=metered_decode(self._meter),
                events=EventSink(
                    self.comparison.write if self._fragment is None else self._take_event
                ),
            ),
        )

    def position(self) -> tuple[str | None, int | None]:
        """The program and the line that were being executed."""
        coroutine = self.signer.coroutine
        if coroutine is None:
            return None, None
        return coroutine.code.name, coroutine.code.line_of(coroutine.pc) or None

    def _take_event(self, event: Event) -> None:
        self.comparison.write(event)
        assert self._fragment is not None
        self._fragment.add(event)

    def _commitment(self, salt: bytes, payload: bytes) -> bytes:
        if len(payload) > _SHORT_PAYLOAD:
            self._meter.work(len(payload))
            self._meter.made(len(payload))
        # In the place of a salt that is not in the file the signer gives the commitment itself.
        return salt if len(salt) == DIGEST_BYTES else payload_commitment(salt, payload)

    def _execute(self, turn: Turn, coroutine: Coroutine, quantum: int) -> TurnEnd:
        """One turn, in which the next records are this coroutine's."""
        self.signer.coroutine = coroutine
        self.ahead.answered = 0
        before = coroutine.spent
        end = take_turn(turn, coroutine, quantum)
        self._meter.work(_TURN_WORK + coroutine.spent - before)
        return end

    def _tell_time(self) -> None:
        """A session starts to linger: if the time has to be known, it is recorded next."""
        record = self.ahead.peek()
        if record is None or record.items[0] != Kind.TIME:
            return
        if record.items[2] == self._machine.rounds + self._machine.in_round:
            self._now_ns = record.items[1]
            self._machine.tell_time(self._now_ns)

    def _tell_timer(self) -> None:
        """A clock is started: the record that says so is next, and says when."""
        record = self.ahead.peek()
        if record is None or record.items[0] != Kind.TIMER:
            return
        if record.items[4] == self._machine.rounds + 1:
            self._now_ns = max(self._now_ns, record.items[3])
            self._machine.tell_time(self._now_ns)

    # --- from round to round -------------------------------------------------------------------

    def to_the_end(self) -> None:
        """
        Raises:
            Divergence, FileEnds, Refuted, Unreadable.
        """
        try:
            self._machine.start(self._entry)
        except TrothError as error:
            raise self._differs(f"the program cannot start: {error.message}") from error
        while not self._step():
            pass

    def _step(self) -> bool:
        """What comes next between two rounds, or the next round; True at the end of the file."""
        record = self.ahead.peek()
        if record is None:
            raise FileEnds
        items = record.items
        kind, rounds = items[0], self._machine.rounds
        self.signer.coroutine = None
        if kind == Kind.SEAL and items[5] == rounds:
            self.comparison.next_record()
        elif kind == Kind.INCARNATION and items[2] == rounds:
            # The host went on here after it had stopped; the program cannot tell.
            self.comparison.next_record()
        elif kind == Kind.CANCEL and items[4] == rounds:
            self._cancel(record)
        elif kind == Kind.ASK_END and items[3] == rounds:
            self._ask_end(record)
        elif kind == Kind.TROUBLE and items[6] == rounds:
            self._trouble(record)
        elif kind in PEER_INPUTS and items[-1] == rounds:
            self._peers.feed(record)
        elif kind == Kind.PEER and (after := self._after_peer()) is not None:
            self._peers.feed(after)
        elif kind == Kind.END and items[1] == rounds:
            self._end(items)
            return True
        else:
            self._round(record)
        return False

    def _after_peer(self) -> RawRecord | None:
        """What introduces a principal of another machine between two rounds: a delegation."""
        record = self.ahead.peek(1)
        if record is None:
            raise FileEnds
        if record.items[0] != Kind.PEER_DELEGATE:
            return None
        return record if record.items[-1] == self._machine.rounds else None

    def _round(self, record: RawRecord) -> None:
        machine = self._machine
        number = machine.rounds + 1
        answers = 0
        next_record: RawRecord | None = record
        if record.items[0] == Kind.TIME and record.items[2] == number:
            self._now_ns = record.items[1]
            answers = 1
            next_record = self.ahead.peek(answers)
        while next_record is not None and next_record.items[0] == Kind.COMPLETE:
            if next_record.items[4] != number:
                break
            self._complete(next_record)
            answers += 1
            next_record = self.ahead.peek(answers)
        self._meter.work(_ROUND_WORK)
        try:
            ran = machine.run_round(self._now_ns)
        except TrothError as error:
            raise self._differs(f"the program does not go on: {error.message}") from error
        if not ran:
            raise self._differs(f"the program does nothing more: it is {machine.state.value}")
        # Nobody calls the effects that were asked for: their results are in the file. What was
        # to be told to other machines, they have been told.
        machine.poll_effects()
        machine.forget_outgoing()

    def _complete(self, record: RawRecord) -> None:
        """Feeds in an effect's result."""
        _, effect_id, failed, result, _ = record.items
        effect = self.comparison.effects.pop(effect_id, None)
        if effect is None:
            raise self._differs("the program waits for no such effect", record)
        if failed:
            self._machine.complete_failed(effect_id, result.decode(errors="replace"))
            return
        field = Field("result", self._image.effects[effect].result)
        try:
            (value,) = decode_payload(result, (field,), bytes_max=RECORD_BYTES_MAX)
        except TrothError as error:
            message = f"the effect returns no {field.type}: {error.message}"
            raise self._differs(message, record) from error
        self._machine.complete(effect_id, value)

    def _cancel(self, record: RawRecord) -> None:
        """The host ends a session."""
        session = self.comparison.sessions.get(record.items[1])
        if session is None:
            raise self._differs("the program has no such session")
        try:
            self._machine.cancel_session(session[0], record.items[3])
        except TrothError as error:
            raise self._differs(f"the host cannot cancel this: {error.message}") from error

    def _ask_end(self, record: RawRecord) -> None:
        """The host asks for a session's end."""
        _, number, now_ns, _ = record.items
        session = self.comparison.sessions.get(number)
        if session is None:
            raise self._differs("the program has no such session")
        self._now_ns = max(self._now_ns, now_ns)
        try:
            self._machine.end_session(session[0], now_ns)
        except TrothError as error:
            raise self._differs(f"the host cannot ask for this: {error.message}") from error

    def _trouble(self, record: RawRecord) -> None:
        """The host says that trouble came."""
        _, number, trouble, role, peer, until_ns, rounds = record.items
        session = self.comparison.sessions.get(number)
        if session is None:
            raise self._differs("the program has no such session")
        roles = self._world.protocols[session[1]].roles
        names = roles[role], "" if peer is None else roles[peer]
        try:
            self._machine.apply_trouble(
                Troubled(session[0], Trouble(trouble), *names, until_ns, rounds)
            )
        except TrothError as error:
            raise self._differs(f"this cannot happen here: {error.message}") from error

    def _end(self, items: Items) -> None:
        machine = self._machine
        self.comparison.next_record()
        outcome = machine.outcome()
        if machine.state is MachineState.READY or (items[3] == Outcome.OK) != (
            outcome is Outcome.OK
        ):
            raise Divergence(
                "replay.divergence",
                "the run does not end like this",
                expected=f"a run that is {outcome.value} after {machine.rounds} rounds",
                expected_side=RECOMPUTED,
                actual=f"the end after {items[1]} rounds: {items[3]}",
            )
        while (record := self.ahead.peek()) is not None:
            if record.items[5] != machine.rounds:
                raise self._differs("the run is over after another number of rounds")
            self.comparison.next_record()

    def _differs(self, message: str, record: RawRecord | None = None) -> Parted:
        """The file goes on, with `record` or the next one, and the program does not."""
        record = record or self.ahead.peek()
        if record is None:
            raise FileEnds
        expected = f"nothing of the kind in round {self._machine.rounds + 1}"
        return Parted(record, message, expected, describe(record, self.comparison.view()))


class _Recorded:
    """Every event is compared when it happens, so nothing is left for the end of a round."""

    def extend(self, events: object, round_number: int) -> None:
        raise AssertionError(f"events were kept until round {round_number}: {events}")

    def proofs(self) -> dict[Position, Sealed]:
        return {}


def _holds(principal: bytes, statement: bytes, signature: bytes) -> bool:  # noqa: ARG001
    """Level 2 has checked the signature of every statement in the file."""
    return True


def _included(heads: PeerHeads, principal: bytes, proof: Proof, statement: bytes) -> bool:  # noqa: ARG001
    """Level 2 has checked the place of every message that arrived."""
    return True


def _acceptable(public_key: bytes) -> bool:  # noqa: ARG001
    """Level 2 has checked every key."""
    return True
