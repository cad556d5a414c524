"""Assembly text: how it reads, what is refused and where, and that nothing makes it expensive."""

from __future__ import annotations

from dataclasses import fields
from typing import Final, get_args

import pytest

from troth.vm.assembly_codes import CODES
from troth.vm.assembly_cursor import Cursor, Spot, Token
from troth.vm.assembly_read import assemble
from troth.vm.assembly_syntax import SYNTAX, form
from troth.vm.assembly_write import disassemble
from troth.vm.errors import Invalid, LimitExceeded, Malformed, TrothError
from troth.vm.image import Image, Program
from troth.vm.image_codec import encode_image
from troth.vm.instructions import Branch, Case, Halt, Instruction, Jump, Set, Spawn
from troth.vm.limits import IMAGE_BYTES_MAX, NESTING_DEPTH_MAX
from troth.vm.values import INT_MAX, INT_MIN, Blob, Record, Value

HEAD: Final = "troth-assembly 1\n"
PROGRAM: Final = HEAD + "program p() registers 9\n"
PROTOCOL: Final = HEAD + "protocol P(A, B)\n"


def code_of(text: str) -> tuple[Instruction, ...]:
    (program,) = assemble(PROGRAM + text, "p.asm").programs
    return program.code


def refused(text: str) -> TrothError:
    with pytest.raises(TrothError) as caught:
        assemble(text, "bad.asm")
    return caught.value


# --- reading what people write ----------------------------------------------------------------


def test_the_table_has_every_instruction_and_operand() -> None:
    assert list(SYNTAX) == list(get_args(Instruction))
    for kind, row in SYNTAX.items():
        operands = {piece[0] for piece in row if not isinstance(piece, str)}
        assert operands == {item.name for item in fields(kind)}


def test_forms_read_like_the_text() -> None:
    assert form(Jump) == "jump LABEL"
    assert form(Spawn) == "spawn REGISTER = program(REGISTER or -, …)"


def test_indentation_blank_lines_and_comments_do_not_matter() -> None:
    text = "; nothing\n\n  x:\r\n\t jump   x;back\n ;\n     jump y ; on\n;\ny:halt\n;"
    with pytest.raises(Malformed):
        code_of(text)
    assert code_of(text.replace("y:halt", "y:\nhalt")) == (Jump(0), Jump(2), Halt())


def test_the_last_line_may_lack_its_end() -> None:
    assert code_of("halt") == code_of("halt\n") == (Halt(),)


def test_cases_go_on_over_lines_and_comments() -> None:
    text = "branch r0 A? one() -> #5 ; first\n ; between\n\n  | two(r1, r2) -> out\nout:\n halt\n"
    cases = (Case("one", (), 5), Case("two", (1, 2), 1))
    assert code_of(text) == (Branch(0, "A", cases), Halt())


def test_words_of_the_assembly_may_be_names() -> None:
    text = (
        HEAD
        + "protocol protocol(type, end)\n type type\n 0: end ! end(type: type.end) -> 1\n 1: end\n"
        + "effect effect(int: int, list: list[int]) -> int.list\n"
        + "program program(names: {true: bool}) registers 2\n op r0 = record() names with, names\n"
        + "entry program\n"
    )
    image = assemble(text, "p.asm")
    assert assemble(disassemble(image), "p.asm") == image
    (state, _) = image.protocols[0].local_types[0].states
    assert (state.peer, state.transitions[0].label) == ("end", "end")


CONSTANTS: Final[list[tuple[str, Value]]] = [
    ("()", None),
    ("true", True),
    ("false", False),
    ("0", 0),
    (str(INT_MAX), INT_MAX),
    (str(INT_MIN), INT_MIN),
    ("0.0", 0.0),
    ("-1.5", -1.5),
    ("1e+16", 1e16),
    ("5e-324", 5e-324),
    ("1.7976931348623157e+308", 1.7976931348623157e308),
    ('""', ""),
    (r'"a\\b\"c\n\r\t"', 'a\\b"c\n\r\t'),
    (r'"\x00\x7f\x85\u{2028}\u{202e}\u{e000}é😀"', "\0\x7f\x85\u2028\u202e\ue000é😀"),
    ('b""', b""),
    (r'b"a\"\\\n\x00\x80\xff"', b'a"\\\n\0\x80\xff'),
    ("[]", ()),
    ("[[1], [2, 3]]", ((1,), (2, 3))),
    ("{}", Record(())),
    ('{"": 1, "a b": 2, c: 3}', Record((("", 1), ("a b", 2), ("c", 3)))),
    ('blob(7, x"' + "0a" * 32 + '")', Blob(7, b"\n" * 32)),
]


@pytest.mark.parametrize(("text", "value"), CONSTANTS, ids=[text[:12] for text, _ in CONSTANTS])
def test_constants_are_written_and_read(text: str, value: Value) -> None:
    (found,) = code_of(f"set r0 = {text}\n")
    assert isinstance(found, Set)
    assert (found.value, type(found.value)) == (value, type(value))
    image = Image((), (), (Program("p", (), 1, (Set(0, value),)),), None)
    assert f"set r0 = {text}\n" in disassemble(image)


def test_fields_may_stand_in_any_order() -> None:
    (found,) = code_of("set r0 = {b: 1, a: 2}\n")
    assert found == Set(0, Record((("a", 2), ("b", 1))))


def test_what_is_called_alike_goes_by_number() -> None:
    program = Program("p", (), 1, (Spawn(0, 1, ()), Spawn(0, 2, ()), Spawn(0, 7, ())))
    image = Image((), (), (program, program, Program("q", (), 0, ())), 1)
    text = disassemble(image)
    assert "entry #1\n" in text
    assert [line.split(" = ")[1] for line in text.split("\n") if "spawn" in line][:3] == [
        "#1()",
        "q()",
        "#7()",
    ]
    assert assemble(text, "p.asm") == image


def test_a_source_line_holds_until_the_next() -> None:
    image = assemble(PROGRAM + "halt\n@7 halt\nhalt\nx:\n@0 halt\nlast:\n", "p.asm")
    assert image.programs[0].lines == (0, 7, 7, 0)
    assert assemble(PROGRAM + "halt\n", "p.asm").programs[0].lines == ()


def test_an_image_without_encoding_is_refused() -> None:
    image = Image((), (), (Program("p", (), 1, (Set(0, float("inf")),)),), None)
    with pytest.raises(Invalid, match=r"codec\.float"):
        disassemble(image)


# --- refusals ---------------------------------------------------------------------------------

DEEP: Final = "[" * (NESTING_DEPTH_MAX + 1)

REFUSED: Final = [
    # text, code, line, column
    ("", "assembly.version", 1, 1),
    ("troth-assembly 2\n", "assembly.version", 1, 1),
    ("troth-assembly 1 x\n", "assembly.version", 1, 1),
    ("\ntroth-assembly 1\n", "assembly.version", 1, 1),
    (HEAD + "entry \ud800\n", "assembly.encoding", 2, 7),
    (HEAD + "entry $\n", "assembly.character", 2, 7),
    (HEAD + 'source "abc\n', "assembly.character", 2, 8),
    (HEAD + 'source "abc\\"\n', "assembly.character", 2, 8),
    (HEAD + "source b\n", "assembly.syntax", 2, 8),
    (HEAD + 'source "ab\\q"\n', "assembly.escape", 2, 11),
    (HEAD + 'source "\\x4"\n', "assembly.escape", 2, 9),
    (HEAD + 'source "\\u{d800}"\n', "assembly.escape", 2, 9),
    (HEAD + 'source "\\u{110000}"\n', "assembly.escape", 2, 9),
    (HEAD + 'source "' + "a" * 4097 + '"\n', "assembly.text", 2, 8),
    (HEAD + 'source "a"\nsource "a"\n', "assembly.repeated", 3, 1),
    (HEAD + "entry #0\nentry #0\n", "assembly.repeated", 3, 1),
    (HEAD + "entry p\n", "assembly.reference", 2, 7),
    (HEAD + "entry #65536\n", "assembly.number", 2, 8),
    (HEAD + "| more\n", "assembly.syntax", 2, 1),
    (HEAD + "protocol P(A)\n| more\n", "assembly.syntax", 3, 1),
    (HEAD + "frobnicate\n", "assembly.place", 2, 1),
    (HEAD + "halt\n", "assembly.place", 2, 1),
    (HEAD + "lines 1\n", "assembly.place", 2, 1),
    (HEAD + "effect e() -> int\nhalt\n", "assembly.place", 3, 1),
    (HEAD + "edge A -> B\n", "assembly.place", 2, 1),
    (HEAD + "type A\n", "assembly.place", 2, 1),
    (HEAD + "0: end\n", "assembly.place", 2, 1),
    (HEAD + "effect e() int\n", "assembly.syntax", 2, 12),
    (HEAD + "effect e() -> integer\n", "assembly.syntax", 2, 22),
    (HEAD + 'protocol "a b"()\n', "assembly.name", 2, 10),
    (HEAD + 'protocol ""()\n', "assembly.name", 2, 10),
    (HEAD + "protocol " + "a" * 256 + "()\n", "assembly.name", 2, 10),
    (HEAD + 'protocol "\\n"()\n', "assembly.name", 2, 10),
    (PROTOCOL + "0: end\n", "assembly.place", 3, 1),
    (PROTOCOL + "type B\n", "assembly.order", 3, 6),
    (PROTOCOL + "type #1\n", "assembly.order", 3, 6),
    (PROTOCOL + "type A\ntype B\ntype C\n", "assembly.order", 5, 6),
    (PROTOCOL + "type A\n1: end\n", "assembly.order", 4, 1),
    (PROTOCOL + "type A\n0: B\n", "assembly.syntax", 4, 5),
    (PROTOCOL + "type A\n0: B ! x -> 1\n", "assembly.syntax", 4, 10),
    (PROTOCOL + "type A\n0: B ! x() -> 10001\n", "assembly.number", 4, 15),
    (PROTOCOL + "type A\n0: B ! x() -> 1 y() -> 2\n", "assembly.syntax", 4, 17),
    (PROTOCOL + "edge A -> B: replay = never\n", "assembly.syntax", 3, 23),
    (PROTOCOL + "edge A -> B: color = red\n", "assembly.syntax", 3, 14),
    (PROTOCOL + "edge A -> B: capacity = 1, capacity = 1\n", "assembly.repeated", 3, 28),
    (PROTOCOL + "edge A -> B: capacity = -1\n", "assembly.number", 3, 25),
    (PROTOCOL + "edge A -> B: capacity = 9223372036854775808\n", "assembly.number", 3, 25),
    (PROGRAM + "frobnicate\n", "assembly.syntax", 3, 1),
    (PROGRAM + "close\n", "assembly.syntax", 3, 6),
    (PROGRAM + "close x1\n", "assembly.syntax", 3, 7),
    (PROGRAM + "close r\n", "assembly.syntax", 3, 7),
    (PROGRAM + "close r65536\n", "assembly.number", 3, 7),
    (PROGRAM + "close r100000\n", "assembly.syntax", 3, 7),
    (PROGRAM + "close r0 r1\n", "assembly.syntax", 3, 10),
    (PROGRAM + "op r0 = power(r1)\n", "assembly.syntax", 3, 9),
    (PROGRAM + "op r0 = add(r1,)\n", "assembly.syntax", 3, 16),
    (PROGRAM + "jump x\n", "assembly.label", 3, 6),
    (PROGRAM + "x:\nx:\n", "assembly.label", 4, 1),
    (PROGRAM + "x:\nprogram q() registers 0\njump x\n", "assembly.label", 5, 6),
    (PROGRAM + "jump #100001\n", "assembly.number", 3, 7),
    (PROGRAM + "open P()\n", "assembly.reference", 3, 6),
    (PROGRAM + "invoke r0 = p()\n", "assembly.reference", 3, 13),
    (PROGRAM + "spawn r0 = p()\nprogram p() registers 0\n", "assembly.reference", 3, 12),
    (PROGRAM + "lines 1\nlines 1\n", "assembly.repeated", 4, 1),
    (PROGRAM + "lines 1\n@1 halt\n", "assembly.repeated", 4, 1),
    (PROGRAM + "@1 halt\nlines 1\n", "assembly.repeated", 4, 1),
    (PROGRAM + "@ halt\n", "assembly.syntax", 3, 3),
    (PROGRAM + "set r0 = 9223372036854775808\n", "assembly.number", 3, 10),
    (PROGRAM + "set r0 = " + "9" * 10_000 + "\n", "assembly.number", 3, 10),
    (PROGRAM + "set r0 = 1." + "9" * 10_000 + "\n", "assembly.number", 3, 10),
    (PROGRAM + "set r0 = 1e999\n", "assembly.value", 3, 10),
    (PROGRAM + "set r0 = -0.0\n", "assembly.value", 3, 10),
    (PROGRAM + "set r0 = maybe\n", "assembly.syntax", 3, 10),
    (PROGRAM + "set r0 = [1\n", "assembly.syntax", 3, 12),
    (PROGRAM + "set r0 = {a: 1, a: 1}\n", "assembly.value", 3, 10),
    (PROGRAM + f"set r0 = {DEEP}\n", "assembly.value", 3, 10 + NESTING_DEPTH_MAX),
    (PROGRAM + 'set r0 = b"é"\n', "assembly.escape", 3, 10),
    (PROGRAM + 'set r0 = b"a\\u{100}"\n', "assembly.escape", 3, 13),
    (PROGRAM + 'set r0 = blob(1, x"00")\n', "assembly.value", 3, 10),
    (PROGRAM + 'set r0 = blob(1, x"0")\n', "assembly.syntax", 3, 18),
    (PROGRAM + "set r0 = blob(-1)\n", "assembly.number", 3, 15),
    (HEAD + "program p(x: {a: int, a: int}) registers 1\n", "assembly.type", 2, 14),
    (
        HEAD + "program p(x: " + "list[" * (NESTING_DEPTH_MAX + 1) + "\n",
        "assembly.type",
        2,
        14 + 5 * NESTING_DEPTH_MAX,
    ),
]


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    REFUSED,
    ids=[f"{row[1]} {row[2]}:{row[3]} {row[0].split(chr(10))[-2:][0][:30]!a}" for row in REFUSED],
)
def test_refused_with_its_place(text: str, code: str, line: int, column: int) -> None:
    error = refused(text)
    assert (error.code, error.place.line, error.place.column) == (code, line, column)
    assert error.place.file == "bad.asm"
    assert type(error) is CODES[code].error
    assert len(str(error)) < 800


def test_types_of_too_many_parts() -> None:
    wide = "{" + ", ".join(f"f{number:04}: int" for number in range(1_024)) + "}"
    error = refused(HEAD + f"program p(x: {wide}) registers 1\n")
    assert (error.code, error.place.column) == ("assembly.type", 14)


def test_every_code_is_tested() -> None:
    tested = {row[1] for row in REFUSED}
    assert set(CODES) - tested == {"assembly.limit"}


FROZEN: Final = """
assembly.character assembly.encoding assembly.escape assembly.label assembly.limit assembly.name
assembly.number assembly.order assembly.place assembly.reference assembly.repeated assembly.syntax
assembly.text assembly.type assembly.value assembly.version
"""


def test_codes_are_frozen() -> None:
    """Tools match on codes: adding one is fine, changing one is not."""
    assert sorted(CODES) == sorted(FROZEN.split())


# --- limits -----------------------------------------------------------------------------------


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def test_nesting_to_the_limit() -> None:
    image = assemble(PROGRAM + f"set r0 = {nested(NESTING_DEPTH_MAX)}\n", "p.asm")
    assert assemble(disassemble(image), "p.asm") == image
    lists = "list[" * NESTING_DEPTH_MAX + "int" + "]" * NESTING_DEPTH_MAX
    image = assemble(HEAD + f"program p(x: {lists}) registers 1\n", "p.asm")
    assert encode_image(assemble(disassemble(image), "p.asm")) == encode_image(image)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (PROTOCOL + "type A\n" + "".join(f"{n}: end\n" for n in range(10_001)), 10_000),
        (HEAD + "protocol p()\n" * 10_001, 10_000),
        (HEAD + "program p() registers 0\n" * 10_001, 10_000),
        (PROGRAM + "halt\n" * 100_001, 100_000),
        (PROGRAM + "".join(f"L{n}:\n" for n in range(100_002)), 100_001),
        (HEAD + "protocol p(" + "a, " * 65_535 + "a)\n", 65_535),
    ],
    ids=["states", "protocols", "programs", "instructions", "labels", "roles"],
)
def test_too_many(text: str, count: int) -> None:
    error = refused(text)
    assert isinstance(error, LimitExceeded)
    assert error.code == "assembly.limit"
    assert str(count) in str(error.expected)


def test_an_image_of_too_many_bytes() -> None:
    half = '"' + "a" * (IMAGE_BYTES_MAX // 2) + '"'
    assemble(PROGRAM + f"set r0 = {half}\n", "p.asm")
    error = refused(PROGRAM + f"set r0 = [{half}, {half}]\n")
    assert (error.code, error.place.line) == ("assembly.limit", 3)


def test_what_is_read_is_counted() -> None:
    """Long before the text ends, so that a hostile one cannot fill the memory."""
    cursor = Cursor("[" + "0, " * 100, "p.asm", bytes_max=10)
    with pytest.raises(LimitExceeded) as caught:
        cursor.list_of("[", "]", lambda at: at.integer(0, 9), 1_000)
    assert caught.value.place.column == 2 + 3 * 10


def test_tokens_have_their_places() -> None:
    cursor = Cursor('; a\n\n  a b"x" x"0f" -> -1\r\n | \'c', "p.asm")
    found = []
    while cursor.spot.line < 4:
        found.append((cursor.kind, cursor.text, cursor.spot))
        if cursor.sees("|"):
            break
        if cursor.text == "-1":
            break
        cursor.advance()
    assert found == [
        (Token.NAME, "a", Spot(3, 3)),
        (Token.BYTES, 'b"x"', Spot(3, 5)),
        (Token.HEX, 'x"0f"', Spot(3, 10)),
        (Token.SIGN, "->", Spot(3, 16)),
        (Token.NUMBER, "-1", Spot(3, 19)),
    ]
    cursor.advance()
    assert (cursor.text, cursor.spot) == ("|", Spot(4, 2))
    with pytest.raises(Malformed, match=r"p\.asm:4:4"):
        cursor.advance()
