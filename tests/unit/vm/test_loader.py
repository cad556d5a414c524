"""The loader: what passes, and every way in which bytecode is refused, each with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest

from builders import (
    END,
    HALT,
    INT,
    STR,
    close,
    endpoint,
    fail,
    fields,
    image,
    jump,
    op,
    open_,
    print_,
    program,
    protocol,
    receives,
    recv,
    select,
    send,
    sends,
    set_,
    spawn,
)
from troth.vm.errors import Invalid, LimitExceeded, Malformed, TrothError
from troth.vm.image import Effect, Image, Program
from troth.vm.image_codec import encode_image, image_id
from troth.vm.instructions import (
    HOLE,
    Abort,
    Acquire,
    Branch,
    Cancel,
    Case,
    Fork,
    Instruction,
    Invoke,
    Join,
    JumpIf,
    Move,
    Op,
    OpenOptions,
    Operator,
    Release,
    Set,
    Spawn,
    Transfer,
    Yield,
)
from troth.vm.instructions import Open as OpenInstruction
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.loader import load
from troth.vm.loader_flow import Budget, check_program
from troth.vm.loader_frame import ImageView
from troth.vm.local_types import protocol_id
from troth.vm.types import (
    Field,
    ListType,
    Mu,
    Primitive,
    RecordType,
    ValueType,
    Var,
)

# Register use in programs of A and B: 0 is the endpoint, 1 an int, 2 a str.

JOB: Final = protocol(
    "Job",
    {
        "A": sends("B", ("ask", [INT], receives("B", ("answer", [STR], END)))),
        "B": receives("A", ("ask", [INT], sends("A", ("answer", [STR], END)))),
    },
)
LOOP: Final = protocol(
    "Loop",
    {
        "A": Mu("X", sends("B", ("more", [INT], Var("X")), ("stop", [], END))),
        "B": Mu("X", receives("A", ("more", [INT], Var("X")), ("stop", [], END))),
    },
)
HIRE: Final = protocol(
    "Hire",
    {
        "D": sends("W", ("take", [endpoint("Job", "B")], END)),
        "W": receives("D", ("take", [endpoint("Job", "B")], END)),
    },
)
PROTOCOLS: Final = (JOB, LOOP, HIRE)
EFFECTS: Final = (Effect("price", fields(STR), INT),)

JOB_A: Final = endpoint("Job", "A")
JOB_B: Final = endpoint("Job", "B")
LOOP_A: Final = endpoint("Loop", "A")
LOOP_B: Final = endpoint("Loop", "B")
HIRE_D: Final = endpoint("Hire", "D")
HIRE_W: Final = endpoint("Hire", "W")
MAIN: Final = program("main", [HALT])
SERVE: Final = program(
    "serve",
    [recv(0, "A", "ask", 1), set_(2, "x"), send(0, "A", "answer", 2), close(0), HALT],
    JOB_B,
)


def build(code: Sequence[Instruction], *parameters: ValueType, registers: int = 8) -> Image:
    """An image with `code` as its program "p", besides main (0) and serve (2)."""
    tested = program("p", code, *parameters, registers=registers)
    return image(PROTOCOLS, [MAIN, tested, SERVE], EFFECTS)


def refused(built: Image) -> TrothError:
    with pytest.raises((Invalid, Malformed, LimitExceeded)) as caught:
        load(built)
    return caught.value


# --- what passes ----------------------------------------------------------------------------

ASK: Final = (set_(1, 7), send(0, "B", "ask", 1))
STOP: Final = select(0, "B", "stop")

ACCEPTED: Final[list[tuple[list[Instruction], tuple[ValueType, ...]]]] = [
    ([HALT], ()),
    ([*ASK, recv(0, "B", "answer", 2), close(0), HALT], (JOB_A,)),
    # Halt closes an endpoint that is at its end.
    ([*ASK, recv(0, "B", "answer", 2), HALT], (JOB_A,)),
    # A fault is an end of its own: the endpoint need not be finished.
    ([set_(2, "x"), fail(2)], (JOB_A,)),
    ([set_(2, "x"), Cancel(0, 2), HALT], (JOB_A,)),
    ([set_(1, 1), select(0, "B", "more", 1), jump(1)], (LOOP_A,)),
    ([Branch(0, "A", (Case("more", (1,), 0), Case("stop", (), 1))), close(0), HALT], (LOOP_B,)),
    # Both paths leave the endpoint where the other does, with different registers set.
    (
        [
            set_(3, True),
            JumpIf(3, 4),
            set_(1, 1),
            jump(5),
            set_(1, "s"),
            STOP,
            close(0),
            HALT,
        ],
        (LOOP_A,),
    ),
    ([send(0, "W", "take", 1), close(0), HALT], (HIRE_D, JOB_B)),
    ([recv(0, "D", "take", 1), close(0), spawn(2, 2, 1), HALT], (HIRE_W,)),
    ([Spawn(2, 2, (HOLE,)), Transfer(0, 2, 0), set_(2, 1), HALT], (JOB_B,)),
    # An endpoint moves to another register and is used there.
    ([Move(3, 0), spawn(0, 2, 3), HALT], (JOB_B,)),
    # The handle of a child that waits for nothing is an ordinary value.
    ([spawn(2, 0), Move(3, 2), Move(2, 3), spawn(3, 0), jump(0)], ()),
    ([set_(2, "x"), Invoke(0, (2,), 1), op(Operator.ADD, 1, 1, 1), print_(1), HALT], ()),
    # An empty list gets its item type from what it meets.
    (
        [
            Op(Operator.LIST, 1, ()),
            set_(2, (1,)),
            set_(3, True),
            JumpIf(3, 5),
            Move(1, 2),
            op(Operator.ADD, 1, 1, 2),
            Set(4, 0),
            op(Operator.INDEX, 5, 1, 4),
            op(Operator.ADD, 5, 5, 4),
            HALT,
        ],
        (),
    ),
    # No path leads to what comes after the jump.
    ([jump(2), send(6, "Nobody", "nothing"), HALT], ()),
    ([Yield(), open_(0, 0, 1), spawn(2, 2, 1), set_(2, "x"), Cancel(0, 2), HALT], ()),
]


@pytest.mark.parametrize(("code", "parameters"), ACCEPTED)
def test_what_is_right_is_loaded(
    code: list[Instruction], parameters: tuple[ValueType, ...]
) -> None:
    built = build(code, *parameters)
    assert load(built).image is built


def test_what_is_loaded() -> None:
    built = build([HALT])
    loaded = load(built)
    assert loaded.id == image_id(encode_image(built))
    assert loaded.protocol_ids == tuple(protocol_id(item) for item in PROTOCOLS)
    assert loaded.protocol_index == {"Job": 0, "Loop": 1, "Hire": 2}
    tables = loaded.protocols[0]
    assert tables.role_index == {"A": 0, "B": 1}
    assert tables.states[0] == JOB.local_types[0].states
    assert tables.branches[0][0]["ask"].next == 1
    assert tables.labels == ("answer", "ask")
    assert tables.label_index == {"answer": 0, "ask": 1}
    assert tables.edges == (("A", "B"), ("B", "A"))
    assert tables.edge_settings == {}


# --- programs that are refused --------------------------------------------------------------

JUMP_APART: Final = (set_(3, True), JumpIf(3, 4))

REFUSED: Final[list[tuple[str, int, list[Instruction], tuple[ValueType, ...]]]] = [
    ("image.register.unset", 0, [print_(1), HALT], ()),
    ("image.register.unset", 0, [Move(1, 2), HALT], ()),
    ("image.register.unset", 0, [close(0), HALT], ()),
    ("image.register.unset", 2, [Move(3, 0), Move(4, 3), close(3), HALT], (JOB_A,)),
    # Two values of different types meet: the register cannot be used any more.
    (
        "image.register.unset",
        5,
        [*JUMP_APART, set_(1, 1), jump(5), set_(1, "s"), print_(1), HALT],
        (),
    ),
    # One path does not write the register at all.
    ("image.register.unset", 3, [set_(3, True), JumpIf(3, 3), set_(1, 1), print_(1), HALT], ()),
    ("image.register.type", 0, [print_(0), HALT], (JOB_A,)),
    ("image.register.type", 1, [set_(1, 1), close(1), HALT], ()),
    ("image.register.type", 1, [set_(1, 1), JumpIf(1, 0), HALT], ()),
    ("image.register.type", 1, [set_(2, "x"), send(0, "B", "ask", 2), HALT], (JOB_A,)),
    ("image.register.type", 1, [set_(1, 1), Cancel(0, 1), HALT], (JOB_A,)),
    ("image.register.type", 1, [spawn(2, 0), print_(2), HALT], ()),
    ("image.register.type", 1, [set_(1, 1), Invoke(0, (1,), 2), HALT], ()),
    ("image.operator", 2, [set_(1, 1), set_(2, "x"), op(Operator.ADD, 1, 1, 2), HALT], ()),
    ("image.operator", 1, [set_(1, 1), op(Operator.ADD, 1, 1), HALT], ()),
    ("image.operator", 1, [set_(1, 1), fail(1)], ()),
    ("image.constant", 0, [set_(1, (1, "x")), HALT], ()),
    # Talk out of turn.
    ("image.endpoint.turn", 0, [recv(0, "B", "answer", 2), HALT], (JOB_A,)),
    ("image.endpoint.turn", 2, [*ASK, send(0, "B", "ask", 1), HALT], (JOB_A,)),
    (
        "image.endpoint.turn",
        0,
        [Branch(0, "B", (Case("more", (1,), 0), Case("stop", (), 1))), HALT],
        (LOOP_A,),
    ),
    ("image.endpoint.turn", 1, [STOP, STOP, HALT], (LOOP_A,)),
    ("image.endpoint.peer", 1, [set_(1, 7), send(0, "C", "ask", 1), HALT], (JOB_A,)),
    ("image.endpoint.peer", 0, [recv(0, "B", "ask", 1), HALT], (JOB_B,)),
    ("image.endpoint.label", 1, [set_(1, 7), send(0, "B", "answer", 1), HALT], (JOB_A,)),
    ("image.endpoint.label", 0, [select(0, "B", "go"), HALT], (LOOP_A,)),
    ("image.endpoint.label", 0, [recv(0, "A", "answer", 1), HALT], (JOB_B,)),
    ("image.endpoint.choice", 1, [set_(1, 7), select(0, "B", "ask", 1), HALT], (JOB_A,)),
    ("image.endpoint.choice", 0, [send(0, "B", "stop"), HALT], (LOOP_A,)),
    ("image.endpoint.choice", 0, [recv(0, "A", "stop"), HALT], (LOOP_B,)),
    ("image.endpoint.choice", 0, [Branch(0, "A", (Case("ask", (1,), 0),)), HALT], (JOB_B,)),
    # Wrong numbers of things.
    ("image.arity", 0, [send(0, "B", "ask"), HALT], (JOB_A,)),
    ("image.arity", 1, [set_(1, 7), send(0, "B", "ask", 1, 1), HALT], (JOB_A,)),
    ("image.arity", 0, [recv(0, "A", "ask"), HALT], (JOB_B,)),
    ("image.arity", 0, [open_(0, 0), HALT], ()),
    ("image.arity", 0, [spawn(1, 2), HALT], ()),
    ("image.arity", 0, [Invoke(0, (), 1), HALT], ()),
    (
        "image.arity",
        0,
        [Branch(0, "A", (Case("more", (), 0), Case("stop", (), 1))), HALT],
        (LOOP_B,),
    ),
    # Branches are complete and in order.
    ("image.branch.cases", 0, [Branch(0, "A", (Case("stop", (), 1),)), HALT], (LOOP_B,)),
    ("image.branch.cases", 0, [Branch(0, "A", ()), HALT], (LOOP_B,)),
    (
        "image.branch.cases",
        0,
        [Branch(0, "A", (Case("more", (1,), 0), Case("quit", (), 0), Case("stop", (), 1))), HALT],
        (LOOP_B,),
    ),
    (
        "image.branch.order",
        0,
        [Branch(0, "A", (Case("stop", (), 1), Case("more", (1,), 0))), HALT],
        (LOOP_B,),
    ),
    # Endpoints are finished, never lost and never doubled.
    ("image.endpoint.unfinished", 0, [close(0), HALT], (JOB_A,)),
    ("image.endpoint.unfinished", 0, [HALT], (JOB_A,)),
    ("image.endpoint.unfinished", 2, [*ASK, HALT], (JOB_A,)),
    ("image.endpoint.lost", 0, [set_(0, 1), HALT], (JOB_A,)),
    ("image.endpoint.lost", 1, [STOP, set_(0, 1), HALT], (LOOP_A,)),
    ("image.endpoint.lost", 1, [open_(0, 2, 3), open_(0, 2, 4), HALT], ()),
    ("image.endpoint.lost", 0, [open_(0, 2, 2), HALT], ()),
    ("image.endpoint.lost", 0, [recv(0, "A", "ask", 0), HALT], (JOB_B,)),
    ("image.endpoint.lost", 0, [recv(0, "D", "take", 1), HALT], (HIRE_W, JOB_A)),
    ("image.endpoint.lost", 0, [Move(0, 1), HALT], (JOB_A, JOB_B)),
    ("image.endpoint.lost", 1, [set_(2, "x"), Invoke(0, (2,), 0), HALT], (JOB_A,)),
    ("image.endpoint.lost", 0, [spawn(0, 0), HALT], (JOB_A,)),
    ("image.move.self", 0, [Move(0, 0), HALT], (JOB_A,)),
    ("image.endpoint.join", 0, [set_(1, 7), send(0, "B", "ask", 1), jump(0)], (JOB_A,)),
    # One path closed the endpoint, the other did not.
    ("image.endpoint.join", 4, [set_(3, True), STOP, JumpIf(3, 4), close(0), HALT], (LOOP_A,)),
    # One path moved it elsewhere.
    ("image.endpoint.join", 3, [set_(3, True), JumpIf(3, 3), Move(4, 0), HALT], (LOOP_A,)),
    # Handing on: only what was never used, of the right role.
    ("image.endpoint.initial", 0, [send(0, "W", "take", 1), HALT], (HIRE_D, JOB_A)),
    (
        "image.endpoint.initial",
        1,
        [recv(1, "A", "ask", 2), send(0, "W", "take", 1), HALT],
        (HIRE_D, JOB_B),
    ),
    ("image.endpoint.initial", 0, [spawn(2, 2, 0), HALT], (JOB_A,)),
    ("image.endpoint.initial", 1, [Spawn(2, 2, (HOLE,)), Transfer(0, 2, 0), HALT], (JOB_A,)),
    ("image.register.type", 1, [set_(1, 1), send(0, "W", "take", 1), HALT], (HIRE_D,)),
    ("image.endpoint.self", 0, [send(0, "W", "take", 0), HALT], (HIRE_D,)),
    ("image.register.unset", 1, [spawn(2, 2, 0), spawn(2, 2, 0), HALT], (JOB_B,)),
    # Children get what they wait for.
    ("image.spawn.unfilled", 1, [Spawn(2, 2, (HOLE,)), HALT], ()),
    ("image.spawn.unfilled", 1, [Spawn(2, 2, (HOLE,)), set_(2, 1), HALT], ()),
    ("image.spawn.unfilled", 1, [Spawn(2, 2, (HOLE,)), Spawn(2, 2, (HOLE,)), HALT], ()),
    ("image.spawn.unfilled", 0, [set_(3, True), Spawn(2, 2, (HOLE,)), jump(0)], ()),
    ("image.move.self", 1, [Spawn(2, 2, (HOLE,)), Move(2, 2), HALT], ()),
    ("image.transfer.parameter", 1, [Spawn(2, 2, (HOLE,)), Transfer(0, 2, 1), HALT], (JOB_B,)),
    ("image.transfer.parameter", 1, [spawn(2, 0), Transfer(0, 2, 0), HALT], (JOB_B,)),
    ("image.register.type", 1, [set_(2, 1), Transfer(0, 2, 0), HALT], (JOB_B,)),
    ("image.spawn.hole", 0, [Spawn(2, 1, (HOLE,)), HALT], (INT,)),
    # Open.
    ("image.open.options", 0, [open_(0, 0, 1, capacity=0), HALT], ()),
    (
        "image.open.options",
        0,
        [open_(0, 0, 1, capacity=DEFAULT_LIMITS.buffer_capacity_max + 1), HALT],
        (),
    ),
    (
        "image.open.handlers",
        0,
        [OpenInstruction(0, (0, 1), OpenOptions(), (("A", "C", "tcp"),)), HALT],
        (),
    ),
    (
        "image.open.handlers",
        0,
        [OpenInstruction(0, (0, 1), OpenOptions(), (("A", "B", "x"), ("A", "B", "y"))), HALT],
        (),
    ),
]


@pytest.mark.parametrize(("code", "pc", "instructions", "parameters"), REFUSED)
def test_what_is_wrong_is_refused(
    code: str, pc: int, instructions: list[Instruction], parameters: tuple[ValueType, ...]
) -> None:
    error = refused(build(instructions, *parameters))
    assert error.code == code
    assert error.place.program == "p"
    assert error.place.pc == pc


def test_a_used_endpoint_at_its_first_state_is_not_fresh() -> None:
    again = [set_(1, 1), select(0, "B", "more", 1), spawn(2, 1, 0), HALT]
    built = image(PROTOCOLS, [MAIN, program("p", again, LOOP_A)])
    assert refused(built).code == "image.endpoint.initial"
    at_once = [spawn(2, 1, 0), HALT]
    load(image(PROTOCOLS, [MAIN, program("p", at_once, LOOP_A)]))


def test_the_line_of_the_source_is_told() -> None:
    built = build([set_(1, 1), close(1), HALT])
    tested = replace(built.programs[1], lines=(4, 9, 11))
    error = refused(replace(built, programs=(MAIN, tested, SERVE)))
    assert error.place.line == 9


# --- operands and heads ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        send(8, "B", "ask"),
        select(8, "B", "ask"),
        send(0, "B", "ask", 8),
        recv(0, "B", "ask", 8),
        recv(8, "B", "ask"),
        Branch(8, "B", ()),
        Branch(0, "B", (Case("a", (8,), 0),)),
        Branch(0, "B", (Case("a", (), 2),)),
        close(8),
        Cancel(8, 0),
        Cancel(0, 8),
        Invoke(0, (8,), 0),
        Invoke(0, (), 8),
        Invoke(1, (), 0),
        Transfer(8, 0, 0),
        Transfer(0, 8, 0),
        set_(8, 1),
        Move(8, 0),
        Move(0, 8),
        op(Operator.NEG, 8, 0),
        op(Operator.NEG, 0, 8),
        jump(2),
        JumpIf(8, 0),
        JumpIf(0, 2),
        spawn(8, 0),
        spawn(0, 3),
        spawn(0, 0, 8),
        open_(3, 0, 1),
        open_(0, 0, 8),
    ],
)
def test_operands_are_in_range_even_where_no_path_leads(wrong: Instruction) -> None:
    error = refused(build([HALT, wrong] if isinstance(wrong, Branch) else [wrong, HALT]))
    assert error.code == "image.operand"


@pytest.mark.parametrize("wrong", [send(-1, "B", "ask"), jump(-1), Spawn(0, 2, (-2,)), open_(-1)])
def test_negative_operands_have_no_encoding(wrong: Instruction) -> None:
    assert refused(build([wrong, HALT])).code == "image.shape"


@pytest.mark.parametrize(
    "code",
    [[], [Yield()], [HALT, set_(0, 1)], [set_(3, True), JumpIf(3, 0)], [HALT, print_(0)]],
)
def test_no_path_runs_off_the_end(code: list[Instruction]) -> None:
    assert refused(build(code)).code == "image.program.end"


def _main(**changes: object) -> Image:
    return replace(build([HALT]), programs=(replace(MAIN, **changes),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("built", "code"),
    [
        (_main(register_count=DEFAULT_LIMITS.registers_max + 1), "image.program.registers"),
        (
            replace(_main(parameters=fields(INT, INT), register_count=1), entry=None),
            "image.program.registers",
        ),
        (_main(lines=(1, 2)), "image.program.lines"),
        (_main(parameters=fields(INT)), "image.entry"),
        (replace(_main(), entry=1), "image.entry"),
        (image(PROTOCOLS, [MAIN, MAIN]), "image.name"),
        (image([JOB, JOB], [MAIN]), "image.name"),
        (image([], [MAIN], [*EFFECTS, *EFFECTS]), "image.name"),
        (image([], [MAIN], [Effect("e", (Field("x", INT), Field("x", INT)), INT)]), "image.name"),
        (replace(_main(parameters=(Field("x", INT), Field("x", INT))), entry=None), "image.name"),
        (image(PROTOCOLS, [MAIN], [Effect("e", (), JOB_A)]), "image.type.endpoint"),
        (image(PROTOCOLS, [MAIN], [Effect("e", fields(JOB_A), INT)]), "image.type.endpoint"),
        (build([HALT], endpoint("Job", "C")), "image.type.endpoint"),
        (build([HALT], endpoint("Other", "A")), "image.type.endpoint"),
        (build([HALT], ListType(JOB_A)), "image.type.endpoint"),
        (build([HALT], RecordType(fields(JOB_A))), "image.type.endpoint"),
    ],
)
def test_heads(built: Image, code: str) -> None:
    assert refused(built).code == code


def test_registers_at_the_limit() -> None:
    load(_main(register_count=DEFAULT_LIMITS.registers_max))
    load(_main(register_count=0))


# --- effort ---------------------------------------------------------------------------------


def test_long_programs_load() -> None:
    code: list[Instruction] = []
    for _ in range(10_000):
        code += [set_(1, True), JumpIf(1, len(code) + 3), set_(2, 1)]
    load(build([*code, HALT]))


def test_programs_made_to_be_slow_are_refused() -> None:
    # Every instruction is a jump target, and there are thousands of registers to remember.
    code: list[Instruction] = [set_(0, True)]
    code += [JumpIf(0, place + 2) for place in range(20_000)]
    error = refused(build([*code, HALT, HALT], registers=4_000))
    assert error.code == "image.flow"


def _shifting_lists(count: int) -> Image:
    """Each round of the loop tells the type of one more list, so the loop is looked at again."""
    code: list[Instruction] = [Op(Operator.LIST, place, ()) for place in range(count)]
    head = len(code)
    code += [Move(place, place - 1) for place in range(count - 1, 0, -1)]
    code += [set_(0, (1,)), jump(head)]
    return build(code, registers=count)


def test_slow_convergence_is_cut_off() -> None:
    built = _shifting_lists(200)
    loaded = load(built)
    view = ImageView(built, loaded.protocols, dict(loaded.protocol_index), DEFAULT_LIMITS)
    check_program(view, built.programs[1], Budget())
    with pytest.raises(LimitExceeded) as caught:
        check_program(view, built.programs[1], Budget(10_000))
    assert caught.value.code == "image.flow"
    assert caught.value.place.program == "p"


@pytest.mark.parametrize("primitive", list(Primitive))
def test_parameters_of_every_type(primitive: Primitive) -> None:
    load(build([op(Operator.STR, 1, 0), HALT], primitive))


def test_programs_of_one_image_share_the_effort() -> None:
    loop: list[Instruction] = [set_(0, True), JumpIf(0, 0), HALT]
    programs = [Program(f"p{place}", (), 1, tuple(loop)) for place in range(500)]
    load(image([], programs))


# --- guards ----------------------------------------------------------------------------------


def guarded(*code: Instruction) -> Image:
    return replace(build(code), guards=("door", "window"))


def test_guards_balanced_on_every_path_are_accepted() -> None:
    load(guarded(Acquire(0), Acquire(1), Release(0), Release(1), Acquire(0), Release(0), HALT))
    flag = (set_(3, True), JumpIf(3, 4), Acquire(0), Release(0), HALT)
    load(guarded(*flag))
    load(guarded(set_(3, "x"), Acquire(0), fail(3)))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ([Release(0), HALT], "image.guard.free"),
        ([Acquire(0), Release(1), HALT], "image.guard.free"),
        ([Acquire(0), Acquire(0), HALT], "image.guard.held"),
        ([Acquire(0), HALT], "image.guard.unreleased"),
        ([Acquire(0), jump(0)], "image.guard.join"),
        ([set_(3, True), JumpIf(3, 3), Acquire(0), HALT], "image.guard.join"),
        ([Acquire(2), HALT], "image.operand"),
        ([Release(2), HALT], "image.operand"),
    ],
)
def test_guards_out_of_balance_are_refused(code: list[Instruction], expected: str) -> None:
    assert refused(guarded(*code)).code == expected


def test_the_names_of_guards_are_distinct() -> None:
    assert refused(replace(build([HALT]), guards=("door", "door"))).code == "image.name"


# --- speculation -----------------------------------------------------------------------------


def test_speculations_that_are_decided_on_every_path_are_accepted() -> None:
    undo = [Fork(4), *ASK, Abort(), *ASK, recv(0, "B", "answer", 2), close(0), HALT]
    load(build(undo, JOB_A))
    done = [Fork(5), *ASK, Join(), jump(7), set_(2, "x"), fail(2)]
    load(build([*done, recv(0, "B", "answer", 2), close(0), HALT], JOB_A))
    load(build([Fork(5), Fork(3), Abort(), Join(), jump(5), HALT]))


@pytest.mark.parametrize(
    ("code", "parameters", "expected"),
    [
        ([Join(), HALT], (), "image.speculation.none"),
        ([Abort()], (), "image.speculation.none"),
        ([Fork(1), HALT], (), "image.speculation.join"),
        ([Fork(2), HALT, HALT], (), "image.speculation.refused"),
        ([Fork(2), jump(2), HALT], (), "image.speculation.join"),
        ([Fork(0), Join(), HALT], (), None),
        ([Fork(4), *ASK, Join(), HALT], (JOB_A,), "image.endpoint.join"),
        ([Fork(3), set_(2, "x"), print_(2), HALT], (), "image.speculation.refused"),
        ([Fork(2), open_(0, 0, 1), HALT], (), "image.speculation.refused"),
        ([Fork(2), spawn(3, 0), HALT], (), "image.speculation.refused"),
        ([Fork(2), Acquire(0), HALT], (), "image.speculation.refused"),
        ([Fork(2), send(0, "W", "take", 1), HALT], (HIRE_D, JOB_B), "image.speculation.refused"),
        ([Fork(2), recv(0, "D", "take", 1), HALT], (HIRE_W,), "image.speculation.refused"),
        ([Fork(2), Invoke(0, (1,), 2), HALT], (INT, STR), "image.speculation.refused"),
        ([Fork(3), Invoke(1, (1,), 2), Abort(), HALT], (INT, STR), None),
        ([Fork(9), HALT], (), "image.operand"),
    ],
)
def test_speculations_out_of_order_are_refused(
    code: list[Instruction], parameters: tuple[ValueType, ...], expected: str | None
) -> None:
    effects = (*EFFECTS, Effect("stock", fields(STR), INT, revertible=True))
    built = replace(build(code, *parameters), guards=("door",), effects=effects)
    if expected is None:
        load(built)
    else:
        assert refused(built).code == expected
