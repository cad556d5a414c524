"""The values a program computes with, and their types.

| type | Python | note |
|---|---|---|
| unit | None | |
| bool | bool | never an int |
| int | int | 64-bit signed; overflow is a fault |
| float | float | finite; -0.0 is stored as 0.0, infinities and NaN are refused |
| str | str | no lone surrogates |
| bytes | bytes | |
| list | tuple | immutable |
| record | Record | fields sorted by name |
| blob | Blob | content by reference: length and BLAKE3 digest |

Endpoints and coroutine handles live in registers too, but are never part of another value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

INT_MIN: Final = -(1 << 63)
INT_MAX: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Record:
    """`fields` are (name, value) pairs sorted by the name's UTF-8 bytes, names distinct."""

    fields: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class Blob:
    """Content by reference. `digest` is the 32-byte BLAKE3 hash of the content."""

    length: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One role's end of one session: `session` is its 32-byte id, `role` its name."""

    session: bytes
    role: str


@dataclass(frozen=True, slots=True)
class CoroutineHandle:
    """What `spawn` returns: lets `transfer` name the child. `id` has 16 bytes."""

    id: bytes


Value: TypeAlias = None | bool | int | float | str | bytes | tuple["Value", ...] | Record | Blob
RegisterValue: TypeAlias = Value | Endpoint | CoroutineHandle
