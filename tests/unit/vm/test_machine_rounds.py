"""Rounds, effects, limits and the rest of what surrounds the instructions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

import builders as b
from troth.vm import events as ev
from troth.vm import statements
from troth.vm.codec import encode_payload
from troth.vm.errors import Fault, LimitExceeded, Unusable
from troth.vm.image import EdgeSettings, Effect, Image
from troth.vm.instructions import (
    BufferMode,
    Cancel,
    Instruction,
    Invoke,
    JumpIf,
    Open,
    OpenOptions,
    Operator,
    Policy,
    ReplayMode,
    Seal,
)
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.machine import EffectRequest, Machine, MachineState, Outcome, Overrides
from troth.vm.scheduler import FAULTS_LISTED_MAX
from troth.vm.values import RegisterValue, Value

PAIR: Final = b.protocol(
    "Pair",
    {"A": b.sends("B", ("m", [b.STR], b.END)), "B": b.receives("A", ("m", [b.STR], b.END))},
)
DOUBLE: Final = Effect("double", b.fields(b.INT), b.INT)
WITH_EFFECT: Final = [b.set_(1, 21), Invoke(0, (1,), 2), b.print_(2), b.HALT]


def alone(
    code: list[Instruction], *, effects: tuple[Effect, ...] = (), **options: object
) -> Machine:
    built = b.image([PAIR], [b.program("main", code)], effects)
    return b.make_machine(built, **options)  # type: ignore[arg-type]


# --- rounds --------------------------------------------------------------------------------


def test_what_becomes_ready_in_a_round_waits_for_the_next() -> None:
    main = [b.spawn(1, 1), b.set_(2, "main"), b.print_(2), b.HALT]
    child = [b.set_(2, "child"), b.print_(2), b.HALT]
    machine = b.make_machine(b.image([], [b.program("main", main), b.program("child", child)]))
    assert machine.run_round(0)
    assert b.printed(machine.poll_events()) == ["main"]
    assert machine.run_round(0)
    assert b.printed(machine.poll_events()) == ["child"]
    assert not machine.run_round(0)
    assert machine.rounds == 2


def test_a_turn_ends_with_its_quantum() -> None:
    texts = ["1", "2", "3", "4", "5"]
    code: list[Instruction] = []
    for text in texts:
        code += [b.set_(1, text), b.print_(1)]
    machine = alone([*code, b.HALT], quantum=4)
    seen = []
    while machine.run_round(0):
        seen.append(b.printed(machine.poll_events()))
    assert seen == [["1", "2"], ["3", "4"], ["5"]]


def test_output_comes_in_queue_order() -> None:
    main = [*[b.spawn(1, 1)] * 3, b.HALT]
    child: list[Instruction] = []
    for text in "ab":
        child += [b.set_(2, text), b.print_(2), b.YIELD]
    programs = [b.program("main", main), b.program("child", [*child, b.HALT])]
    assert b.printed(b.run(b.make_machine(b.image([], programs)))) == list("aaabbb")


@pytest.mark.parametrize("quantum", [1, 2, 7, 64])
def test_the_same_inputs_give_the_same_events(quantum: int) -> None:
    receiver = [b.recv(0, "A", "m", 1), b.print_(1), b.HALT]
    built = b.duo(PAIR, [b.set_(1, "x"), b.send(0, "B", "m", 1), b.HALT], receiver)
    first = b.run(b.make_machine(built, quantum=quantum))
    assert first == b.run(b.make_machine(built, quantum=quantum))
    other = b.run(b.make_machine(built, quantum=quantum, seed=bytes(32)))
    assert len(other) == len(first)
    assert other != first


def test_running_off_the_end_and_jumping_out_of_the_program_are_faults() -> None:
    assert b.faults(b.run(alone([b.set_(1, 1)]))) == ["vm.fault.pc"]
    assert b.faults(b.run(alone([b.jump(99)]))) == ["vm.fault.pc"]
    assert b.faults(b.run(alone([b.jump(-1)]))) == ["vm.fault.pc"]
    assert b.faults(b.run(alone([b.spawn(1, 5)]))) == ["vm.fault.pc"]


@pytest.mark.parametrize("register", [8, -1, 1000])
def test_registers_that_do_not_exist_are_faults(register: int) -> None:
    for instruction in (b.set_(register, 1), b.print_(register), b.close(register)):
        assert b.faults(b.run(alone([instruction]))) == ["vm.fault.register"]


def test_the_condition_of_a_jump_is_a_bool() -> None:
    assert b.faults(b.run(alone([b.set_(1, 1), JumpIf(1, 0)]))) == ["vm.fault.type"]


def test_endpoints_and_handles_are_no_values() -> None:
    for operator in (Operator.EQ, Operator.LIST):
        both = [b.open_(0, 0, 1), b.op(operator, 2, 0, 1)]
        assert b.faults(b.run(alone(both))) == ["vm.fault.type"]
    assert b.faults(b.run(alone([b.open_(0, 0, 1), b.print_(0)]))) == ["vm.fault.type"]
    for operator in (Operator.STR, Operator.LIST):
        alone_in_it = [b.open_(0, 0, 1), b.op(operator, 2, 0)]
        assert b.faults(b.run(alone(alone_in_it))) == ["vm.fault.type"]


# --- starting ------------------------------------------------------------------------------


def make(built: Image, **options: object) -> Machine:
    keys = b.make_signer()
    arguments: dict[str, object] = {"seed": b.SEED, "signer": keys, "roster": keys, **options}
    return Machine(b.load_unchecked(built), **arguments)  # type: ignore[arg-type]


def test_a_machine_starts_once_and_only_what_can_be_started() -> None:
    programs = [b.program("main", [b.HALT]), b.program("needs", [b.HALT], b.INT)]
    machine = make(b.image([], programs))
    for name, code in (("needs", "machine.entry"), ("nobody", "machine.entry")):
        with pytest.raises(Unusable) as caught:
            machine.start(name)
        assert caught.value.code == code
    machine.start("main")
    with pytest.raises(Unusable) as caught:
        machine.start()
    assert caught.value.code == "machine.started"


def test_a_library_has_nothing_to_start() -> None:
    machine = make(replace(b.image([], [b.program("main", [b.HALT])]), entry=None))
    with pytest.raises(Unusable, match="no program to start"):
        machine.start()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"seed": b"short"}, "machine.seed"),
        ({"quantum": 0}, "machine.quantum"),
        ({"policy": "random"}, "machine.policy"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(options: dict[str, object], code: str) -> None:
    with pytest.raises(Unusable) as caught:
        make(b.image([], [b.program("main", [b.HALT])]), **options)
    assert caught.value.code == code


# --- effects -------------------------------------------------------------------------------


def test_an_effect_is_asked_for_completed_and_recorded() -> None:
    machine = alone(WITH_EFFECT, effects=(DOUBLE,))
    assert machine.run_round(0)
    (request,) = machine.poll_effects()
    main = statements.coroutine_id(b.SEED, b"", 0)
    effect_id = statements.effect_id(main, 0)
    assert request == EffectRequest(effect_id, main, 0, "double", (21,))
    (_, invoked) = machine.poll_events()
    assert invoked == ev.Invoked(main, effect_id, 0, encode_payload((21,)))
    assert (machine.state, machine.deadline_ns()) == (MachineState.WAITING, None)
    assert not machine.run_round(0)
    assert machine.report().coroutines[0].waits_for == "waits for an effect of the host"
    machine.complete(effect_id, 42)
    assert machine.run_round(0)
    events = machine.poll_events()
    assert events[0] == ev.Completed(effect_id, False, encode_payload((42,)), 2)
    assert b.printed(events) == ["42"]
    assert machine.outcome() is Outcome.OK


BAD_RESULTS: dict[str, tuple[object, bool, str]] = {
    "another type": ("text", False, "returned a value of another type"),
    "a bool for an int": (True, False, "returned a value of another type"),
    "no value at all": ({1, 2}, True, "not a value"),
    "too large an int": (1 << 63, True, "not a value"),
}


@pytest.mark.parametrize("what", BAD_RESULTS)
def test_a_result_that_does_not_fit_fails_the_effect(what: str) -> None:
    result, failed, message = BAD_RESULTS[what]
    machine = alone(WITH_EFFECT, effects=(DOUBLE,))
    events = b.run(machine, {"double": lambda _: result})  # type: ignore[dict-item,return-value]
    assert b.faults(events) == ["vm.fault.invoke"]
    assert message in machine.report().faults[0].message
    (completed,) = [event for event in events if isinstance(event, ev.Completed)]
    assert completed.failed == failed


def test_a_failed_effect_faults_its_coroutine_only() -> None:
    main = [b.spawn(3, 1), *WITH_EFFECT]
    other = [*b.naps(4), b.set_(1, "still here"), b.print_(1), b.HALT]
    programs = [b.program("main", main), b.program("other", other)]
    machine = b.make_machine(b.image([], programs, (DOUBLE,)))
    machine.run_round(0)
    (request,) = machine.poll_effects()
    machine.complete_failed(request.effect_id, "the host is on fire\ud800")
    events = machine.poll_events() + b.run(machine)
    assert b.faults(events) == ["vm.fault.invoke"]
    (completed,) = [event for event in events if isinstance(event, ev.Completed)]
    assert completed.failed
    assert completed.result == b"the host is on fire?"
    assert "the host is on fire?" in machine.report().faults[0].message
    assert b.printed(events) == ["still here"]


def test_an_effect_is_completed_once() -> None:
    machine = alone(WITH_EFFECT, effects=(DOUBLE,))
    machine.run_round(0)
    (request,) = machine.poll_effects()
    machine.complete(request.effect_id, 1)
    for effect_id in (request.effect_id, bytes(16)):
        with pytest.raises(Unusable, match=r"effect\.unknown"):
            machine.complete(effect_id, 1)
        with pytest.raises(Unusable, match=r"effect\.unknown"):
            machine.complete_failed(effect_id, "")


def test_the_arguments_of_an_effect_are_checked() -> None:
    for arguments in ((1,), ()):
        code = [b.set_(1, "x"), Invoke(0, arguments, 2)]
        events = b.run(alone(code, effects=(DOUBLE,)))
        assert b.faults(events) == ["vm.fault.type"]
        assert b.of_type(events, ev.Invoked) == []


# --- limits: at the limit and one past it --------------------------------------------------


def limited(**changes: int) -> Limits:
    return replace(DEFAULT_LIMITS, **changes)


def opens(count: int) -> list[Instruction]:
    return [*[b.open_(0, 0, 1)] * count, b.set_(2, "opened"), b.print_(2), b.YIELD, b.fail(2)]


def sends_text(length: int) -> Image:
    sender = [b.set_(1, "x" * length), b.send(0, "B", "m", 1), b.HALT]
    return b.duo(PAIR, sender, [b.recv(0, "A", "m", 1), b.HALT])


def spawns(count: int) -> Image:
    main = [*[b.spawn(1, 1)] * count, b.HALT]
    return b.image([], [b.program("main", main), b.program("child", [*b.naps(3), b.HALT])])


def main_only(code: list[Instruction], registers: int = 8) -> Image:
    return b.image([PAIR], [b.program("main", code, registers=registers)], (DOUBLE,))


def spawns_wide(registers: int) -> Image:
    child = b.program("child", [b.HALT], registers=registers)
    return b.image([], [b.program("main", [b.spawn(1, 1), b.HALT]), child])


LIMITS: dict[str, tuple[Limits, Callable[[int], Image], int, str]] = {
    "sessions": (limited(sessions_max=3), lambda n: main_only(opens(n)), 3, "vm.fault.fail"),
    "coroutines": (limited(coroutines_max=4), spawns, 3, ""),
    "registers": (limited(registers_max=9), spawns_wide, 9, ""),
    "roles": (
        limited(roles_max=2),
        lambda n: b.image(
            [
                b.protocol("Many", {f"R{i}": b.END for i in range(n)}),
            ],
            [b.program("main", [b.open_(0, *range(n)), b.HALT])],
        ),
        2,
        "",
    ),
    "message": (limited(message_bytes_max=22), sends_text, 20, ""),
    "value": (
        limited(value_bytes_max=21),
        lambda n: main_only([b.set_(1, "x" * n), b.HALT]),
        20,
        "",
    ),
    "printed line": (
        limited(value_bytes_max=22),
        lambda n: main_only([b.set_(1, b"x" * n), b.print_(1), b.HALT]),
        18,
        "",
    ),
    "buffer": (
        limited(buffer_capacity_max=50),
        lambda n: main_only([Open(0, (0, 1), OpenOptions(capacity=n)), b.set_(2, ""), b.fail(2)]),
        50,
        "vm.fault.fail",
    ),
    "cancel reason": (
        limited(message_bytes_max=21),
        lambda n: main_only([b.open_(0, 0, 1), b.set_(2, "x" * n), Cancel(0, 2), b.HALT]),
        20,
        "",
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_holds_at_its_value_and_one_past_it(name: str) -> None:
    limits, build, at, outcome = LIMITS[name]
    allowed = b.faults(b.run(b.make_machine(build(at), limits=limits)))
    assert allowed == ([outcome] if outcome else [])
    machine = b.make_machine(build(at + 1), limits=limits)
    assert b.faults(b.run(machine))[0] == "vm.fault.limit"
    expected = machine.report().faults[0].expected
    assert expected is not None
    assert "_max = " in expected


def test_the_first_program_must_fit_too() -> None:
    built = main_only([b.HALT], registers=10)
    b.make_machine(built, limits=limited(registers_max=10))
    with pytest.raises(Fault) as caught:
        b.make_machine(built, limits=limited(registers_max=9))
    assert caught.value.code == "vm.fault.limit"


@pytest.mark.parametrize("quantum", [1, 2, 3, 64])
def test_the_instruction_budget(quantum: int) -> None:
    code = [*b.naps(4), b.HALT]
    allowed = alone(code, limits=limited(instructions_max=5), quantum=quantum)
    assert b.faults(b.run(allowed)) == []
    spent = alone(code, limits=limited(instructions_max=4), quantum=quantum)
    assert b.faults(b.run(spent)) == ["vm.fault.credits"]


def test_waiting_costs_nothing() -> None:
    """The receiver blocks, is woken and receives: one instruction, and one to halt."""
    machine = b.make_machine(
        b.duo(
            PAIR,
            [*b.naps(1), b.set_(1, ""), b.send(0, "B", "m", 1), b.HALT],
            [b.recv(0, "A", "m", 1), b.HALT],
        ),
        limits=limited(instructions_max=4),
    )
    assert b.faults(b.run(machine)) == []


def test_the_round_limit_stops_the_run_and_changes_nothing() -> None:
    machine = alone([b.YIELD, b.jump(0)], limits=limited(rounds_max=3))
    for _ in range(3):
        assert machine.run_round(0)
    for _ in range(2):
        with pytest.raises(LimitExceeded) as caught:
            machine.run_round(0)
        assert caught.value.code == "limit.rounds"
    assert machine.rounds == 3


def test_a_large_result_of_an_effect_is_a_failure() -> None:
    text = Effect("text", (), b.STR)
    for length, code in ((19, []), (20, ["vm.fault.invoke"])):
        machine = alone(
            [Invoke(0, (), 1), b.HALT], effects=(text,), limits=limited(value_bytes_max=21)
        )
        assert b.faults(b.run(machine, {"text": lambda n=length: "x" * n})) == code


@pytest.mark.parametrize("together", [1, 40])
def test_a_report_lists_so_many_faults_and_counts_the_others(together: int) -> None:
    """Whether they come in one round or one after the other."""
    spawn = [b.spawn(1, 1), *([b.YIELD] if together == 1 else [])]
    main = [instruction for _ in range(FAULTS_LISTED_MAX + 6) for instruction in spawn]
    fails = [b.set_(0, "no"), b.fail(0)]
    programs = [b.program("main", [*main, b.HALT]), b.program("fails", fails)]
    machine = b.make_machine(b.image([], programs), quantum=together)
    events = b.run(machine)
    assert len(b.faults(events)) == FAULTS_LISTED_MAX + 6
    report = machine.report()
    assert len(report.faults) == FAULTS_LISTED_MAX
    assert report.fault_count == FAULTS_LISTED_MAX + 6


@pytest.mark.parametrize("operator", [Operator.ADD, Operator.SUB, Operator.LT])
@pytest.mark.parametrize("place", [0, 1])
def test_the_short_way_of_whole_numbers_is_for_whole_numbers_only(
    operator: Operator, place: int
) -> None:
    values: list[Value] = [2, 2]
    values[place] = True
    code = [b.set_(0, values[0]), b.set_(1, values[1]), b.op(operator, 2, 0, 1), b.print_(2)]
    events = b.run(b.make_machine(b.image([], [b.program("main", [*code, b.HALT])])))
    assert b.faults(events) == ["vm.fault.type"]
    assert b.printed(events) == []


def test_shares_of_a_limit_are_exact_however_many_ask_at_once() -> None:
    """Five children want one session each in the same round; three can have one."""
    main = [*[b.spawn(1, 1)] * 5, b.HALT]
    child = [b.open_(0, 0, 1), b.set_(2, "mine"), b.print_(2), *b.naps(5), b.fail(2)]
    built = b.image([PAIR], [b.program("main", main), b.program("child", child)])
    events = b.run(b.make_machine(built, limits=limited(sessions_max=3)))
    assert b.printed(events) == ["mine"] * 3
    assert b.faults(events) == ["vm.fault.limit"] * 2 + ["vm.fault.fail"] * 3


def test_ended_coroutines_and_sessions_give_their_room_back() -> None:
    built = b.image(
        [PAIR],
        [
            b.program(
                "main",
                [
                    b.spawn(1, 1),
                    b.open_(0, 2, 3),
                    b.set_(4, "again"),
                    Cancel(2, 4),
                    *b.naps(2),
                    b.set_(5, True),
                    JumpIf(5, 0),
                ],
            ),
            b.program("child", [b.HALT]),
        ],
    )
    limits = limited(coroutines_max=2, sessions_max=1, instructions_max=70)
    machine = b.make_machine(built, limits=limits)
    assert b.faults(b.run(machine)) == ["vm.fault.credits"]


# --- settings ------------------------------------------------------------------------------


def opened(
    options: OpenOptions, *edges: EdgeSettings, overrides: Overrides | None = None
) -> tuple[Machine, list[ev.Event]]:
    pair = replace(PAIR, edges=edges)
    code: list[Instruction] = [Open(0, (0, 1), options)]
    machine = b.make_machine(
        b.image([pair], [b.program("main", code)]), overrides=overrides or Overrides()
    )
    return machine, b.run(machine)


def edge_of(events: list[ev.Event]) -> ev.EdgeConfig:
    (found,) = [event for event in events if isinstance(event, ev.Opened)]
    (edge,) = found.edges
    return edge


def edge(**settings: object) -> EdgeSettings:
    return EdgeSettings(sender="A", receiver="B", **settings)  # type: ignore[arg-type]


def test_the_defaults() -> None:
    _, events = opened(OpenOptions())
    assert edge_of(events) == ev.EdgeConfig("A", "B", "sequence", "fifo", 64, "block", 64, "inline")
    (found,) = [event for event in events if isinstance(event, ev.Opened)]
    assert (found.seal, found.linger_ns) == ("message", 5_000_000_000)


def test_the_protocol_wins_over_open_and_the_run_over_both() -> None:
    off, nullifier = ReplayMode.OFF, ReplayMode.NULLIFIER
    options = OpenOptions(replay=off, capacity=5)
    assert edge_of(opened(options)[1])[2:5] == ("off", "fifo", 5)
    fixed = edge(replay=nullifier, capacity=7)
    assert edge_of(opened(options, fixed)[1])[2:5] == ("nullifier", "fifo", 7)
    run_wide = Overrides(replay=ReplayMode.SEQUENCE)
    assert edge_of(opened(options, fixed, overrides=run_wide)[1])[2:5] == ("sequence", "fifo", 7)


def test_a_resize_edge_has_a_maximum() -> None:
    grown = edge(policy=Policy.RESIZE, capacity=4, resize_max=9)
    assert edge_of(opened(OpenOptions(), grown)[1]).resize_max == 9
    by_default = edge_of(opened(OpenOptions(policy=Policy.RESIZE, capacity=4))[1])
    assert (by_default.policy, by_default.resize_max) == ("resize", 64)


REFUSED: dict[str, tuple[OpenOptions, tuple[EdgeSettings, ...], str]] = {
    "round seals": (OpenOptions(seal=Seal.ROUND), (), "vm.fault.open"),
    "dropping": (OpenOptions(policy=Policy.DROP), (), "vm.fault.open"),
    "a latest buffer": (OpenOptions(), (edge(buffer=BufferMode.LATEST),), "vm.fault.open"),
    "no capacity": (OpenOptions(capacity=0), (), "vm.fault.open"),
    "a negative linger": (OpenOptions(linger_ns=-1), (), "vm.fault.open"),
    "an endless linger": (OpenOptions(linger_ns=1 << 63), (), "vm.fault.open"),
    "a shrinking resize": (
        OpenOptions(),
        (edge(policy=Policy.RESIZE, capacity=4, resize_max=3),),
        "vm.fault.open",
    ),
    "a resize beyond the limit": (
        OpenOptions(),
        (edge(policy=Policy.RESIZE, resize_max=65_537),),
        "vm.fault.limit",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_settings_that_cannot_hold_are_refused_at_open(what: str) -> None:
    options, edges, code = REFUSED[what]
    machine, events = opened(options, *edges)
    assert b.faults(events) == [code]
    assert b.of_type(events, ev.Opened) == []
    assert machine.report().faults[0].advice


def test_the_run_wide_seal_is_checked_like_any_other() -> None:
    _, events = opened(OpenOptions(), overrides=Overrides(seal=Seal.ROUND))
    assert b.faults(events) == ["vm.fault.open"]


HANDLERS: dict[str, tuple[tuple[tuple[str, str, str], ...], list[str]]] = {
    "the local buffer": ((("A", "B", "local"),), []),
    "an unknown handler": ((("A", "B", "tcp"),), ["vm.fault.open"]),
    "an edge that is not there": ((("B", "A", "local"),), ["vm.fault.open"]),
    "an edge bound twice": ((("A", "B", "local"), ("A", "B", "local")), ["vm.fault.open"]),
}


@pytest.mark.parametrize("what", HANDLERS)
def test_handlers_are_checked(what: str) -> None:
    handlers, expected = HANDLERS[what]
    code: list[Instruction] = [
        Open(0, (0, 1), OpenOptions(), handlers),
        b.set_(2, "done"),
        Cancel(0, 2),
        b.set_(3, "done"),
        Cancel(1, 3),
        b.HALT,
    ]
    assert b.faults(b.run(alone(code))) == expected


class OneKey:
    """A signer and roster that knows one key, whatever is asked of it."""

    def __init__(self, key: bytes) -> None:
        self.key = key

    def principal(self, protocol: str, role: str) -> bytes:  # noqa: ARG002
        if role == "B":
            raise Unusable("key.missing", "nobody is named for B")
        return self.key

    def name_of(self, principal: bytes) -> str:  # noqa: ARG002
        return ""


@pytest.mark.parametrize("key", [b"", bytes(32), b"\xff" * 32, b"\x01" + bytes(31)])
def test_an_unsound_key_is_refused_at_open(key: bytes) -> None:
    built = main_only([b.open_(0, 0, 1)])
    machine = make(built, roster=OneKey(key))
    machine.start()
    assert b.faults(b.run(machine)) == ["vm.fault.key"]


def test_a_role_without_a_key_is_refused_at_open() -> None:
    sound = b.make_signer().principal("Pair", "A")
    machine = make(main_only([b.open_(0, 0, 1)]), roster=OneKey(sound))
    machine.start()
    events = b.run(machine)
    assert b.faults(events) == ["vm.fault.key"]
    assert "nobody stands behind B" in machine.report().faults[0].message
    assert b.of_type(events, ev.Opened) == []


VALUES: list[Value] = [None, True, 3, 2.5, "text", b"bytes", (1, 2)]


@pytest.mark.parametrize("value", VALUES)
def test_print_shows_every_value(value: Value) -> None:
    shown: dict[RegisterValue, str] = {
        None: "()",
        True: "true",
        3: "3",
        2.5: "2.5",
        "text": "text",
        b"bytes": 'b"bytes"',
        (1, 2): "[1, 2]",
    }
    assert b.printed(b.run(alone([b.set_(1, value), b.print_(1), b.HALT]))) == [shown[value]]
