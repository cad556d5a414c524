"""Runs the machine and the reference side by side, and says where they first differ.

Both get the same image, seed, keys and inputs; after every round they must have said the same, in
the same order, signatures and roots included. Only the prose of faults is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Final, NamedTuple, TypeAlias

from troth.conformance.reference.rounds import ask_end, cancel, complete, run_round, start, trouble
from troth.conformance.reference.world import Answer, Setup, World
from troth.vm.codec import encode_payload
from troth.vm.errors import TrothError, Unusable
from troth.vm.events import Event, Faulted, Opened, Troubled
from troth.vm.evidence import Position, Sealed
from troth.vm.loaded import LoadedImage
from troth.vm.machine import Machine, MachineState
from troth.vm.substitutes import NO_SUBSTITUTES, Substitutes
from troth.vm.trouble_kind import Trouble
from troth.vm.turn import EffectRequest
from troth.vm.values import RegisterValue

ROUNDS_MAX: Final = 100_000
FAILURE_CHARACTERS_MAX: Final = 2_000


class CancelSession(NamedTuple):
    """The host cancels the session that was opened as the `session`th of the run, from 0."""

    session: int
    reason: str


class EndSession(NamedTuple):
    """The host asks for the end of a session."""

    session: int


class Disturb(NamedTuple):
    """Trouble comes over a session, if it can."""

    session: int
    trouble: Trouble
    role: str
    peer: str = ""
    until_ns: int | None = None


class Failed(NamedTuple):
    """An effect that the host could not finish."""

    reason: str


HostAct: TypeAlias = CancelSession | EndSession | Disturb
Effects: TypeAlias = Callable[[EffectRequest], RegisterValue | Failed]


class Difference(NamedTuple):
    """The first event on which the two do not agree; None where one has no more."""

    round_number: int
    machine: Event | None
    reference: Event | None


class Both(NamedTuple):
    """What the machine said, whether it was the same, and how many rounds it took.

    `stopped` is the code of what ended the run from outside, such as `limit.rounds`.
    """

    events: tuple[Event, ...]
    difference: Difference | None
    rounds: int
    stopped: str = ""


class TrustingEvidence:
    """Evidence that believes everybody: what is compared is what happens, not who says so."""

    def extend(self, events: Sequence[Event], round_number: int) -> None:
        """Nothing is written."""

    def proofs(self) -> Mapping[Position, Sealed]:
        return {}


def no_effects(request: EffectRequest) -> Failed:
    return Failed(f"nobody provides {request.name}")


def run_both(
    loaded: LoadedImage,
    setup: Setup,
    *,
    effects: Effects = no_effects,
    acts: Mapping[int, Sequence[HostAct]] | None = None,
    round_ns: int = 0,
    substitutes: Substitutes = NO_SUBSTITUTES,
) -> Both:
    """Runs to the end, or to the first difference.

    `acts` are what the host does after so many rounds. A round takes `round_ns`; when nothing is
    ready time jumps to the next deadline. `substitutes` are given to the machine alone, so that
    a test can break it.
    """
    pair = _Pair(loaded, setup, substitutes)
    now_ns = 0
    to_do = [(number, act) for number, some in sorted((acts or {}).items()) for act in some]
    while pair.machine.rounds < ROUNDS_MAX:
        while to_do and to_do[0][0] <= pair.machine.rounds:
            pair.act(to_do.pop(0)[1], now_ns)
        try:
            ran = pair.run_round(now_ns)
        except TrothError as error:
            return pair.result(error.code)
        if pair.difference is not None:
            break
        asked = pair.answer(effects)
        now_ns += round_ns
        if ran or asked:
            continue
        deadline_ns = pair.machine.deadline_ns()
        if deadline_ns is None and pair.machine.awaits_heal and to_do:
            pair.act(to_do.pop(0)[1], now_ns)
            continue
        if pair.machine.state is not MachineState.WAITING or deadline_ns is None:
            break
        now_ns = max(now_ns, deadline_ns)
    return pair.result()


class _Pair:
    """One machine and one world."""

    def __init__(self, loaded: LoadedImage, setup: Setup, substitutes: Substitutes) -> None:
        self.machine = Machine(
            loaded,
            seed=setup.seed,
            signer=setup.signer,
            roster=setup.roster,
            limits=setup.limits,
            quantum=setup.quantum,
            policy=setup.policy,
            overrides=setup.overrides,
            evidence=TrustingEvidence() if setup.seals_rounds else None,
            substitutes=substitutes,
        )
        self.machine.start()
        self.world = start(setup)
        self.events: list[Event] = []
        self.sessions: list[bytes] = []
        self.difference: Difference | None = None

    def run_round(self, now_ns: int) -> bool:
        ran = self.machine.run_round(now_ns)
        following = run_round(self.world, now_ns)
        self.world = following or self.world
        self._compare()
        if ran != (following is not None) and self.difference is None:
            self.difference = Difference(self.machine.rounds, None, None)
        return ran

    def act(self, act: HostAct, now_ns: int) -> None:
        """What cannot be done any more is not done: the session has ended, or never was."""
        if act.session >= len(self.sessions):
            return
        session = self.sessions[act.session]
        if not self.world.sessions[session].live:
            return
        if isinstance(act, CancelSession):
            self.machine.cancel_session(session, act.reason)
            self.world = cancel(self.world, session, act.reason)
        elif isinstance(act, Disturb):
            self._disturb(session, act)
        else:
            self.machine.end_session(session, now_ns)
            self.world = ask_end(self.world, session, now_ns)
        self._compare()

    def _disturb(self, session: bytes, act: Disturb) -> None:
        what = Troubled(session, *act[1:], self.machine.rounds)
        try:
            self.machine.apply_trouble(what)
        except Unusable:
            return
        self.world = trouble(self.world, what)

    def answer(self, effects: Effects) -> bool:
        requests = self.machine.poll_effects()
        for request in requests:
            value = effects(request)
            if isinstance(value, Failed):
                self.machine.complete_failed(request.effect_id, value.reason)
                answer, recorded = Answer(True, None), _recordable(value.reason)
            else:
                self.machine.complete(request.effect_id, value)
                answer, recorded = _answer(value, self.world.setup.limits.value_bytes_max)
            self.world = complete(self.world, request.effect_id, answer, recorded)
        return bool(requests)

    def _compare(self) -> None:
        said = self.machine.poll_events()
        world: World = self.world
        for ours, theirs in zip_longest(_without_prose(said), _without_prose(world.events)):
            if ours != theirs and self.difference is None:
                self.difference = Difference(self.machine.rounds, ours, theirs)
        self.events += said
        self.sessions += [event.session for event in said if isinstance(event, Opened)]
        self.world = world._replace(events=())

    def result(self, stopped: str = "") -> Both:
        return Both(tuple(self.events), self.difference, self.machine.rounds, stopped)


def _without_prose(events: Sequence[Event]) -> Iterator[Event]:
    for event in events:
        yield event._replace(message="") if isinstance(event, Faulted) else event


def _answer(value: RegisterValue, bytes_max: int) -> tuple[Answer, bytes]:
    """An answer that is too large to be recorded is a failure."""
    recorded = encode_payload((value,))
    if len(recorded) <= bytes_max:
        return Answer(False, value), recorded
    reason = f"the host returned more than value_bytes_max = {bytes_max} bytes"
    return Answer(True, None), reason.encode()


def _recordable(reason: str) -> bytes:
    """As much of what a host says about a failure as is recorded."""
    return reason[:FAILURE_CHARACTERS_MAX].encode(errors="replace")
