"""The commands `troth esl …`: arguments, and what they start."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, Final

from troth.streaming.eventsocket.shell_console import run_console
from troth.streaming.eventsocket.shell_serve import run_call, run_serve
from troth.streaming.eventsocket.shell_watch import run_events
from troth.streaming.eventsocket.testing import EndOrder, Fault
from troth.vm.errors import Place, Unusable

PASSWORD_VARIABLE: Final = "TROTH_ESL_PASSWORD"
SWITCH_DEFAULT: Final = "ClueCon"
"""What every freshly installed switch takes."""
PORT_MAX: Final = 65_535

END_ORDERS: Final = {order.name.lower().replace("_", "-"): order for order in EndOrder}
FAULTS: Final = {fault.name.lower().replace("_", "-"): fault for fault in Fault}


def fill(parser: argparse.ArgumentParser, parser_class: type[argparse.ArgumentParser]) -> None:
    """Adds the commands beneath `troth esl`."""
    subparsers = parser.add_subparsers(
        metavar="WHAT",
        required=True,
        parser_class=parser_class,
        help="console, events, serve or call; see below",
    )
    _add_console(subparsers)
    _add_events(subparsers)
    _add_serve(subparsers)
    _add_call(subparsers)


def _add_switch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "host", metavar="HOST", nargs="?", default="127.0.0.1", help="the switch; else this machine"
    )
    parser.add_argument("--port", type=_port, default=8021, help="its event socket; else 8021")
    parser.add_argument("--user", metavar="USER@DOMAIN", help="authenticate as this user")
    parser.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help=f"its first line is the password; else {PASSWORD_VARIABLE}, else the switch's default",
    )


def _add_console(subparsers: Any) -> None:
    text = "type api commands, and see what comes back"
    parser = subparsers.add_parser("console", help=text, description=text)
    _add_switch(parser)
    parser.add_argument(
        "-x",
        "--execute",
        action="append",
        default=[],
        metavar="COMMAND",
        help="run this and end; may be given again",
    )
    parser.set_defaults(run=lambda given: run_console(given, password_of(given)))


def _add_events(subparsers: Any) -> None:
    text = "show the events of a switch as they come"
    parser = subparsers.add_parser("events", help=text, description=text)
    _add_switch(parser)
    parser.add_argument(
        "--name", action="append", default=[], metavar="EVENT",
        help="only events of this name; may be given again",
    )  # fmt: skip
    parser.add_argument(
        "--custom", action="append", default=[], metavar="SUBCLASS",
        help="custom events of this subclass; may be given again",
    )  # fmt: skip
    parser.add_argument(
        "--filter", action="append", default=[], metavar="HEADER=VALUE", type=_pair,
        help="only events with this header; of several one is enough",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--count", type=int, metavar="N", help="end after N events")
    parser.add_argument("--reconnect", action="store_true", help="come back when the switch does")
    parser.set_defaults(run=lambda given: run_events(given, password_of(given)))


def _add_handler(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    parser.add_argument(
        "handler",
        metavar="MODULE:HANDLER",
        nargs=nargs,
        help="the function that handles a call, or a .troth script with the program that does",
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; else 127.0.0.1")


def _add_serve(subparsers: Any) -> None:
    text = "take calls from a switch"
    parser = subparsers.add_parser("serve", help=text, description=text)
    _add_handler(parser)
    parser.add_argument("--port", type=_port, default=8084, help="where to listen; else 8084")
    parser.add_argument(
        "--port-file", type=Path, metavar="FILE", help="write the port here, for --port 0"
    )
    parser.add_argument(
        "--calls", type=int, metavar="N", help="end when N calls are over; else when interrupted"
    )
    parser.add_argument(
        "--metrics-port", type=_port, metavar="PORT", help="for metrics, at 127.0.0.1"
    )
    _add_recording(parser, "calls")
    parser.set_defaults(run=run_serve)


def _add_call(subparsers: Any) -> None:
    text = "make a call from a fake switch, and show what the application does"
    parser = subparsers.add_parser("call", help=text, description=text)
    _add_handler(parser, "?")
    parser.add_argument(
        "--port", type=_port, default=None,
        help="call the application that listens there instead of starting one",
    )  # fmt: skip
    parser.add_argument(
        "--digits", action="append", default=[], metavar="D",
        help="what the caller presses at a prompt; again for the next prompt",
    )  # fmt: skip
    parser.add_argument(
        "--hang-up-in", metavar="APPLICATION", help="the caller hangs up during this application"
    )
    parser.add_argument(
        "--hang-up-after", type=float, metavar="S", help="the caller hangs up after S seconds"
    )
    parser.add_argument(
        "--end", choices=sorted(END_ORDERS), default="natural", help="how the end is told"
    )
    parser.add_argument("--fault", choices=sorted(FAULTS), help="what goes wrong")
    parser.add_argument(
        "--fault-after", type=float, default=0.1, metavar="S", help="when it does; else after 0.1 s"
    )
    parser.add_argument(
        "--fault-in", metavar="APPLICATION", help="when this application begins, instead"
    )
    _add_recording(parser, "the call")
    parser.set_defaults(run=lambda given: run_call(given, END_ORDERS, FAULTS))


def _add_recording(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--record", type=Path, metavar="FOLDER", help=f"record {what} into artifacts in this folder"
    )
    parser.add_argument(
        "--keys", type=Path, metavar="FOLDER",
        help="the keys App and observer for the record; else keys that nobody will see again",
    )  # fmt: skip
    parser.add_argument(
        "--record-all", action="store_true",
        help="record all headers, arguments and replies, also those with numbers of callers",
    )  # fmt: skip


def password_of(given: argparse.Namespace) -> str:
    """From the file, the environment, or what every new switch takes; never from an argument.

    Raises:
        Unusable: the file has no password.
        OSError: it cannot be read.
    """
    if given.password_file is None:
        return os.environ.get(PASSWORD_VARIABLE, SWITCH_DEFAULT)
    with open(given.password_file, encoding="utf-8", errors="replace") as file:
        password = file.readline(1_000).rstrip("\r\n")
    if not password:
        raise Unusable(
            "esl.argument",
            "the file of the password begins with an empty line",
            place=Place(file=str(given.password_file)),
            expected="the password",
            actual="nothing",
            advice="Write the password into its first line",
        )
    return password


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > PORT_MAX:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no port: a number to {PORT_MAX}")
    return int(text)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not of the form HEADER=VALUE")
    return name, value
