"""`troth stream local`, `host`, `client`, `replay-controller`: arguments and what they start."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from troth.streaming.adaptation import SCALES_PERCENT
from troth.streaming.media.interfaces import Picture
from troth.streaming.netem import Conditions, Step
from troth.streaming.session.controller_replay import compare
from troth.streaming.session.limits import (
    BITRATE_KBPS_DEFAULT,
    BITRATE_KBPS_MAX,
    FRAME_RATE_DEFAULT,
    FRAME_RATE_MAX,
    HEIGHT_DEFAULT,
    SCALE_PERCENT_MIN_DEFAULT,
    WIDTH_DEFAULT,
)
from troth.streaming.session.recorded import read_recorded
from troth.streaming.session.shell_client import ClientParty
from troth.streaming.session.shell_end import Wanted
from troth.streaming.session.shell_live import show_live
from troth.streaming.session.shell_local import LocalOptions, run_local
from troth.streaming.session.shell_remote import RemoteOptions, run_client, run_host
from troth.streaming.session.shell_routed import (
    RoutedOptions,
    run_client_by_gateway,
    run_host_by_gateway,
)
from troth.streaming.session.shell_way import add_gateway_way, gateway_way, own_address
from troth.streaming.shell_recorded import open_record
from troth.vm.escape import plain
from troth.vm.shell_line import parse_address
from troth.vm.shell_protect import refuse_precious

LISTEN = "127.0.0.1:47700"
SECONDS_MAX = 86_400.0
MILLISECONDS_MAX = 10_000
EXIT_FAILED = 1
EXIT_DIFFERENT = 2


def add_parsers(subparsers: Any) -> None:
    _add_local(subparsers)
    _add_host(subparsers)
    _add_client(subparsers)
    _add_replay_controller(subparsers)


def _add_local(subparsers: Any) -> None:
    text = "run a session of host and client on this machine"
    parser = subparsers.add_parser("local", help=text, description=text)
    _add_picture(parser)
    parser.add_argument(
        "--record", type=Path, metavar="DIR", help="keys, records, events and metrics go there"
    )
    parser.add_argument(
        "--bitrate", type=_whole(1, BITRATE_KBPS_MAX), default=BITRATE_KBPS_DEFAULT,
        metavar="KBPS", help=f"to begin with, and at most; else {BITRATE_KBPS_DEFAULT}",
    )  # fmt: skip
    parser.add_argument(
        "--loss", type=_number(0, 100), default=0.0, metavar="PERCENT",
        help="of datagrams on the emulated network, each way",
    )  # fmt: skip
    parser.add_argument(
        "--delay", type=_whole(0, MILLISECONDS_MAX), default=0, metavar="MS",
        help="of the emulated network",
    )  # fmt: skip
    parser.add_argument(
        "--jitter", type=_whole(0, MILLISECONDS_MAX), default=0, metavar="MS",
        help="of the emulated network",
    )  # fmt: skip
    parser.add_argument(
        "--rate", type=_whole(64, 1_000_000), metavar="KBPS",
        help="that the emulated network carries each way; else without end",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=_whole(0, 1 << 63), default=1, metavar="N", help="of the network's chances"
    )
    parser.add_argument("--plain", action="store_true", help="no live view, only the summary")
    parser.set_defaults(run=_local)


def _local(given: argparse.Namespace) -> int:
    if given.record is not None:
        refuse_precious(given.record / "host.replay")
    live = not given.plain and sys.stdout.isatty()
    conditions = Conditions(
        loss=given.loss / 100,
        delay_ns=given.delay * 1_000_000,
        jitter_ns=given.jitter * 1_000_000,
        rate_bits=None if given.rate is None else given.rate * 1000,
    )
    wanted = Wanted(
        seconds=given.seconds,
        folder=given.record,
        picture=Picture(given.size[0], given.size[1], given.fps),
        bitrate_kbps=given.bitrate,
        scale_percent_min=given.smallest,
    )
    options = LocalOptions(
        wanted=wanted,
        steps=(Step(0, conditions),),
        seed=given.seed,
        watch=_watch if live else None,
    )
    result = asyncio.run(run_local(options))
    for line in result.lines():
        print(plain(line))
    print(f"seed: {given.seed}")
    return 0 if result.ok else EXIT_FAILED


def _add_host(subparsers: Any) -> None:
    text = "let a client see and steer this machine; with synthetic devices"
    parser = subparsers.add_parser("host", help=text, description=text)
    parser.add_argument(
        "--listen", type=parse_address, metavar="HOST:PORT",
        help=f"where; else {LISTEN}, with a gateway any port",
    )  # fmt: skip
    _add_party(parser, "Client")
    parser.add_argument(
        "--sessions", type=_whole(1, 1_000_000), default=1, metavar="N",
        help="end after so many; else after one",
    )  # fmt: skip
    parser.add_argument(
        "--port-file", type=Path, metavar="FILE", help="write the port here, for a port of 0"
    )
    add_gateway_way(parser)
    parser.set_defaults(run=_host)


def _add_client(subparsers: Any) -> None:
    text = "see and steer a host; with synthetic devices"
    parser = subparsers.add_parser("client", help=text, description=text)
    parser.add_argument(
        "address", metavar="HOST", help="its address, HOST:PORT, or its name at the gateway"
    )
    _add_party(parser, "Host")
    _add_picture(parser)
    parser.add_argument("--plain", action="store_true", help="no live view, only the summary")
    add_gateway_way(parser)
    parser.set_defaults(run=_client)


def _add_picture(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seconds", type=_number(0.1, SECONDS_MAX), metavar="N",
        help="end after so long; else on Ctrl-C",
    )  # fmt: skip
    parser.add_argument(
        "--size", type=_size, default=(WIDTH_DEFAULT, HEIGHT_DEFAULT), metavar="WxH",
        help=f"of the picture; else {WIDTH_DEFAULT}x{HEIGHT_DEFAULT}",
    )  # fmt: skip
    parser.add_argument(
        "--fps", type=_whole(1, FRAME_RATE_MAX), default=FRAME_RATE_DEFAULT, metavar="N",
        help=f"frames a second; else {FRAME_RATE_DEFAULT}",
    )  # fmt: skip
    parser.add_argument(
        "--smallest", type=int, choices=SCALES_PERCENT, default=SCALE_PERCENT_MIN_DEFAULT,
        help=f"percent of the size that must be left at a low bitrate; "
        f"else {SCALE_PERCENT_MIN_DEFAULT}",
    )  # fmt: skip


def _add_party(parser: argparse.ArgumentParser, other: str) -> None:
    parser.add_argument(
        "--keys", type=Path, required=True, metavar="DIR",
        help=f"with our key, made if missing, and {other}.pub",
    )  # fmt: skip
    parser.add_argument("--any-key", action="store_true", help=f"without {other}.pub: take anybody")
    parser.add_argument(
        "--record", type=Path, metavar="DIR", help="records, events and metrics go there"
    )
    parser.add_argument(
        "--bitrate", type=_whole(1, BITRATE_KBPS_MAX), default=BITRATE_KBPS_DEFAULT,
        metavar="KBPS", help=f"at most; else {BITRATE_KBPS_DEFAULT}",
    )  # fmt: skip
    add_metrics(parser)


def add_metrics(parser: argparse.ArgumentParser) -> None:
    """The same option at every role."""
    parser.add_argument(
        "--metrics", type=parse_address, metavar="HOST:PORT",
        help="serve metrics, health and events there",
    )  # fmt: skip


def _host(given: argparse.Namespace) -> int:
    if given.record is not None:
        refuse_precious(given.record / "host.replay")

    way = gateway_way(given)
    address = given.listen or (parse_address(LISTEN) if way is None else own_address(way))

    def listening(port: int) -> None:
        print(f"listening at {address.host}:{port}", file=sys.stderr, flush=True)
        if given.port_file is not None:
            given.port_file.write_text(f"{port}\n", encoding="utf-8")

    options = RemoteOptions(
        wanted=Wanted(folder=given.record, bitrate_kbps=given.bitrate),
        address=address,
        keys=given.keys,
        any_key=given.any_key,
        sessions=given.sessions,
        on_listening=listening,
        metrics=given.metrics,
        on_metrics=_say_metrics,
    )
    if way is None:
        return 0 if asyncio.run(run_host(options)) else EXIT_FAILED
    routed = RoutedOptions(party=options, way=way, on_registered=_say_registered)
    return 0 if asyncio.run(run_host_by_gateway(routed)) else EXIT_FAILED


def _say_registered(name: str) -> None:
    print(f"registered as {plain(name)}", file=sys.stderr, flush=True)


def _client(given: argparse.Namespace) -> int:
    if given.record is not None:
        refuse_precious(given.record / "client.replay")
    live = not given.plain and sys.stdout.isatty()
    way = gateway_way(given)
    wanted = Wanted(
        seconds=given.seconds,
        folder=given.record,
        picture=Picture(given.size[0], given.size[1], given.fps),
        bitrate_kbps=given.bitrate,
        scale_percent_min=given.smallest,
    )
    options = RemoteOptions(
        wanted=wanted,
        address=parse_address(given.address) if way is None else own_address(way),
        keys=given.keys,
        any_key=given.any_key,
        watch=_watch if live else None,
        metrics=given.metrics,
        on_metrics=_say_metrics,
    )
    if way is None:
        client, result = asyncio.run(run_client(options))
    else:
        routed = RoutedOptions(party=options, way=way, target=given.address)
        client, result = asyncio.run(run_client_by_gateway(routed))
    for line in client.lines():
        print(plain(line))
    return 0 if result.ok else EXIT_FAILED


def _say_metrics(port: int) -> None:
    print(f"metrics at port {port}", file=sys.stderr, flush=True)


def _watch(client: ClientParty, done: Callable[[], bool]) -> asyncio.Future[None]:
    return asyncio.ensure_future(show_live(client, done))


def _add_replay_controller(subparsers: Any) -> None:
    text = "make the decisions of a recorded session again, from its reports"
    parser = subparsers.add_parser("replay-controller", help=text, description=text)
    parser.add_argument("file", type=Path, metavar="FILE", help="a record of host or client")
    parser.add_argument("--json", action="store_true", help="one line of JSON for each epoch")
    parser.set_defaults(run=_replay_controller)


def _replay_controller(given: argparse.Namespace) -> int:
    with open_record(given.file) as stream:
        recorded = read_recorded(stream)
    rows = compare(recorded)
    different = sum(row.recorded != row.again for row in rows)
    for row in rows:
        if given.json:
            print(json.dumps(row.facts(), separators=(",", ":")))
        else:
            print(row.text())
    print(f"{len(rows)} decisions, {different} of them different", file=sys.stderr)
    return EXIT_DIFFERENT if different else 0


def _number(lowest: float, highest: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text)
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"it must be from {lowest:g} to {highest:g}")
        return value

    parse.__name__ = "number"
    return parse


def _whole(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"it must be from {lowest} to {highest}")
        return value

    parse.__name__ = "number"
    return parse


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        raise argparse.ArgumentTypeError("it must be WIDTHxHEIGHT, such as 320x180")
    side = _whole(40, 8192)
    return side(width), side(height)
