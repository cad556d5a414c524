"""A box that translates addresses: how it maps, and whom it lets in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

Address = tuple[str, int]

MAPPINGS_MAX: Final = 4_096
FIRST_PORT: Final = 20_000


class NatBehaviour(Enum):
    """The terms are those of RFC 4787; the names in the second place are the older ones."""

    FULL_CONE = "endpoint-independent mapping and filtering"
    RESTRICTED = "endpoint-independent mapping, address-dependent filtering"
    PORT_RESTRICTED = "endpoint-independent mapping, address-and-port-dependent filtering"
    SYMMETRIC = "address-and-port-dependent mapping and filtering"


@dataclass(slots=True)
class _Mapping:
    inside: Address
    port: int
    used_ns: int
    asked: dict[Address, None]


class Nat:
    """A box with one public address. `outward` and `inward` translate, or say None: dropped."""

    def __init__(
        self, public_host: str, behaviour: NatBehaviour, *, lifetime_ns: int = 30_000_000_000
    ) -> None:
        self.public_host = public_host
        self.behaviour = behaviour
        self._lifetime_ns = lifetime_ns
        self._by_key: dict[tuple[Address, Address | None], _Mapping] = {}
        self._by_port: dict[int, _Mapping] = {}
        self._next_port = FIRST_PORT

    def outward(self, inside: Address, outside: Address, now_ns: int) -> Address | None:
        """The public address that a datagram from `inside` to `outside` has behind the box."""
        self._expire(now_ns)
        symmetric = self.behaviour is NatBehaviour.SYMMETRIC
        key = (inside, outside if symmetric else None)
        mapping = self._by_key.get(key)
        if mapping is None:
            if len(self._by_key) >= MAPPINGS_MAX:
                return None
            mapping = _Mapping(inside, self._next_port, now_ns, {})
            self._next_port += 1
            self._by_key[key] = mapping
            self._by_port[mapping.port] = mapping
        mapping.used_ns = now_ns
        mapping.asked[outside] = None
        return self.public_host, mapping.port

    def inward(self, outside: Address, port: int, now_ns: int) -> Address | None:
        """Where a datagram from `outside` to that public port goes."""
        self._expire(now_ns)
        mapping = self._by_port.get(port)
        if mapping is None or not self._lets_in(mapping, outside):
            return None
        return mapping.inside

    def forget(self) -> None:
        """All mappings are gone, as after a restart: the next datagrams get other ports."""
        self._by_key.clear()
        self._by_port.clear()

    def _lets_in(self, mapping: _Mapping, outside: Address) -> bool:
        if self.behaviour is NatBehaviour.FULL_CONE:
            return True
        if self.behaviour is NatBehaviour.RESTRICTED:
            return any(host == outside[0] for host, _ in mapping.asked)
        return outside in mapping.asked

    def _expire(self, now_ns: int) -> None:
        old = [k for k, m in self._by_key.items() if now_ns - m.used_ns > self._lifetime_ns]
        for key in old:
            del self._by_port[self._by_key.pop(key).port]
