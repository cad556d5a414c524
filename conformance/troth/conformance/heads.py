"""Heads of run logs as they are signed: the binary statement, read back."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgpack

from troth.conformance.proof_codes import refused
from troth.vm.statements import DIGEST_BYTES, head_statement
from troth.vm.values import INT_MAX

_TAG: Final = b"\x00troth/v1/head\x00"
_HEAD_BYTES_MAX: Final = 256
_ITEMS: Final = (bytes, int, bytes, bytes, int, int, int, bool)


class Head(NamedTuple):
    """The items of a head statement, in their order."""

    log_id: bytes
    size: int
    root: bytes
    previous_root: bytes
    round_number: int
    sessions_open: int
    sessions_ended: int
    final: bool

    @property
    def statement(self) -> bytes:
        """What was signed."""
        return head_statement(*self)


def parse_head(statement: bytes) -> Head:
    """
    Raises:
        Malformed: code `proof.malformed`, when these are not the bytes of a head.
    """
    try:
        items = msgpack.unpackb(statement.removeprefix(_TAG)[:_HEAD_BYTES_MAX], use_list=False)
    except (ValueError, msgpack.UnpackException):
        raise _no_head() from None
    head = _checked(items)
    if head is None or head.statement != statement:
        raise _no_head()
    return head


def _checked(items: object) -> Head | None:
    if type(items) is not tuple or tuple(map(type, items)) != _ITEMS:
        return None
    head = Head(*items)
    hashes = (head.log_id, head.root, head.previous_root)
    counts = (head.size, head.round_number, head.sessions_open, head.sessions_ended)
    proper = all(len(one) == DIGEST_BYTES for one in hashes)
    return head if proper and all(0 <= count <= INT_MAX for count in counts) else None


def _no_head() -> Exception:
    return refused("proof.malformed", "these bytes are not the signed head of a log")
