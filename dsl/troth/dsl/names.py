"""Did-you-mean: the candidate that a mistyped name most probably stands for."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_CANDIDATES_MAX: Final = 1_000
_LENGTH_MAX: Final = 64
_CUTOFF: Final = 0.6


def suggest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate closest to `name`, or None when none is close.

    The answer does not depend on the order of `candidates`. Very long names and very many
    candidates are not compared: a hostile script must not buy quadratic time with them.
    """
    if len(name) > _LENGTH_MAX:
        return None
    unique = {candidate for candidate in candidates if len(candidate) <= _LENGTH_MAX}
    pool = sorted(unique - {name})
    if len(pool) > _CANDIDATES_MAX:
        return None
    for candidate in pool:
        if candidate.casefold() == name.casefold():
            return candidate
    close = get_close_matches(name, pool, n=1, cutoff=_CUTOFF)
    return close[0] if close else None


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """The `fix` line "did you mean `x`?", or None when no candidate is close."""
    best = suggest(name, candidates)
    return None if best is None else f"did you mean `{best}`?"
