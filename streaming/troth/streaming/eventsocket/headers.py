"""Header lines: split first, then decoded, each value once.

Decoding before splitting would let `%0A` in a value make headers of its own. Only values are
encoded, never names, and only in events; whoever calls says which it is. Of headers that repeat
the last one counts. A line without a colon is kept apart: a raw value with a newline in it makes
such lines, and they must not become headers.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, Sequence
from typing import Final

_HEX: Final = "0123456789abcdefABCDEF"
_BYTES: Final = {a + b: int(a + b, 16) for a in _HEX for b in _HEX}
_ASCII: Final = {pair: chr(code) for pair, code in _BYTES.items() if code < 0x80}

REMEMBERED_LINES_MAX: Final = 4_096
REMEMBERED_LINE_CHARACTERS_MAX: Final = 256

Pair = tuple[str, str]
_NOTHING: Final = ("", "")


def text_of(data: bytes | bytearray) -> str:
    """Text for people and programs: bytes that are not UTF-8 become U+FFFD, never an error."""
    return data.decode("utf-8", "replace")


def unquote(value: str) -> str:
    """The percent decoding of an event's value; `+` and what is no escape stand for themselves."""
    first, *rest = value.split("%")
    parts = [first]
    for part in rest:
        character = _ASCII.get(part[:2])
        if character is None:
            return _unquote_bytes(value)
        parts.append(character + part[2:])
    return "".join(parts)


def _unquote_bytes(value: str) -> str:
    """The same for values with characters of several bytes, and with a `%` that escapes nothing."""
    first, *rest = value.split("%")
    decoded = bytearray(first.encode())
    for part in rest:
        code = _BYTES.get(part[:2])
        if code is None:
            decoded += b"%" + part.encode()
        else:
            decoded.append(code)
            decoded += part[2:].encode()
    return text_of(decoded)


def raw_pair(line: str) -> Pair:
    """Name and value of a line as it stands; the name is empty when it is no header."""
    name, colon, value = line.partition(":")
    return (name.strip(), value.strip()) if colon else ("", line)


class LineMemory(dict[str, Pair]):
    """Decodes an event's line, and remembers it: most lines of an event are those of the last one.

    It holds at most `REMEMBERED_LINES_MAX` lines of `REMEMBERED_LINE_CHARACTERS_MAX`, and starts
    anew when it is full. What it gives depends on the line alone, so calls may share one.
    A name may have a colon in it but no blank after that, so a line parts at the first ": ".
    """

    __slots__ = ()

    def __missing__(self, line: str) -> Pair:
        name, colon, value = line.partition(": ")
        if not colon:
            name, colon, value = line.partition(":")
        if not colon or not name:
            pair = ("", line)
        else:
            value = value.strip()
            pair = (name.strip(), unquote(value) if "%" in value else value)
        if len(line) <= REMEMBERED_LINE_CHARACTERS_MAX:
            if len(self) >= REMEMBERED_LINES_MAX:
                self.clear()
            self[line] = pair
        return pair


class Headers(Mapping[str, str]):
    """Headers by name, in order. A name is found as it is written, else without regard to case."""

    __slots__ = ("_folded", "_last", "_pairs")

    def __init__(self, pairs: Sequence[Pair] = ()) -> None:
        self._last = dict(pairs)
        self._folded: dict[str, str] | None = None
        # The pairs themselves are needed only where the mapping has lost something.
        plain = len(self._last) == len(pairs) and "" not in self._last
        self._pairs = None if plain else tuple(pair for pair in pairs if pair != _NOTHING)
        if not plain:
            self._last.pop("", None)

    @classmethod
    def of(cls, last: dict[str, str]) -> Headers:
        """Headers that do not repeat; the dictionary is theirs from now on."""
        made = cls.__new__(cls)
        made._last, made._folded, made._pairs = last, None, None
        return made

    def __getitem__(self, name: str) -> str:
        value = self._last.get(name)
        if value is not None:
            return value
        if self._folded is None:
            self._folded = {name.lower(): value for name, value in self._last.items()}
        return self._folded[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._last)

    def __len__(self) -> int:
        return len(self._last)

    def items(self) -> ItemsView[str, str]:
        return self._last.items()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Headers):
            return self.pairs == other.pairs
        return NotImplemented

    # A mapping of this size is compared, never used as a key.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({self._last!r})"

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Every header in order, with those that repeat."""
        if self._pairs is None:
            return tuple(self._last.items())
        return tuple(pair for pair in self._pairs if pair[0])

    @property
    def stray_lines(self) -> tuple[str, ...]:
        """Lines without a colon."""
        return () if self._pairs is None else tuple(text for name, text in self._pairs if not name)

    def every(self, name: str) -> tuple[str, ...]:
        """All values of a header that may repeat."""
        wanted = name.lower()
        return tuple(value for found, value in self.pairs if found.lower() == wanted)

    def variable(self, name: str) -> str | None:
        """The channel variable `name`, or None."""
        return self.get(f"variable_{name}")


NO_HEADERS: Final = Headers()


def raw_headers(block: bytes) -> Headers:
    """The lines of a reply's outer block, as they stand."""
    return Headers([raw_pair(line) for line in text_of(block).split("\n")])


def decoded_headers(block: bytes, memory: LineMemory) -> Headers:
    """The lines of an event, decoded."""
    lines = text_of(block).split("\n")
    last = dict(map(memory.__getitem__, lines))
    if len(last) == len(lines) and "" not in last:
        return Headers.of(last)
    return Headers(list(map(memory.__getitem__, lines)))
