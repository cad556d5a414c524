"""Messages to bytes and back: a length of four bytes, then one msgpack array.

What each field may be stands in `SHAPES`; anything else is malformed. Nothing is allocated by a
length that has not come, and a message has one form only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgpack

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.limits import FRAME_BYTES_MAX
from troth.vm.errors import Malformed
from troth.vm.keys import valid_name

LENGTH_BYTES: Final = 4
VERSION: Final = 1
KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
ID_BYTES: Final = 16
TEXT_CHARACTERS_MAX: Final = 200
CANDIDATES_MAX: Final = 16
LIST_MAX: Final = 256
TALK_BYTES_MAX: Final = 16_384
ROWS_MAX: Final = 1_000
_ARRAY_MAX: Final = 1_024
_NUMBER_MAX: Final = (1 << 53) - 1

Checker = Callable[[object], object]
"""Returns the value of a field, or raises `Malformed`."""


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _NUMBER_MAX:
        raise malformed("a number from 0", _kind(value))
    return value


def _port(value: object) -> int:
    number = _number(value)
    if number > 65_535:
        raise malformed("a port", str(number))
    return number


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > TEXT_CHARACTERS_MAX:
        raise malformed(f"a text of at most {TEXT_CHARACTERS_MAX} characters", _kind(value))
    return value


def _name(value: object) -> str:
    text = _text(value)
    if not valid_name(text):
        raise malformed("the name of a key", ascii(text[:40]))
    return text


def _bytes(least: int, most: int) -> Checker:
    def check(value: object) -> bytes:
        if not isinstance(value, bytes) or not least <= len(value) <= most:
            raise malformed(f"{least} to {most} bytes", _kind(value))
        return value

    return check


def _list(check: Checker, most: int) -> Checker:
    def check_list(value: object) -> tuple[object, ...]:
        if not isinstance(value, list | tuple) or len(value) > most:
            raise malformed(f"a list of at most {most}", _kind(value))
        return tuple(check(item) for item in value)

    return check_list


_TALK: Final = _bytes(1, TALK_BYTES_MAX)

SHAPES: Final[Mapping[type[m.Message], tuple[Checker, ...]]] = {
    m.Refused: (_number, _text, _text, _text, _number),
    m.Done: (_number,),
    m.Beat: (),
    m.BeatBack: (_number,),
    m.Talk: (_text, _number, _TALK),
    m.Command: (_number, _text, _list(_text, 16)),
    m.Report: (_number, _list(_list(_text, 16), ROWS_MAX)),
}

_BY_NAME: Final = {kind.__name__: kind for kind in SHAPES}


def encode(message: m.Message) -> bytes:
    """The message with its length in front."""
    items = [type(message).__name__, *(getattr(message, n) for n in _fields(message))]
    body: bytes = msgpack.packb(items)
    if len(body) > FRAME_BYTES_MAX:
        raise malformed(f"at most {FRAME_BYTES_MAX} bytes", f"{len(body)}")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def decode(body: bytes) -> m.Message:
    """Reads one message, without its length.

    Raises:
        Malformed: code `gateway.message`.
    """
    try:
        items = msgpack.unpackb(
            body, max_array_len=_ARRAY_MAX, max_map_len=0, max_ext_len=0, strict_map_key=True
        )
    except (ValueError, msgpack.UnpackException, RecursionError):
        raise malformed("one msgpack array", f"{len(body)} other bytes") from None
    if not isinstance(items, list) or not items or not isinstance(items[0], str):
        raise malformed("a name and its fields", _kind(items))
    kind = _BY_NAME.get(items[0])
    if kind is None:
        raise malformed("a message that there is", ascii(items[0][:40]))
    shape = SHAPES[kind]
    if len(items) != len(shape) + 1:
        raise malformed(f"{len(shape)} fields of {items[0]}", f"{len(items) - 1}")
    make: Callable[..., m.Message] = kind
    return make(*(check(item) for check, item in zip(shape, items[1:], strict=True)))


class FrameReader:
    """Cuts a stream into messages. It holds at most one message that is not complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[m.Message]:
        """The messages that are complete now.

        Raises:
            Malformed: as `decode`, and for a length that is too long. The stream is of no more use.
        """
        self._buffer += data
        found = []
        while len(self._buffer) >= LENGTH_BYTES:
            length = int.from_bytes(self._buffer[:LENGTH_BYTES], "big")
            if length > FRAME_BYTES_MAX:
                raise malformed(f"a length of at most {FRAME_BYTES_MAX}", f"{length}")
            end = LENGTH_BYTES + length
            if len(self._buffer) < end:
                break
            body = bytes(self._buffer[LENGTH_BYTES:end])
            del self._buffer[:end]
            found.append(decode(body))
        return found


def _fields(message: m.Message) -> tuple[str, ...]:
    return tuple(type(message).__dataclass_fields__)


def _kind(value: object) -> str:
    size = f" of {len(value)}" if isinstance(value, bytes | str | list) else ""
    return f"{type(value).__name__}{size}"


def malformed(expected: str, actual: str) -> Malformed:
    return Malformed(
        "gateway.message",
        "this is not a message of a gateway",
        expected=expected,
        actual=actual,
        advice="See that both ends have the same version",
    )
