"""Ed25519 of libsodium with as little as possible between it and its caller.

Several threads sign at once only while none of them needs the interpreter's lock. PyNaCl's
functions need it for two or three microseconds a call, for buffers and checks that nothing here
wants, and a thread that meets another there is put to sleep and woken, which takes longer than
the call. So where PyNaCl's own door to libsodium is found as it is known, it is used; otherwise
its public functions are, which do the same, slower.

Lengths are the caller's business: libsodium reads as many bytes as a key and a signature have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from nacl import bindings
from nacl.exceptions import BadSignatureError

from troth.vm.statements import SIGNATURE_BYTES

Sign: TypeAlias = Callable[[bytes, bytes], bytes]
"""A signing key (seed and public key) and a statement, to the 64 bytes of the signature."""
Check: TypeAlias = Callable[[bytes, bytes, bytes], bool]
"""A public key, a statement and a signature, to whether the signature is the key's own."""
Row: TypeAlias = tuple[bytes, bytes, bytes | None]
"""A signing key, a statement, and the public key by which its signature is to be checked."""

_DOOR: Final = "nacl._sodium"


class Batch(Protocol):
    """Signatures that several threads make, each its own."""

    def run(self, places: Iterator[int]) -> None:
        """Makes, and checks, the signatures in these places. They are nobody else's."""

    def results(self) -> Sequence[tuple[bytes, bool]]:
        """The signatures, when all have been made, and which were checked and are genuine."""


class Ed25519(NamedTuple):
    sign: Sign
    check: Check
    batch: Callable[[Sequence[Row]], Batch]


def by_bindings() -> Ed25519:
    """By what PyNaCl says in public."""
    return Ed25519(_sign, _check, _batch)


def _sign(signing_key: bytes, statement: bytes) -> bytes:
    return bindings.crypto_sign(statement, signing_key)[:SIGNATURE_BYTES]


def _check(public_key: bytes, statement: bytes, signature: bytes) -> bool:
    try:
        bindings.crypto_sign_open(signature + statement, public_key)
    except BadSignatureError:
        return False
    return True


def _batch(rows: Sequence[Row]) -> Batch:
    return OneByOne(_sign, _check, rows)


class OneByOne:
    """A batch by any two functions; the first of a row is whatever `sign` knows its key by."""

    __slots__ = ("_check", "_found", "_rows", "_sign")

    def __init__(self, sign: Sign, check: Check, rows: Sequence[Row]) -> None:
        self._sign = sign
        self._check = check
        self._rows = rows
        self._found = [(b"", False)] * len(rows)

    def run(self, places: Iterator[int]) -> None:
        for place in places:
            signing_key, statement, key = self._rows[place]
            signature = self._sign(signing_key, statement)
            genuine = key is not None and self._check(key, statement, signature)
            self._found[place] = signature, genuine

    def results(self) -> Sequence[tuple[bytes, bool]]:
        return self._found


def by_door(door: Any) -> Ed25519:
    """By the functions of libsodium themselves, as `door` has them.

    Raises:
        AttributeError: it does not have them.
    """
    open_signed, make_signed = door.lib.crypto_sign_open, door.lib.crypto_sign
    new, buffer, null = door.ffi.new, door.ffi.buffer, door.ffi.NULL
    octets = door.ffi.typeof("unsigned char[]")

    def sign(signing_key: bytes, statement: bytes) -> bytes:
        size = len(statement)
        signed = new(octets, SIGNATURE_BYTES + size)
        make_signed(signed, null, statement, size, signing_key)
        signature: bytes = buffer(signed, SIGNATURE_BYTES)[:]
        return signature

    def check(public_key: bytes, statement: bytes, signature: bytes) -> bool:
        signed = signature + statement
        genuine: bool = open_signed(null, null, signed, len(signed), public_key) == 0
        return genuine

    class DoorBatch:
        """All that needs the interpreter's lock is done before and after `run`."""

        __slots__ = ("_genuine", "_rows")

        def __init__(self, rows: Sequence[Row]) -> None:
            self._rows = [
                (new(octets, SIGNATURE_BYTES + (size := len(statement))), statement, size, own, key)
                for own, statement, key in rows
            ]
            self._genuine = [False] * len(rows)

        def run(self, places: Iterator[int]) -> None:
            rows, genuine = self._rows, self._genuine
            for place in places:
                signed, statement, size, signing_key, key = rows[place]
                make_signed(signed, null, statement, size, signing_key)
                if key is not None:
                    whole = size + SIGNATURE_BYTES
                    genuine[place] = open_signed(null, null, signed, whole, key) == 0

        def results(self) -> Sequence[tuple[bytes, bool]]:
            signatures = [buffer(row[0], SIGNATURE_BYTES)[:] for row in self._rows]
            return list(zip(signatures, self._genuine, strict=True))

    return Ed25519(sign, check, DoorBatch)


def find(module: str = _DOOR) -> Ed25519:
    """The shortest way that works here."""
    try:
        return by_door(import_module(module))
    except (ImportError, AttributeError):
        return by_bindings()


_FOUND: Final = find()
sign: Final = _FOUND.sign
check: Final = _FOUND.check
batch: Final = _FOUND.batch
