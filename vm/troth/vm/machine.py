"""The session VM: sans-IO, deterministic, driven through its doors.

A machine opens no socket, reads no clock, draws no randomness and starts no thread. What the
program does not determine comes in through `complete` and through the time given to
`run_round`; keys stay behind the signer. So a run is a function of the image, the seed, the
limits, the quantum and what came through the doors.

    machine = Machine(loaded, seed=seed, signer=keys, roster=keys)
    machine.start()
    while machine.run_round(now_ns): ...
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from enum import Enum
from typing import Final

from troth.vm import snapshot, statements, trouble
from troth.vm.coroutine import FIRST_PARENT, Completion, Coroutine
from troth.vm.deliver import Delivery
from troth.vm.envelope import Envelope, Outgoing
from troth.vm.errors import Unusable
from troth.vm.events import Event, Troubled
from troth.vm.evidence import Evidence
from troth.vm.guards import make_guards
from troth.vm.hosted import Player, hosted_code
from troth.vm.lifecycle import LIVE
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.loaded import LoadedImage
from troth.vm.report import Outcome, Report, make_report
from troth.vm.run_lanes import LaneRunner, Workers
from troth.vm.scheduler import Scheduler
from troth.vm.scheduling import COOPERATIVE, Scheduling, parse_policy
from troth.vm.session import Cell, Session
from troth.vm.settings import NO_OVERRIDES, Overrides
from troth.vm.signer import Roster, Signer
from troth.vm.statements import NONCE_BYTES, PUBLIC_KEY_BYTES
from troth.vm.step_code import ProgramCode
from troth.vm.step_decode import decode_image
from troth.vm.step_spawn import require_registers
from troth.vm.substitutes import NO_SUBSTITUTES, Substitutes
from troth.vm.timer import Clock
from troth.vm.trouble_kind import Trouble
from troth.vm.turn import Context, EffectRequest, Meeting
from troth.vm.values import RegisterValue

QUANTUM_DEFAULT: Final = 64
"""Instructions of one turn."""

POLICY_COOPERATIVE: Final = COOPERATIVE
SEED_BYTES: Final = 32

__all__ = [
    "POLICY_COOPERATIVE",
    "QUANTUM_DEFAULT",
    "SEED_BYTES",
    "EffectRequest",
    "Machine",
    "MachineState",
    "Meeting",
    "Outcome",
    "Overrides",
]


class MachineState(Enum):
    """What a machine can do next.

    READY: `run_round` has something to run. WAITING: an effect is outstanding, a deadline is
    set, another machine takes part, a partition may heal, or the host has to say what comes next.
    STUCK: coroutines wait for each other and nothing will ever wake them. FINISHED: every
    coroutine has ended and no session lingers.
    """

    READY = "ready"
    WAITING = "waiting"
    STUCK = "stuck"
    FINISHED = "finished"


class Machine:
    """One run of one image."""

    def __init__(
        self,
        loaded: LoadedImage,
        *,
        seed: bytes,
        signer: Signer,
        roster: Roster,
        limits: Limits = DEFAULT_LIMITS,
        quantum: int = QUANTUM_DEFAULT,
        policy: str | Scheduling = POLICY_COOPERATIVE,
        overrides: Overrides = NO_OVERRIDES,
        evidence: Evidence | None = None,
        substitutes: Substitutes = NO_SUBSTITUTES,
        home: Collection[str] | None = None,
        observed: Collection[str] = (),
        workers: Workers | None = None,
    ) -> None:
        """`loaded` comes from the loader, which has checked it; `seed` has 32 bytes.

        `evidence` is given the events of each round before anything they release is polled.
        Without it no session can be sealed by round. `substitutes` are for re-executions.
        `home` names the roles that this machine holds, as `Role` or `Protocol.Role`; the others
        are held by other machines. Without it all are. `observed` names the roles that are played
        outside of every machine: this one signs for what it saw them do, with the observer's key.
        `policy` is a scheduling policy or its text. `workers` execute lanes side by side; the
        signer, the roster and the substitutes must bear that. Without them turns are executed
        one after the other, with the same result.

        Raises:
            Unusable: codes `machine.seed`, `machine.quantum`, `machine.policy`.
        """
        if len(seed) != SEED_BYTES:
            raise _unusable("seed", f"{SEED_BYTES} bytes", f"{len(seed)}")
        if quantum < 1:
            raise _unusable("quantum", "at least 1", str(quantum))
        scheduling = parse_policy(policy) if isinstance(policy, str) else policy
        coroutines: dict[bytes, Coroutine] = {}
        self._context = Context(
            loaded=loaded,
            initial_states=loaded.initial_states,
            programs=(substitutes.decode or decode_image)(loaded.image),
            seed=seed,
            signer=signer,
            roster=roster,
            limits=limits,
            overrides=overrides,
            coroutines=coroutines,
            keeps_logs=evidence is not None,
            substitutes=substitutes,
            guards=make_guards(loaded.image.guards),
            clock=Clock(),
            home=None if home is None else frozenset(home),
            observed=frozenset(observed),
        )
        lanes = None if workers is None else LaneRunner(self._context, workers)
        self._scheduler = Scheduler(self._context, coroutines, quantum, evidence, scheduling, lanes)
        self._started = False

    def snapshot(self) -> bytes:
        """The whole machine, between two rounds, as canonical bytes: see `restore`.

        The evidence is not in it; one that keeps a log has to be at the same place again.

        Raises:
            Unusable: code `snapshot.played`.
        """
        return snapshot.take(self._scheduler)

    def restore(self, data: bytes) -> None:
        """Makes this machine, which has not started, the one of which `data` is a snapshot.

        It must have been made like that one, of the same image. From then on both have the same
        future. A machine that could not be restored is of no use.

        Raises:
            Unusable: codes `machine.started`, `snapshot.image`, `snapshot.terms`.
            Malformed: codes `snapshot.form`, `snapshot.damaged`, `snapshot.version`.
        """
        if self._started:
            raise Unusable(
                "machine.started", "the machine has started already", advice="Make another one"
            )
        snapshot.put(self._scheduler, snapshot.opened(data, self._context.loaded.id))
        self._started = True

    def start(self, program: str | None = None) -> None:
        """Spawns the first coroutine: `program`, or the image's entry. It takes no parameters.

        Raises:
            Unusable: codes `machine.started`, `machine.entry`.
            Fault: `vm.fault.limit`.
        """
        if self._started:
            raise Unusable(
                "machine.started", "the machine has started already", advice="Make another one"
            )
        code = self._entry(program)
        require_registers(code, self._context.limits)
        self._started = True
        identity = statements.coroutine_id(self._context.seed, FIRST_PARENT, 0)
        self._scheduler.start(Coroutine(identity, FIRST_PARENT, code))

    def play(self, name: str, registers: int) -> Player:
        """Starts a first coroutine that runs no program: what it does, the host says.

        `name` is what faults call it, and it has so many registers. A machine either starts or
        plays, once.

        Raises:
            Unusable: code `machine.started`.
            Fault: `vm.fault.limit`.
        """
        if self._started:
            raise Unusable(
                "machine.started", "the machine has started already", advice="Make another one"
            )
        code = hosted_code(name, registers)
        require_registers(code, self._context.limits)
        self._started = True
        identity = statements.coroutine_id(self._context.seed, FIRST_PARENT, 0)
        player = Player(Coroutine(identity, FIRST_PARENT, code), self._scheduler)
        self._scheduler.start(player.coroutine)
        return player

    def _entry(self, program: str | None) -> ProgramCode:
        programs = self._context.programs
        if program is None:
            entry = self._context.loaded.image.entry
            found = None if entry is None else programs[entry]
        else:
            found = next((code for code in programs if code.name == program), None)
        if found is None:
            raise Unusable(
                "machine.entry",
                "there is no program to start",
                expected=program or "a main",
                actual=", ".join(code.name for code in programs) or "no programs",
                advice="Add a main to the script, or name one of its programs",
            )
        if found.parameters:
            raise Unusable(
                "machine.entry",
                f"the program {found.name} cannot be started by itself",
                expected="a program without parameters",
                actual=", ".join(str(parameter) for parameter in found.parameters),
                advice="Start one that spawns it",
            )
        return found

    def run_round(self, now_ns: int) -> bool:
        """Runs one round at the time `now_ns`; False when there was nothing to run.

        Time only matters to sessions that linger and to timed choices, and never goes back.

        Raises:
            LimitExceeded: code `limit.rounds`; the machine has not changed.
        """
        return self._scheduler.run_round(now_ns)

    def tell_time(self, now_ns: int) -> None:
        """The time of the round in progress, for a re-execution: it learns it from the record."""
        self._scheduler.tell_time(now_ns)

    def poll_events(self) -> list[Event]:
        """What was committed since the last call, in order. The evidence has it already."""
        scheduler = self._scheduler
        scheduler.record()
        events = scheduler.events
        scheduler.events = []
        scheduler.recorded = 0
        return events

    def poll_effects(self) -> list[EffectRequest]:
        """Effects asked for since the last call. Each is to be completed once."""
        requests = self._scheduler.requests
        self._scheduler.requests = []
        return requests

    def complete(self, effect_id: bytes, value: RegisterValue) -> None:
        """The host finished an effect. A value of another type fails it, in the next round.

        Where the time was over for what the effect was asked for, its result is dropped.

        Raises:
            Unusable: code `effect.unknown`, when no such effect is outstanding.
        """
        if self._is_outstanding(effect_id):
            self._scheduler.answer(effect_id, Completion(None, value))

    def complete_failed(self, effect_id: bytes, message: str) -> None:
        """The host could not finish an effect: its coroutine faults with `vm.fault.invoke`.

        Raises:
            Unusable: code `effect.unknown`, when no such effect is outstanding.
        """
        if self._is_outstanding(effect_id):
            self._scheduler.answer(effect_id, Completion(message, None))

    def awaits(self, effect_id: bytes) -> bool:
        """Whether an effect was asked for and not completed yet."""
        return effect_id in self._scheduler.effects

    def abandoned(self) -> list[bytes]:
        """The effects that were asked for and that nobody waits for since their time was over.

        Each once: after that they need not be completed.
        """
        given_up = list(self._scheduler.abandoned)
        self._scheduler.abandoned.clear()
        return given_up

    def stranded(self, effect_id: bytes) -> bool:
        """Whether an outstanding effect's coroutine is in sessions, none of which goes on.

        It may want the result all the same, so nothing is done about it here: a host that can
        cancel the effect says so with `complete_failed`.
        """
        coroutine = self._scheduler.effects.get(effect_id)
        if coroutine is None or not coroutine.owned:
            return False
        return all(endpoint.session.status not in LIVE for endpoint in coroutine.owned)

    def _is_outstanding(self, effect_id: bytes) -> bool:
        """False for an effect that nobody waits for any longer, once."""
        if effect_id in self._scheduler.abandoned:
            del self._scheduler.abandoned[effect_id]
            return False
        if effect_id not in self._scheduler.effects:
            raise Unusable(
                "effect.unknown",
                "no such effect is outstanding",
                actual=effect_id.hex(),
                advice="Complete each effect once, with the id it was asked for with",
            )
        return True

    def cancel_session(self, session: bytes, reason: str) -> None:
        """Ends a session by the host's own decision, between two rounds.

        Raises:
            Unusable: code `session.unknown`, when there is no such live session.
        """
        self._scheduler.cancel(self._live(session), reason)

    def end_session(self, session: bytes, now_ns: int) -> int:
        """Asks a session to come to its end, between two rounds: its linger clock starts now.

        Its roles go on until they are done. When the clock runs out the session is closed all the
        same: what is undelivered is listed, and the roles that gave no notice are named. Asking
        again changes nothing. Returns the time at which the clock runs out.

        Raises:
            Unusable: code `session.unknown`, when there is no such live session.
        """
        found = self._live(session)
        self._scheduler.ask_end(found, now_ns)
        assert found.linger_deadline_ns is not None, "the clock of such a session runs"
        return found.linger_deadline_ns

    # --- trouble -------------------------------------------------------------------------------

    def crash(self, session: bytes, role: str) -> None:
        """Between two rounds: who plays the role is gone, with everything it holds.

        Its sessions end with `vm.fault.crash`, as with a fault of its own, but for those in which
        another role can still come to what its type says of the crash: these go on without it.

        Raises:
            Unusable: codes `session.unknown`, `trouble.role`.
        """
        trouble.crash(self._scheduler, self._live(session), role)

    def partition(self, session: bytes, role: str, peer: str) -> None:
        """Between two rounds: nothing passes between two roles any more, until it heals.

        What is in their buffers stays there, and so does what they send.

        Raises:
            Unusable: codes `session.unknown`, `trouble.edge`, `trouble.elsewhere`,
                `trouble.parted`, `trouble.speculation`.
        """
        trouble.partition(self._scheduler, self._live(session), role, peer)

    def heal(self, session: bytes, role: str, peer: str) -> None:
        """Between two rounds: what two roles say reaches the other again.

        Raises:
            Unusable: codes `session.unknown`, `trouble.edge`, `trouble.elsewhere`,
                `trouble.whole`.
        """
        trouble.heal(self._scheduler, self._live(session), role, peer)

    def corrupt(self, session: bytes, sender: str, receiver: str) -> None:
        """Between two rounds: the oldest message in flight is changed, after it was signed.

        Its receiver finds out, as it does for every message.

        Raises:
            Unusable: codes `session.unknown`, `trouble.edge`, `trouble.elsewhere`,
                `trouble.nothing`, `trouble.corrupt`, `trouble.speculation`.
        """
        trouble.corrupt(self._scheduler, self._live(session), sender, receiver)

    def time_out(self, session: bytes, role: str, until_ns: int) -> None:
        """Between two rounds: who plays the role gets no turn before `until_ns`.

        Raises:
            Unusable: codes `session.unknown`, `trouble.role`, `trouble.time`.
        """
        trouble.time_out(self._scheduler, self._live(session), role, until_ns)

    def apply_trouble(self, event: Troubled) -> None:
        """The trouble that a record tells of.

        Raises:
            Unusable: as the method for it.
        """
        match event.trouble:
            case Trouble.CRASH:
                self.crash(event.session, event.role)
            case Trouble.PARTITION:
                self.partition(event.session, event.role, event.peer)
            case Trouble.HEAL:
                self.heal(event.session, event.role, event.peer)
            case Trouble.CORRUPT:
                self.corrupt(event.session, event.role, event.peer)
            case Trouble.TIMEOUT:
                self.time_out(event.session, event.role, event.until_ns or 0)

    @property
    def awaits_heal(self) -> bool:
        """Whether a partition keeps a coroutine from going on."""
        return self._scheduler.sessions.held_up

    def _live(self, session: bytes) -> Session:
        found = self._scheduler.sessions.live.get(session)
        if found is None:
            raise Unusable(
                "session.unknown", "there is no such session going on", actual=session.hex()
            )
        return found

    # --- other machines ------------------------------------------------------------------------

    def poll_meetings(self) -> list[Meeting]:
        """Sessions to be opened with other machines, since the last call."""
        asked = self._scheduler.asked
        self._scheduler.asked = []
        return asked

    def meet(self, coroutine: bytes, parties: Sequence[tuple[str, bytes, bytes]]) -> None:
        """The host has found the other machines of the session that a coroutine opens.

        `parties` are (role, 32-byte public key, 16-byte nonce) for each role that
        `Meeting.elsewhere` names, in that order. Without any the open faults: nobody came.

        Raises:
            Unusable: code `meeting.unknown` or `meeting.parties`.
        """
        meeting = self._scheduler.meetings.get(coroutine)
        if meeting is None:
            raise Unusable(
                "meeting.unknown",
                "no coroutine waits for such a meeting",
                actual=coroutine.hex(),
                advice="Answer each meeting once, with the coroutine that asked for it",
            )
        if parties and not _fit(parties, meeting.elsewhere):
            raise Unusable(
                "meeting.parties",
                "these are not the parties of the meeting",
                expected=f"a key and a nonce for {', '.join(meeting.elsewhere)}",
                actual=", ".join(str(role) for role, _, _ in parties),
                advice="Give each role that another machine holds, in the order of the meeting",
            )
        self._scheduler.meet(meeting, tuple(parties))

    def deliver(self, envelope: Envelope) -> Delivery:
        """Takes what another machine says, between two rounds. Safe for anything that decodes.

        What is refused is recorded, where it concerns a message of a live session, and changes
        nothing else.
        """
        return self._scheduler.deliver(envelope)

    def refuse(self, session: bytes, sender: str, receiver: str, code: str, digest: bytes) -> bool:
        """For a re-execution: the record says that a message was refused when it arrived.

        False when no message can arrive there.
        """
        return self._scheduler.refuse(session, sender, receiver, code, digest)

    def poll_outgoing(self) -> list[Outgoing]:
        """What other machines are to be told since the last call, in order.

        The evidence has it already; let nothing leave before the record is written.
        """
        return self._scheduler.poll_outgoing()

    def forget_outgoing(self) -> None:
        """Drops what would leave: in a re-execution it has left long ago."""
        self._scheduler.outgoing.clear()
        self._scheduler.asked.clear()

    def held(self) -> Iterator[Cell]:
        """Every register of every coroutine and every payload in flight, as they are now."""
        return self._scheduler.held()

    def deadline_ns(self) -> int | None:
        """The time at which a round will have something to do although nothing is ready."""
        return self._scheduler.next_deadline_ns()

    def choice_deadline_ns(self) -> int | None:
        """When the next clock of a timed choice runs out; None when no such clock runs.

        A host lets it run by its own clock, also while it awaits effects.
        """
        return self._scheduler.next_choice_ns()

    @property
    def in_round(self) -> bool:
        """Whether a round is in progress."""
        return self._scheduler.in_round

    @property
    def rounds(self) -> int:
        """Rounds that have run."""
        return self._scheduler.rounds

    @property
    def state(self) -> MachineState:
        scheduler = self._scheduler
        if scheduler.ready or scheduler.answers:
            return MachineState.READY
        if scheduler.effects or scheduler.next_deadline_ns() is not None:
            return MachineState.WAITING
        if scheduler.awaits_peers or scheduler.awaits_host or self.awaits_heal:
            return MachineState.WAITING
        return MachineState.STUCK if scheduler.coroutines else MachineState.FINISHED

    def report(self) -> Report:
        """Who holds what, who waits for whom, what faulted."""
        return make_report(self._scheduler, self.outcome())

    def outcome(self) -> Outcome:
        """How the run ended, or that it has not."""
        state = self.state
        if state in (MachineState.READY, MachineState.WAITING):
            return Outcome.RUNNING
        if state is MachineState.STUCK:
            return Outcome.STUCK
        clean = self._scheduler.fault_count == 0 and self._scheduler.sessions.all_closed
        return Outcome.OK if clean else Outcome.FAILED


def _fit(parties: Sequence[tuple[str, bytes, bytes]], roles: tuple[str, ...]) -> bool:
    return tuple(role for role, _, _ in parties) == roles and all(
        len(key) == PUBLIC_KEY_BYTES and len(nonce) == NONCE_BYTES for _, key, nonce in parties
    )


def _unusable(what: str, expected: str, actual: str) -> Unusable:
    return Unusable(
        f"machine.{what}", f"the {what} cannot be used", expected=expected, actual=actual
    )
