"""What a machine asks of whoever keeps the principals' logs; `recorder.Recorder` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from troth.vm.events import Event


class Evidence(Protocol):
    """Keeps one log per principal and has its head signed."""

    def extend(self, events: Sequence[Event], round_number: int) -> None:
        """Appends what happened in a round, in order.

        When it returns, every statement of a round-sealed session among the events is covered by
        a signed head of its signer's log.
        """
