"""What holds of every run, whatever is opened, sent, closed, cancelled and faulted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

import builders as b
from troth.vm import events as ev
from troth.vm import signatures, statements
from troth.vm.events import Event, Status
from troth.vm.image import Image, Program
from troth.vm.instructions import Branch, Cancel, Case, Instruction, Policy, ReplayMode
from troth.vm.machine import MachineState, Outcome
from troth.vm.types import Mu, Var

STREAM: Final = b.protocol(
    "Stream",
    {
        "A": Mu("x", b.sends("B", ("item", [b.INT], Var("x")), ("last", [], b.END))),
        "B": Mu("x", b.receives("A", ("item", [b.INT], Var("x")), ("last", [], b.END))),
    },
)
A: Final = b.endpoint("Stream", "A")
B: Final = b.endpoint("Stream", "B")
ENDINGS: Final = ("close", "halt", "cancel", "fail")


@dataclass(frozen=True)
class Talk:
    """One session: what its sender and receiver do, and when."""

    items: int
    sender_naps: int
    receiver_naps: int
    ending: str
    receiver_leaves_after: int | None
    capacity: int
    replay: ReplayMode
    policy: Policy

    @property
    def honest(self) -> bool:
        """Both follow the protocol to its end and wait for each other."""
        return self.ending in ("close", "halt") and self.receiver_leaves_after is None


def sender(talk: Talk) -> list[Instruction]:
    code = b.naps(talk.sender_naps)
    for number in range(talk.items):
        code += [b.set_(1, number), b.select(0, "B", "item", 1)]
    if talk.ending in ("cancel", "fail"):
        leave = Cancel(0, 2) if talk.ending == "cancel" else b.fail(2)
        return [*code, b.set_(2, "enough"), leave, b.HALT]
    code.append(b.select(0, "B", "last"))
    return [*code, *([b.close(0)] if talk.ending == "close" else []), b.HALT]


def receiver(talk: Talk) -> list[Instruction]:
    naps = b.naps(talk.receiver_naps)
    if talk.receiver_leaves_after is not None:
        code = naps
        for _ in range(talk.receiver_leaves_after):
            here = len(code) + 1
            code.append(Branch(0, "A", (Case("item", (1,), here), Case("last", (), here))))
        return [*code, b.set_(2, "leaving"), b.fail(2)]
    start = len(naps)
    cases = (Case("item", (1,), start + 1), Case("last", (), start + 2))
    return [*naps, Branch(0, "A", cases), b.jump(start), b.HALT]


def build(talks: list[Talk]) -> Image:
    """Every talk gets a sender and a receiver program of its own."""
    main: list[Instruction] = []
    programs: list[Program] = []
    for talk in talks:
        index = 1 + len(programs)
        main += [
            b.open_(0, 0, 1, capacity=talk.capacity, replay=talk.replay, policy=talk.policy),
            b.spawn(2, index, 0),
            b.spawn(2, index + 1, 1),
        ]
        programs += [
            b.program(f"sender{index}", sender(talk), A),
            b.program(f"receiver{index}", receiver(talk), B),
        ]
    return b.image([STREAM], [b.program("main", [*main, b.HALT]), *programs])


talks = st.builds(
    Talk,
    items=st.integers(0, 6),
    sender_naps=st.integers(0, 4),
    receiver_naps=st.integers(0, 4),
    ending=st.sampled_from(ENDINGS),
    receiver_leaves_after=st.none() | st.integers(0, 3),
    capacity=st.integers(1, 4),
    replay=st.sampled_from(ReplayMode),
    policy=st.sampled_from([Policy.BLOCK, Policy.BLOCK, Policy.RESIZE, Policy.ERROR]),
)
honest_talks = talks.map(
    lambda talk: replace(talk, ending="close", receiver_leaves_after=None, policy=Policy.BLOCK)
)
quanta = st.sampled_from([1, 2, 3, 5, 64])


def by_session(events: list[Event]) -> dict[bytes, list[Event]]:
    """The events that name a session, in order, without those of coroutines."""
    found: dict[bytes, list[Event]] = {}
    for event in events:
        session = getattr(event, "session", None)
        if session is not None and not isinstance(event, ev.Faulted | ev.Transferred):
            found.setdefault(session, []).append(event)
    return found


def position(event: ev.Sent | ev.Received | ev.Undelivered) -> tuple[str, str, int]:
    return (event.sender, event.receiver, event.sequence)


@settings(max_examples=120, deadline=None)
@given(plan=st.lists(talks, min_size=1, max_size=4), quantum=quanta)
def test_every_message_is_accounted_for(plan: list[Talk], quantum: int) -> None:
    machine = b.make_machine(build(plan), quantum=quantum)
    events = b.run(machine)
    assert machine.state is MachineState.FINISHED
    sessions = by_session(events)
    assert len(sessions) == len(plan)
    for session_events in sessions.values():
        sent = [position(event) for event in session_events if isinstance(event, ev.Sent)]
        taken = [position(event) for event in session_events if isinstance(event, ev.Received)]
        left = [position(event) for event in session_events if isinstance(event, ev.Undelivered)]
        assert [number for _, _, number in sent] == list(range(len(sent)))
        assert taken + left == sent
        statuses = b.statuses(session_events)
        assert isinstance(session_events[-1], ev.StatusChanged)
        assert Counter(status > Status.DRAINING for status in statuses)[True] == 1
        if statuses[-1] is Status.CLOSED:
            assert left == []


@settings(max_examples=60, deadline=None)
@given(plan=st.lists(talks, min_size=2, max_size=4), quantum=quanta)
def test_bad_neighbours_do_not_matter(plan: list[Talk], quantum: int) -> None:
    machine = b.make_machine(build(plan), quantum=quantum)
    events = b.run(machine)
    for talk, session_events in zip(plan, by_session(events).values(), strict=True):
        if talk.honest and talk.policy is not Policy.ERROR:
            assert b.statuses(session_events) == [Status.DRAINING, Status.CLOSED]
            assert len(b.of_type(session_events, ev.Received)) == talk.items + 1


@settings(max_examples=60, deadline=None)
@given(plan=st.lists(talks, min_size=1, max_size=3), quantum=quanta)
def test_a_run_repeats_exactly(plan: list[Talk], quantum: int) -> None:
    built = build(plan)
    first = b.run(b.make_machine(built, quantum=quantum))
    assert b.run(b.make_machine(built, quantum=quantum)) == first


def projections(events: list[Event]) -> dict[tuple[bytes, str], list[Event]]:
    """Per session and acting role what it did: what does not depend on interleaving."""
    found: dict[tuple[bytes, str], list[Event]] = {}
    for event in events:
        if isinstance(event, ev.Sent):
            found.setdefault((event.session, event.sender), []).append(event)
        elif isinstance(event, ev.Received):
            found.setdefault((event.session, event.receiver), []).append(event)
        elif isinstance(event, ev.Noticed | ev.Receipted):
            found.setdefault((event.session, event.role), []).append(event)
    return found


@settings(max_examples=40, deadline=None)
@given(plan=st.lists(honest_talks, min_size=1, max_size=4))
def test_the_quantum_changes_the_order_and_never_the_meaning(plan: list[Talk]) -> None:
    built = build(plan)
    runs = []
    for quantum in (1, 3, 64):
        machine = b.make_machine(built, quantum=quantum)
        runs.append(projections(b.run(machine)))
        assert machine.outcome() is Outcome.OK
    assert runs[0] == runs[1] == runs[2]


@settings(max_examples=20, deadline=None)
@given(plan=st.lists(talks, min_size=1, max_size=2))
def test_what_is_signed_is_signed_by_the_one_who_acts(plan: list[Talk]) -> None:
    keys = b.make_signer()
    for event in b.run(b.make_machine(build(plan))):
        if isinstance(event, ev.Noticed):
            said = statements.notice_statement(event.session, event.role, event.finals)
            role = event.role
        elif isinstance(event, ev.Receipted):
            said = statements.receipt_statement(*event[:-2])
            role = event.role
        elif isinstance(event, ev.Cancelled):
            said = statements.cancel_statement(event.session, event.role, event.reason)
            role = event.role
        elif isinstance(event, ev.Sent):
            said = statements.message_statement(*event[:7], event.commitment)
            role = event.sender
        else:
            continue
        assert event.signer == keys.principal("Stream", role)
        assert signatures.verify(event.signer, said, event.signature)


@settings(max_examples=40, deadline=None)
@given(plan=st.lists(talks, min_size=1, max_size=3), quantum=quanta)
def test_buffers_stay_within_their_bounds(plan: list[Talk], quantum: int) -> None:
    machine = b.make_machine(build(plan), quantum=quantum)
    while machine.run_round(0):
        for session in machine._scheduler.sessions.live.values():
            for edge in session.edges:
                config = edge.config
                assert len(edge.buffer) <= edge.buffer.capacity <= config.resize_max
                assert edge.sent == edge.consumed + edge.discarded + len(edge.buffer)
