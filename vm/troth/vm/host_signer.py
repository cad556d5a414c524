"""Holds private keys in memory and signs for the machine: a `Signer` and a `Roster`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from blake3 import blake3

from troth.vm import sodium
from troth.vm.errors import Place, Unusable
from troth.vm.keys import KeyPair
from troth.vm.signer import Wanted
from troth.vm.statements import SALT_BYTES

_SALT_CONTEXT: Final = "troth/v1 payload salt"


class KeySource(Protocol):
    """Where the key of a role comes from that is not held yet, such as a folder of keys."""

    def make(self, role: str) -> KeyPair:
        """The role's key, found or made.

        Raises:
            Unusable: codes `key.*`, when there is none and none can be made.
        """


class HostSigner:
    """Signs with the key named after the role, whatever the protocol.

    Each key is held once, under its public key; the same key may serve several roles.
    """

    __slots__ = ("_names", "_roles", "_salters", "_signing_keys", "_source")

    def __init__(self, keys: Mapping[str, KeyPair], source: KeySource | None = None) -> None:
        """`keys` maps role names to keys; `source` is asked, once, for a role not among them."""
        self._roles: dict[str, bytes] = {}
        self._names: dict[bytes, str] = {}
        self._signing_keys: dict[bytes, bytes] = {}
        self._salters: dict[bytes, blake3] = {}
        self._source = source
        for role, pair in keys.items():
            self._add(role, pair)

    def _add(self, role: str, pair: KeyPair) -> None:
        public_key = pair.public_key
        self._roles[role] = public_key
        self._names.setdefault(public_key, pair.name)
        self._signing_keys[public_key] = pair.signing_key
        salt_key = blake3(pair.seed, derive_key_context=_SALT_CONTEXT).digest()
        self._salters[public_key] = blake3(key=salt_key)  # only ever copied

    def sign(self, principal: bytes, statement: bytes) -> bytes:
        try:
            signing_key = self._signing_keys[principal]
        except KeyError:
            raise _missing_principal(principal) from None
        return sodium.sign(signing_key, statement)

    def batch(self, wanted: Sequence[Wanted]) -> sodium.Batch:
        """These signatures, each as `sign` makes it, and checked as `signatures.verify` does.

        Raises:
            Unusable: code `key.missing`, when a principal's key is not held.
        """
        keys = self._signing_keys
        try:
            rows = [(keys[principal], statement, key) for principal, statement, key in wanted]
        except KeyError as error:
            raise _missing_principal(error.args[0]) from None
        return sodium.batch(rows)

    def salt(self, principal: bytes, position: bytes) -> bytes:
        try:
            hasher = self._salters[principal].copy()
        except KeyError:
            raise _missing_principal(principal) from None
        hasher.update(position)
        return hasher.digest()[:SALT_BYTES]

    def principal(self, protocol: str, role: str) -> bytes:
        """The key of the role; asks the source for it when the role is new."""
        if role not in self._roles:
            if self._source is None:
                raise Unusable(
                    "key.missing",
                    f"nobody holds a key for role {role} of protocol {protocol}",
                    place=Place(role=role),
                    expected=f"a key named {role}",
                    actual=f"keys for {', '.join(sorted(self._roles)) or 'no role'}",
                    advice=f"Make one with `troth keygen {role}`",
                )
            self._add(role, self._source.make(role))
        return self._roles[role]

    def introduce(self, principal: bytes, name: str) -> None:
        """Somebody else's public key, for whom nothing can be signed here."""
        self._names.setdefault(principal, name)

    def name_of(self, principal: bytes) -> str:
        return self._names.get(principal, "")


def _missing_principal(principal: bytes) -> Unusable:
    return Unusable(
        "key.missing",
        "the private key of this principal is not held here",
        actual=f"public key {principal.hex()}",
        advice="Run with the folder that holds its key",
    )
