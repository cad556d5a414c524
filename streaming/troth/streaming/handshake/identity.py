"""Who is at the other end: a session principal's signature inside the encrypted handshake.

The Noise static key proves nothing about a principal by itself. So each side puts into its
encrypted payload its principal's Ed25519 public key and a signature over the handshake's hash at
that point, which covers both ephemeral keys, both connection ids and its own static key. The
signature is of no use in any other handshake, nor for the other side of this one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from nacl.bindings import crypto_sign

from troth.vm.errors import TrothError
from troth.vm.keys import KeyPair, VerifierKey
from troth.vm.signatures import acceptable_key, verify
from troth.vm.statements import pack_array

PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
PROOF_BYTES: Final = PUBLIC_KEY_BYTES + SIGNATURE_BYTES
_STATEMENT: Final = b"\x00troth/v1/transport\x00"
"""A kind of its own among the statements that a principal signs."""

Entropy = Callable[[int], bytes]
"""That many bytes that nobody can guess. A core has none of its own."""


class Side(Enum):
    """Who began the handshake."""

    INITIATOR = "initiator"
    RESPONDER = "responder"


@dataclass(frozen=True, slots=True)
class Identity:
    """Our principal, and a static X25519 key for Noise. The static key may be new each time."""

    principal: KeyPair
    static: bytes = field(repr=False)


class IdentityRefused(TrothError):
    """The other end is not who it has to be, or does not prove it."""

    def __init__(self, what: str, expected: str, actual: str) -> None:
        super().__init__(
            "transport.identity",
            what,
            expected=expected,
            actual=actual,
            advice="Compare the fingerprints of both ends on another way before you trust this key",
        )


def proof(identity: Identity, side: Side, handshake_hash: bytes) -> bytes:
    """The public key of our principal and its signature over this handshake."""
    statement = _statement(side, handshake_hash)
    signed = crypto_sign(statement, identity.principal.signing_key)
    return identity.principal.public_key + signed[:SIGNATURE_BYTES]


def check_proof(
    data: bytes, side: Side, handshake_hash: bytes, peers: tuple[VerifierKey, ...] | None
) -> VerifierKey:
    """Who the peer has proved to be; `peers` are those it may be, None for anybody.

    Raises:
        IdentityRefused: it is not one of them, or proves nothing.
    """
    public_key, signature = data[:PUBLIC_KEY_BYTES], data[PUBLIC_KEY_BYTES:PROOF_BYTES]
    if len(data) != PROOF_BYTES or not acceptable_key(public_key):
        raise IdentityRefused(
            "the peer shows no proper key", f"{PROOF_BYTES} bytes of proof", f"{len(data)} bytes"
        )
    if not verify(public_key, _statement(side, handshake_hash), signature):
        raise IdentityRefused(
            "the peer does not prove its key", "its signature over this handshake", "another one"
        )
    if peers is None:
        return VerifierKey("peer", public_key)
    for peer in peers:
        if peer.public_key == public_key:
            return peer
    names = ", ".join(f"{peer.name} {peer.public_key.hex()[:16]}" for peer in peers)
    raise IdentityRefused("the peer is somebody else", names or "nobody", public_key.hex()[:16])


def _statement(side: Side, handshake_hash: bytes) -> bytes:
    return _STATEMENT + pack_array([side.value, handshake_hash])
