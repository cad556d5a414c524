"""Messages through the machine: order, blocking, wake-ups, types, signatures, replay modes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

import builders as b
from troth.vm import events as ev
from troth.vm import signatures, statements
from troth.vm.buffer import Envelope
from troth.vm.codec import encode_payload
from troth.vm.events import Status
from troth.vm.image import EdgeSettings, Protocol
from troth.vm.instructions import (
    Branch,
    Case,
    Instruction,
    Open,
    OpenOptions,
    Operator,
    Policy,
    ReplayMode,
)
from troth.vm.limits import Limits
from troth.vm.machine import Machine, MachineState, Outcome
from troth.vm.step_end import reject
from troth.vm.turn import Turn
from troth.vm.types import Mu, Term, Var

ASK = b.protocol(
    "Ask",
    {
        "A": b.sends("B", ("ask", [b.INT], b.receives("B", ("answer", [b.INT], b.END)))),
        "B": b.receives("A", ("ask", [b.INT], b.sends("A", ("answer", [b.INT], b.END)))),
    },
)


def stream(*edges: EdgeSettings) -> Protocol:
    sender: Term = Mu("x", b.sends("B", ("item", [b.INT], Var("x")), ("last", [], b.END)))
    receiver: Term = Mu("x", b.receives("A", ("item", [b.INT], Var("x")), ("last", [], b.END)))
    return b.protocol("Stream", {"A": sender, "B": receiver}, *edges)


CLIENT: Final[list[Instruction]] = [
    b.set_(1, 20),
    b.send(0, "B", "ask", 1),
    b.recv(0, "B", "answer", 2),
    b.print_(2),
    b.HALT,
]
SERVER: Final[list[Instruction]] = [
    b.recv(0, "A", "ask", 1),
    b.set_(2, 1),
    b.op(Operator.ADD, 1, 1, 2),
    b.send(0, "A", "answer", 1),
    b.HALT,
]


def test_a_message_each_way() -> None:
    machine = b.make_machine(b.duo(ASK, CLIENT, SERVER))
    events = b.run(machine)
    assert b.printed(events) == ["21"]
    assert machine.state is MachineState.FINISHED
    assert machine.outcome() is Outcome.OK
    assert b.statuses(events) == [Status.DRAINING, Status.CLOSED]


def test_what_is_sent_is_signed_over_its_whole_identity() -> None:
    events = b.run(b.make_machine(b.duo(ASK, CLIENT, SERVER)))
    keys = b.make_signer()
    opened = next(event for event in events if isinstance(event, ev.Opened))
    sent = [event for event in events if isinstance(event, ev.Sent)]
    assert [event.label for event in sent] == ["ask", "answer"]
    for event in sent:
        assert event.session == opened.session
        assert event.signer == keys.principal("Ask", event.sender)
        assert event.commitment == statements.payload_commitment(event.salt, event.payload)
        statement = statements.message_statement(
            event.session,
            event.sender,
            event.receiver,
            event.kind,
            event.label,
            event.generation,
            event.sequence,
            event.commitment,
        )
        assert signatures.verify(event.signer, statement, event.signature)
    assert sent[0].payload == encode_payload((20,))


def test_a_selection_says_so_and_a_branch_jumps() -> None:
    choose = b.protocol(
        "Choose",
        {
            "A": b.sends("B", ("no", [], b.END), ("yes", [b.STR], b.END)),
            "B": b.receives("A", ("no", [], b.END), ("yes", [b.STR], b.END)),
        },
    )
    taken: list[Instruction] = [
        Branch(0, "A", (Case("no", (), 1), Case("yes", (1,), 2))),
        b.HALT,
        b.print_(1),
        b.HALT,
    ]
    chosen: list[Instruction] = [b.set_(1, "indeed"), b.select(0, "B", "yes", 1), b.HALT]
    events = b.run(b.make_machine(b.duo(choose, chosen, taken)))
    assert b.printed(events) == ["indeed"]
    (sent,) = [event for event in events if isinstance(event, ev.Sent)]
    assert sent.kind is statements.StepKind.SELECTION


PRODUCE: Final[list[Instruction]] = [
    b.set_(1, 7),
    *[b.select(0, "B", "item", 1)] * 6,
    b.select(0, "B", "last"),
    b.set_(2, "sent"),
    b.print_(2),
    b.HALT,
]


def consume(rounds: int) -> list[Instruction]:
    """Receives and prints until the last, after letting some rounds pass."""
    cases = (Case("item", (1,), rounds + 1), Case("last", (), rounds + 3))
    return [*b.naps(rounds), Branch(0, "A", cases), b.print_(1), b.jump(rounds), b.HALT]


CONSUME: Final = consume(0)


@pytest.mark.parametrize("capacity", [1, 2, 6, 7, 8])
def test_a_full_buffer_makes_its_sender_wait_and_wakes_it(capacity: int) -> None:
    machine = b.make_machine(b.duo(stream(), PRODUCE, CONSUME, capacity=capacity))
    events = b.run(machine)
    assert machine.outcome() is Outcome.OK
    assert sorted(b.printed(events)) == ["7"] * 6 + ["sent"]
    assert [event.sequence for event in events if isinstance(event, ev.Sent)] == list(range(7))


def test_a_blocked_sender_has_signed_nothing() -> None:
    machine = b.make_machine(b.duo(stream(), PRODUCE, consume(5), capacity=3))
    for _ in range(3):
        machine.run_round(0)
    assert len(b.of_type(machine.poll_events(), ev.Sent)) == 3
    events = b.run(machine)
    assert [event.sequence for event in events if isinstance(event, ev.Sent)] == [3, 4, 5, 6]


def test_the_policy_error_faults_before_it_signs() -> None:
    slow: list[Instruction] = consume(9)
    events = b.run(b.make_machine(b.duo(stream(), PRODUCE, slow, capacity=3, policy=Policy.ERROR)))
    assert b.faults(events) == ["vm.fault.buffer", "vm.fault.channel"]
    assert len(b.of_type(events, ev.Sent)) == 3
    assert [e.sequence for e in events if isinstance(e, ev.Undelivered)] == [0, 1, 2]


def test_the_policy_resize_grows_to_its_maximum_and_then_blocks() -> None:
    edge = EdgeSettings(sender="A", receiver="B", policy=Policy.RESIZE, capacity=1, resize_max=3)
    machine = b.make_machine(b.duo(stream(edge), PRODUCE, consume(9)))
    for _ in range(4):
        machine.run_round(0)
    assert len(b.of_type(machine.poll_events(), ev.Sent)) == 3
    events = b.run(machine)
    assert machine.outcome() is Outcome.OK
    assert b.printed(events).count("7") == 6


@pytest.mark.parametrize("mode", ReplayMode)
def test_every_replay_mode_takes_honest_messages(mode: ReplayMode) -> None:
    events = b.run(b.make_machine(b.duo(stream(), PRODUCE, CONSUME, replay=mode)))
    roots = [event.root for event in events if isinstance(event, ev.Received)]
    assert len(set(roots)) == 7
    assert None not in roots


# --- forged, repeated, reordered -----------------------------------------------------------

Tamper = Callable[[list[Envelope]], list[Envelope]]


def tampered(mode: ReplayMode, tamper: Tamper) -> tuple[list[ev.Event], Machine]:
    """Lets three items be sent, changes what lies in the buffer, and lets them be received."""
    sender: list[Instruction] = [
        b.set_(1, 1),
        b.select(0, "B", "item", 1),
        b.set_(1, 2),
        b.select(0, "B", "item", 1),
    ]
    sender += [b.select(0, "B", "last"), b.HALT]
    built = b.duo(stream(), sender, consume(5), replay=mode)
    machine = b.make_machine(built)
    for _ in range(3):
        machine.run_round(0)
    (session,) = machine._scheduler.sessions.live.values()
    (edge,) = session.edges
    messages = tamper(list(edge.buffer.messages))
    edge.buffer.messages.clear()
    edge.buffer.messages.extend(messages)
    return machine.poll_events() + b.run(machine), machine


def first(**changes: object) -> Tamper:
    return lambda messages: [messages[0]._replace(**changes), *messages[1:]]  # type: ignore[arg-type]


FORGERIES: dict[str, Tamper] = {
    "payload": first(payload=encode_payload((2,))),
    "salt": first(salt=bytes(16)),
    "label": first(label="last"),
    "kind": first(kind=0),
    "generation": first(generation=1),
    "sequence": first(sequence=1),
    "signature": first(signature=bytes(64)),
    "short signature": first(signature=b""),
}


@pytest.mark.parametrize("mode", ReplayMode)
@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_message_is_rejected_and_never_delivered(what: str, mode: ReplayMode) -> None:
    events, machine = tampered(mode, FORGERIES[what])
    assert b.faults(events) == ["vm.fault.verification"]
    (rejected,) = [event for event in events if isinstance(event, ev.Rejected)]
    assert (rejected.sender, rejected.receiver, rejected.code) == ("A", "B", b.faults(events)[0])
    assert b.statuses(events)[-1] is Status.FAULTED
    assert [e.sequence for e in events if isinstance(e, ev.Undelivered)] == [1, 2]
    assert b.of_type(events, ev.Received) == []
    assert machine.outcome() is Outcome.FAILED


@pytest.mark.parametrize("hint", [None, (2,), ("1",), (True,), (1 << 70,), (), (1, 1)])
def test_the_payload_is_what_is_received_whatever_the_hint_says(hint: object) -> None:
    """What a sender in the same machine remembers of a payload is checked, never trusted."""
    events, machine = tampered(ReplayMode.SEQUENCE, first(values=hint))
    assert b.printed(events) == ["1", "2"]
    assert machine.outcome() is Outcome.OK


def swap(messages: list[Envelope]) -> list[Envelope]:
    return [messages[1], messages[0], *messages[2:]]


def repeat(messages: list[Envelope]) -> list[Envelope]:
    return [messages[0], *messages]


def drop(messages: list[Envelope]) -> list[Envelope]:
    return messages[1:]


@pytest.mark.parametrize(
    ("tamper", "mode", "code", "delivered"),
    [
        (swap, ReplayMode.SEQUENCE, "vm.fault.replay.sequence", []),
        (drop, ReplayMode.SEQUENCE, "vm.fault.replay.sequence", []),
        (repeat, ReplayMode.SEQUENCE, "vm.fault.replay.duplicate", ["1"]),
        (repeat, ReplayMode.NULLIFIER, "vm.fault.replay.duplicate", ["1"]),
        (swap, ReplayMode.NULLIFIER, None, ["2", "1"]),
        (drop, ReplayMode.NULLIFIER, None, ["2"]),
        (repeat, ReplayMode.OFF, None, ["1", "1", "2"]),
        (swap, ReplayMode.OFF, None, ["2", "1"]),
    ],
)
def test_replay_protection_by_mode(
    tamper: Tamper, mode: ReplayMode, code: str | None, delivered: list[str]
) -> None:
    events, _ = tampered(mode, tamper)
    assert b.printed(events) == delivered
    assert b.faults(events) == ([] if code is None else [code])
    assert len(b.of_type(events, ev.Rejected)) == (code is not None)


def test_a_message_cannot_move_to_another_session() -> None:
    code: list[Instruction] = [
        b.open_(0, 0, 1),
        b.open_(0, 2, 3),
        b.set_(4, 1),
        b.send(0, "B", "ask", 4),
        b.send(2, "B", "ask", 4),
        b.YIELD,
        b.recv(1, "A", "ask", 5),
        b.HALT,
    ]
    machine = b.make_machine(b.image([ASK], [b.program("main", code)]))
    machine.run_round(0)
    one, two = machine._scheduler.sessions.live.values()
    buffers = [one.endpoints["A"].outgoing["B"].buffer, two.endpoints["A"].outgoing["B"].buffer]
    buffers[0].messages, buffers[1].messages = buffers[1].messages, buffers[0].messages
    assert b.faults(b.run(machine)) == ["vm.fault.verification"]


# --- the monitor ---------------------------------------------------------------------------

OUT_OF_TURN: dict[str, tuple[Instruction, str]] = {
    "wrong label": (b.send(0, "B", "answer", 1), "vm.fault.label"),
    "wrong peer": (b.send(0, "C", "ask", 1), "vm.fault.type"),
    "receive first": (b.recv(0, "B", "answer", 1), "vm.fault.type"),
    "select a single label": (b.select(0, "B", "ask", 1), "vm.fault.type"),
    "wrong payload": (b.send(0, "B", "ask", 2), "vm.fault.type"),
    "an endpoint for an int": (b.send(0, "B", "ask", 0), "vm.fault.type"),
    "too few arguments": (b.send(0, "B", "ask"), "vm.fault.type"),
    "too many arguments": (b.send(0, "B", "ask", 1, 1), "vm.fault.type"),
    "not an endpoint": (b.send(1, "B", "ask", 1), "vm.fault.register"),
    "close early": (b.close(0), "vm.fault.close"),
    "halt early": (b.HALT, "vm.fault.close"),
}


@pytest.mark.parametrize("what", OUT_OF_TURN)
def test_the_monitor_refuses_what_the_local_type_does_not_allow(what: str) -> None:
    instruction, code = OUT_OF_TURN[what]
    machine = b.make_machine(b.duo(ASK, [b.set_(1, 5), b.set_(2, "x"), instruction], SERVER))
    events = b.run(machine)
    assert b.faults(events) == [code, "vm.fault.channel"]
    error = machine.report().faults[0]
    assert error.advice
    assert error.expected
    assert error.place.program == "a"
    assert error.place.pc == 2


def test_a_receive_of_another_label_is_refused() -> None:
    events = b.run(b.make_machine(b.duo(ASK, CLIENT, [b.recv(0, "A", "answer", 1)])))
    assert b.faults(events)[0] == "vm.fault.label"


def test_a_branch_must_cover_what_its_type_offers() -> None:
    half = [Branch(0, "A", (Case("item", (1,), 0),))]
    assert b.faults(b.run(b.make_machine(b.duo(stream(), PRODUCE, half))))[0] == "vm.fault.label"


def test_sides_that_disagree_about_a_label_fault_at_the_receiver() -> None:
    """Types that come from no protocol: the receiver is the last line of defence."""
    mismatch = b.protocol(
        "Mismatch",
        {"A": b.sends("B", ("ask", [b.INT], b.END)), "B": b.receives("A", ("tell", [], b.END))},
    )
    sender: list[Instruction] = [b.set_(1, 1), b.send(0, "B", "ask", 1), b.HALT]
    events = b.run(b.make_machine(b.duo(mismatch, sender, [b.recv(0, "A", "tell"), b.HALT])))
    assert b.faults(events) == ["vm.fault.label"]
    assert len(b.of_type(events, ev.Rejected)) == 1


def test_sides_that_disagree_about_a_payload_fault_at_the_receiver() -> None:
    mismatch = b.protocol(
        "Mismatch",
        {
            "A": b.sends("B", ("ask", [b.INT], b.END)),
            "B": b.receives("A", ("ask", [b.STR], b.END)),
        },
    )
    sender: list[Instruction] = [b.set_(1, 1), b.send(0, "B", "ask", 1), b.HALT]
    events = b.run(b.make_machine(b.duo(mismatch, sender, [b.recv(0, "A", "ask", 1), b.HALT])))
    assert b.faults(events) == ["vm.fault.type"]
    assert len(b.of_type(events, ev.Rejected)) == 1


def test_rejects_beyond_the_limit_are_counted_and_not_listed() -> None:
    machine = b.make_machine(b.duo(stream(), PRODUCE, consume(9)))
    for _ in range(3):
        machine.run_round(0)
    (session,) = machine._scheduler.sessions.live.values()
    (edge,) = session.edges
    limits = Limits(rejects_listed_max=4)
    turn = Turn(machine._context._replace(limits=limits))
    for _ in range(6):
        reject(turn, edge, 0, "vm.fault.verification")
    assert len(turn.events) == 4
    assert edge.rejects == {"vm.fault.verification": 6}
    assert edge.discarded == 6


def test_options_are_settled_in_the_descriptor() -> None:
    options = OpenOptions(capacity=9, replay=ReplayMode.OFF, linger_ns=7)
    code = [Open(0, (0, 1), options)]
    events = b.run(b.make_machine(b.image([ASK], [b.program("main", code)])))
    (opened,) = [event for event in events if isinstance(event, ev.Opened)]
    assert {(edge.capacity, edge.replay) for edge in opened.edges} == {(9, "off")}
    assert opened.linger_ns == 7
