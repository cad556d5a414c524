"""Scripts become the syntax tree they say, and broken ones leave the rest of the file whole."""

from __future__ import annotations

import logging
from importlib import resources
from pathlib import Path

import lark
import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.dsl import ast
from troth.dsl.diag import Diagnostics
from troth.dsl.layout import BLOCK_DEPTH_MAX, BRACKET_DEPTH_MAX
from troth.dsl.parser import SOURCE_BYTES_MAX, Parsed, parse
from troth.dsl.parser_report import SYNTAX_ERRORS_MAX
from unit.dsl.syntax_examples import EXAMPLES, in_main, in_protocol

_EXAMPLES = sorted((Path(__file__).resolve().parents[3] / "docs" / "examples").glob("*.troth"))
_SAMPLES = [path.read_text(encoding="utf-8") for path in _EXAMPLES]


def read(text: str) -> tuple[Parsed, Diagnostics]:
    diagnostics = Diagnostics("x.troth", text)
    return parse(text, "x.troth", diagnostics), diagnostics


def codes(text: str) -> list[str]:
    return [item.code for item in read(text)[1].ordered()]


def places(text: str) -> list[tuple[str, int]]:
    return [(item.code, item.span.line) for item in read(text)[1].ordered()]


def declaration(text: str) -> ast.Declaration:
    parsed, diagnostics = read(text)
    assert diagnostics.render() == ""
    assert parsed.broken == frozenset()
    return parsed.script.declarations[0]


def statement(text: str) -> ast.Statement:
    program = declaration(in_main(text))
    assert isinstance(program, ast.ProgramDecl)
    return program.body[0]


def expression(text: str) -> ast.Expression:
    found = statement(f"print {text}")
    assert isinstance(found, ast.Print)
    return found.value


def shape(node: object) -> str:
    """An expression with all its brackets."""
    match node:
        case ast.Literal(value=value):
            return repr(value)
        case ast.Variable(name=name):
            return name.text
        case ast.Unary(operator=operator, operand=operand):
            return f"({operator} {shape(operand)})"
        case ast.Binary(operator=operator, left=left, right=right):
            return f"({shape(left)} {operator} {shape(right)})"
        case ast.Index(collection=collection, index=index):
            return f"{shape(collection)}[{shape(index)}]"
        case ast.FieldOf(record=record, field=field):
            return f"{shape(record)}.{field.text}"
        case ast.Builtin(function=function, argument=argument):
            return f"{function.text}({shape(argument)})"
        case ast.ListLiteral(items=items):
            return "[" + ", ".join(map(shape, items)) + "]"
        case ast.RecordLiteral(fields=fields):
            return "{" + ", ".join(f"{key.text}: {shape(value)}" for key, value in fields) + "}"
    raise AssertionError(node)


def test_there_are_examples() -> None:
    assert len(_EXAMPLES) >= 6


@pytest.mark.parametrize("path", _EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_read(path: Path) -> None:
    parsed, diagnostics = read(path.read_text(encoding="utf-8"))
    assert diagnostics.render() == ""
    assert parsed.script.declarations[-1].name.text == "main"


def test_the_grammar_has_no_conflicts(caplog: pytest.LogCaptureFixture) -> None:
    """Shift/reduce conflicts are resolved silently by lark, so a keyword could eat a name."""
    text = resources.files("troth.dsl").joinpath("grammar.lark").read_text(encoding="utf-8")
    lark.logger.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.DEBUG, logger=lark.logger.name):
            lark.Lark(text, parser="lalr", lexer="basic", start="declaration", debug=True)
            assert "conflict" not in caplog.text.lower()
            ambiguous = 'start: "if" start ("else" start)? | "pass"'
            lark.Lark(ambiguous, parser="lalr", lexer="basic", debug=True)
            assert "conflict" in caplog.text.lower()
    finally:
        lark.logger.removeHandler(caplog.handler)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("1 + 2 * 3", "(1 + (2 * 3))"),
        ("1 - 2 - 3", "((1 - 2) - 3)"),
        ("a / b // c", "((a / b) // c)"),
        ("(1 + 2) * 3", "((1 + 2) * 3)"),
        ("-a * b", "((- a) * b)"),
        ("- -a", "(- (- a))"),
        ("-a[0].x", "(- a[0].x)"),
        ("not a == b", "(not (a == b))"),
        ("not not a", "(not (not a))"),
        ("a or b and not c", "(a or (b and (not c)))"),
        ("a < b + 1", "(a < (b + 1))"),
        ("(a < b) == c", "((a < b) == c)"),
        ("str(len([1, 2,])) + 'x'", "(str(len([1, 2])) + 'x')"),
        ("{x: 1, or: {}}.or", "{x: 1, or: {}}.or"),
        ("()", "None"),
        ("[(), true, false]", "[None, True, False]"),
        ("0x1F + 0b11 + 0o17 + 1_000", "(((31 + 3) + 15) + 1000)"),
        ("1.5 + 1e3 + 2.5e-1", "((1.5 + 1000.0) + 0.25)"),
        (r'"a\"\n\x41\u00e9\U0001F600\\"', repr('a"\nA\xe9\U0001f600\\')),
        (r"'it\'s'", repr("it's")),
        (r'b"a\xff\0"', r"b'a\xff\x00'"),
        ("9223372036854775808", "9223372036854775808"),
    ],
)
def test_expressions(text: str, meaning: str) -> None:
    assert shape(expression(text)) == meaning


def test_spans_cover_what_was_written() -> None:
    found = statement("let total = (a + b) * c")
    assert isinstance(found, ast.Let)
    assert found.span == ast.Span(2, 5, 2, 28)
    assert found.name.span == ast.Span(2, 9, 2, 14)
    assert found.value.span == ast.Span(2, 17, 2, 28)


def test_a_protocol_as_a_tree() -> None:
    found = declaration(
        in_protocol(
            "edge A -> B: replay = nullifier, buffer = resize { 8 }, linger = 250ms, capacity = 4\n"
            "A -> B: m(x: int, y: list[Job.Server], z: {a: str})\n"
            "A -> *: all()\n"
            "choice at B:\n"
            "    B -> A, C: yes()\n"
            "or:\n"
            "    rec X:\n"
            "        continue X\n"
            "loop at A:\n"
            "    do Other(A, B)"
        )
    )
    assert isinstance(found, ast.ProtocolDecl)
    assert [role.text for role in found.roles] == ["A", "B"]
    assert [(s.key.text, s.value.text) for s in found.edges[0].settings] == [
        ("replay", "nullifier"),
        ("buffer", "resize{8}"),
        ("linger", "250ms"),
        ("capacity", "4"),
    ]
    message, everyone, choice, loop = found.body
    assert isinstance(message, ast.Message)
    types = [type(field.type).__name__ for field in message.fields]
    assert types == ["NamedType", "ListOf", "RecordOf"]
    assert isinstance(everyone, ast.Message)
    assert [receiver.text for receiver in everyone.receivers] == ["*"]
    assert isinstance(choice, ast.Choice)
    assert [span.line for span in choice.branch_spans] == [5, 7]
    first, second = choice.branches
    assert isinstance(first[0], ast.Message)
    assert isinstance(second[0], ast.Rec)
    assert isinstance(second[0].body[0], ast.ContinueRec)
    assert isinstance(loop, ast.LoopAt)
    inner = loop.body[0]
    assert isinstance(inner, ast.Do)
    assert [role.text for role in inner.roles] == ["A", "B"]


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("send s.A m(1, x)", ast.SendStatement),
        ("recv s.A m(x, y)", ast.RecvStatement),
        ("recv s.A:\n    m(x):\n        pass\n    n():\n        pass", ast.RecvChoice),
        ("let x = 1", ast.Let),
        ("let x = call f(1)", ast.Let),
        ("x = call f()", ast.Assign),
        ("call f()", ast.CallStatement),
        ("if a:\n    pass\nelif b:\n    pass\nelse:\n    pass", ast.If),
        ("while a:\n    pass", ast.While),
        ("for i in range(3):\n    pass", ast.ForRange),
        ("for i in range(1, n):\n    pass", ast.ForRange),
        ("loop:\n    break", ast.Loop),
        ("loop outer:\n    break outer", ast.Loop),
        ("continue", ast.ContinueLoop),
        ("continue outer", ast.ContinueLoop),
        ("pass", ast.Pass),
        ("print 1", ast.Print),
        ("yield", ast.YieldStatement),
        ('fail "no"', ast.Fail),
        ("close s", ast.CloseStatement),
        ('cancel s "no"', ast.CancelStatement),
        ("spawn p(s, 1)", ast.SpawnStatement),
        ("open P as a, b", ast.OpenStatement),
        ("open P as a, b with replay = off, N = 4", ast.OpenStatement),
    ],
)
def test_every_statement_is_read(text: str, node: type) -> None:
    assert isinstance(statement(text), node)


_WORDS = (
    *("protocol", "edge", "choice", "at", "rec", "continue", "loop", "do", "effect", "type"),
    *("program", "main", "send", "recv", "let", "while", "for", "in", "break", "pass", "print"),
    *("yield", "fail", "close", "cancel", "spawn", "open", "as", "with", "call"),
)
_RESERVED = ("and", "or", "not", "true", "false", "if", "elif", "else")


@pytest.mark.parametrize("word", _WORDS)
def test_keywords_are_names_wherever_no_statement_could_be_meant(word: str) -> None:
    text = (
        f"type {word} = {{{word}: int}}\n"
        f"effect {word}({word}: {word}) -> {word}\n"
        f"protocol {word}({word}, Other):\n"
        f"    {word} -> Other: {word}({word}: {word}.{word})\n"
        f"    choice at {word}:\n"
        f"        {word} -> Other: a()\n"
        f"    loop at {word}:\n"
        f"        do {word}({word}, Other)\n"
        f"    rec {word}:\n"
        f"        continue {word}\n"
        f"program {word}({word}: {word}.{word}):\n"
        f"    {word} = {word} + -{word} * {word}[{word}].{word}\n"
        f"    let {word} = call {word}({word})\n"
        f"    send {word}.{word} {word}({word})\n"
        f"    recv {word}.{word} {word}({word})\n"
        f"    recv {word}.{word}:\n"
        f"        {word}({word}):\n"
        f"            print {word}\n"
        f"    for {word} in range({word}):\n"
        f"        pass\n"
        f"    loop {word}:\n"
        f"        break {word}\n"
        f"    open {word} as {word}, other with {word} = {word}\n"
        f'    cancel {word} "no"\n'
        f"    spawn {word}({word})\n"
        f"    close {word}\n"
    )
    parsed, diagnostics = read(text)
    assert diagnostics.render() == ""
    assert len(parsed.script.declarations) == 4


@pytest.mark.parametrize("word", _RESERVED)
def test_reserved_words_are_labels_and_fields(word: str) -> None:
    assert codes(in_protocol(f"A -> B: {word}({word}: int)")) == []
    assert codes(in_main(f"send s.{word} {word}(r.{word}, {{{word}: 1}})")) == []
    assert codes(in_main(f"recv s.A:\n    {word}():\n        pass")) == []
    assert codes(in_main(f"let {word} = 1")) == ["parse.reserved"]


def test_brackets_continue_a_line() -> None:
    found = statement("send s.A m(1,  # one\n    # own line\n\n    [2,\n     3],\n)")
    assert isinstance(found, ast.SendStatement)
    assert len(found.arguments) == 2


def test_line_ends_of_other_systems_and_no_end_at_all() -> None:
    assert codes("main:\r\n    pass\r\n") == []
    assert codes("main:\n    pass") == []
    assert codes("") == []
    assert codes("\n# nothing\n\n") == []


# --- recovery ------------------------------------------------------------------------------


def test_every_broken_declaration_is_reported_and_the_others_are_kept() -> None:
    parsed, diagnostics = read(
        "effect f( -> int\n"
        "type T = {x: int}\n"
        "protocol P(A, B):\n    A -> B m()\n"
        "program p(s: P.A):\n    close s\n"
        "program q(s: P.B):\n    clse s\n"
        "main:\n    let x = \n"
    )
    assert [item.span.line for item in diagnostics.ordered()] == [1, 4, 8, 10]
    assert [item.name.text for item in parsed.script.declarations] == ["T", "p"]
    assert parsed.broken == {"f", "P", "q", "main"}


def test_every_broken_line_of_a_program_is_reported() -> None:
    assert places(
        in_main(
            "prnt 1\n"
            "if a = 1:\n    this is not looked at\nelif b:\n    nor this\nelse:\n    nor that\n"
            "pass\n"
            "recv s.A:\n    m(1):\n        pass\n    n() pass\n"
            "loop:\n    retrun 1\n"
            "while x\n    skipped\n"
            "print (1\n"
            'print "x\n'
            "x = = 1"
        )
    ) == [
        ("parse.statement.unknown", 2),
        ("parse.equals", 3),
        ("parse.recv.names", 11),
        ("parse.syntax", 13),
        ("parse.statement.unknown", 15),
        ("parse.colon.missing", 16),
        ("parse.bracket.unclosed", 18),
        ("parse.string.unclosed", 19),
        ("parse.syntax", 20),
    ]


def test_every_broken_line_of_a_protocol_is_reported() -> None:
    assert places(
        in_protocol(
            "A -> B m()\n"
            "choice at:\n    A -> B: m()\nor:\n    nothing\n"
            "rec X:\n    A B: m()\n"
            "choice at A within 5s:\n    A -> B: m()\ntimeout:\n    A -> B: n()\n"
            "A -> B: n("
        )
    ) == [
        ("parse.colon.missing", 2),
        ("parse.syntax", 3),
        ("parse.step.unknown", 8),
        ("parse.bracket.unclosed", 13),
    ]


def test_a_block_of_which_every_line_is_broken_causes_no_second_error() -> None:
    for text in (
        "if a:\n    oops 1\nelse:\n    pass",
        "recv s.A:\n    1():\n        pass\nclose s",
        "loop:\n    loop:\n        oops 1\npass",
        "if a:\nelse:\n    pass\npass",
    ):
        assert len(codes(in_main(text))) == 1, text
    assert len(codes(in_protocol("rec X:\n    oops m\nA -> B: m()"))) == 1


def test_a_bracket_that_is_not_closed_does_not_swallow_the_file() -> None:
    parsed, diagnostics = read("effect f(a: int\nmain:\n    pass\n")
    assert [item.code for item in diagnostics.ordered()] == ["parse.bracket.unclosed"]
    assert [item.name.text for item in parsed.script.declarations] == ["main"]


def test_tabs_are_refused_once_and_the_blocks_are_understood() -> None:
    assert codes("main:\n\tif a:\n\t\tpass\n\tpass\n") == ["parse.tab"]
    assert codes("main:\n    let\tx =\t1\n") == []


# --- limits --------------------------------------------------------------------------------


def test_a_script_that_is_too_large_is_refused() -> None:
    assert codes("#" + "x" * (SOURCE_BYTES_MAX - 2) + "\n") == []
    assert codes("#" + "é" * (SOURCE_BYTES_MAX // 2)) == ["parse.size"]


@pytest.mark.parametrize(
    "text",
    [
        in_main("print " + "(" * 50_000),
        in_main("print " + "(" * (BRACKET_DEPTH_MAX + 1) + "1" + ")" * (BRACKET_DEPTH_MAX + 1)),
        "type T = " + "list[" * 50_000 + "int" + "]" * 50_000 + "\n",
        in_main("print " + "not " * 50_000 + "a"),
        in_main("print " + "- " * 50_000 + "a"),
        in_main("print " + "1 + " * 50_000 + "1"),
        in_main("print a" + "[0]" * 50_000),
        in_main("print a" + ".b" * 50_000),
        "main:\n"
        + "".join(" " * depth + "loop:\n" for depth in range(1, 200))
        + " " * 200
        + "pass\n",
    ],
    ids=lambda text: text[:24] + "…",
)
def test_deep_nesting_is_refused(text: str) -> None:
    assert codes(text) == ["parse.nesting"]


def test_nesting_up_to_the_limits_is_read() -> None:
    depth = BLOCK_DEPTH_MAX - 1
    blocks = "".join("    " * level + "loop:\n" for level in range(1, depth + 1))
    brackets = "(" * BRACKET_DEPTH_MAX + "1" + ")" * BRACKET_DEPTH_MAX
    text = f"main:\n{blocks}{'    ' * (depth + 1)}print {brackets}{' + 1' * 90}\n"
    assert codes(text) == []


def test_the_number_of_errors_is_bounded() -> None:
    for line in ("oops 1\n", "print ?\n", 'print "\n', "print )\n"):
        found = codes("main:\n" + f"    {line}" * 2_000)
        assert len(found) == SYNTAX_ERRORS_MAX + 1
        assert found[-1] == "parse.too_many"


def test_numbers_of_any_length_are_bounded() -> None:
    for number in ("9" * 100_000, "0x" + "f" * 100_000, "1" + "_1" * 50_000, "1." + "0" * 100_000):
        assert codes(in_main(f"print {number}")) == ["parse.number"]


# --- nothing makes it raise ------------------------------------------------------------------

_PIECES = st.sampled_from(
    (
        *_WORDS,
        *_RESERVED,
        *("A", "x", "1", "2.5", "5s", '"s"', "b'x'", "(", ")", "[", "]", "{", "}"),
        *("->", ":", ",", ".", "=", "==", "+", "*", "-", "#c\n", " ", "\t"),
        *("\n", "\n    ", "\n        ", "lossy", "within", "guard", "\\", '"', "'"),
        *("\r", "\x00", "\ud800", "\u202e", "é"),
    )
)


def _holds(text: str) -> None:
    parsed, diagnostics = read(text)
    lines = text.split("\n")
    for item in diagnostics.found:
        assert 1 <= item.span.line <= len(lines)
        assert 1 <= item.span.column <= len(lines[item.span.line - 1]) + 1
    if not diagnostics.has_errors:
        assert parsed.broken == frozenset()
    diagnostics.render()


@given(st.text(max_size=200))
def test_any_text_is_survived(text: str) -> None:
    _holds(text)


@given(st.lists(_PIECES, max_size=60).map(" ".join))
def test_any_tokens_are_survived(text: str) -> None:
    _holds(text)


@given(st.sampled_from(_SAMPLES + [e.text for e in EXAMPLES]), st.data())
def test_mutated_scripts_are_survived(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(_PIECES) + text[end:]
    _holds(text)
