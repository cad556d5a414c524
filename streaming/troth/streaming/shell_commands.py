"""The commands `troth stream …`: each part of the transport adds its own."""

from __future__ import annotations

import argparse

from troth.streaming.gateway import shell_commands as gateway
from troth.streaming.session import shell_commands as session


def fill(parser: argparse.ArgumentParser, parser_class: type[argparse.ArgumentParser]) -> None:
    """Adds the commands beneath `troth stream`."""
    subparsers = parser.add_subparsers(
        metavar="WHAT", required=True, parser_class=parser_class, help="see below"
    )
    session.add_parsers(subparsers)
    gateway.add_parsers(subparsers)
