"""Drives a machine and the model of `session_model` side by side, and compares them.

The machine runs puppets: programs that ask their host what to do next, do it, and ask again.
After every step both must say that the very same things happened, in the same order, and must
be in the same state.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Final

import builders as b
from session_model import ACTS, LATE, SENDS, Happening, Model, Puppet, Setting, Talk
from troth.vm import events as ev
from troth.vm.coroutine import CoroutineStatus
from troth.vm.host_signer import HostSigner
from troth.vm.image import Bundle, BundleChild, Effect, Image
from troth.vm.instructions import (
    Branch,
    Cancel,
    Case,
    Instruction,
    Invoke,
    JumpIf,
    Move,
    Open,
    OpenBundle,
    OpenOptions,
    Operator,
    Policy,
    ReplayMode,
    Timer,
)
from troth.vm.machine import Machine
from troth.vm.substitutes import Substitutes
from troth.vm.types import Mu, Timed, Var

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
WITHIN_NS: Final = 20
PACED: Final = b.protocol(
    "Paced",
    {
        "A": Mu(
            "x",
            Timed(
                "B",
                WITHIN_NS,
                b.sends(
                    "B", ("item", [b.INT], Var("x")), ("stop", [], Var("x")), ("last", [], b.END)
                ),
                b.sends("B", (LATE, [], Var("x"))),
            ),
        ),
        "B": Mu(
            "x",
            b.receives(
                "A",
                ("item", [b.INT], Var("x")),
                ("stop", [], b.END),
                ("last", [], b.END),
                (LATE, [], Var("x")),
            ),
        ),
    },
)
"""The same with a clock for each choice."""

_PLAYED: Final = ((0, 1), (1, 2))
BUNDLES: Final = tuple(
    Bundle(
        name,
        ("First", "Middle", "Third"),
        tuple(BundleChild(f"c{n}", protocol, players) for n, players in enumerate(_PLAYED)),
    )
    for protocol, name in enumerate(("Flows", "Paces"))
)
WORLDS: Final = tuple(
    (policy, capacity, linger_ns, replay, bundled, paced)
    for bundled in (False, True)
    for paced in (False, True)
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


def _acts(*, paced: bool) -> list[list[Instruction]]:
    labels = ("stop", "last", LATE) if paced else ("stop", "last")
    take = Branch(_IN, "A", (Case("item", (_SPARE,), -1), *(Case(x, (), -1) for x in labels)))
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
        [Timer(_OUT, -1)],
    ]


def _dispatcher(options: list[list[Instruction]], before: list[Instruction]) -> list[Instruction]:
    """Asks for a number, does what the option of that number says, and asks again.

    Behind all that stands what is done when a clock has run out.
    """
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
    late = [b.send(_OUT, "B", LATE), b.jump(start)]
    whole = [*code, b.jump(start), *bodies]
    return [
        *(Timer(one.endpoint, len(whole)) if isinstance(one, Timer) else one for one in whole),
        *late,
    ]


def _opening(
    world: tuple[Policy, int, int, ReplayMode, bool, bool],
) -> list[Instruction]:
    policy, capacity, linger_ns, replay, bundled, paced = world
    options = OpenOptions(replay=replay, capacity=capacity, policy=policy, linger_ns=linger_ns)
    if bundled:
        return [OpenBundle(int(paced), (10, 11, 12, 13), options)]
    return [Open(int(paced), (10, 11), options), Open(int(paced), (12, 13), options)]


def _spawned(*, paced: bool) -> list[Instruction]:
    first = 4 if paced else 1
    return [
        b.spawn(14, first, 10),
        b.spawn(14, first + 1, 11, 12),
        b.spawn(14, first + 2, 13),
    ]


def _image() -> Image:
    words: list[Instruction] = [b.set_(_WORDS, "enough")]
    worlds = [[*_opening(world), *_spawned(paced=world[5])] for world in WORLDS]
    main = _dispatcher([*worlds], [])
    programs = [b.program("main", main, registers=16)]
    for protocol in ("Flow", "Paced"):
        into, out = b.endpoint(protocol, "B"), b.endpoint(protocol, "A")
        acts = _acts(paced=protocol == "Paced")
        # The first gets its only endpoint in register 0, where another has its receiving end.
        first = _dispatcher(acts, [Move(_OUT, _IN), *words])
        rest = _dispatcher(acts, words)
        programs += [
            b.program(f"first {protocol}", first, out),
            b.program(f"middle {protocol}", rest, into, out),
            b.program(f"third {protocol}", rest, into),
        ]
    image = b.image([FLOW, PACED], programs, [Effect("next", (), b.INT)])
    return replace(image, bundles=BUNDLES)


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
        policy, capacity, linger_ns, _, bundled, paced = WORLDS[choice]
        within_ns = WITHIN_NS if paced else 0
        made = self.model.open_world(
            Setting(policy.value, capacity, MOST * capacity, linger_ns, bundled, within_ns)
        )
        self.puppets += made
        self.talks += [talk for p in made if (talk := p.outgoing) is not None]
        self.model.happened += [("asks", puppet.name) for puppet in made]
        self.machine.complete(self._asking.pop(-1), choice)
        self._compare()

    def act(self, *acts: tuple[Puppet, str], after_ns: int = 0) -> None:
        """Several puppets act in one round, in this order, when some time has gone by."""
        self.clock_ns += after_ns
        self.model.clock_ns = self.clock_ns
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

    def crash(self, talk: Talk, role: str) -> None:
        """Who plays the role may wait for its host, or be blocked."""
        self._asking.pop(talk.owners[role].name, None)
        self.model.crashes(talk, role)
        self.machine.crash(self._id_of(talk), role)
        self._compare()

    def time_out(self, talk: Talk, role: str, duration_ns: int) -> None:
        """Beyond any other that there is, for timeouts are not added up."""
        known = self.model.paused.get(talk.owners[role], 0)
        until_ns = max(self.clock_ns, known) + duration_ns
        self.model.times_out(talk, role, until_ns)
        self.machine.time_out(self._id_of(talk), role, until_ns)
        self._compare()

    def part_or_heal(self, talk: Talk) -> None:
        session = self._id_of(talk)
        if talk.parted:
            self.model.heals(talk)
            self.machine.heal(session, "B", "A")
        else:
            self.model.parts(talk)
            self.machine.partition(session, "B", "A")
        self._compare()

    def corrupt(self, talk: Talk) -> None:
        """What is in flight, and is not corrupt already."""
        self.model.corrupts(talk)
        self.machine.corrupt(self._id_of(talk), "A", "B")
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
        self.machine.abandoned()
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
        waits = [p for p in self.puppets if p.stuck is not None and not p.ended]
        assert blocked == {p.name for p in waits if p not in self.model.aside}
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
            case ev.TimerStarted():
                return ("clock", name, event.now_ns)
            case ev.TimerExpired():
                return ("late", name)
            case ev.Troubled():
                roles = ("A", "B") if event.peer else (event.role, "")
                return ("trouble", name, event.trouble.name, *roles)
            case ev.Rejected():
                return ("rejected", name, event.code)
            case (
                ev.BundleOpened()
                | ev.Opened()
                | ev.Spawned()
                | ev.Transferred()
                | ev.Completed()
                | ev.TimeSet()
            ):
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
        elif dice < 0.06:
            _trouble(rng, twin, rng.choice(live))
        elif not idle:
            # Everybody waits for somebody: only the host can end that.
            twin.host_asks(rng.choice(live))
            twin.wait(2_000)
        else:
            several = rng.sample(idle, min(len(idle), rng.randrange(1, 8)))
            acts = [(puppet, _sensible(rng, puppet)) for puppet in several]
            twin.act(*acts, after_ns=rng.choice((0, 0, 0, 0, 0, 0, 1, WITHIN_NS, 30)))
    return twin


def can_be_corrupted(talk: Talk) -> bool:
    return bool(talk.buffer) and talk.buffer[0][0] not in talk.corrupted


def _trouble(rng: Random, twin: Twin, talk: Talk) -> None:
    """Most partitions heal before long."""
    dice = rng.random()
    if talk.parted or dice < 0.5:
        twin.part_or_heal(talk)
    elif dice < 0.6 and talk.owners:
        twin.crash(talk, rng.choice(sorted(talk.owners)))
    elif dice < 0.8 and talk.owners:
        twin.time_out(talk, rng.choice(sorted(talk.owners)), rng.choice((1, WITHIN_NS, 50)))
    elif can_be_corrupted(talk):
        twin.corrupt(talk)


def _sensible(rng: Random, puppet: Puppet) -> str:
    if rng.random() < 0.02:
        return rng.choice(ACTS)
    choices: list[str] = []
    out, into = puppet.outgoing, puppet.incoming
    if out is not None:
        done = "A" in out.ends or not out.live
        if not done and out.within_ns and not out.choosing:
            choices += ["clock"] * 12
        else:
            choices += ["close out"] if done else [*["item"] * 12, *SENDS]
    if into is not None:
        done = "B" in into.ends or not into.live
        choices += ["close in"] if done else ["take"] * 12
    if all(not t.live or r in t.ends for t, r in puppet.own):
        choices.append("halt")
    return rng.choice(choices)
