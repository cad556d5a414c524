"""What is shown of hostile text can be seen, and stays where it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.vm.escape import MARKS_MAX, escape, is_plain, plain

INVISIBLE = [
    0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180E, 0x180F,
    0x200B, 0x200D, 0x202E, 0x2060, 0x2800, 0x3164, 0xFE00, 0xFE0F, 0xFFA0, 0xFEFF,
    0xE0001, 0xE0041, 0xE007F, 0xE0100, 0xE01EF,
]  # fmt: skip


@pytest.mark.parametrize("code", INVISIBLE, ids=hex)
def test_what_cannot_be_seen_is_written_out(code: int) -> None:
    text = f"A{chr(code)}b"
    assert escape(text) == plain(text) == f"A\\u{{{code:x}}}b"
    assert not is_plain(text)


@pytest.mark.parametrize("text", ["Zoe\u0308", "名前", "ä", "\u0e01\u0e34\u0e49", "🙂", "a b"])
def test_what_can_be_seen_stays(text: str) -> None:
    assert escape(text) == text
    assert is_plain(text)


def test_marks_do_not_pile_up() -> None:
    mark = "\u0301"
    assert escape("e" + MARKS_MAX * mark) == "e" + MARKS_MAX * mark
    shown = escape("e" + 50 * mark)
    assert shown == "e" + MARKS_MAX * mark + (50 - MARKS_MAX) * "\\u{301}"


@given(st.text(max_size=40))
def test_what_was_escaped_is_plain(text: str) -> None:
    assert is_plain(plain(text))
    assert is_plain(escape(text).replace("\\\\", ""))
