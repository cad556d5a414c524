"""Did-you-mean: the candidate that a mistyped name most probably stands for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final

_CANDIDATES_MAX: Final = 1_000
_LENGTH_MAX: Final = 64
_CUTOFF: Final = 0.6
_LISTED_MAX: Final = 20


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


def one_of(known: Sequence[str], otherwise: str) -> str:
    """The `expected` line "one of a, b, c"; `otherwise` says what to do where there are none."""
    if not known:
        return otherwise
    if len(known) == 1:
        return known[0]
    shown = ", ".join(known[:_LISTED_MAX])
    rest = len(known) - _LISTED_MAX
    return f"one of {shown}" + (f" and {rest} more" if rest > 0 else "")
