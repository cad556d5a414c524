"""Names a writer may have meant."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches


def did_you_mean(name: str, known: Sequence[str]) -> str | None:
    """`did you mean X?` for the closest known name, or None when none is close."""
    # Closeness is quadratic in the lengths: a hostile name must not buy much time.
    close = get_close_matches(name[:64], [item for item in known[:200] if len(item) <= 64], n=1)
    return f"did you mean {close[0]}?" if close else None
