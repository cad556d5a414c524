"""An error in one line for people: safe to show whatever it quotes, and never endless."""

from __future__ import annotations

from typing import Final

from troth.vm.errors import TrothError
from troth.vm.escape import PATH_CHARACTERS_MAX, plain

_PART_CHARACTERS_MAX: Final = 600


def describe_error(error: TrothError) -> str:
    """What `str(error)` says, with each part escaped and cut to a length."""
    parts = [f"{_part(error.message)} [{error.code}]"]
    place = error.place.describe()
    if place:
        parts.insert(0, f"{plain(place, characters_max=PATH_CHARACTERS_MAX)}: ")
    if error.expected is not None:
        parts.append(f"; expected {_part(error.expected)}")
    if error.actual is not None:
        parts.append(f"; found {_part(error.actual)}")
    if error.advice is not None:
        parts.append(f". {plain(error.advice, characters_max=PATH_CHARACTERS_MAX)}")
    return "".join(parts)


def _part(text: str) -> str:
    return plain(text, characters_max=_PART_CHARACTERS_MAX)
