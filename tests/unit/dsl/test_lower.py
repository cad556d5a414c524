"""What programs become: the instructions, and that the machine's loader takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from troth.dsl.compile import compile_source
from troth.vm.image import Image, Program
from troth.vm.instructions import (
    HOLE,
    Branch,
    Halt,
    Instruction,
    Jump,
    JumpIf,
    Op,
    Open,
    Operator,
    Recv,
    ReplayMode,
    Select,
    Send,
    Set,
    Spawn,
    Transfer,
)
from troth.vm.loader import load
from troth.vm.types import ListType, Primitive, RecordType
from troth.vm.value_types import type_of

ROOT: Final = Path(__file__).resolve().parents[3]
EXAMPLES: Final = sorted((ROOT / "docs" / "examples").glob("*.troth"))

PROTOCOLS = """
protocol Answer(Asker, Oracle):
    Asker -> Oracle: question(text: str)
    choice at Oracle:
        Oracle -> Asker: yes(n: int)
    or:
        Oracle -> Asker: no()

"""


def _image(programs: str) -> Image:
    return compile_source(PROTOCOLS + programs, "test.troth")


def _program(image: Image, name: str) -> Program:
    return next(program for program in image.programs if program.name == name)


def _kinds(code: tuple[Instruction, ...], *wanted: type) -> list[type]:
    return [type(instruction) for instruction in code if isinstance(instruction, wanted)]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_load(path: Path) -> None:
    image = compile_source(path.read_text(encoding="utf-8"), path.name)
    loaded = load(image)
    assert loaded.image == image
    assert image.entry is not None
    assert image.source == path.name


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 6


def test_a_send_selects_only_where_there_is_a_choice() -> None:
    image = _image("""
program asker(s: Answer.Asker):
    send s.Oracle question("why")
    recv s.Oracle:
        yes(n):
            print n
        no():
            pass
    close s

program oracle(s: Answer.Oracle):
    recv s.Asker question(text)
    send s.Asker no()
    close s
""")
    talk = (Send, Select, Recv, Branch)
    assert _kinds(_program(image, "asker").code, *talk) == [Send, Branch]
    assert _kinds(_program(image, "oracle").code, *talk) == [Recv, Select]


def test_cases_are_sorted_whatever_the_order_of_writing() -> None:
    image = _image("""
program asker(s: Answer.Asker):
    send s.Oracle question("why")
    recv s.Oracle:
        yes(n):
            print n
        no():
            pass
    close s
""")
    (branch,) = [i for i in image.programs[0].code if isinstance(i, Branch)]
    assert [case.label for case in branch.cases] == ["no", "yes"]


def test_spawn_leaves_holes_that_transfers_fill() -> None:
    image = _image("""
program both(n: int, a: Answer.Asker, text: str, o: Answer.Oracle):
    cancel a text
    cancel o text

main:
    open Answer as x, y with replay = off, capacity = 3, linger = 2ms
    spawn both(1, x, "t", y)
""")
    code = _program(image, "main").code
    (opened,) = [i for i in code if isinstance(i, Open)]
    assert opened.targets == (0, 1)
    assert opened.options.replay is ReplayMode.OFF
    assert opened.options.capacity == 3
    assert opened.options.linger_ns == 2_000_000
    (spawned,) = [i for i in code if isinstance(i, Spawn)]
    assert [argument == HOLE for argument in spawned.arguments] == [False, True, False, True]
    transfers = [i for i in code if isinstance(i, Transfer)]
    assert [(i.endpoint, i.parameter) for i in transfers] == [(0, 1), (1, 3)]
    assert {i.coroutine for i in transfers} == {spawned.target}
    assert isinstance(code[-1], Halt)


def test_parameters_are_the_first_registers() -> None:
    image = _image("""
program p(a: int, s: Answer.Asker, b: str):
    cancel s b + str(a)
""")
    program = image.programs[0]
    assert [field.name for field in program.parameters] == ["a", "s", "b"]
    (text,) = [i for i in program.code if isinstance(i, Op) and i.operator is Operator.STR]
    assert text.arguments == (0,)


def test_no_instruction_is_out_of_reach() -> None:
    """The code that no path reaches is left out, and no path runs off the end."""
    image = _image("""
main:
    let n = 0
    while true:
        if n == 3:
            break
        elif n > 3:
            fail "no"
        n = n + 1
        continue
    loop:
        fail "end"
""")
    program = image.programs[0]
    reached: set[int] = set()
    pending = [0]
    while pending:
        pc = pending.pop()
        if pc in reached:
            continue
        reached.add(pc)
        instruction = program.code[pc]
        if isinstance(instruction, Jump | JumpIf):
            pending.append(instruction.target)
        ends = isinstance(instruction, Jump | Halt)
        if not ends and not (isinstance(instruction, Op) and instruction.operator is Operator.FAIL):
            pending.append(pc + 1)
    assert reached == set(range(len(program.code)))
    assert Halt not in {type(instruction) for instruction in program.code}


def test_every_instruction_has_its_line() -> None:
    image = _image("""
main:
    let n = 1

    if n == 1:
        print n
""")
    program = image.programs[0]
    first = PROTOCOLS.count("\n") + 3
    assert len(program.lines) == len(program.code)
    assert set(program.lines) == {first, first + 2, first + 3}


def test_minus_zero_and_the_smallest_int_are_constants_of_the_machine() -> None:
    image = _image("""
main:
    print -9223372036854775808
    print 0.0
""")
    constants = [i.value for i in image.programs[0].code if isinstance(i, Set)]
    assert constants[0] == -(1 << 63)


def test_an_empty_list_keeps_the_type_of_its_variable() -> None:
    """Without help the loader would know it as a list of nothing, and refuse the index."""
    image = _image("""
main:
    let xs = [[1]]
    let r = {l: xs, p: {x: 1.5, t: "t"}}
    xs = []
    r = {l: [], p: r.p}
    for i in range(len(r.l)):
        print xs[0][0] + r.l[i][0]
""")
    samples = [i.value for i in image.programs[0].code if isinstance(i, Set)]
    kinds = [type_of(value) for value in samples]
    assert ListType(ListType(Primitive.INT)) in kinds
    assert any(isinstance(kind, RecordType) for kind in kinds)


def test_recursion_of_programs_and_unused_declarations() -> None:
    image = _image("""
effect never(n: int) -> list[str]

program again(n: int):
    if n > 0:
        spawn again(n - 1)
""")
    assert image.entry is None
    assert [effect.name for effect in image.effects] == ["never"]
    assert len(image.protocols) == 1


ACCUMULATORS: Final = {
    "used before the statement that tells the type": """
main:
    let xs = []
    for i in range(3):
        if len(xs) > 0:
            print xs[0] + 1
        xs = xs + [i]
    print xs
""",
    "told by the message it is sent in": """
protocol Names(A, B):
    A -> B: all(names: list[str])

program a(s: Names.A):
    let names = []
    send s.B all(names)
    close s
""",
    "told on another path": """
main:
    if 1 < 2:
        let xs = []
        print xs
    else:
        let xs = ["a"]
        print xs
""",
    "lists in lists": """
main:
    let rows = []
    for i in range(2):
        let row = []
        for j in range(2):
            row = row + [j]
        rows = rows + [row]
    print rows[0][0] + 1
""",
    "emptied again": """
main:
    let xs = []
    xs = ["a"]
    xs = []
    print xs + ["b"]
""",
    "an empty list first": """
main:
    let xs = []
    xs = [1] + xs
    print [[], xs, []]
    print [] + xs
""",
    "compared": """
main:
    let xs = []
    if xs == []:
        xs = xs + [{a: [1], b: ""}]
    print xs[0].a
""",
}


@pytest.mark.parametrize("text", ACCUMULATORS.values(), ids=ACCUMULATORS.keys())
def test_a_list_may_begin_empty(text: str) -> None:
    """The checker finds out what is in it, and the loader takes what the compiler makes of it."""
    load(compile_source(text, "test.troth"))
