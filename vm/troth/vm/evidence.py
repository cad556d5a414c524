"""What a machine asks of whoever keeps the principals' logs; `recorder.Recorder` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from troth.vm.envelope import HeadEnvelope
from troth.vm.events import Event, Proof

Position: TypeAlias = tuple[bytes, str, str, int, int]
"""Session, sender, receiver, generation, sequence."""


class Sealed(NamedTuple):
    """What a machine that has no part in a log needs to believe that a message is in it."""

    head: HeadEnvelope
    proof: Proof


class Evidence(Protocol):
    """Keeps one log per principal and has its head signed."""

    def extend(self, events: Sequence[Event], round_number: int) -> None:
        """Appends what happened in a round, in order.

        When it returns, every statement of a round-sealed session among the events is covered by
        a signed head of its signer's log.
        """

    def proofs(self) -> Mapping[Position, Sealed]:
        """Of each message that another machine receives and that was sealed by round since the
        last call: where it stands in its sender's log.
        """
