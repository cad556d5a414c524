"""What a newcomer is told: the fix fits the mistake, and nothing is offered that is not there."""

from __future__ import annotations

from typing import Final

import pytest

from troth.dsl.compile import check_source
from troth.dsl.diag import Diagnostic, Diagnostics
from troth.dsl.plural import count

PROTOCOL: Final = "protocol P(A, B):\n    A -> B: m(n: int)\n\n"


def _told(text: str, code: str) -> Diagnostic:
    (only,) = [item for item in check_source(text, "x.troth").found if item.code == code]
    return only


def _program(*lines: str) -> str:
    return PROTOCOL + "program a(s: P.A):\n" + "".join(f"    {line}\n" for line in lines)


def _main(*lines: str) -> str:
    return "main:\n" + "".join(f"    {line}\n" for line in lines)


# --- settings ------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["always", "of", "offf", "on", "none", "Off"])
def test_turning_protection_off_is_never_advised(value: str) -> None:
    opened = _told(PROTOCOL + _main(f"open P as a, b with replay = {value}"), "check.setting.value")
    edge = _told(
        f"protocol P(A, B):\n    edge A -> B: replay = {value}\n    A -> B: m()\n",
        "protocol.edge.setting.value",
    )
    for item in (opened, edge):
        assert item.fix == "write `replay = sequence`, or leave it out"


def test_a_close_value_is_still_suggested() -> None:
    text = PROTOCOL + _main("open P as a, b with replay = nulifier")
    assert _told(text, "check.setting.value").fix == "did you mean `nullifier`?"


def test_the_buffers_there_are_are_expected() -> None:
    text = "protocol P(A, B):\n    edge A -> B: buffer = lifo\n    A -> B: m()\n"
    item = _told(text, "protocol.edge.setting.value")
    assert item.expected == "fifo or latest"


@pytest.mark.parametrize("setting", ["policy = lossy", "lossy = true", "replay = lossy"])
def test_lossy_is_named_among_settings(setting: str) -> None:
    text = f"protocol P(A, B):\n    edge A -> B: {setting}\n    A -> B: m()\n"
    assert "said of a message" in _told(text, "protocol.edge.lossy").message


def test_the_size_of_a_family_that_is_not_there_is_named() -> None:
    item = _told(PROTOCOL + _main("open P as a, b with N = 4"), "check.setting.unknown")
    assert "no family" in (item.fix or "")


# --- types ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        ("1.0", "write a whole number: `1`"),
        ("-3.0", "write a whole number: `-3`"),
        ("2.5", "write a whole number, such as `1`"),
        ("1e300", "write a whole number, such as `1`"),
        ("7 / 2", "use `//` for a division that stays an int"),
        ("(7 / 2)", "use `//` for a division that stays an int"),
        ("1.0 + 2", "give an int here; nothing turns a float into one"),
    ],
)
def test_a_float_for_an_int(value: str, fix: str) -> None:
    assert _told(_program(f"send s.B m({value})", "close s"), "check.payload.type").fix == fix


@pytest.mark.parametrize("items", ["1, 2.5", "2.5, 1", '1, "a"', '"a", 1', "1, true", "[1], [1.5]"])
def test_a_mixed_list(items: str) -> None:
    item = _told(_main(f"print [{items}]"), "check.type.list")
    assert (item.fix or "").startswith("give all items one type")


def test_a_list_without_its_items_type() -> None:
    assert "list[int]" in (_told("effect f(x: list) -> int\n", "type.unknown").fix or "")


# --- names that are not there ----------------------------------------------------------------


def test_a_missing_name_is_not_offered_later() -> None:
    text = _program("print zz", "print zy", "close ss", "close st", 'cancel s "x"')
    rendered = check_source(text, "x.troth").render()
    assert rendered.count("error[") == 4
    for line in rendered.split("\n"):
        if line.startswith(("  expected:", "  fix:      did")):
            assert "zz" not in line
            assert "ss" not in line


@pytest.mark.parametrize(
    "text",
    [
        "protocol P():\n    A -> B: m()\n",
        "protocol P():\n    edge A -> B: replay = off\n    A -> B: m()\n",
        "protocol P():\n    A -> B: m()\n\nprogram p(s: P.A, t: P):\n    pass\n",
        _main("close s", "print x", "spawn x()", "call y()", "open Q as a", "loop:", "    break l"),
        _main("print {}", "print (1).x"),
    ],
)
def test_no_empty_list_of_possibilities(text: str) -> None:
    for item in check_source(text, "x.troth").found:
        assert item.expected is None or item.expected.strip() not in ("", "one of")
        assert not (item.expected or "").endswith((" ", ","))
        assert not (item.fix or "").endswith((" ", ","))


def test_main_is_not_told_to_take_parameters() -> None:
    assert "open" in (_told(_main("close s"), "check.endpoint.unknown").fix or "")


@pytest.mark.parametrize(
    ("number", "words"), [(0, "no blanks"), (1, "1 blank"), (2, "2 blanks"), (10, "10 blanks")]
)
def test_numbers_agree_with_their_nouns(number: int, words: str) -> None:
    assert count(number, "blank") == words


def test_one_blank_is_one() -> None:
    item = _told(" effect f() -> int\n", "parse.indent.unexpected")
    assert (item.expected, item.found) == ("no blanks", "1 blank")


# --- carets ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "columns"),
    [("ab", 2), ("日本", 4), ("ｱ", 1), ("Ａ", 2), ("e\u0301", 1), ("한", 2), ("\u200b", 1)],
)
def test_a_caret_stands_under_wide_characters(text: str, columns: int) -> None:
    rendered = check_source(_main(f'print "{text}" + 1'), "x.troth").render()
    row, caret = rendered.split("\n")[1:3]
    assert row.startswith('  2 |     print "')
    assert caret.index("^") == row.index('"')
    assert caret.count("^") == columns + len('"" + 1')


def test_a_caret_after_wide_characters() -> None:
    diagnostics = Diagnostics("x.troth", _main('let x = "日本" + y'))
    found = check_source(diagnostics.text, "x.troth")
    row, caret = found.render().split("\n")[1:3]
    assert caret.index("^") == row.index("y") + 2
    assert caret.count("^") == 1
