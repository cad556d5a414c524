"""Scheduling policies: which of the ready coroutines a round takes, and in which order.

A policy changes order, never meaning. It has one text, which the header of a record keeps:

| text | a round takes |
|---|---|
| `cooperative` | all that are ready, in the order in which they became so |
| `round-robin` | all that are ready, in the order in which they were spawned |
| `priority aging=A NAME=N ...` | those of the highest priority, in the order of `cooperative` |

A program that is not named has priority 0. A coroutine that is ready and not taken gains one
level of priority after every `aging` rounds, until it is taken; so nobody waits for ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from troth.vm.coroutine import Coroutine
from troth.vm.errors import Unusable

COOPERATIVE: Final = "cooperative"
ROUND_ROBIN: Final = "round-robin"
PRIORITY: Final = "priority"
POLICY_NAMES: Final = (COOPERATIVE, ROUND_ROBIN, PRIORITY)

AGING_DEFAULT: Final = 8
PRIORITY_MAX: Final = 1_000
AGING_MAX: Final = 1_000_000
POLICY_BYTES_MAX: Final = 255
"""The length of the policy's text in a header."""

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,6}", re.ASCII)


class Scheduling(Protocol):
    """Takes a round's batch out of those that are ready."""

    @property
    def text(self) -> str:
        """The policy, as the header of a record has it."""

    def take(self, ready: list[Coroutine]) -> tuple[list[Coroutine], list[Coroutine]]:
        """(the round's batch, those that stay ready without a turn), `ready` has at least one."""


class Cooperative:
    """First in, first out."""

    text = COOPERATIVE

    def take(self, ready: list[Coroutine]) -> tuple[list[Coroutine], list[Coroutine]]:
        return ready, []


class RoundRobin:
    """A ring in which each coroutine has a fixed place."""

    text = ROUND_ROBIN

    def take(self, ready: list[Coroutine]) -> tuple[list[Coroutine], list[Coroutine]]:
        return sorted(ready, key=_birth), []


def _birth(coroutine: Coroutine) -> int:
    return coroutine.birth


@dataclass(frozen=True, slots=True)
class Priority:
    """A fixed priority per program, raised while a coroutine waits.

    Attributes:
        priorities: by program name, 0 to `PRIORITY_MAX`; 0 for those not named.
        aging: rounds of waiting that are worth one level.
    """

    priorities: Mapping[str, int] = field(default_factory=dict)
    aging: int = AGING_DEFAULT

    def __post_init__(self) -> None:
        if type(self.aging) is not int or not 1 <= self.aging <= AGING_MAX:
            raise _unusable(f"an aging of 1 to {AGING_MAX} rounds", str(self.aging)[:40])
        for name, number in self.priorities.items():
            if type(name) is not str or not name or re.search(r"[\s=]", name):
                raise _unusable("names of programs", ascii(name)[:40])
            if type(number) is not int or not 0 <= number <= PRIORITY_MAX:
                raise _unusable(f"priorities of 0 to {PRIORITY_MAX}", str(number)[:40])
        if len(self.text.encode()) > POLICY_BYTES_MAX:
            actual = f"{len(self.text.encode())} bytes"
            raise _unusable(f"a policy of at most {POLICY_BYTES_MAX} bytes", actual)

    @property
    def text(self) -> str:
        named = (f"{name}={self.priorities[name]}" for name in sorted(self.priorities))
        return " ".join((PRIORITY, f"aging={self.aging}", *named))

    def take(self, ready: list[Coroutine]) -> tuple[list[Coroutine], list[Coroutine]]:
        levels = [self._level(coroutine) for coroutine in ready]
        top = max(levels)
        batch, left = [], []
        for coroutine, level in zip(ready, levels, strict=True):
            if level == top:
                coroutine.waited = 0
                batch.append(coroutine)
            else:
                coroutine.waited += 1
                left.append(coroutine)
        return batch, left

    def _level(self, coroutine: Coroutine) -> int:
        return self.priorities.get(coroutine.code.name, 0) + coroutine.waited // self.aging


def parse_policy(text: str) -> Scheduling:
    """The policy of a text; only the one form that `Scheduling.text` gives is taken.

    Raises:
        Unusable: code `machine.policy`.
    """
    if text == COOPERATIVE:
        return Cooperative()
    if text == ROUND_ROBIN:
        return RoundRobin()
    name, *settings = text.split(" ") if len(text) <= POLICY_BYTES_MAX else [""]
    pairs = [setting.rpartition("=") for setting in settings]
    well_formed = all(key and _NUMBER.fullmatch(number) for key, _, number in pairs)
    if name == PRIORITY and well_formed and pairs and pairs[0][0] == "aging":
        (_, _, aging), *named = pairs
        found = Priority({key: int(number) for key, _, number in named}, int(aging))
        if found.text == text:
            return found
    raise _unusable("cooperative, round-robin, or priority aging=A NAME=N ...", ascii(text[:60]))


def _unusable(expected: str, actual: str) -> Unusable:
    return Unusable(
        "machine.policy",
        "the scheduling policy cannot be used",
        expected=expected,
        actual=actual,
        advice="`--policy` takes one of " + ", ".join(POLICY_NAMES),
    )
