"""`troth doctor`: arguments, what they open, and the diagnosis in prose or JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from troth.streaming.doctor.case import ROLES, Case, Reach, Source
from troth.streaming.doctor.diagnosis import Diagnosis, diagnose
from troth.streaming.doctor.shell_sources import ask, sources_at
from troth.streaming.doctor.shell_target import look_at_target
from troth.streaming.paths.addresses import Address as PathAddress
from troth.streaming.paths.addresses import address_of
from troth.streaming.paths.shell_discover import mapping_of
from troth.vm.errors import Unusable
from troth.vm.escape import plain
from troth.vm.shell_line import parse_address


def fill(parser: argparse.ArgumentParser, _: type[argparse.ArgumentParser]) -> None:
    """Adds the arguments of `troth doctor`."""
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE",
        help="records, events, metrics, or a folder with them",
    )  # fmt: skip
    for role in ROLES:
        parser.add_argument(
            f"--{role}", type=parse_address, action="append", default=[], metavar="HOST:PORT",
            help=f"where a {role} that runs has its metrics",
        )  # fmt: skip
    parser.add_argument(
        "--target", type=parse_address, metavar="HOST:PORT",
        help="where a host should be; it is asked for a handshake",
    )  # fmt: skip
    parser.add_argument(
        "--stun", type=_stun, action="append", default=[], metavar="HOST:PORT",
        help="a STUN server; give two ports of a gateway",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="the same as one object of JSON")
    parser.set_defaults(run=run)


def _stun(text: str) -> PathAddress:
    address = parse_address(text)
    return address_of(address.host, address.port)


def run(given: argparse.Namespace) -> int:
    found = examine(given)
    if given.json:
        print(json.dumps(found.facts(), ensure_ascii=True, indent=2))
    else:
        for line in found.lines():
            print(plain(line, characters_max=600))
    return found.exit_code


def examine(given: Any) -> Diagnosis:
    """
    Raises:
        Unusable: code `doctor.nothing`, when there is nothing to look at.
        TrothError: a file cannot be read as what it should be.
    """
    asked = [(role, address) for role in ROLES for address in getattr(given, role)]
    if not (given.files or asked or given.target or given.stun):
        raise Unusable(
            "doctor.nothing",
            "there is nothing to look at",
            expected="files of a session, or where a role or a host is",
            actual="no argument",
            advice="Give the folder of --record, or --host HOST:PORT; see `troth doctor --help`",
        )
    sources: list[Source] = sources_at(given.files)
    reached: list[Reach] = []
    for role, address in asked:
        reach, more = ask(role, address)
        reached.append(reach)
        sources += more
    return diagnose(
        Case(
            tuple(sources),
            tuple(reached),
            None if given.target is None else look_at_target(given.target),
            mapping_of(tuple(given.stun)) if given.stun else None,
        )
    )
