"""Runs of the examples on several machines, each with its own record: the views of a session."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

import second_verifier
from artifact_surgery import EXAMPLES
from spread_machines import Party, run_spread
from troth import dsl
from troth.conformance import MergedVerdict
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.keys import TrustFile

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


def word_of(verdict: MergedVerdict) -> str:
    """The verdict in the words of the second verifier, which takes nobody's trust for more."""
    return {0: "valid", 4: "incomplete", 5: "valid"}.get(verdict.exit_code, "invalid")


def second_word(records: Sequence[bytes], trust: TrustFile) -> str:
    """What the second verifier says of several records of one session."""
    keys = {pair.name: pair.public_key for pair in trust.keys}
    readings = [second_verifier.read(data, keys) for data in records]
    return second_verifier.judge_together(readings).word
