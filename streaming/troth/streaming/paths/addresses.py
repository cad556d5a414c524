"""UDP addresses: what a socket says, what a text says, and which of them can be sent to."""

from __future__ import annotations

import ipaddress
from typing import Final, NamedTuple

from troth.vm.errors import Invalid

PORT_MAX: Final = 65_535
HOST_CHARACTERS_MAX: Final = 45
"""The longest text of an IPv6 address."""

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Address(NamedTuple):
    """An IP address in its usual text, and a port. Equal to the pair that a socket gives."""

    host: str
    port: int

    @property
    def ip(self) -> IPAddress:
        return ipaddress.ip_address(self.host)

    @property
    def text(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(host: str, port: int) -> Address:
    """The address in its one spelling, whatever spelling was given.

    Raises:
        Invalid: code `path.address`.
    """
    try:
        if len(host) > HOST_CHARACTERS_MAX:
            raise ValueError
        ip = ipaddress.ip_address(host)
    except ValueError:
        raise _refused("this is no IP address", ascii(host[:HOST_CHARACTERS_MAX])) from None
    if not 0 < port <= PORT_MAX:
        raise _refused("this is no port", str(port))
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return Address(str(mapped or ip), port)


def parse_address(text: str) -> Address:
    """Reads `HOST:PORT` or `[HOST]:PORT`.

    Raises:
        Invalid: code `path.address`.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or len(port) > len(str(PORT_MAX)):
        raise _refused("an address has a port", ascii(text[: 2 * HOST_CHARACTERS_MAX]))
    return address_of(host.removeprefix("[").removesuffix("]"), int(port))


def why_unusable(address: Address) -> str | None:
    """Why nothing can be sent to this address as one party's own, or None when it can be."""
    ip = address.ip
    if ip.is_unspecified:
        return "it names no machine"
    if ip.is_multicast:
        return "it names a group of machines"
    if isinstance(ip, ipaddress.IPv4Address) and ip == ipaddress.IPv4Address("255.255.255.255"):
        return "it names all machines of a network"
    if ip.is_reserved:
        return "it is reserved"
    return None


def _refused(what: str, actual: str) -> Invalid:
    return Invalid(
        "path.address",
        what,
        expected=f"HOST:PORT with an IP address and a port from 1 to {PORT_MAX}",
        actual=actual,
        advice="Give the address in numbers",
    )
