"""Rounds: who runs when, and when the effects of a turn become real.

A round takes a batch of the ready queue (`scheduling`) and gives each coroutine in it one turn;
what becomes ready meanwhile waits for the next. A turn's machine-wide effects are committed in
queue order. The cooperative runner here commits each turn before it executes the next; the
threaded runner executes all turns, lane by lane (`run_lanes`), and commits them then. A turn
cannot tell, because nothing that is committed can be seen by another turn of the same round: the
coroutines that ended in a round are known until all its turns have run.

Two limits count over the whole machine, coroutines and sessions. Each turn gets an equal share
of what is left, and a turn that would need more stops before that instruction; it is executed
after all turns of the round are committed, when the count is exact.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from troth.vm import step_end, step_timer
from troth.vm.codec import encode_payload
from troth.vm.coroutine import FIRST_PARENT, Blocked, Completion, Coroutine, CoroutineStatus
from troth.vm.deliver import Delivery, Door
from troth.vm.envelope import Envelope, Outgoing
from troth.vm.errors import Fault, LimitExceeded, TrothError
from troth.vm.events import Cancelled, Completed, EndAsked, Event, Met, Spawned, TimeSet
from troth.vm.evidence import Evidence
from troth.vm.lifecycle import LIVE, LifeEvent
from troth.vm.outbox import proved
from troth.vm.pauses import Pauses
from troth.vm.peer_heads import PeerHeads
from troth.vm.run_coop import TurnEnd
from troth.vm.run_lanes import Allowance, LaneRunner
from troth.vm.scheduling import Scheduling
from troth.vm.session import Cell, Edge, Session
from troth.vm.store import SessionStore
from troth.vm.timer import Timer
from troth.vm.turn import Context, EffectRequest, Meeting, Turn

FAULTS_LISTED_MAX: Final = 64
STALE_TIMERS_MAX: Final = 64
"""So many may be left from ended sessions, or as many as there are sessions."""

_STATUS_READY: Final = CoroutineStatus.READY

FAILURE_CHARACTERS_MAX: Final = 2000
"""What a host function says about its failure goes into the evidence."""


class Answer(NamedTuple):
    """A completed effect that waits for the next round."""

    effect_id: bytes
    coroutine: Coroutine
    completion: Completion
    recorded: bytes


class Scheduler:
    """The machine-wide state. Only commits and the start of a round change it.

    Attributes:
        rounds: rounds that have run; the one in progress, `in_round`, has the number `rounds + 1`.
        evidence: what records and seals each round, if anything does.
        recorded: how many of `events` it has got.
        awaiting_seal: edges with messages that nobody may receive before the round is sealed.
        outgoing: what other machines are to be told and nobody has polled.
        meetings: sessions that wait for their other machines, by coroutine; `asked` are those
            that nobody has polled.
        peers: how many live sessions each principal of another machine has a role in.
        now_ns: the last time that was recorded, 0 before any.
        timers: when linger clocks run out; `choices` when the clocks of timed choices do.
        overdue: clocks of timed choices that have run out; they interrupt what can be interrupted.
        abandoned: effects that somebody waited for whose time is over.
        pauses: who is timed out.
        births: how many coroutines there have been.
        lanes: executes the turns of a round side by side; None for one after the other.
        faults: the first faults of the run, `fault_count` counts all.
    """

    __slots__ = (
        "abandoned",
        "answers",
        "asked",
        "awaiting_seal",
        "births",
        "choices",
        "context",
        "coroutines",
        "effects",
        "events",
        "evidence",
        "fault_count",
        "faults",
        "heads",
        "in_round",
        "lanes",
        "meetings",
        "now_ns",
        "outgoing",
        "overdue",
        "pauses",
        "peers",
        "quantum",
        "ready",
        "recorded",
        "requests",
        "round_now_ns",
        "rounds",
        "scheduling",
        "sessions",
        "timer_count",
        "timers",
        "turn",
    )

    def __init__(
        self,
        context: Context,
        coroutines: dict[bytes, Coroutine],
        quantum: int,
        evidence: Evidence | None,
        scheduling: Scheduling,
        lanes: LaneRunner | None,
    ) -> None:
        """`coroutines` is the dict that `context` shows to turns."""
        self.evidence = evidence
        self.recorded = 0
        self.awaiting_seal: list[Edge] = []
        self.context = context
        self.coroutines = coroutines
        self.quantum = quantum
        self.scheduling = scheduling
        self.lanes = lanes
        self.births = 0
        self.ready: list[Coroutine] = []
        self.sessions = SessionStore()
        self.timers: list[tuple[int, int, Session]] = []
        self.choices: list[tuple[int, int, Timer]] = []
        self.overdue: list[Timer] = []
        self.abandoned: dict[bytes, None] = {}
        self.pauses = Pauses()
        self.timer_count = 0
        self.rounds = 0
        self.in_round = False
        self.now_ns = 0
        self.round_now_ns = 0
        events = context.substitutes.events
        self.events: list[Event] = [] if events is None else events
        self.requests: list[EffectRequest] = []
        self.effects: dict[bytes, Coroutine] = {}
        self.answers: list[Answer] = []
        self.faults: list[Fault] = []
        self.fault_count = 0
        self.turn = Turn(context)
        self.outgoing: list[Outgoing] = []
        self.meetings: dict[bytes, Meeting] = {}
        self.asked: list[Meeting] = []
        self.peers: dict[bytes, int] = {}
        self.heads = PeerHeads()

    # --- the doors -------------------------------------------------------------------------

    def start(self, first: Coroutine) -> None:
        self._bear(first)
        self.events.append(Spawned(first.id, FIRST_PARENT, first.code.index))
        self.ready.append(first)

    def _bear(self, coroutine: Coroutine) -> None:
        coroutine.birth = self.births
        self.births += 1
        self.coroutines[coroutine.id] = coroutine

    def answer(self, effect_id: bytes, completion: Completion) -> None:
        """Takes the result of an outstanding effect; the next round delivers it."""
        coroutine = self.effects.pop(effect_id)
        self.answers.append(Answer(effect_id, coroutine, *self._recordable(completion)))

    def _recordable(self, completion: Completion) -> tuple[Completion, bytes]:
        """The bytes that the evidence keeps. What cannot be recorded is a failure instead."""
        limit = self.context.limits.value_bytes_max
        if completion.failure is None:
            try:
                recorded = encode_payload((completion.value,))  # type: ignore[arg-type]
            except TrothError as error:
                reason = f"the host returned {error.actual or 'something else'}, not a value"
                return self._recordable(Completion(reason, None))
            if len(recorded) <= limit:
                return completion, recorded
            reason = f"the host returned more than value_bytes_max = {limit} bytes"
            return self._recordable(Completion(reason, None))
        text = completion.failure[:FAILURE_CHARACTERS_MAX].encode(errors="replace")
        return Completion(text.decode(), None), text

    def cancel(self, session: Session, reason: str) -> None:
        """The host ends a session."""
        turn = self.turn
        turn.events.append(Cancelled(session.id, "", reason, self.rounds, b"", b""))
        step_end.end_session(turn, session, LifeEvent.CANCEL, reason)
        self._commit(turn)
        # Not when somebody polls: where the seals of a record are must not depend on that.
        self.record()

    def settle(self) -> None:
        """What was done between two rounds counts, and is recorded."""
        self._commit(self.turn)
        self.record()

    def ask_end(self, session: Session, now_ns: int) -> None:
        """The host asks for a session's end; nothing is done where its linger clock runs."""
        if session.linger_deadline_ns is not None:
            return
        self.tell_time(now_ns)
        self.now_ns = self.round_now_ns
        turn = self.turn
        turn.events.append(EndAsked(session.id, self.now_ns, self.rounds))
        step_end.ask_end(turn, session)
        self._commit(turn)
        self.record()

    def deliver(self, envelope: Envelope) -> Delivery:
        """Takes what another machine says, between two rounds."""
        turn = self.turn
        door = Door(turn, self.sessions.live, self.peers, self.heads, self.rounds)
        delivery = door.deliver(envelope)
        self._commit(turn)
        # At once, so that the place of seals does not depend on how much comes together.
        self.record()
        return delivery

    def refuse(self, session: bytes, sender: str, receiver: str, code: str, digest: bytes) -> bool:
        """A message of another machine was refused, says a record; False for no such edge."""
        found = self.sessions.live.get(session)
        edge = None if found is None else found.endpoints[sender].outgoing.get(receiver)
        if edge is None or not edge.inbound:
            return False
        door = Door(self.turn, self.sessions.live, self.peers, self.heads, self.rounds)
        door.refuse(edge, code, digest)
        self._commit(self.turn)
        self.record()
        return True

    def meet(self, meeting: Meeting, parties: tuple[tuple[str, bytes, bytes], ...]) -> None:
        """The other machines of a session that is being opened; none when nobody came."""
        del self.meetings[meeting.coroutine]
        coroutine = self.coroutines[meeting.coroutine]
        self.events.append(Met(coroutine.id, parties, self.rounds))
        coroutine.parties = parties
        self.make_ready(coroutine)
        self.record()

    def poll_outgoing(self) -> list[Outgoing]:
        """What is to be told since the last call, in order; the evidence has it already."""
        self.record()
        outgoing, self.outgoing = self.outgoing, []
        if self.evidence is None or not outgoing:
            return outgoing
        return list(proved(outgoing, self.evidence.proofs()))

    @property
    def awaits_peers(self) -> bool:
        """Whether another machine can still make something happen here."""
        return bool(self.meetings or self.peers)

    @property
    def awaits_host(self) -> bool:
        """Whether a coroutine that the host drives waits for what it is to do."""
        # There is at most one, and no other beside it.
        return len(self.coroutines) == 1 and any(
            coroutine.blocked is Blocked.HOST for coroutine in self.coroutines.values()
        )

    def held(self) -> Iterator[Cell]:
        for coroutine in self.coroutines.values():
            yield from coroutine.registers
            if coroutine.speculation is not None:
                yield from coroutine.speculation.held()
        for session in self.sessions.live.values():
            for edge in session.edges:
                for envelope in edge.buffer.messages:
                    yield envelope.payload

    def next_deadline_ns(self) -> int | None:
        """When the next clock runs out; now, when one has that can interrupt a coroutine."""
        timers = self.timers
        while timers and timers[0][2].status not in LIVE:
            heapq.heappop(timers)
        linger_ns = timers[0][0] if timers else None
        choice_ns = self.next_choice_ns() if self.choices or self.overdue else None
        known = linger_ns, choice_ns, self.pauses.deadline_ns()
        return min((ns for ns in known if ns is not None), default=None)

    def next_choice_ns(self) -> int | None:
        """When the clock of a timed choice runs out; now, when one has and can interrupt."""
        if self.overdue:
            self.overdue = [timer for timer in self.overdue if not timer.void]
            if any(timer.may_interrupt for timer in self.overdue):
                return self.now_ns
        choices = self.choices
        while choices and choices[0][2].void:
            heapq.heappop(choices)
        return choices[0][0] if choices else None

    # --- rounds ----------------------------------------------------------------------------

    def run_round(self, now_ns: int) -> bool:
        """Runs one round, unless there is nothing to do in it.

        Raises:
            LimitExceeded: code `limit.rounds`; nothing has changed.
        """
        deadline_ns = None
        if self.timers or self.choices or self.overdue or self.pauses:
            deadline_ns = self.next_deadline_ns()
            self.ready = self.pauses.hold(self.ready)
        due = deadline_ns is not None and now_ns >= deadline_ns
        if not (self.ready or self.answers or due):
            return False
        if self.rounds >= self.context.limits.rounds_max:
            raise _too_many_rounds(self.context.limits.rounds_max)
        self.in_round = True
        self.context.clock.round_number = self.rounds + 1
        self.tell_time(now_ns)
        if deadline_ns is not None:
            self._record_time()
        withheld = self._run_out() if due and (self.choices or self.overdue) else ()
        if self.answers:
            self._deliver_answers()
        if due:
            self._expire(withheld)
        if self.pauses:
            self.ready = self.pauses.hold(self.ready)
        self._run_batch()
        self.in_round = False
        self.rounds += 1
        if self.evidence is not None:
            self.record()
            self._release_sealed()
        return True

    def record(self) -> None:
        """Gives the evidence what it has not got: from then on it is written and sealed."""
        if self.evidence is not None and self.recorded < len(self.events):
            self.evidence.extend(self.events[self.recorded :], self.rounds)
            self.recorded = len(self.events)

    def _release_sealed(self) -> None:
        """The round's heads are signed: its messages can be received in the next."""
        for edge in self.awaiting_seal:
            edge.seal()
            if edge.waiting_receiver is not None:
                self.make_ready(edge.waiting_receiver)
                edge.waiting_receiver = None
        self.awaiting_seal.clear()

    def tell_time(self, now_ns: int) -> None:
        """Time does not go back."""
        self.round_now_ns = max(now_ns, self.now_ns)
        self.context.clock.now_ns = self.round_now_ns

    def _record_time(self) -> None:
        if self.round_now_ns != self.now_ns:
            self.now_ns = self.round_now_ns
            self.events.append(TimeSet(self.now_ns, self.rounds + self.in_round))

    def _deliver_answers(self) -> None:
        for effect_id, coroutine, completion, recorded in self.answers:
            failed = completion.failure is not None
            self.events.append(Completed(effect_id, failed, recorded, self.rounds + 1))
            coroutine.completion = completion
            self.make_ready(coroutine)
        self.answers = []

    def make_ready(self, coroutine: Coroutine) -> None:
        coroutine.blocked = None
        coroutine.blocked_edge = None
        coroutine.status = CoroutineStatus.READY
        self.ready.append(coroutine)

    def _expire(self, withheld: Sequence[Answer]) -> None:
        """Closes the sessions whose linger time is over, and ends waits that took too long.

        With such a session the clocks in it mean nothing any more: then what came too late for
        one of them is `withheld` until the next round only.
        """
        turn, timers = self.turn, self.timers
        while timers and timers[0][0] <= self.round_now_ns:
            session = heapq.heappop(timers)[2]
            if session.status in LIVE:
                step_end.expire(turn, session)
        self._commit(turn)
        interrupted = self._interrupt() if self.overdue else ()
        self.answers = [answer for answer in withheld if answer.coroutine not in interrupted]
        if self.pauses:
            self.ready += self.pauses.end(self.round_now_ns)

    def _run_out(self) -> Sequence[Answer]:
        """Clocks of timed choices run out. An effect that ends in the same round is too late.

        Returns what came of such effects.
        """
        choices = self.choices
        while choices and choices[0][0] <= self.round_now_ns:
            timer = heapq.heappop(choices)[2]
            if not timer.void:
                self.overdue.append(timer)
        if not (self.answers and self.overdue):
            return ()
        late = {timer.coroutine for timer in self.overdue if timer.may_interrupt}
        withheld = [answer for answer in self.answers if answer.coroutine in late]
        self.answers = [answer for answer in self.answers if answer.coroutine not in late]
        return withheld

    def _interrupt(self) -> Collection[Coroutine]:
        """Returns those that wait no longer."""
        turn, left = self.turn, []
        interrupted: list[Coroutine] = []
        for timer in self.overdue:
            if timer.void:
                continue
            if not timer.may_interrupt:
                left.append(timer)
                continue
            abandoned = step_timer.expire(turn, timer)
            if abandoned is not None and self.effects.pop(abandoned, None) is not None:
                self.abandoned[abandoned] = None
            interrupted.append(timer.coroutine)
            self._commit(turn)
        self.overdue = left
        return interrupted

    def _run_batch(self) -> None:
        if not self.ready:
            return
        batch, self.ready = self.scheduling.take(self.ready)
        limits = self.context.limits
        allowance = Allowance(
            self.quantum,
            (limits.coroutines_max - len(self.coroutines)) // len(batch),
            (limits.sessions_max - len(self.sessions.live)) // len(batch),
        )
        ended = []
        deferred = []
        for coroutine, (turn, end) in zip(batch, self._turns(batch, allowance), strict=True):
            self._commit(turn)
            if end is TurnEnd.READY:
                self.ready.append(coroutine)
            elif end is TurnEnd.ENDED:
                ended.append(coroutine)
            elif end is TurnEnd.DEFERRED:
                deferred.append(coroutine)
        for coroutine in ended:
            del self.coroutines[coroutine.id]
        if deferred:
            self._run_deferred(deferred)

    def _turns(
        self, batch: list[Coroutine], allowance: Allowance
    ) -> Iterable[tuple[Turn, TurnEnd]]:
        """The turns of a round in queue order; each is committed before the next is taken."""
        if self.lanes is not None:
            return self.lanes.execute(batch, allowance)
        return self._one_by_one(batch, allowance)

    def _one_by_one(
        self, batch: list[Coroutine], allowance: Allowance
    ) -> Iterator[tuple[Turn, TurnEnd]]:
        turn = self.turn
        execute = self.context.substitutes.execute
        quantum, coroutines, sessions = allowance
        for coroutine in batch:
            turn.coroutines_left = coroutines
            turn.sessions_left = sessions
            yield turn, execute(turn, coroutine, quantum)

    def _run_deferred(self, deferred: list[Coroutine]) -> None:
        """One instruction each, with the exact headroom."""
        limits = self.context.limits
        turn = self.turn
        turn.exact = True
        for coroutine in deferred:
            turn.coroutines_left = limits.coroutines_max - len(self.coroutines)
            turn.sessions_left = limits.sessions_max - len(self.sessions.live)
            end = self.context.substitutes.execute(turn, coroutine, 1)
            self._commit(turn)
            if end is TurnEnd.READY:
                self.ready.append(coroutine)
            else:
                assert end is TurnEnd.ENDED, "open and spawn go on, or fault"
                del self.coroutines[coroutine.id]
        turn.exact = False

    def _commit(self, turn: Turn) -> None:
        """Makes a turn's machine-wide effects real, and empties it for the next."""
        if turn.events:
            self.events += turn.events
            turn.events.clear()
        if turn.unusual:
            self._commit_unusual(turn)
        if turn.awaiting_seal:
            self.awaiting_seal += turn.awaiting_seal
            turn.awaiting_seal.clear()
        if turn.woken:
            for coroutine in turn.woken:
                coroutine.status = _STATUS_READY
                coroutine.blocked = None
                coroutine.blocked_edge = None
            self.ready += turn.woken
            turn.woken.clear()

    def _commit_unusual(self, turn: Turn) -> None:
        turn.unusual = False
        for coroutine in turn.spawned.values():
            self._bear(coroutine)
        turn.spawned.clear()
        for coroutine in turn.left_out:
            del self.coroutines[coroutine.id]
        turn.left_out.clear()
        self._commit_sessions(turn)
        for request in turn.requests:
            self.effects[request.effect_id] = self.coroutines[request.coroutine]
        self.requests += turn.requests
        turn.requests.clear()
        self.outgoing += turn.outgoing
        turn.outgoing.clear()
        self.meetings.update((meeting.coroutine, meeting) for meeting in turn.meetings)
        self.asked += turn.meetings
        turn.meetings.clear()
        self.fault_count += len(turn.faults)
        self.faults += turn.faults[: FAULTS_LISTED_MAX - len(self.faults)]
        turn.faults.clear()

    def _commit_sessions(self, turn: Turn) -> None:
        for session in turn.opened:
            self.sessions.add(session)
            self._know_peers(session)
        for session in turn.ended:
            self.sessions.retire(session)
            self._forget_peers(session)
        for timer in turn.timers:
            # The event has said the time, so it is recorded.
            self.now_ns = self.round_now_ns
            self._start_choice(timer)
        turn.timers.clear()
        for session in turn.lingering:
            if session.status in LIVE and session.linger_deadline_ns is None:
                if self.context.substitutes.before_linger is not None:
                    self.context.substitutes.before_linger()
                self._record_time()
                deadline_ns = self.now_ns + session.descriptor.linger_ns
                for one in session.together:
                    one.linger_deadline_ns = deadline_ns
                self._set_timer(deadline_ns, session)
        turn.opened.clear()
        turn.ended.clear()
        turn.lingering.clear()

    def _set_timer(self, deadline_ns: int, session: Session) -> None:
        """Timers of sessions that have ended go with time, or once they outnumber the others."""
        heapq.heappush(self.timers, (deadline_ns, self.timer_count, session))
        self.timer_count += 1
        if len(self.timers) > max(STALE_TIMERS_MAX, 2 * len(self.sessions.live)):
            self.timers = [timer for timer in self.timers if timer[2].status in LIVE]
            heapq.heapify(self.timers)

    def _start_choice(self, timer: Timer) -> None:
        """A coroutine has one clock at most, so those that mean nothing any more are known."""
        heapq.heappush(self.choices, (timer.deadline_ns, self.timer_count, timer))
        self.timer_count += 1
        if len(self.choices) > max(STALE_TIMERS_MAX, 2 * len(self.coroutines)):
            self.choices = [choice for choice in self.choices if not choice[2].void]
            heapq.heapify(self.choices)

    def _know_peers(self, session: Session) -> None:
        for role in session.peers:
            principal = session.endpoints[role].signer
            self.peers[principal] = self.peers.get(principal, 0) + 1

    def _forget_peers(self, session: Session) -> None:
        for role in session.peers:
            principal = session.endpoints[role].signer
            self.peers[principal] -= 1
            if not self.peers[principal]:
                del self.peers[principal]
                self.heads.forget(principal)


def _too_many_rounds(rounds_max: int) -> LimitExceeded:
    return LimitExceeded(
        "limit.rounds",
        "the run did not end",
        expected=f"at most rounds_max = {rounds_max} rounds",
        actual="one more",
        advice="Look for a loop that never blocks, or raise the limit",
    )
