"""The content of JSON and XML events, read within limits and without ever failing.

The XML reader knows the one shape that the switch writes. It has no entities of its own and no
document types, so nothing in an event can grow.
"""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

from troth.streaming.eventsocket.headers import NO_HEADERS, Headers, Pair, text_of, unquote
from troth.streaming.eventsocket.limits import Limits


class Content(NamedTuple):
    """What is inside of an event; `defect` says what could not be read, the body then has it."""

    headers: Headers
    body: bytes
    defect: str | None


_OPENING: Final = re.compile(rb"\s*<event>\s*<headers>")
_LENGTH: Final = re.compile(rb"<Content-Length>\d+</Content-Length>\s*<body>")
_ELEMENT: Final = re.compile(rb"\s*<(?P<name>[^<>/\s]+)(?:/>|>(?P<value>[^<]*)</(?P=name)>)")
_ENTITY: Final = re.compile(rb"&(lt|gt|amp|quot|apos|#\d{1,7}|#x[0-9a-fA-F]{1,6});")
_ENTITIES: Final = {b"lt": "<", b"gt": ">", b"amp": "&", b"quot": '"', b"apos": "'"}
_LAST_CHARACTER: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)


def json_content(raw: bytes, limits: Limits) -> Content:
    """Values of JSON events are not percent-encoded; an array becomes one header per item."""
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") > limits.json_items_max:
        return Content(NO_HEADERS, raw, f"more than json_items_max={limits.json_items_max}")
    try:
        pairs = json.loads(
            text_of(raw), object_pairs_hook=list, parse_int=str, parse_float=str, parse_constant=str
        )
    except (ValueError, RecursionError):
        return Content(NO_HEADERS, raw, "it is not JSON")
    if not isinstance(pairs, list) or not raw.lstrip().startswith(b"{"):
        return Content(NO_HEADERS, raw, "it is not a JSON object")
    headers: list[Pair] = []
    body = b""
    for name, value in pairs:
        if name == "_body" and isinstance(value, str):
            body = value.encode("utf-8", "replace")
        elif isinstance(value, str):
            headers.append((name, _sound(value)))
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            headers += [(name, _sound(item)) for item in value]
        else:
            return Content(NO_HEADERS, raw, "a JSON value is neither text nor a list of texts")
    return Content(Headers(headers), body, None)


def _sound(text: str) -> str:
    """Half of a surrogate pair cannot be written anywhere, so it goes the way of bad UTF-8."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def xml_content(raw: bytes, limits: Limits) -> Content:
    """Header values of XML events are percent-encoded, the body is only XML-escaped."""
    shape = _shape(raw)
    if shape is None:
        return Content(NO_HEADERS, raw, "it is not an event in XML")
    block, body = shape
    if block.count(b"</") + block.count(b"/>") > limits.header_count_max:
        return Content(NO_HEADERS, raw, f"more than header_count_max={limits.header_count_max}")
    headers: list[Pair] = []
    position = 0
    while element := _ELEMENT.match(block, position):
        value = unquote(text_of(_unescaped(element["value"] or b"")))
        headers.append((text_of(element["name"]), value))
        position = element.end()
    if block[position:].strip():
        return Content(NO_HEADERS, raw, "it has something that is no header")
    return Content(Headers(headers), _unescaped(body), None)


def _shape(raw: bytes) -> tuple[bytes, bytes] | None:
    """The header elements and the body. One pass, whatever is in there."""
    opening = _OPENING.match(raw)
    if opening is None:
        return None
    block, closed, rest = raw[opening.end() :].partition(b"</headers>")
    rest = rest.strip()
    if not closed or not rest.endswith(b"</event>"):
        return None
    rest = rest.removesuffix(b"</event>").rstrip()
    if not rest:
        return block, b""
    length = _LENGTH.match(rest)
    if length is None or not rest.endswith(b"</body>"):
        return None
    return block, rest[length.end() : -len(b"</body>")]


def _unescaped(data: bytes) -> bytes:
    return _ENTITY.sub(_character, data) if b"&" in data else data


def _character(match: re.Match[bytes]) -> bytes:
    name = match[1]
    if name in _ENTITIES:
        return _ENTITIES[name].encode()
    code = int(name[2:], 16) if name[1:2] == b"x" else int(name[1:])
    if code > _LAST_CHARACTER or code in _SURROGATES:
        return match[0]
    return chr(code).encode()
