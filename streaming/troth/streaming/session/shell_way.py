"""The arguments that say where the gateway is, for host and client."""

from __future__ import annotations

import argparse
import ssl
from pathlib import Path

from troth.streaming.gateway.shell_client import parse_endpoint
from troth.streaming.paths.shell_arguments import address_argument
from troth.streaming.session.shell_remote import own_host
from troth.streaming.session.shell_route import STUN_PORTS, GatewayWay
from troth.vm.errors import Unusable
from troth.vm.shell_keys import load_public_key
from troth.vm.shell_line import Address


def add_gateway_way(parser: argparse.ArgumentParser) -> None:
    """Adds what host and client need to meet through a gateway."""
    parser.add_argument("--gateway", metavar="HOST:PORT", help="meet the other side there")
    parser.add_argument("--gateway-key", type=Path, metavar="FILE", help="its public key")
    parser.add_argument("--tls", action="store_true", help="the gateway has a certificate")
    parser.add_argument("--name", metavar="NAME", help="ours there; else made of our key")
    parser.add_argument(
        "--stun", type=address_argument, action="append", metavar="HOST:PORT",
        help="asked what our address is; may be given again; else the gateway's ports "
        + " and ".join(map(str, STUN_PORTS)),
    )  # fmt: skip


def gateway_way(given: argparse.Namespace) -> GatewayWay | None:
    """
    Raises:
        Unusable: codes `stream.gateway`, `gateway.address`, `key.…`.
    """
    others = given.gateway_key, given.name, given.stun, given.tls or None
    if given.gateway is None and any(other is not None for other in others):
        raise _incomplete("--gateway HOST:PORT", "only what belongs to it")
    if given.gateway is None:
        return None
    if given.gateway_key is None:
        raise _incomplete("--gateway-key FILE", "no key")
    host, port = parse_endpoint(given.gateway)
    return GatewayWay(
        host=host,
        port=port,
        key=load_public_key(given.gateway_key).public_key,
        tls=ssl.create_default_context() if given.tls else None,
        name=given.name,
        stun=given.stun,
        record=None if given.record is None else given.record / "gateway",
    )


def own_address(way: GatewayWay) -> Address:
    """Where our socket for media is bound, unless somebody says."""
    return Address(own_host(way.host), 0)


def _incomplete(expected: str, actual: str) -> Unusable:
    return Unusable(
        "stream.gateway",
        "it is not said which gateway is meant",
        expected=expected,
        actual=actual,
        advice="Give --gateway and --gateway-key together, or neither",
    )
