"""Runs of the examples on several machines, each with its own record: the views of a session."""

from __future__ import annotations

from functools import cache
from typing import Final

from artifact_surgery import EXAMPLES
from spread_machines import Party, run_spread
from troth import dsl
from troth.vm.instructions import ReplayMode, Seal

HOMES: Final = {
    "hello": (("Client",), ("Server",)),
    "two_buyer": (("Alice",), ("Bob",), ("Seller",)),
    "drain": (("Sender",), ("Receiver",)),
    "nested_recursion": (("Producer",), ("Consumer",)),
    "delegation": (("Client",), ("Server", "Dispatcher", "Worker")),
    "ring": (("A", "C"), ("B",), ("D",)),
}
EFFECTS: Final = {"price_of": lambda _: 120}


@cache
def views(
    name: str,
    *,
    replay: ReplayMode | None = None,
    seal: Seal | None = None,
    repeat: float = 0.0,
) -> tuple[Party, ...]:
    """One finished party for each of the homes of the example."""
    image = dsl.load(EXAMPLES / f"{name}.troth").image
    parties, _ = run_spread(
        image, HOMES[name], replay=replay, seal=seal, repeat=repeat, effects=EFFECTS
    )
    return tuple(parties)
