"""`troth stream gateway|relay|admin|discover|probe`: arguments, and what they start."""

from __future__ import annotations

import argparse
import asyncio
import signal
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.admin import COMMANDS
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.shell_client import connect_gateway, parse_endpoint
from troth.streaming.gateway.shell_gateway import GatewayOptions, GatewayService
from troth.streaming.gateway.shell_store import SqliteStore
from troth.streaming.paths.shell_arguments import address_argument
from troth.streaming.paths.shell_discover import run_discover, run_probe
from troth.streaming.relay.limits import RelayLimits
from troth.streaming.relay.shell_relay import RelayOptions, RelayService, log_to_stderr
from troth.vm.errors import Unusable
from troth.vm.escape import plain
from troth.vm.shell_keys import load_key, load_public_key, load_trust
from troth.vm.shell_line import parse_address as parse_line_address

GATEWAY_PORT: Final = 3_477
STUN_PORT: Final = 3_478
RELAY_PORT: Final = 3_479
DRAIN_S: Final = 30


def add_parsers(subparsers: Any) -> None:
    """Adds the commands beneath `troth stream`."""
    _add_gateway(subparsers)
    _add_relay(subparsers)
    _add_admin(subparsers)
    _add_discover(subparsers)
    _add_probe(subparsers)


def _add_gateway(subparsers: Any) -> None:
    text = "introduce hosts and clients, and hand out leases for relays"
    parser = subparsers.add_parser("gateway", help=text, description=text)
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="its private key")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; else 127.0.0.1")
    parser.add_argument(
        "--port", type=_port, default=GATEWAY_PORT, help=f"for parties; else {GATEWAY_PORT}"
    )
    parser.add_argument(
        "--stun-port", type=_port, action="append", metavar="PORT",
        help=f"for STUN; give two; else {STUN_PORT} and {STUN_PORT + 1_000}",
    )  # fmt: skip
    _add_metrics(parser)
    parser.add_argument("--store", type=Path, metavar="FILE", help="its database; else in memory")
    _add_record(parser)
    for kind in PartyKind:
        parser.add_argument(
            f"--{kind.value}s", type=Path, metavar="FILE",
            help=f"a trust file with the keys of every {kind.value} that may register",
        )  # fmt: skip
    parser.add_argument("--open", action="store_true", help="let every key be a client or host")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="for TLS, with its key")
    parser.add_argument(
        "--port-file", type=Path, metavar="FILE", help="write the ports here, for ports of 0"
    )
    parser.set_defaults(run=_run_gateway)


def _add_relay(subparsers: Any) -> None:
    text = "pass datagrams on for sessions that have a lease"
    parser = subparsers.add_parser("relay", help=text, description=text)
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="its private key")
    _add_gateway_address(parser)
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; else 127.0.0.1")
    parser.add_argument(
        "--port", type=_port, default=RELAY_PORT, help=f"where to listen; else {RELAY_PORT}"
    )
    parser.add_argument(
        "--public",
        type=address_argument,
        metavar="HOST:PORT",
        help="where parties find it, if elsewhere",
    )
    _add_metrics(parser)
    _add_record(parser)
    parser.add_argument(
        "--sessions", type=int, default=RelayLimits().sessions_max, metavar="N",
        help=f"at once; else {RelayLimits().sessions_max}",
    )  # fmt: skip
    parser.add_argument(
        "--port-file", type=Path, metavar="FILE", help="write the ports here, for ports of 0"
    )
    parser.set_defaults(run=_run_relay)


def _add_admin(subparsers: Any) -> None:
    text = "see and end sessions of a gateway"
    parser = subparsers.add_parser("admin", help=text, description=text)
    parser.add_argument("command", choices=sorted(COMMANDS), help="what to do")
    parser.add_argument("arguments", nargs="*", metavar="WORD", help="to what, and why")
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="your private key")
    _add_gateway_address(parser)
    parser.set_defaults(run=lambda given: asyncio.run(_admin(given)))


def _add_metrics(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--metrics", type=parse_line_address, metavar="HOST:PORT",
        help="serve metrics, health and events there",
    )  # fmt: skip


def _add_record(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--record", type=Path, metavar="FOLDER",
        help="keep the records of its programs there; else none",
    )  # fmt: skip


def _add_gateway_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--gateway", required=True, metavar="HOST:PORT", help="where the gateway is"
    )
    parser.add_argument(
        "--gateway-key", type=Path, required=True, metavar="FILE", help="its public key"
    )
    parser.add_argument("--tls", action="store_true", help="the gateway has a certificate")


def _add_discover(subparsers: Any) -> None:
    text = "find hosts in the local network"
    parser = subparsers.add_parser("discover", help=text, description=text)
    parser.add_argument(
        "--address", type=address_argument, action="append", default=[], metavar="HOST:PORT",
        help="ask there instead of everybody; may be given again",
    )  # fmt: skip
    parser.add_argument("--seconds", type=_seconds, default=2.0, help="how long; else 2")
    parser.set_defaults(run=run_discover)


def _add_probe(subparsers: Any) -> None:
    text = "see what the network does to UDP"
    parser = subparsers.add_parser("probe", help=text, description=text)
    parser.add_argument(
        "--stun", type=address_argument, action="append", required=True, metavar="HOST:PORT",
        help="a STUN server; give two ports of a gateway",
    )  # fmt: skip
    parser.set_defaults(run=run_probe)


# --- running --------------------------------------------------------------------------------


def _run_gateway(given: argparse.Namespace) -> int:
    key = load_key(given.key)
    options = GatewayOptions(
        host=given.host,
        port=given.port,
        stun_ports=tuple(given.stun_port or (STUN_PORT, STUN_PORT + 1_000)),
        metrics=given.metrics,
        tls=_server_tls(given.certificate),
        admitted=_admitted(given),
        record=given.record,
    )
    store = SqliteStore(given.store)
    try:
        asyncio.run(_serve_gateway(GatewayService(key, store, options), given.port_file))
    finally:
        store.close()
    return 0


async def _serve_gateway(service: GatewayService, port_file: Path | None) -> None:
    stop = _stop_signals()
    await service.start()
    ports = {"gateway": service.port, "metrics": service.metrics_port or 0}
    ports |= {f"stun{number}": port for number, port in enumerate(service.stun_ports, 1)}
    _say_ports("gateway", ports, port_file)
    await stop.get()
    await service.stop()


def _run_relay(given: argparse.Namespace) -> int:
    options = RelayOptions(
        gateway=parse_endpoint(given.gateway),
        gateway_key=load_public_key(given.gateway_key).public_key,
        host=given.host,
        port=given.port,
        public=given.public,
        metrics=given.metrics,
        tls=ssl.create_default_context() if given.tls else None,
        limits=RelayLimits(sessions_max=given.sessions),
        record=given.record,
    )
    service = RelayService(load_key(given.key), options, log_to_stderr)
    asyncio.run(_serve_relay(service, given.port_file))
    return 0


async def _serve_relay(service: RelayService, port_file: Path | None) -> None:
    """The first signal lets sessions end for a while, the second ends them."""
    stop = _stop_signals()
    await service.start()
    ports = {"relay": service.address.port, "metrics": service.metrics_port or 0}
    _say_ports("relay", ports, port_file)
    await stop.get()
    service.drain()
    waited = 0.0
    while service.core.sessions and stop.empty() and waited < DRAIN_S:
        await asyncio.sleep(0.1)
        waited += 0.1
    await service.stop()


async def _admin(given: argparse.Namespace) -> int:
    host, port = parse_endpoint(given.gateway)
    client = await connect_gateway(
        host,
        port,
        kind=PartyKind.ADMIN,
        key=load_key(given.key),
        gateway_key=load_public_key(given.gateway_key).public_key,
        tls=ssl.create_default_context() if given.tls else None,
    )
    try:
        request = m.Command(client.link.next_request(), given.command, tuple(given.arguments))
        answer = await client.ask(request, m.Report, m.Done)
    finally:
        await client.close()
    print(_table(answer.rows) if isinstance(answer, m.Report) else "done")
    return 0


def _table(rows: tuple[tuple[str, ...], ...]) -> str:
    """Columns as wide as their widest word; what came from elsewhere is made harmless."""
    shown = [[plain(word, characters_max=80) for word in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    )


def _admitted(given: argparse.Namespace) -> Mapping[PartyKind, frozenset[bytes] | None]:
    admitted: dict[PartyKind, frozenset[bytes] | None] = {}
    for kind in PartyKind:
        path = getattr(given, f"{kind.value}s")
        keys = load_trust(path).keys if path is not None else ()
        admitted[kind] = frozenset(key.public_key for key in keys)
    if given.open:
        admitted[PartyKind.CLIENT] = admitted[PartyKind.HOST] = None
    elif not admitted[PartyKind.CLIENT] or not admitted[PartyKind.HOST]:
        raise Unusable(
            "gateway.argument",
            "nobody could use this gateway",
            expected="--clients and --hosts with keys, or --open",
            actual="neither",
            advice="Give the trust files of those who may register",
        )
    return admitted


def _server_tls(certificate: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def _stop_signals() -> asyncio.Queue[int]:
    """SIGINT and SIGTERM, in the order in which they come."""
    queue: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, queue.put_nowait, number)
    return queue


def _say_ports(what: str, ports: Mapping[str, int], port_file: Path | None) -> None:
    used = {name: port for name, port in ports.items() if port}
    text = " ".join(f"{name}={port}" for name, port in used.items())
    if port_file is not None:
        # Written whole and then named, so that nobody reads half of it.
        partial = port_file.with_suffix(port_file.suffix + ".part")
        partial.write_text("".join(f"{name}={port}\n" for name, port in used.items()))
        partial.replace(port_file)
    print(f"{what}: ready, {text}", file=sys.stderr, flush=True)


def _port(text: str) -> int:
    if not text.isdigit() or int(text[:6]) > 65_535:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no port: a number to 65535")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 3_600:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no time: a number from 0 to 3600")
    return value
