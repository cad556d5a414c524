"""Addresses on the command line."""

from __future__ import annotations

import argparse

from troth.streaming.paths.addresses import Address, parse_address
from troth.vm.errors import Invalid


def address_argument(text: str) -> Address:
    """HOST:PORT, as the `type` of an argument.

    Raises:
        argparse.ArgumentTypeError: it is none; says what is expected.
    """
    try:
        return parse_address(text)
    except Invalid as error:
        raise argparse.ArgumentTypeError(f"{error.message}: expected {error.expected}") from None
