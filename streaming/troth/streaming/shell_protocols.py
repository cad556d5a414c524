"""Loads the protocols that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from troth import dsl
from troth.vm.errors import Unusable

FOLDER: Final = Path(__file__).parent / "protocols"

NAMES: Final = (
    "bind",
    "consent",
    "asking",
    "consulting",
    "paths",
    "lease",
    "session",
    "ending",
    "ended",
    "revoke",
    "registration",
)
"""In the order of a session's life."""


def protocol_path(name: str) -> Path:
    """Where the script `name` is.

    Raises:
        Unusable: code `stream.protocol`.
    """
    if name not in NAMES:
        raise Unusable(
            "stream.protocol",
            "there is no such protocol",
            expected=", ".join(NAMES),
            actual=ascii(name[:40]),
        )
    return FOLDER / f"{name}.troth"


def load_protocol(name: str) -> dsl.Module:
    """The script `name`, compiled.

    Raises:
        Unusable: code `stream.protocol`.
    """
    return dsl.load(protocol_path(name))
