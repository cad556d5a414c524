"""The fourth door: what the machine asks of whoever holds the keys.

The machine never sees a private key. It names a principal by its 32-byte Ed25519 public key.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Wanted(NamedTuple):
    """A signature to be made.

    Attributes:
        check_by: the public key that has to find it genuine; None when nobody wants to know.
    """

    principal: bytes
    statement: bytes
    check_by: bytes | None


class Signer(Protocol):
    """Both methods must be pure functions of the key and the arguments (Ed25519 is).

    A machine with workers asks for the salt of a message when it is sent, and for its signature at
    the end of the round: a signer that has given the one gives the other, or the run ends with
    its error.
    """

    def sign(self, principal: bytes, statement: bytes) -> bytes:
        """The 64-byte Ed25519 signature of `statement`.

        Raises:
            Unusable: code `key.missing`, when the principal's key is not held.
        """

    def salt(self, principal: bytes, position: bytes) -> bytes:
        """16 bytes derived from the private key and `statements.message_position(...)`."""


class Roster(Protocol):
    """Says which principal stands behind each role of a protocol opened on this machine."""

    def principal(self, protocol: str, role: str) -> bytes:
        """The 32-byte public key.

        Raises:
            Unusable: code `key.missing`, when nobody is named for the role.
        """

    def name_of(self, principal: bytes) -> str:
        """The name by which the key is known, such as `Client`; "" when it has none."""
