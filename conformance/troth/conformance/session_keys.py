"""What a session's descriptor says of its protocol and of the keys of its roles, read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgpack

from troth.vm.statements import PUBLIC_KEY_BYTES

_DESCRIPTOR_ITEMS: Final = 9


class SessionKeys(NamedTuple):
    """`keys` are those that the session was opened with, by role.

    The key of an `observed` role is that of who watched it.
    """

    protocol_id: bytes
    protocol: str
    keys: Mapping[str, bytes]
    observed: frozenset[str]


def read_descriptor(data: bytes) -> SessionKeys | None:
    """None when it does not have its form; whoever made it chose its bytes."""
    try:
        items = msgpack.unpackb(data, use_list=False, max_map_len=0, max_ext_len=0)
    except (ValueError, RecursionError, msgpack.UnpackException):
        return None
    if not isinstance(items, tuple) or len(items) != _DESCRIPTOR_ITEMS:
        return None
    protocol_id, name, roles, keys, *_, observed = items
    if not isinstance(protocol_id, bytes) or not isinstance(name, str):
        return None
    if not isinstance(roles, tuple) or not isinstance(keys, tuple) or len(roles) != len(keys):
        return None
    if not all(isinstance(role, str) for role in roles):
        return None
    if not all(isinstance(key, bytes) and len(key) == PUBLIC_KEY_BYTES for key in keys):
        return None
    if not isinstance(observed, tuple) or not all(role in roles for role in observed):
        return None
    by_role = dict(zip(roles, keys, strict=True))
    if len(by_role) != len(roles):
        return None
    return SessionKeys(protocol_id, name, by_role, frozenset(observed))
