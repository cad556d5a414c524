"""Checking payloads against declared fields, compiled once per message type.

Most payloads are a few short scalars; those take a short path that says yes or hands over to
the codec, which alone says no and why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import msgpack

from troth.vm.codec import decode_payload
from troth.vm.limits import RECORD_BYTES_MAX
from troth.vm.types import EndpointType, Field, Primitive
from troth.vm.values import INT_MAX, Endpoint

PayloadCheck: TypeAlias = Callable[[bytes], tuple[Endpoint, ...]]
"""Takes a payload; returns the endpoints in it, in field order, or raises `Malformed`."""

_NONE: Final[tuple[Endpoint, ...]] = ()
_SHORT_BYTES_MAX: Final = 1024
_SCALARS: Final[dict[object, type]] = {
    Primitive.UNIT: type(None),
    Primitive.INT: int,
    Primitive.BOOL: bool,
    Primitive.STR: str,
    Primitive.BYTES: bytes,
}


def compile_payload(fields: tuple[Field, ...]) -> PayloadCheck:
    """The check of one message type's payload."""
    types = tuple(_SCALARS.get(field.type, object) for field in fields)
    if object in types:
        return _slow(fields)
    return _quick(fields, types)


def _slow(fields: tuple[Field, ...]) -> PayloadCheck:
    carries = any(isinstance(field.type, EndpointType) for field in fields)

    def check(payload: bytes) -> tuple[Endpoint, ...]:
        values = decode_payload(payload, fields, bytes_max=RECORD_BYTES_MAX)
        if not carries:
            return _NONE
        return tuple(value for value in values if isinstance(value, Endpoint))

    return check


def _quick(fields: tuple[Field, ...], types: tuple[type, ...]) -> PayloadCheck:
    unpack = msgpack.unpackb
    pack = msgpack.Packer(autoreset=True).pack
    if len(types) == 1:
        return _quick_one(fields, types[0])
    integers = tuple(place for place, kind in enumerate(types) if kind is int)

    def check(payload: bytes) -> tuple[Endpoint, ...]:
        if len(payload) <= _SHORT_BYTES_MAX:
            try:
                values = unpack(payload, use_list=False)
            except (ValueError, OverflowError, msgpack.UnpackException):
                values = None
            if _types_of(values) == types and pack(values) == payload:
                for place in integers:
                    if values[place] > INT_MAX:
                        break
                else:
                    return _NONE
        decode_payload(payload, fields, bytes_max=RECORD_BYTES_MAX)
        return _NONE

    return check


def _types_of(values: object) -> tuple[type, ...] | None:
    return tuple(map(type, values)) if type(values) is tuple else None


def _quick_one(fields: tuple[Field, ...], kind: type) -> PayloadCheck:
    """Messages with one field are so common that they have a way of their own."""
    unpack = msgpack.unpackb
    pack = msgpack.Packer(autoreset=True).pack

    def check(payload: bytes) -> tuple[Endpoint, ...]:
        if len(payload) <= _SHORT_BYTES_MAX:
            try:
                (value,) = values = unpack(payload, use_list=False)
            except (ValueError, TypeError, OverflowError, msgpack.UnpackException):
                kind_found = None
            else:
                kind_found = type(value) if type(values) is tuple else None
            if (
                kind_found is kind
                and pack(values) == payload
                and (kind_found is not int or value <= INT_MAX)
            ):
                return _NONE
        decode_payload(payload, fields, bytes_max=RECORD_BYTES_MAX)
        return _NONE

    return check
