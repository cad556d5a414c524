"""Who is to be told when something has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

RELAYS: Final = b"relays"
"""A relay has come, or has room again. The other keys are sessions."""

Told = Callable[[], None]


class Watchers:
    """Calls by what they are to be told of; it knows nothing of who waits, or how."""

    def __init__(self) -> None:
        self._told: dict[bytes, set[Told]] = {}

    def watch(self, key: bytes, told: Told) -> None:
        self._told.setdefault(key, set()).add(told)

    def unwatch(self, key: bytes, told: Told) -> None:
        """Nothing when it does not watch."""
        found = self._told.get(key, set())
        found.discard(told)
        if not found:
            self._told.pop(key, None)

    def changed(self, key: bytes) -> None:
        for told in list(self._told.get(key, ())):
            told()
