"""Durations as they are written: a number with a unit."""

from __future__ import annotations

import re
from typing import Final

_DURATION: Final = re.compile(r"([0-9]{1,18})(ns|us|ms|s|m|h)", re.ASCII)
_NANOSECONDS: Final = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}


def nanoseconds(text: str) -> int | None:
    """How long a duration such as `250ms` is; None for what is none."""
    match = _DURATION.fullmatch(text)
    return None if match is None else int(match[1]) * _NANOSECONDS[match[2]]
