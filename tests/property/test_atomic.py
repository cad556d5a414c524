"""A refused instruction changes nothing: over all instructions and all faults.

Every instruction of every machine here is watched (`machine_snapshot`): when it faults or puts
itself off, the whole reachable state must be equal before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import builders as b
from machine_snapshot import Picture, Watch, watched
from troth.vm import statements
from troth.vm.buffer import Envelope
from troth.vm.codec import encode_payload
from troth.vm.errors import Unusable
from troth.vm.faults import FAULT_CODES
from troth.vm.host_signer import HostSigner
from troth.vm.image import Effect, Image
from troth.vm.instructions import (
    HOLE,
    Abort,
    Acquire,
    Branch,
    Cancel,
    Case,
    Close,
    Fork,
    Instruction,
    Invoke,
    Join,
    JumpIf,
    Move,
    Op,
    Open,
    OpenOptions,
    Operator,
    Policy,
    Recv,
    Release,
    ReplayMode,
    Seal,
    Select,
    Send,
    Set,
    Spawn,
    Timer,
    Transfer,
)
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.machine import Machine
from troth.vm.types import Mu, Timed, Var

ASK: Final = b.protocol(
    "Ask",
    {
        "A": b.sends("B", ("ask", [b.INT], b.receives("B", ("answer", [b.STR], b.END)))),
        "B": b.receives("A", ("ask", [b.INT], b.sends("A", ("answer", [b.STR], b.END)))),
    },
)
LOOP: Final = b.protocol(
    "Loop",
    {
        "A": Mu("x", b.sends("B", ("more", [b.STR], Var("x")), ("stop", [], b.END))),
        "B": Mu("x", b.receives("A", ("more", [b.STR], Var("x")), ("stop", [], b.END))),
    },
)
TAKEN: Final = b.endpoint("Ask", "B")
CARRY: Final = b.protocol(
    "Carry",
    {
        "A": b.sends("B", ("take", [TAKEN], b.END)),
        "B": b.receives("A", ("take", [TAKEN], b.END)),
    },
)
HURRY: Final = b.protocol(
    "Hurry",
    {
        "A": Timed(
            "B", 10**9, b.sends("B", ("soon", [], b.END)), b.sends("B", ("late", [], b.END))
        ),
        "B": b.receives("A", ("late", [], b.END), ("soon", [], b.END)),
    },
)
PROTOCOLS: Final = (ASK, LOOP, CARRY, HURRY)
EFFECT: Final = Effect("effect", b.fields(b.INT), b.INT)


def an_image(main: list[Instruction]) -> Image:
    """`main` with registers 0 to 7, a child that takes an endpoint and one that takes an int."""
    programs = [
        b.program("main", main),
        b.program("child", [b.recv(0, "A", "ask", 1), b.HALT], TAKEN),
        b.program("counter", [b.YIELD, b.jump(0)], b.INT),
        b.program("thief", [Release(0)], b.INT),
    ]
    return b.image(PROTOCOLS, programs, (EFFECT,), ("door", "window"))


def exercise(
    main: list[Instruction],
    *,
    limits: Limits = DEFAULT_LIMITS,
    signer: HostSigner | None = None,
    between: Callable[[Machine], None] | None = None,
    answer: object = 1,
    rounds: int = 12,
    home: Collection[str] | None = None,
) -> Watch:
    """Runs a watched machine; `between` is called once, after the first round."""
    with watched() as watch:
        machine = b.make_machine(an_image(main), limits=limits, signer=signer, home=home)
        watch.roots.append(machine._scheduler)
        for number in range(rounds):
            machine.run_round(0)
            if number == 0 and between is not None:
                between(machine)
            for meeting in machine.poll_meetings():
                machine.meet(
                    meeting.coroutine, [(r, FARAWAY, bytes(16)) for r in meeting.elsewhere]
                )
            for request in machine.poll_effects():
                machine.complete(request.effect_id, answer)  # type: ignore[arg-type]
    return watch


# --- every code, by name -------------------------------------------------------------------

OPEN: Final = b.open_(0, 0, 1)
ASKED: Final = [OPEN, b.set_(2, 1), b.send(0, "B", "ask", 2)]
TEXT: Final = b.set_(3, "text")


class Deaf(HostSigner):
    """Loses its keys once it is told to."""

    lost = False

    def sign(self, principal: bytes, statement: bytes) -> bytes:
        if self.lost:
            raise Unusable("key.missing", "the key is gone")
        return super().sign(principal, statement)


def forge(**changes: object) -> Callable[[Machine], None]:
    """Changes the first message in flight; signed again when only its position changes."""

    def between(machine: Machine) -> None:
        for session in machine._scheduler.sessions.live.values():
            for edge in session.edges:
                if edge.buffer.messages:
                    first = edge.buffer.messages[0]._replace(**changes)  # type: ignore[arg-type]
                    edge.buffer.messages[0] = resign(machine, session.id, first)

    def resign(machine: Machine, session: bytes, envelope: Envelope) -> Envelope:
        if "payload" in changes:
            return envelope
        statement = statements.message_statement(
            session,
            "A",
            "B",
            envelope.kind,
            envelope.label,
            envelope.generation,
            envelope.sequence,
            envelope.commitment,
        )
        signer = machine._context.signer
        return envelope._replace(signature=signer.sign(envelope.signer, statement))

    return between


def crash(machine: Machine) -> None:
    for session in list(machine._scheduler.sessions.live):
        machine.crash(session, "A")
    assert not machine._scheduler.sessions.live


def again(machine: Machine) -> None:
    """Puts a second copy of the first message behind it."""
    for session in machine._scheduler.sessions.live.values():
        for edge in session.edges:
            if edge.buffer.messages:
                edge.buffer.messages.append(edge.buffer.messages[0])


RECEIVED: Final = [*ASKED, b.YIELD, b.recv(1, "A", "ask", 3)]
MORE: Final = [b.open_(1, 0, 1), TEXT, b.select(0, "B", "more", 3)]
TAKE_HELD: Final = Branch(1, "A", (Case("more", (4,), 4), Case("stop", (), 4)))
TAKE_MORE: Final = Branch(1, "A", (Case("more", (4,), 4), Case("stop", (), 5)))


Provoke = Callable[[], Watch]
TIGHT: Final = replace(
    DEFAULT_LIMITS,
    sessions_max=1,
    coroutines_max=1,
    message_bytes_max=4,
    speculation_depth_max=1,
)
SMALL: Final = replace(DEFAULT_LIMITS, value_bytes_max=6)
FARAWAY: Final = b.KEY_SOURCE.make("Faraway").public_key
HERE: Final = ("Ask.A", "Ask.B", "Carry.A")
"""All of Ask, and of Carry only the side that sends the endpoint away."""
FULL: Final = OpenOptions(capacity=1, policy=Policy.ERROR)


def run(*main: Instruction, **options: object) -> Provoke:
    return lambda: exercise(list(main), **options)  # type: ignore[arg-type]


def run_deaf(*main: Instruction) -> Provoke:
    """The signer loses its keys after the first round."""

    def provoke() -> Watch:
        deaf = Deaf({}, b.KEY_SOURCE)

        def lose(_machine: Machine) -> None:
            deaf.lost = True

        return exercise(list(main), signer=deaf, between=lose)

    return provoke


def first_situations() -> dict[str, list[Provoke]]:
    """For each fault code from `acquire` to `limit` the ways in which it is provoked."""
    return {
        "acquire": [
            run(Acquire(0), Acquire(0)),
            run(Release(0)),
            run(Acquire(0), b.HALT),
            run(Acquire(0), b.set_(2, 1), b.spawn(3, 3, 2), b.YIELD, b.YIELD),
        ],
        "arithmetic": [run(b.set_(0, 0), b.op(Operator.DIV, 1, 0, 0))],
        "buffer": [
            run(Open(1, (0, 1), FULL), TEXT, *[b.select(0, "B", "more", 3)] * 2),
        ],
        "channel": [
            run(*ASKED, TEXT, Cancel(0, 3), b.recv(1, "A", "ask", 4)),
            run(OPEN, b.spawn(3, 1, 1), Spawn(3, 1, (1,))),
            run(OPEN, b.spawn(3, 1, 1), Move(2, 1), b.recv(0, "B", "answer", 3)),
            run(
                b.open_(2, 0, 1),
                b.open_(0, 2, 3),
                b.set_(5, ""),
                Cancel(2, 5),
                b.send(0, "B", "take", 3),
            ),
        ],
        "close": [run(OPEN, b.close(0)), run(OPEN, b.HALT)],
        "crash": [run(OPEN, b.YIELD, b.YIELD, between=crash)],
        "credits": [run(b.jump(0), limits=replace(DEFAULT_LIMITS, instructions_max=70))],
        "elsewhere": [
            run(OPEN, b.recv(1, "A", "ask", 3), home=["A"]),
            run(OPEN, b.set_(2, 1), b.send(0, "B", "ask", 2), home=["B"]),
            run(OPEN, b.close(0), home=["B"]),
            run(OPEN, TEXT, Cancel(1, 3), home=["A"]),
            run(b.open_(0, 0, 1), b.open_(2, 2, 3), b.send(2, "B", "take", 1), home=HERE),
        ],
        "fail": [run(TEXT, b.fail(3))],
        "index": [run(b.set_(0, (1,)), b.set_(1, 5), b.op(Operator.INDEX, 2, 0, 1))],
        "invoke": [run(b.set_(0, 1), Invoke(0, (0,), 1), answer="text")],
        "key": [
            run_deaf(OPEN, b.set_(2, 1), b.YIELD, b.send(0, "B", "ask", 2)),
            run_deaf(OPEN, TEXT, b.YIELD, Cancel(0, 3)),
            run_deaf(OPEN, b.set_(2, 1), Fork(0), b.YIELD, b.send(0, "B", "ask", 2), Join()),
        ],
        "label": [run(OPEN, b.send(0, "B", "answer", 1)), run(OPEN, b.recv(1, "A", "other", 3))],
        "limit": [
            run(OPEN, OPEN, limits=TIGHT),
            run(b.set_(0, 1), b.spawn(1, 2, 0), limits=TIGHT),
            run(*MORE, limits=TIGHT),
            run(OPEN, TEXT, Cancel(0, 3), limits=TIGHT),
            run(b.set_(0, 1 << 40), Invoke(0, (0,), 1), limits=TIGHT),
            run(b.set_(0, "too long"), limits=SMALL),
            run(b.set_(0, b"long"), b.print_(0), limits=SMALL),
            run(Open(0, (0, 1), OpenOptions(capacity=1 << 40))),
            run(Fork(0), Fork(0), limits=TIGHT),
        ],
    }


def other_situations() -> dict[str, list[Provoke]]:
    """The same for the codes from `open` on."""
    return {
        "open": [
            run(Open(0, (0, 1), OpenOptions(seal=Seal.ROUND))),
            run(Open(0, (0,), OpenOptions())),
        ],
        "pc": [run(b.jump(-1)), run(TEXT)],
        "register": [
            run(b.set_(99, 1)),
            run(b.send(0, "B", "ask", 1)),
            run(b.recv(0, "B", "ask", 1)),
            run(b.close(0)),
            run(Cancel(0, 1)),
            run(Transfer(0, 1, 0)),
            run(b.spawn(0, 1, 2)),
            run(*ASKED, b.recv(1, "A", "ask", 3, 4)),
        ],
        "replay.duplicate": [run(*MORE, b.YIELD, TAKE_MORE, b.YIELD, between=again)],
        "replay.generation": [run(*RECEIVED, between=forge(generation=1))],
        "replay.sequence": [run(*RECEIVED, between=forge(sequence=1))],
        "speculation": [
            run(Join()),
            run(Abort()),
            run(Fork(0), Acquire(0)),
            run(Fork(0), b.HALT),
            run(Fork(0), OPEN),
            run(OPEN, TEXT, Fork(0), Cancel(0, 3)),
            run(OPEN, Fork(0), b.close(0)),
            run(TEXT, Fork(0), b.print_(3)),
            run(b.set_(0, 1), Fork(0), Invoke(0, (0,), 1)),
            run(b.set_(0, 1), Fork(0), b.spawn(1, 2, 0)),
            run(b.open_(2, 2, 3), OPEN, Fork(0), b.send(2, "B", "take", 1)),
            run(b.open_(1, 0, 1), TEXT, Fork(0), b.select(0, "B", "more", 3), TAKE_HELD),
            run(Open(1, (0, 1), FULL), TEXT, Fork(0), *[b.select(0, "B", "more", 3)] * 2),
        ],
        "timer": [run(b.open_(3, 0, 1), b.open_(3, 2, 3), Timer(0, 0), Timer(2, 0))],
        "transfer": [
            run(OPEN, b.spawn(2, 1, HOLE), Transfer(1, 2, 1)),
            run(*RECEIVED, b.open_(2, 4, 5), b.send(4, "B", "take", 1)),
            run(*ASKED, b.recv(1, "A", "ask", 3), b.spawn(2, 1, 1)),
        ],
        "type": [
            run(OPEN, b.recv(0, "B", "answer", 2)),
            run(OPEN, TEXT, b.send(0, "B", "ask", 3)),
            run(OPEN, b.spawn(2, 1, 0)),
            run(b.set_(0, 1), JumpIf(0, 0)),
            run(OPEN, Cancel(0, 2)),
            run(Invoke(0, (0,), 1)),
            run(OPEN, b.print_(0)),
            run(OPEN, b.spawn(2, 1, HOLE), Transfer(0, 2, 0)),
        ],
        "verification": [run(*RECEIVED, between=forge(payload=encode_payload((9,))))],
    }


def test_every_fault_code_is_provoked_and_changes_nothing() -> None:
    found = {**first_situations(), **other_situations()}
    assert {f"vm.fault.{code}" for code in found} == set(FAULT_CODES)
    seen: set[tuple[str, str]] = set()
    for code, provoked in found.items():
        for number, provoke in enumerate(provoked):
            faulted = provoke().faulted
            codes = [error for _, error in faulted]
            if code in {"crash", "credits"}:
                assert codes == [], "neither is the fault of an instruction"
                continue
            assert f"vm.fault.{code}" in codes, (code, number, faulted)
            seen |= set(faulted)
    instructions = {name for name, _ in seen}
    assert instructions >= {
        "Open",
        "Send",
        "Select",
        "Recv",
        "Branch",
        "Close",
        "Cancel",
        "Invoke",
        "Transfer",
        "Set",
        "Op",
        "Jump",
        "JumpIf",
        "Spawn",
        "Halt",
        "Acquire",
        "Release",
        "Fork",
        "Join",
        "Abort",
    }


def test_an_instruction_that_is_put_off_changes_nothing() -> None:
    main = [b.set_(0, 1), *[b.spawn(1, 1, 0)] * 3, *b.naps(5)]
    with watched() as watch:
        machine = b.make_machine(
            b.image(
                PROTOCOLS,
                [
                    b.program("main", main),
                    b.program("opener", [b.open_(0, 2, 3), b.YIELD, b.jump(0)], b.INT),
                ],
                (EFFECT,),
            ),
            limits=replace(DEFAULT_LIMITS, coroutines_max=4, sessions_max=4),
        )
        watch.roots.append(machine._scheduler)
        for _ in range(6):
            machine.run_round(0)
    assert watch.deferred > 0
    assert ("Open", "vm.fault.limit") in watch.faulted


def test_the_picture_sees_a_change() -> None:
    """The watch itself: what it compares must be the state, and all of it."""
    machine = b.make_machine(an_image([*MORE, b.YIELD]))
    machine.run_round(0)
    scheduler = machine._scheduler
    before = Picture().of(scheduler)
    assert Picture().of(scheduler) == before
    (session,) = scheduler.sessions.live.values()
    edge = session.edges[0]
    edge.sent += 1
    assert Picture().of(scheduler) != before
    edge.sent -= 1
    assert Picture().of(scheduler) == before
    edge.consumption.consume(0, 0, b"statement")
    assert Picture().of(scheduler) != before


# --- generated programs --------------------------------------------------------------------

registers = st.integers(0, 7)
labels = st.sampled_from(["ask", "answer", "more", "stop", "take"])
peers = st.sampled_from(["A", "B"])
some = st.lists(registers, max_size=2).map(tuple)
values = st.sampled_from([None, True, False, 0, 1, -5, 1 << 62, "text", "", b"x", (1, "a"), 2.5])
options = st.builds(
    OpenOptions,
    replay=st.sampled_from([None, *ReplayMode]),
    capacity=st.sampled_from([None, 0, 1, 2]),
    policy=st.sampled_from([None, *Policy]),
    seal=st.sampled_from([None, None, None, Seal.ROUND]),
)


def opens(protocol: int, first: int, second: int, chosen: OpenOptions) -> Open:
    return Open(protocol, (first, second), chosen)


instructions: st.SearchStrategy[Instruction] = st.one_of(
    st.builds(opens, st.integers(0, 2), registers, registers, options),
    st.builds(Send, registers, peers, labels, some),
    st.builds(Select, registers, peers, labels, some),
    st.builds(Recv, registers, peers, labels, some),
    st.builds(
        lambda register, peer: Branch(
            register, peer, (Case("more", (6,), 9), Case("stop", (), 10))
        ),
        registers,
        peers,
    ),
    st.builds(Close, registers),
    st.builds(Cancel, registers, registers),
    st.builds(Invoke, st.just(0), some, registers),
    st.builds(Transfer, registers, registers, st.integers(0, 1)),
    st.builds(Set, registers, values),
    st.builds(Move, registers, registers),
    st.builds(
        lambda operator, target, left, right: Op(operator, target, (left, right)),
        st.sampled_from([Operator.ADD, Operator.DIV, Operator.EQ, Operator.LIST, Operator.INDEX]),
        registers,
        registers,
        registers,
    ),
    st.builds(JumpIf, registers, st.integers(0, 12)),
    st.builds(
        Spawn, registers, st.integers(0, 2), st.lists(st.integers(-1, 7), max_size=1).map(tuple)
    ),
    st.just(b.YIELD),
    st.just(b.HALT),
    st.builds(Fork, st.integers(0, 12)),
    st.just(Join()),
    st.just(Abort()),
    st.builds(Acquire, st.integers(0, 1)),
    st.builds(Release, st.integers(0, 1)),
)

PREAMBLES: Final[tuple[list[Instruction], ...]] = (
    [],
    [b.open_(0, 0, 1), b.open_(2, 2, 3), b.set_(4, 1), b.set_(5, "text")],
    [b.open_(1, 0, 1, capacity=2), b.set_(5, "text"), b.select(0, "B", "more", 5)],
    [*ASKED, b.recv(1, "A", "ask", 4), b.set_(5, "text")],
    [b.open_(2, 2, 3), b.open_(0, 0, 1), b.send(2, "B", "take", 1), b.set_(4, 1)],
    [b.open_(0, 0, 1), b.spawn(6, 1, HOLE), b.set_(4, 1)],
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
@given(
    preamble=st.sampled_from(PREAMBLES),
    body=st.lists(instructions, min_size=1, max_size=8),
    roomy=st.booleans(),
    answer=st.sampled_from([1, "text", None]),
)
def test_no_refused_instruction_changes_anything(
    preamble: list[Instruction], body: list[Instruction], roomy: bool, answer: object
) -> None:
    tight = replace(
        DEFAULT_LIMITS,
        sessions_max=2,
        coroutines_max=2,
        message_bytes_max=5,
        value_bytes_max=12,
        instructions_max=40,
    )
    loose = replace(DEFAULT_LIMITS, sessions_max=5, coroutines_max=5, instructions_max=100)
    exercise([*preamble, *body], limits=loose if roomy else tight, answer=answer, rounds=8)
