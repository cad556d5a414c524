"""The session descriptor: what all parties of a session agree on before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from troth.vm import statements
from troth.vm.events import EdgeConfig
from troth.vm.statements import pack_array


class Descriptor(NamedTuple):
    """Two sessions with equal descriptors are the same session; `nonce` keeps others apart.

    The principal of an `observed` role is not the role: it signs for what it saw the role do.
    """

    protocol_id: bytes
    protocol: str
    roles: tuple[str, ...]
    principals: tuple[bytes, ...]
    edges: tuple[EdgeConfig, ...]
    seal: str
    linger_ns: int
    nonce: bytes
    observed: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """The canonical bytes; edges are sorted by (sender, receiver)."""
        return pack_array(
            (
                self.protocol_id,
                self.protocol,
                self.roles,
                self.principals,
                edge_rows(self.edges),
                self.seal,
                self.linger_ns,
                self.nonce,
                self.observed,
            )
        )

    @property
    def session(self) -> bytes:
        """The 32-byte session id."""
        return statements.session_id(self.encode())


class BundleDescriptor(NamedTuple):
    """What the sessions of a bundle have in common. `children` are its rows as they are hashed:
    name, protocol id, and for each role of that protocol the bundle's role that plays it."""

    name: str
    roles: tuple[str, ...]
    principals: tuple[bytes, ...]
    children: tuple[tuple[str, bytes, tuple[str, ...]], ...]
    nonce: bytes

    @property
    def bundle(self) -> bytes:
        """The 32-byte bundle id."""
        return statements.bundle_id(pack_array(tuple(self)))


def edge_rows(edges: Sequence[EdgeConfig]) -> tuple[tuple[object, ...], ...]:
    """The edges as they are hashed."""
    return tuple(tuple(edge) for edge in edges)
