"""Assembly says all that an image holds, and no text is too strange to be answered."""

from __future__ import annotations

import string
from pathlib import Path
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from property.script_generator import script_text
from strategies_image import images
from troth.dsl.compile import compile_source
from troth.vm.assembly_cursor import Token
from troth.vm.assembly_read import ASSEMBLY_BYTES_MAX, assemble
from troth.vm.assembly_write import disassemble
from troth.vm.errors import TrothError
from troth.vm.image import Image
from troth.vm.image_codec import decode_image, encode_image, image_id
from troth.vm.limits import IMAGE_BYTES_MAX

EXAMPLES: Final = sorted(
    (Path(__file__).resolve().parents[2] / "docs" / "examples").glob("*.troth")
)
SEEDS: Final = st.integers(min_value=0, max_value=2**32)
FIXED_BYTES: Final = 200
"""The first lines of a text, and the ids in it."""


def assert_returns(image: Image) -> str:
    """The text of the image, which gives the same bytes again."""
    data = encode_image(image)
    text = disassemble(image)
    again = assemble(text, "again.asm")
    assert again == image
    assert encode_image(again) == data
    assert image_id(encode_image(again)) == image_id(data)
    assert disassemble(again) == text
    return text


@settings(max_examples=300, deadline=None)
@given(images())
def test_any_image_comes_back_as_the_same_bytes(image: Image) -> None:
    data = encode_image(image)
    assert decode_image(data) == image
    text = assert_returns(image)
    assert all(line.isprintable() for line in text.split("\n"))
    ids = 80 * (1 + len(image.protocols))
    assert (
        len(text.encode()) <= ASSEMBLY_BYTES_MAX // IMAGE_BYTES_MAX * len(data) + ids + FIXED_BYTES
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_come_back(path: Path) -> None:
    assert_returns(compile_source(path.read_text(encoding="utf-8"), path.name))


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_any_script_comes_back(seed: int) -> None:
    assert_returns(compile_source(script_text(Random(seed)), "right.troth"))


def refusal_of(text: str) -> TrothError | None:
    """None for assembly of an image that has canonical bytes."""
    try:
        image = assemble(text, "any.asm")
    except TrothError as error:
        return error
    assert decode_image(encode_image(image)) == image
    return None


def assert_answered(text: str) -> None:
    """It is accepted, or it is refused at a place in it."""
    error = refusal_of(text)
    if error is None:
        return
    assert error.code.startswith("assembly.")
    assert (error.place.file, error.place.position) == ("any.asm", None)
    assert error.place.line is not None
    assert error.place.column is not None
    lines = text.split("\n")
    assert 1 <= error.place.line <= len(lines)
    assert 1 <= error.place.column <= len(lines[error.place.line - 1]) + 1
    assert error.advice
    assert str(error).isprintable()


PIECES: Final = (
    *("\n", " ", "|", "->", "- ", '"', "\\", "{", "}", "[", "]", "(", ")", ",", ":", "#", "@", "."),
    *("-0.0", "1e999", "9" * 30, "1.5", "70000", "r70000", '"a b"', '""', 'b"\\u{1}"', 'x"0"'),
    *("end", "type", "lines 1", "lines", "L0", "L0:", "source", "entry", "edge", "halt", "é", ";"),
    *("int", "blob(", "list[", "{a: 1, a: 2}", "{a: int, a: int}", "0: end", "protocol", "effect"),
)


@settings(max_examples=400, deadline=None)
@given(images(), SEEDS)
def test_a_changed_text_is_answered(image: Image, seed: int) -> None:
    rng = Random(seed)
    text = disassemble(image)
    start = text.index("\n") + 1
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = rng.randrange(start, len(text) + 1)
        end = min(len(text), place + rng.choice((0, 0, 1, 2, 5, 30)))
        new = rng.choice(
            ("", *PIECES, rng.choice(string.printable), text[start:][: rng.randrange(40)])
        )
        text = text[:place] + new + text[end:]
    assert_answered(text)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.sampled_from(list(Token)) | st.text(max_size=4)))
def test_any_text_is_answered(pieces: list[str]) -> None:
    assert_answered("".join(pieces))
    assert_answered("troth-assembly 1\n" + "".join(pieces))
    assert_answered("troth-assembly 1\nprogram p() registers 1\n  set r0 = " + "".join(pieces))
    assert_answered("troth-assembly 1\nprotocol p(A)\n type A\n 0: end . a(x: " + "".join(pieces))
