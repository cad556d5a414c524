"""The canonical bytes of values, payloads and plain arrays.

One value has exactly one encoding. A decoder unpacks, checks what it got, packs it again and
compares, so two different byte strings never mean the same thing. `docs/design.md`, "Values on
the wire", says which msgpack form each value takes.

Nothing here trusts its input: size, nesting and claimed lengths are checked before memory is
spent on them, and everything that is wrong with bytes is a `Malformed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import copysign, isfinite
from typing import Final, NamedTuple, NoReturn

import msgpack

from troth.vm.errors import NOWHERE, Invalid, Malformed, Place
from troth.vm.limits import NESTING_DEPTH_MAX, RECORD_BYTES_MAX
from troth.vm.statements import pack_array
from troth.vm.types import Field
from troth.vm.value_ops import PRIMITIVE_OF, kind_name, type_matches
from troth.vm.values import INT_MAX, INT_MIN, Blob, Endpoint, Record, RegisterValue

EXTENSION_ENDPOINT: Final = 1
EXTENSION_BLOB: Final = 2

_SESSION_BYTES: Final = 32
_DIGEST_BYTES: Final = 32
_pack_plain: Final = msgpack.Packer().pack
"""Half the price of `packb`. Without a `default` hook a call runs no Python code, so nothing can
come in between, and after an error the packer is empty again."""

_MEASURE_FROM_BYTES: Final = 2048
"""Longer input is measured before it is built: a nested array may claim a length it has not."""

__all__ = [
    "EXTENSION_BLOB",
    "EXTENSION_ENDPOINT",
    "Flaw",
    "decode",
    "decode_payload",
    "encode",
    "encode_payload",
    "find_flaw",
    "pack_array",
    "unpack_canonical",
]


class Flaw(NamedTuple):
    """Why something is not a value of the language."""

    code: str
    expected: str
    actual: str


# --- what is a value -----------------------------------------------------------------------


def find_flaw(value: object, depth_max: int = NESTING_DEPTH_MAX) -> Flaw | None:
    """The first reason why `value` has no canonical encoding, or None when it has one.

    Endpoints and coroutine handles are no values: they are never part of another one.
    """
    kind = type(value)
    if value is None or kind is bool or kind is bytes:
        return None
    if kind is int:
        return _int_flaw(value)
    if kind is float:
        return _float_flaw(value)
    if kind is str:
        return _text_flaw(value)
    if isinstance(value, Blob):
        return _blob_flaw(value)
    if kind is not tuple and not isinstance(value, Record):
        return Flaw("codec.type", "a value", kind_name(value))
    if depth_max == 0:
        return Flaw("codec.depth", f"at most {NESTING_DEPTH_MAX} levels of nesting", "more")
    if isinstance(value, Record):
        return _record_flaw(value, depth_max)
    assert isinstance(value, tuple)
    for item in value:
        flaw = find_flaw(item, depth_max - 1)
        if flaw is not None:
            return flaw
    return None


def _int_flaw(value: object) -> Flaw | None:
    assert isinstance(value, int)
    if INT_MIN <= value <= INT_MAX:
        return None
    return Flaw("codec.int", "an integer of 64 bits", f"one of {value.bit_length() + 1} bits")


def _float_flaw(value: object) -> Flaw | None:
    assert isinstance(value, float)
    if isfinite(value) and (value != 0.0 or copysign(1.0, value) > 0.0):
        return None
    return Flaw("codec.float", "a finite float, and zero without a sign", repr(value))


def _text_flaw(value: object) -> Flaw | None:
    assert isinstance(value, str)
    if value.isascii():
        return None
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return Flaw("codec.text", "text", f"a lone surrogate at character {error.start}")
    return None


def _blob_flaw(value: Blob) -> Flaw | None:
    if type(value.length) is not int or not 0 <= value.length <= INT_MAX:
        return Flaw("codec.extension", "a blob's length from 0 to 2^63-1", repr(value.length))
    if type(value.digest) is not bytes or len(value.digest) != _DIGEST_BYTES:
        return Flaw("codec.extension", "a blob's digest of 32 bytes", kind_name(value.digest))
    return None


def _endpoint_flaw(value: Endpoint) -> Flaw | None:
    if type(value.session) is not bytes or len(value.session) != _SESSION_BYTES:
        return Flaw("codec.extension", "a session id of 32 bytes", kind_name(value.session))
    if type(value.role) is not str:
        return Flaw("codec.extension", "a role name", kind_name(value.role))
    return _text_flaw(value.role)


def _record_flaw(value: Record, depth_max: int) -> Flaw | None:
    previous: str | None = None
    for name, item in value.fields:
        if type(name) is not str:
            return Flaw("codec.record", "a field name", kind_name(name))
        # Code point order of Python's strings is the byte order of their UTF-8.
        if previous is not None and name <= previous:
            return Flaw("codec.record", "field names that ascend", f"{name!r} after {previous!r}")
        if not (type(item) is str and name.isascii() and item.isascii()):
            flaw = _text_flaw(name) or find_flaw(item, depth_max - 1)
            if flaw is not None:
                return flaw
        previous = name
    return None


# --- encoding ------------------------------------------------------------------------------


def encode(value: RegisterValue) -> bytes:
    """The canonical bytes of a value or an endpoint.

    Raises:
        Invalid: `codec.…`, when the value has no canonical encoding.
    """
    flaw = _endpoint_flaw(value) if isinstance(value, Endpoint) else find_flaw(value)
    if flaw is not None:
        _refuse_value(flaw)
    packed: bytes = msgpack.packb(value, default=_extension_of)
    return packed


def encode_payload(values: Sequence[RegisterValue]) -> bytes:
    """The canonical bytes of a message's field values, in the order declared.

    Raises:
        Invalid: `codec.…`, when a value has no canonical encoding.
    """
    plain = True
    for value in values:
        kind = type(value)
        if kind is str or kind is bytes or kind is bool or value is None:
            continue
        if kind is int and INT_MIN <= value <= INT_MAX:  # type: ignore[operator]
            continue
        flaw = _endpoint_flaw(value) if isinstance(value, Endpoint) else find_flaw(value)
        if flaw is not None:
            _refuse_value(flaw)
        plain = plain and kind is float
    try:
        packed: bytes = (
            _pack_plain(values) if plain else msgpack.packb(values, default=_extension_of)
        )
    except UnicodeEncodeError as error:
        _refuse_value(Flaw("codec.text", "text", f"a lone surrogate at character {error.start}"))
    return packed


def _extension_of(value: object) -> object:
    """What msgpack packs for the types it does not know."""
    if isinstance(value, Record):
        return dict(value.fields)
    if isinstance(value, Blob):
        return msgpack.ExtType(EXTENSION_BLOB, pack_array((value.length, value.digest)))
    assert isinstance(value, Endpoint)
    return msgpack.ExtType(EXTENSION_ENDPOINT, pack_array((value.session, value.role)))


def _refuse_value(flaw: Flaw) -> NoReturn:
    raise Invalid(
        flaw.code,
        "This value has no canonical encoding",
        expected=flaw.expected,
        actual=flaw.actual,
    )


# --- decoding ------------------------------------------------------------------------------


def decode(data: bytes, *, bytes_max: int = RECORD_BYTES_MAX) -> RegisterValue:
    """The value or endpoint that `data` is the canonical encoding of.

    Raises:
        Malformed: `codec.…`, with the offset where one is known.
    """
    value = _unpack(data, bytes_max, with_values=True)
    if not isinstance(value, Endpoint):
        _refuse_flaw(find_flaw(value))
    canonical = msgpack.packb(value, default=_extension_of)
    if data != canonical:
        _refuse_other_form(data, canonical)
    return value  # type: ignore[return-value]  # find_flaw has just shown it


def decode_payload(
    data: bytes, fields: tuple[Field, ...], *, bytes_max: int = RECORD_BYTES_MAX
) -> tuple[RegisterValue, ...]:
    """The values of a message's fields, one for each of `fields` and of its type.

    Raises:
        Malformed: `codec.…`; `codec.payload` when the bytes are canonical but do not fit.
    """
    values = _unpack(data, bytes_max, with_values=True)
    if type(values) is not tuple:
        _refuse_payload("an array of field values", kind_name(values))
    if len(values) != len(fields):
        _refuse_payload(f"{len(fields)} fields", f"{len(values)}")
    plain = True
    for value, field in zip(values, fields, strict=True):
        kind = type(value)
        if PRIMITIVE_OF.get(kind) is field.type:
            if kind is int:
                if value > INT_MAX:
                    _refuse_flaw(_int_flaw(value))
                continue
            if kind is str or kind is bytes:
                continue
        plain = False
        if not isinstance(value, Endpoint):
            _refuse_flaw(find_flaw(value))
        if not type_matches(value, field.type):
            _refuse_payload(str(field), kind_name(value))
    canonical = _pack_plain(values) if plain else msgpack.packb(values, default=_extension_of)
    if data != canonical:
        _refuse_other_form(data, canonical)
    return values


def unpack_canonical(
    data: bytes, *, bytes_max: int = RECORD_BYTES_MAX, depth_max: int = NESTING_DEPTH_MAX
) -> object:
    """The inverse of `pack_array`: nil, bools, ints, strings, bytes, and tuples of these.

    Tuples are nested `depth_max` deep at most, counting the outermost.

    Raises:
        Malformed: `codec.…`, when the bytes hold anything else or another form of it.
    """
    plain = _unpack(data, bytes_max, with_values=False)
    _refuse_unless_plain(*((plain, depth_max - 1) if type(plain) is tuple else ((plain,), 0)))
    canonical = _pack_plain(plain)
    if data != canonical:
        _refuse_other_form(data, canonical)
    return plain


def _unpack(data: bytes, bytes_max: int, *, with_values: bool) -> object:
    if len(data) > bytes_max:
        raise Malformed(
            "codec.size",
            "These bytes are too many to decode",
            expected=f"at most {bytes_max} bytes",
            actual=f"{len(data)}",
        )
    if len(data) > _MEASURE_FROM_BYTES:
        _measure(data)
    try:
        # Timestamps become datetimes, which are never packed again: they are no values.
        return msgpack.unpackb(
            data,
            use_list=False,
            timestamp=3,
            object_pairs_hook=_record if with_values else _no_map,
            ext_hook=_extension if with_values else _no_extension,
        )
    except msgpack.ExtraData as error:
        _refuse_trailing(len(data) - len(error.extra))
    except UnicodeDecodeError:
        raise Malformed("codec.text", "A string is not valid UTF-8") from None
    except (ValueError, OverflowError, msgpack.UnpackException):
        _measure(data)
        raise Malformed(
            "codec.malformed", "These bytes are not msgpack of values", expected="a value"
        ) from None


def _measure(data: bytes) -> None:
    """Walks over the structure without building it; refuses what is cut off or goes on."""
    unpacker = msgpack.Unpacker(max_buffer_size=len(data) + 1)
    unpacker.feed(data)
    try:
        unpacker.skip()
    except msgpack.OutOfData:
        raise Malformed(
            "codec.truncated",
            "The bytes end before the value does",
            place=Place(offset=len(data)),
        ) from None
    except msgpack.StackError:
        _refuse_flaw(Flaw("codec.depth", f"at most {NESTING_DEPTH_MAX} levels", "more"))
    except ValueError:
        raise Malformed(
            "codec.malformed", "These bytes are not msgpack of values", expected="a value"
        ) from None
    if unpacker.tell() != len(data):
        _refuse_trailing(unpacker.tell())


def _refuse_unless_plain(items: tuple[object, ...], depth_max: int) -> None:
    for item in items:
        kind = type(item)
        if kind is bytes or kind is str or item is None or kind is bool:
            continue
        if kind is int:
            if item > INT_MAX:  # type: ignore[operator]
                _refuse_flaw(_int_flaw(item))
        elif kind is tuple:
            if depth_max == 0:
                _refuse_flaw(Flaw("codec.depth", "no deeper nesting here", "a further level"))
            _refuse_unless_plain(item, depth_max - 1)  # type: ignore[arg-type]
        else:
            _refuse_flaw(Flaw("codec.type", "plain data", kind_name(item)))


def _record(pairs: list[tuple[object, object]]) -> Record:
    return Record(tuple(pairs))  # type: ignore[arg-type]  # find_flaw checks what is inside


def _no_map(_pairs: list[tuple[object, object]]) -> NoReturn:
    raise Malformed("codec.type", "A map has no place here", expected="plain data", actual="a map")


def _no_extension(code: int, _data: bytes) -> NoReturn:
    raise Malformed(
        "codec.type",
        "An extension has no place here",
        expected="plain data",
        actual=f"extension type {code}",
    )


def _extension(code: int, data: bytes) -> Blob | Endpoint:
    if code not in (EXTENSION_BLOB, EXTENSION_ENDPOINT):
        _refuse_flaw(Flaw("codec.extension", "extension type 1 or 2", f"extension type {code}"))
    try:
        inner = unpack_canonical(data)
    except Malformed as error:
        # Its offset counts from the extension's start, so it would mislead here.
        raise Malformed(
            "codec.extension", f"Inside an extension: {error.message}", actual=error.actual
        ) from None
    match inner:
        case (int() as length, bytes() as digest) if code == EXTENSION_BLOB:
            blob = Blob(length, digest)
            _refuse_flaw(_blob_flaw(blob))
            return blob
        case (bytes() as session, str() as role) if code == EXTENSION_ENDPOINT:
            endpoint = Endpoint(session, role)
            _refuse_flaw(_endpoint_flaw(endpoint))
            return endpoint
    raise Malformed("codec.extension", "An extension does not hold what its type says")


# --- refusals ------------------------------------------------------------------------------


def _refuse_flaw(flaw: Flaw | None) -> None:
    if flaw is not None:
        raise Malformed(
            flaw.code,
            "These bytes hold something that is no value",
            expected=flaw.expected,
            actual=flaw.actual,
        )


def _refuse_trailing(offset: int) -> NoReturn:
    raise Malformed(
        "codec.trailing",
        "Bytes follow after the value",
        place=Place(offset=offset),
        expected="the end",
    )


def _refuse_payload(expected: str, actual: str) -> NoReturn:
    raise Malformed(
        "codec.payload",
        "The payload does not have the declared fields",
        place=NOWHERE,
        expected=expected,
        actual=actual,
    )


def _refuse_other_form(data: bytes, canonical: bytes) -> NoReturn:
    offset = next(
        (i for i, (a, b) in enumerate(zip(data, canonical, strict=False)) if a != b),
        min(len(data), len(canonical)),
    )
    raise Malformed(
        "codec.canonical",
        "The bytes are not in the canonical form",
        place=Place(offset=offset),
        expected=f"{len(canonical)} bytes with the shortest form of everything",
        actual=f"{len(data)} bytes",
    )
