"""Drives a machine and the model of `session_model` side by side, and compares them.

The machine runs puppets: programs that ask their host what to do next, do it, and ask again.
After every step both must say that the very same things happened, in the same order, and must
be in the same state.
"""

from __future__ import annotations

from random import Random
from typing import Final

import builders as b
from session_model import ACTS, SENDS, Happening, Model, Puppet, Talk
from troth.vm import events as ev
from troth.vm.coroutine import CoroutineStatus
from troth.vm.host_signer import HostSigner
from troth.vm.image import Effect, Image, Program
from troth.vm.instructions import (
    Branch,
    Cancel,
    Case,
    Instruction,
    Invoke,
    JumpIf,
    Move,
    Operator,
    Policy,
    ReplayMode,
)
from troth.vm.machine import Machine
from troth.vm.substitutes import Substitutes
from troth.vm.types import Mu, Var

FLOW: Final = b.protocol(
    "Flow",
    {
        "A": Mu(
            "x",
            b.sends("B", ("item", [b.INT], Var("x")), ("stop", [], Var("x")), ("last", [], b.END)),
        ),
        # B is done at a stop and A is not: only so can both be done with messages in flight.
        "B": Mu(
            "x",
            b.receives("A", ("item", [b.INT], Var("x")), ("stop", [], b.END), ("last", [], b.END)),
        ),
    },
)
WORLDS: Final = tuple(
    (policy, capacity, linger_ns, replay)
    for policy in (Policy.BLOCK, Policy.ERROR, Policy.RESIZE)
    for capacity, linger_ns in ((1, 0), (2, 30), (3, 1_000))
    for replay in ReplayMode
)
"""How the two sessions of a world may be opened."""

MOST: Final = 16
"""`resize` goes up to so many times the capacity."""

_IN, _OUT, _COMMAND, _NUMBER, _SAME, _WORDS, _SPARE = 0, 1, 2, 3, 4, 5, 6


class _QuickSigner(HostSigner):
    """What is signed is not what is tested here."""

    def sign(self, principal: bytes, statement: bytes) -> bytes:  # noqa: ARG002
        return bytes(64)


def _believe(principal: bytes, statement: bytes, signature: bytes) -> bool:  # noqa: ARG001
    return True


def _sound(public_key: bytes) -> bool:  # noqa: ARG001
    return True


def _acts() -> list[list[Instruction]]:
    take = Branch(
        _IN, "A", (Case("item", (_SPARE,), -1), Case("stop", (), -1), Case("last", (), -1))
    )
    return [
        [b.select(_OUT, "B", "item", _NUMBER)],
        [take],
        [b.select(_OUT, "B", "stop")],
        [b.select(_OUT, "B", "last")],
        [b.close(_OUT)],
        [b.close(_IN)],
        [Cancel(_OUT, _WORDS)],
        [Cancel(_IN, _WORDS)],
        [b.fail(_WORDS)],
        [b.HALT],
    ]


def _dispatcher(options: list[list[Instruction]], before: list[Instruction]) -> list[Instruction]:
    """Asks for a number, does what the option of that number says, and asks again."""
    start = len(before)
    code = [*before, Invoke(0, (), _COMMAND)]
    place = start + 1 + 3 * len(options) + 1
    bodies: list[Instruction] = []
    for number, option in enumerate(options):
        target = place + len(bodies)
        code += [
            b.set_(_NUMBER, number),
            b.op(Operator.EQ, _SAME, _COMMAND, _NUMBER),
            JumpIf(_SAME, target),
        ]
        for instruction in option:
            if isinstance(instruction, Branch):
                cases = tuple(c.__class__(c.label, c.targets, start) for c in instruction.cases)
                bodies.append(Branch(instruction.endpoint, instruction.peer, cases))
            else:
                bodies.append(instruction)
        bodies.append(b.jump(start))
    return [*code, b.jump(start), *bodies]


def _image() -> Image:
    words: list[Instruction] = [b.set_(_WORDS, "enough")]
    ends = b.endpoint("Flow", "B"), b.endpoint("Flow", "A")
    worlds = [
        [
            b.open_(
                0, 10, 11, policy=policy, capacity=capacity, linger_ns=linger_ns, replay=replay
            ),
            b.open_(
                0, 12, 13, policy=policy, capacity=capacity, linger_ns=linger_ns, replay=replay
            ),
            b.spawn(14, 1, 10),
            b.spawn(14, 2, 11, 12),
            b.spawn(14, 3, 13),
        ]
        for policy, capacity, linger_ns, replay in WORLDS
    ]
    main = _dispatcher([*worlds], [])
    # The first puppet gets its only endpoint in register 0, where another has its receiving end.
    first = _dispatcher(_acts(), [Move(_OUT, _IN), *words])
    rest = _dispatcher(_acts(), words)
    programs: list[Program] = [
        b.program("main", main, registers=16),
        b.program("first", first, ends[1]),
        b.program("middle", rest, *ends),
        b.program("third", rest, ends[0]),
    ]
    return b.image([FLOW], programs, [Effect("next", (), b.INT)])


IMAGE: Final = _image()


class Twin:
    """One machine and its model."""

    def __init__(self) -> None:
        keys = _QuickSigner({}, b.KEY_SOURCE)
        self.machine = Machine(
            b.load_unchecked(IMAGE),
            seed=b.SEED,
            signer=keys,
            roster=keys,
            quantum=10_000,
            substitutes=Substitutes(verify=_believe, acceptable_key=_sound),
        )
        self.model = Model()
        self.steps = 0
        self.clock_ns = 0
        self.puppets: list[Puppet] = []
        self.talks: list[Talk] = []
        self._sessions: dict[bytes, int] = {}
        self._coroutines: dict[bytes, int] = {}
        self._asking: dict[int, bytes] = {}
        self.machine.start()
        assert self._seen(self._run()) == []

    # --- steps -----------------------------------------------------------------------------

    def open_world(self, choice: int) -> None:
        policy, capacity, linger_ns, _ = WORLDS[choice]
        made = self.model.open_world(policy.value, capacity, MOST * capacity, linger_ns)
        self.puppets += made
        self.talks += [talk for p in made if (talk := p.outgoing) is not None]
        self.model.happened += [("asks", puppet.name) for puppet in made]
        self.machine.complete(self._asking.pop(-1), choice)
        self._compare()

    def act(self, *acts: tuple[Puppet, str]) -> None:
        """Several puppets act in one round, in this order."""
        for puppet, act in acts:
            self.model.act(puppet, act)
            self.machine.complete(self._asking.pop(puppet.name), ACTS.index(act))
        self.steps += len(acts) - 1
        self._compare()

    def host_cancels(self, talk: Talk) -> None:
        self.model.host_cancels(talk)
        self.machine.cancel_session(self._id_of(talk), "host")
        self._compare()

    def host_asks(self, talk: Talk) -> None:
        self.model.host_asks(talk)
        self.machine.end_session(self._id_of(talk), self.clock_ns)
        self._compare()

    def wait(self, duration_ns: int) -> None:
        self.clock_ns += duration_ns
        self.model.clock_ns = self.clock_ns
        self._compare()

    def idle(self) -> list[Puppet]:
        """Those that wait to be told what to do."""
        return [p for p in self.puppets if not p.ended and p.stuck is None]

    def live(self) -> list[Talk]:
        return [talk for talk in self.talks if talk.live]

    # --- comparing -------------------------------------------------------------------------

    def _compare(self) -> None:
        self.steps += 1
        events = self._run()
        self.model.settle()
        expected, self.model.happened = self.model.happened, []
        assert self._seen(events) == expected
        self._compare_states()
        self.puppets = [puppet for puppet in self.puppets if not puppet.ended]
        self.talks = [talk for talk in self.talks if talk.live]
        self.model.clocks = [talk for talk in self.model.clocks if talk.live]

    def _run(self) -> list[ev.Event]:
        while self.machine.run_round(self.clock_ns):
            pass
        events = self.machine.poll_events()
        self._note_new(events)
        for request in self.machine.poll_effects():
            self._asking[self._coroutines.get(request.coroutine, -1)] = request.effect_id
        return events

    def _note_new(self, events: list[ev.Event]) -> None:
        for event in events:
            if isinstance(event, ev.Opened):
                self._sessions.setdefault(event.session, len(self._sessions))
            elif isinstance(event, ev.Spawned) and event.parent:
                self._coroutines.setdefault(event.coroutine, len(self._coroutines))

    def _id_of(self, talk: Talk) -> bytes:
        live = self.machine._scheduler.sessions.live
        return next(identity for identity in live if self._sessions[identity] == talk.name)

    def _compare_states(self) -> None:
        scheduler = self.machine._scheduler
        live = {self._sessions[s.id]: s for s in scheduler.sessions.live.values()}
        assert set(live) == {talk.name for talk in self.talks if talk.live}
        for talk in self.talks:
            if not talk.live:
                continue
            session = live[talk.name]
            (edge,) = session.edges
            assert session.status.name == talk.status
            assert session.epoch == talk.epoch
            assert session.linger_deadline_ns == (talk.deadline_ns if talk.running else None)
            assert [m.sequence for m in edge.buffer.messages] == [n for n, _ in talk.buffer]
            assert (edge.sent, edge.consumed, edge.discarded) == (talk.sent, talk.taken, 0)
            assert {r for r, e in session.endpoints.items() if e.noticed} == talk.noticed
        blocked = {
            self._coroutines[c.id]
            for c in scheduler.coroutines.values()
            if c.status is CoroutineStatus.BLOCKED and c.blocked_edge is not None
        }
        assert blocked == {p.name for p in self.puppets if p.stuck is not None and not p.ended}
        assert self.machine.deadline_ns() == self.model.next_deadline_ns

    def _seen(self, events: list[ev.Event]) -> list[Happening]:
        return [seen for event in events if (seen := self._read(event)) is not None]

    def _read(self, event: ev.Event) -> Happening | None:
        name = self._sessions.get(getattr(event, "session", b""), -1)
        match event:
            case ev.Sent():
                return ("sent", name, event.label, event.sequence)
            case ev.Received():
                return ("received", name, event.sequence)
            case ev.Receipted():
                return ("receipt", name, event.consumed, event.discarded)
            case ev.Noticed():
                finals = event.finals[0][2] if event.finals else None
                return ("notice", name, event.role, finals)
            case ev.StatusChanged():
                return ("status", name, event.status.name, event.epoch, event.detail)
            case ev.Undelivered():
                return ("undelivered", name, event.sequence)
            case ev.Cancelled():
                return ("cancelled", name, event.role, event.reason)
            case ev.EndAsked():
                return ("asked", name)
            case ev.Faulted():
                return ("faulted", self._coroutines[event.coroutine], event.code)
            case ev.Halted():
                return ("halted", self._coroutines[event.coroutine])
            case ev.Invoked():
                number = self._coroutines.get(event.coroutine, -1)
                return None if number < 0 else ("asks", number)
            case ev.Opened() | ev.Spawned() | ev.Transferred() | ev.Completed() | ev.TimeSet():
                return None
            case _:
                raise AssertionError(f"nobody expected {event}")


def wander(seed: int, steps: int) -> Twin:
    """So many steps at random, most of them sensible."""
    rng = Random(seed)
    twin = Twin()
    while twin.steps < steps:
        idle, live = twin.idle(), twin.live()
        dice = rng.random()
        if not live or (dice < 0.02 and len(live) < 12):
            twin.open_world(rng.randrange(len(WORLDS)))
        elif dice < 0.04:
            twin.wait(rng.choice((1, 10, 100, 2_000)))
        elif dice < 0.05:
            twin.host_asks(rng.choice(live))
        elif dice < 0.053:
            twin.host_cancels(rng.choice(live))
        elif not idle:
            # Everybody waits for somebody: only the host can end that.
            twin.host_asks(rng.choice(live))
            twin.wait(2_000)
        else:
            several = rng.sample(idle, min(len(idle), rng.randrange(1, 8)))
            twin.act(*[(puppet, _sensible(rng, puppet)) for puppet in several])
    return twin


def _sensible(rng: Random, puppet: Puppet) -> str:
    if rng.random() < 0.02:
        return rng.choice(ACTS)
    choices: list[str] = []
    out, into = puppet.outgoing, puppet.incoming
    if out is not None:
        done = "A" in out.ends or not out.live
        choices += ["close out"] if done else [*["item"] * 12, *SENDS]
    if into is not None:
        done = "B" in into.ends or not into.live
        choices += ["close in"] if done else ["take"] * 12
    if all(not t.live or r in t.ends for t, r in puppet.own):
        choices.append("halt")
    return rng.choice(choices)
