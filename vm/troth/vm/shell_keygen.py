"""The command `troth keygen`: makes a principal's key pair."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from troth.vm.escape import PATH_CHARACTERS_MAX, plain
from troth.vm.shell_keys import create_key_files

Subparsers = Any  # argparse does not export the type of add_subparsers()


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("keygen", help="make a key pair for a principal")
    parser.add_argument("name", metavar="NAME", help="the principal's name, such as a role")
    parser.add_argument("--out", type=Path, metavar="DIR", default=Path(), help="default: here")
    parser.set_defaults(run=keygen_command)


def keygen_command(arguments: argparse.Namespace) -> int:
    pair = create_key_files(arguments.out, arguments.name)
    print(pair.public_text)
    print(
        f"wrote {_shown(arguments.out / (arguments.name + '.key'))} (keep it secret) and "
        f"{_shown(arguments.out / (arguments.name + '.pub'))}",
        file=sys.stderr,
    )
    return 0


def _shown(path: Path) -> str:
    return plain(str(path), characters_max=PATH_CHARACTERS_MAX)
