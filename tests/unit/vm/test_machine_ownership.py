"""Who owns an endpoint: spawn, transfer, and delegation inside a message."""

from __future__ import annotations

from typing import Final

import pytest

import builders as b
from troth.vm import events as ev
from troth.vm import signatures, statements
from troth.vm.events import Status
from troth.vm.instructions import HOLE, Cancel, Instruction, Move, Transfer
from troth.vm.machine import Machine, MachineState, Outcome
from troth.vm.types import Mu, Var

JOB: Final = b.protocol(
    "Job",
    {
        "Client": b.sends(
            "Server", ("ask", [b.INT], b.receives("Server", ("answer", [b.INT], b.END)))
        ),
        "Server": b.receives(
            "Client", ("ask", [b.INT], b.sends("Client", ("answer", [b.INT], b.END)))
        ),
    },
)
SERVER: Final = b.endpoint("Job", "Server")
HIRE: Final = b.protocol(
    "Hire",
    {
        "Dispatcher": b.sends("Worker", ("take", [SERVER], b.END)),
        "Worker": b.receives("Dispatcher", ("take", [SERVER], b.END)),
    },
)
MAIN: Final = [
    b.open_(0, 0, 1),
    b.open_(1, 2, 3),
    b.spawn(4, 1, 0),
    b.spawn(4, 2, 2, 1),
    b.spawn(4, 3, 3),
    b.HALT,
]
CLIENT: Final = [
    b.set_(1, 42),
    b.send(0, "Server", "ask", 1),
    b.recv(0, "Server", "answer", 2),
    b.print_(2),
    b.HALT,
]
DISPATCHER: Final = [b.send(0, "Worker", "take", 1), b.close(0), b.HALT]
SERVE: Final = [b.recv(1, "Client", "ask", 2), b.send(1, "Client", "answer", 2), b.HALT]
WORKER: Final = [b.recv(0, "Dispatcher", "take", 1), b.close(0), *SERVE]


def delegation(
    dispatcher: list[Instruction] = DISPATCHER,
    worker: list[Instruction] = WORKER,
    client: list[Instruction] = CLIENT,
) -> Machine:
    return b.make_machine(
        b.image(
            [JOB, HIRE],
            [
                b.program("main", MAIN),
                b.program("client", client, b.endpoint("Job", "Client")),
                b.program("dispatcher", dispatcher, b.endpoint("Hire", "Dispatcher"), SERVER),
                b.program("worker", worker, b.endpoint("Hire", "Worker")),
            ],
        )
    )


def test_a_delegated_endpoint_works_and_its_new_signer_is_certified() -> None:
    machine = delegation()
    events = b.run(machine)
    assert b.printed(events) == ["42"]
    assert machine.outcome() is Outcome.OK
    keys = b.make_signer()
    server, worker = keys.principal("Job", "Server"), keys.principal("Hire", "Worker")
    (certificate,) = [event for event in events if isinstance(event, ev.Delegated)]
    assert (certificate.role, certificate.old, certificate.new) == ("Server", server, worker)
    said = statements.delegation_statement(certificate.session, "Server", server, worker)
    assert signatures.verify(server, said, certificate.signature)
    job = [event for event in events if event[0] == certificate.session]
    signers = {type(e): e.signer for e in job if isinstance(e, ev.Sent) and e.sender == "Server"}
    assert signers == {ev.Sent: worker}
    received = [e.signer for e in job if isinstance(e, ev.Received) and e.receiver == "Server"]
    noticed = [e.signer for e in job if isinstance(e, ev.Noticed) and e.role == "Server"]
    assert (received, noticed) == ([worker], [worker])
    order = [type(event) for event in events]
    carrying = next(i for i, e in enumerate(events) if isinstance(e, ev.Sent) and e.label == "take")
    assert order.index(ev.Delegated) == carrying - 1


def test_no_certificate_where_the_signer_stays_the_same() -> None:
    """The Worker's place is taken by a role that signs with the Server's own key."""
    hire = b.protocol(
        "Hire",
        {
            "Dispatcher": b.sends("Server", ("take", [SERVER], b.END)),
            "Server": b.receives("Dispatcher", ("take", [SERVER], b.END)),
        },
    )
    programs = [
        b.program("main", MAIN),
        b.program("client", CLIENT, b.endpoint("Job", "Client")),
        b.program(
            "dispatcher",
            [b.send(0, "Server", "take", 1), b.HALT],
            b.endpoint("Hire", "Dispatcher"),
            SERVER,
        ),
        b.program("worker", WORKER, b.endpoint("Hire", "Server")),
    ]
    machine = b.make_machine(b.image([JOB, hire], programs))
    events = b.run(machine)
    assert machine.outcome() is Outcome.OK
    assert b.of_type(events, ev.Delegated) == []


def test_the_sender_loses_what_it_sends() -> None:
    again = [Move(2, 1), b.send(0, "Worker", "take", 2), b.recv(2, "Client", "ask", 3)]
    assert b.faults(b.run(delegation(again)))[0] == "vm.fault.register"


def test_an_endpoint_in_transit_belongs_to_nobody() -> None:
    machine = delegation(worker=[*b.naps(9), *WORKER[:2], b.HALT])
    machine.run_round(0)
    machine.run_round(0)
    sessions = machine._scheduler.sessions.live.values()
    (travelling,) = [s.endpoints["Server"] for s in sessions if "Server" in s.endpoints]
    assert travelling.owner is None
    states = [end for report in machine.report().sessions for end in report.endpoints]
    assert "in transit inside a message" in [end.custody for end in states]


@pytest.mark.parametrize(
    ("dispatcher", "worker"),
    [
        (DISPATCHER, [*b.naps(5), b.set_(1, "no"), b.fail(1)]),
        (DISPATCHER, [*b.naps(5), b.set_(1, "no"), Cancel(0, 1), b.HALT]),
    ],
)
def test_an_endpoint_lost_in_transit_cancels_its_session(
    dispatcher: list[Instruction], worker: list[Instruction]
) -> None:
    machine = delegation(dispatcher, worker)
    events = b.run(machine)
    lost = [event for event in events if isinstance(event, ev.Cancelled) and not event.role]
    assert [event.reason for event in lost] == ["endpoint lost in transit"]
    assert b.faults(events)[-1] == "vm.fault.channel"
    assert machine.state is MachineState.FINISHED
    assert [e.sequence for e in events if isinstance(e, ev.Undelivered)] == [0, 0]


def test_what_is_lost_inside_what_is_lost_is_lost_too() -> None:
    """A job travels to a worker, and the worker's endpoint to somebody who leaves: all end."""
    hire = b.endpoint("Hire", "Worker")
    lend = b.protocol(
        "Lend",
        {
            "Owner": b.sends("Friend", ("lend", [hire], b.END)),
            "Friend": b.receives("Owner", ("lend", [hire], b.END)),
        },
    )
    main = [*(b.open_(n, 2 * n, 2 * n + 1) for n in range(3))]
    main += [b.spawn(6, 1, 0), b.spawn(6, 2, 2, 1), b.spawn(6, 3, 4, 3), b.spawn(6, 4, 5), b.HALT]
    leaves = [*b.naps(3), b.set_(1, "leaves"), Cancel(0, 1), b.HALT]
    programs = [
        b.program("main", main),
        b.program("client", CLIENT, b.endpoint("Job", "Client")),
        b.program("dispatcher", DISPATCHER, b.endpoint("Hire", "Dispatcher"), SERVER),
        b.program(
            "owner", [b.send(0, "Friend", "lend", 1), b.HALT], b.endpoint("Lend", "Owner"), hire
        ),
        b.program("friend", leaves, b.endpoint("Lend", "Friend")),
    ]
    machine = b.make_machine(b.image([JOB, HIRE, lend], programs))
    events = b.run(machine)
    opened = {event.session: event.protocol for event in events if isinstance(event, ev.Opened)}
    lost = [event for event in events if isinstance(event, ev.Cancelled) and not event.role]
    assert [opened[event.session] for event in lost] == ["Hire", "Job"]
    assert {event.reason for event in lost} == {"endpoint lost in transit"}
    ends = {e.session: e.status for e in events if isinstance(e, ev.StatusChanged)}
    assert set(ends.values()) == {Status.CANCELLED}
    assert len(ends) == 3
    assert machine.state is MachineState.FINISHED


LOOP: Final = b.protocol(
    "Job",
    {
        "Client": Mu("x", b.sends("Server", ("ask", [], Var("x")), ("stop", [], b.END))),
        "Server": Mu("x", b.receives("Client", ("ask", [], Var("x")), ("stop", [], b.END))),
    },
)


def test_a_used_endpoint_cannot_travel_although_its_type_is_initial_again() -> None:
    hand_on = [b.select(1, "Server", "ask"), b.send(0, "Worker", "take", 1), b.HALT]
    client = b.endpoint("Job", "Client")
    hire = b.protocol(
        "Hire",
        {
            "Dispatcher": b.sends("Worker", ("take", [client], b.END)),
            "Worker": b.receives("Dispatcher", ("take", [client], b.END)),
        },
    )
    main = [b.open_(0, 0, 1), b.open_(1, 2, 3), b.spawn(4, 1, 2, 0), *b.naps(5)]
    machine = b.make_machine(
        b.image(
            [LOOP, hire],
            [
                b.program("main", main),
                b.program("dispatcher", hand_on, b.endpoint("Hire", "Dispatcher"), client),
            ],
        )
    )
    assert b.faults(b.run(machine))[0] == "vm.fault.transfer"


def test_an_endpoint_of_an_ended_session_cannot_travel() -> None:
    client = [b.set_(1, "no"), Cancel(0, 1), b.HALT]
    dispatcher = [*b.naps(4), *DISPATCHER]
    assert b.faults(b.run(delegation(dispatcher, client=client)))[0] == "vm.fault.channel"


def test_an_endpoint_of_another_protocol_cannot_travel() -> None:
    wrong = [b.send(0, "Worker", "take", 0)]
    assert b.faults(b.run(delegation(wrong)))[0] == "vm.fault.type"


def test_an_endpoint_cannot_travel_to_itself() -> None:
    self_type = b.endpoint("Self", "B")
    selfish = b.protocol(
        "Self",
        {
            "A": b.sends("B", ("take", [self_type], b.END)),
            "B": b.receives("A", ("take", [self_type], b.END)),
        },
    )
    code = [b.open_(0, 0, 1), b.send(0, "B", "take", 1)]
    machine = b.make_machine(b.image([selfish], [b.program("main", code)]))
    assert b.faults(b.run(machine)) == ["vm.fault.transfer"]


def test_an_endpoint_cannot_travel_twice_in_one_message() -> None:
    twice = b.protocol(
        "Twice",
        {
            "A": b.sends("B", ("take", [SERVER, SERVER], b.END)),
            "B": b.receives("A", ("take", [SERVER, SERVER], b.END)),
        },
    )
    code = [b.open_(0, 0, 1), b.open_(1, 2, 3), b.send(2, "B", "take", 1, 1)]
    machine = b.make_machine(b.image([JOB, twice], [b.program("main", code)]))
    assert b.faults(b.run(machine)) == ["vm.fault.transfer"]


# --- spawn and transfer --------------------------------------------------------------------


def test_spawn_moves_endpoints_without_changing_their_signer() -> None:
    events = b.run(delegation())
    spawned = [event for event in events if isinstance(event, ev.Spawned)]
    moved = [event for event in events if isinstance(event, ev.Transferred)]
    assert [event.program for event in spawned] == [0, 1, 2, 3]
    main = spawned[0].coroutine
    assert main == statements.coroutine_id(b.SEED, b"", 0)
    for place, child in enumerate(spawned[1:]):
        assert child.coroutine == statements.coroutine_id(b.SEED, main, place)
        assert child.parent == main
    assert [(event.role, event.source) for event in moved] == [
        ("Client", main),
        ("Dispatcher", main),
        ("Server", main),
        ("Worker", main),
    ]


def with_hole(*rest: Instruction, parameter: int = 0) -> Machine:
    """main spawns a server with a hole, lets time pass, and fills it."""
    main = [
        b.open_(0, 0, 1),
        b.spawn(2, 1, HOLE),
        b.spawn(3, 2, 0),
        *b.naps(3),
        Transfer(1, 2, parameter),
        *rest,
        b.HALT,
    ]
    server = [Move(1, 0), *SERVE]
    return b.make_machine(
        b.image(
            [JOB],
            [
                b.program("main", main),
                b.program("server", server, SERVER),
                b.program("client", CLIENT, b.endpoint("Job", "Client")),
            ],
        )
    )


def test_a_child_with_a_hole_waits_until_transfer_fills_it() -> None:
    machine = with_hole()
    machine.run_round(0)
    machine.run_round(0)
    waiting = [c.waits_for for c in machine.report().coroutines if c.program == "server"]
    assert waiting == ["waits for its parent to transfer f0"]
    events = machine.poll_events() + b.run(machine)
    assert b.printed(events) == ["42"]
    assert machine.outcome() is Outcome.OK


def test_a_child_whose_endpoint_is_held_elsewhere_ends_here_at_once() -> None:
    """Its program runs at the machine that holds the endpoint, and nobody waits for it here."""
    main = [b.open_(0, 0, 1), b.spawn(2, 1, HOLE), *b.naps(3), Transfer(1, 2, 0), *b.naps(2)]
    programs = [b.program("main", [*main, b.HALT]), b.program("server", SERVE, SERVER)]
    machine = b.make_machine(b.image([JOB], programs), home=["Bystander"])
    seen = []
    for _ in range(7):
        machine.run_round(0)
        seen.append([coroutine.program for coroutine in machine.report().coroutines])
    ended = [event for event in machine.poll_events() if isinstance(event, ev.Halted)]
    assert seen == [["main", "server"]] * 3 + [["main"]] * 2 + [[]] * 2
    assert len(ended) == 2
    assert machine.outcome() is Outcome.OK


def test_a_program_whose_endpoint_is_held_elsewhere_begins_and_ends_at_its_spawn() -> None:
    """It is counted here as where it runs, so that the children after it have the same names."""
    main = [b.open_(0, 0, 1), b.spawn(2, 1, 1), b.spawn(3, 2), b.spawn(4, 1, 1), b.HALT]
    programs = [
        b.program("main", main),
        b.program("server", SERVE, SERVER),
        b.program("idle", [b.HALT]),
    ]
    machine = b.make_machine(b.image([JOB], programs), home=["Bystander"])
    events = b.run(machine)
    spawned = [event.coroutine for event in events if isinstance(event, ev.Spawned)]
    assert spawned == [
        statements.coroutine_id(b.SEED, b"", 0),
        *(statements.coroutine_id(b.SEED, spawned[0], child) for child in range(2)),
    ]
    assert events[2] == ev.Halted(spawned[1])
    assert b.faults(events) == ["vm.fault.register"], "the endpoint has gone with the first"


def test_a_hole_is_filled_once() -> None:
    machine = with_hole(b.open_(0, 4, 5), Transfer(5, 2, 0))
    assert "vm.fault.transfer" in b.faults(b.run(machine))


def test_only_a_hole_can_be_filled() -> None:
    assert "vm.fault.transfer" in b.faults(b.run(with_hole(parameter=1)))


def test_a_transfer_needs_an_endpoint_of_the_parameters_type() -> None:
    main = [b.open_(0, 0, 1), b.spawn(2, 1, HOLE), Transfer(0, 2, 0), b.HALT]
    programs = [b.program("main", main), b.program("server", SERVE, SERVER)]
    assert b.faults(b.run(b.make_machine(b.image([JOB], programs)))) == ["vm.fault.type"]


def test_a_transfer_needs_an_endpoint_in_its_initial_type() -> None:
    client = b.endpoint("Job", "Client")
    main = [
        b.open_(0, 0, 1),
        b.spawn(2, 1, HOLE),
        b.set_(3, 1),
        b.send(0, "Server", "ask", 3),
        Transfer(0, 2, 0),
    ]
    programs = [b.program("main", main), b.program("client", CLIENT, client)]
    assert b.faults(b.run(b.make_machine(b.image([JOB], programs)))) == ["vm.fault.transfer"]


def test_an_unfilled_hole_is_reported_not_forgotten() -> None:
    main = [b.spawn(2, 1, HOLE), b.HALT]
    programs = [b.program("main", main), b.program("server", SERVE, SERVER)]
    machine = b.make_machine(b.image([JOB], programs))
    b.run(machine)
    assert machine.state is MachineState.STUCK
    assert "waits for its parent to transfer f0" in machine.report().describe()


SPAWN_FAULTS: dict[str, tuple[list[Instruction], str]] = {
    "too few arguments": ([b.spawn(2, 1)], "vm.fault.type"),
    "a hole for a value": ([b.spawn(2, 1, 0, HOLE)], "vm.fault.type"),
    "a value of another type": ([b.set_(3, "x"), b.spawn(2, 1, 0, 3)], "vm.fault.type"),
    "an endpoint for a value": ([b.spawn(2, 1, 0, 1)], "vm.fault.type"),
    "a value for an endpoint": ([b.set_(3, 1), b.spawn(2, 1, 3, 3)], "vm.fault.register"),
    "an endpoint of another role": ([b.set_(3, 1), b.spawn(2, 1, 1, 3)], "vm.fault.type"),
    "one endpoint twice": ([b.spawn(2, 2, 0, 0)], "vm.fault.type"),
}


@pytest.mark.parametrize("what", SPAWN_FAULTS)
def test_spawn_checks_its_arguments(what: str) -> None:
    code, expected = SPAWN_FAULTS[what]
    client = b.endpoint("Job", "Client")
    machine = b.make_machine(
        b.image(
            [JOB],
            [
                b.program("main", [b.open_(0, 0, 1), *code, b.HALT]),
                b.program("child", [b.HALT], client, b.INT),
                b.program("twins", [b.HALT], client, client),
            ],
        )
    )
    events = b.run(machine)
    assert b.faults(events) == [expected]
    assert len(b.of_type(events, ev.Spawned)) == 1
    assert b.statuses(events) == [Status.FAULTED]


def test_an_endpoint_that_was_moved_leaves_its_register_unset() -> None:
    code = [b.open_(0, 0, 1), Move(2, 0), b.send(0, "Server", "ask", 3)]
    machine = b.make_machine(b.image([JOB], [b.program("main", code)]))
    assert b.faults(b.run(machine)) == ["vm.fault.register"]


def test_an_endpoint_whose_register_was_overwritten_is_not_forgotten() -> None:
    code = [b.open_(0, 0, 1), b.set_(0, None), b.set_(1, None), b.HALT]
    machine = b.make_machine(b.image([JOB], [b.program("main", code)]))
    assert b.faults(b.run(machine)) == ["vm.fault.close"]
