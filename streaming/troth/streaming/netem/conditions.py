"""What a direction of the network does to datagrams, and the tables that say when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

from troth.vm.errors import Unusable


@dataclass(frozen=True, slots=True, kw_only=True)
class Bursts:
    """Loss that comes in bursts, after Gilbert and Elliott.

    Each datagram finds the direction good or bad; `enter` and `leave` are the chances of going
    from good to bad and back at a datagram, and `loss` is the loss while it is bad. The mean loss
    is `loss * enter / (enter + leave)`, and the mean burst `1 / leave` datagrams.
    """

    enter: float
    leave: float
    loss: float = 1.0

    def __post_init__(self) -> None:
        _check_chances(self, ("enter", "leave", "loss"))
        if self.leave == 0:
            raise _unusable("leave", 0, "a chance above 0, or a bad state never ends")

    @classmethod
    def of(cls, loss: float, burst_packets: float) -> Bursts:
        """Bursts of that mean length that lose that share of all datagrams."""
        leave = 1 / burst_packets
        return cls(enter=leave * loss / (1 - loss), leave=leave)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """One direction at one time. The default is perfect.

    Attributes:
        delay_ns: what every datagram takes at least.
        jitter_ns: what it takes in addition, evenly between 0 and this. Order is kept.
        loss: the chance of being lost, each datagram for itself.
        bursts: loss that comes in bursts, in addition.
        duplicate: the chance of arriving twice.
        reorder: the chance of being overtaken: it arrives `reorder_ns` later, out of order.
        reorder_ns: how much later.
        corrupt: the chance of one flipped bit.
        rate_bits: bits a second that the direction carries; None is without end.
        queue_bytes: what waits in front of the rate; more than that is dropped.
        blackout: nothing arrives.
    """

    delay_ns: int = 0
    jitter_ns: int = 0
    loss: float = 0.0
    bursts: Bursts | None = None
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_ns: int = 5_000_000
    corrupt: float = 0.0
    rate_bits: int | None = None
    queue_bytes: int = 256 << 10
    blackout: bool = False

    def __post_init__(self) -> None:
        _check_chances(self, ("loss", "duplicate", "reorder", "corrupt"))
        for name in ("delay_ns", "jitter_ns", "reorder_ns", "queue_bytes"):
            if getattr(self, name) < 0:
                raise _unusable(name, getattr(self, name), "a number from 0")
        if self.rate_bits is not None and self.rate_bits <= 0:
            raise _unusable("rate_bits", self.rate_bits, "a number above 0, or None")


@dataclass(frozen=True, slots=True)
class Step:
    """From `at_ns` on these conditions hold, until the next step."""

    at_ns: int
    conditions: Conditions


def conditions_at(steps: Sequence[Step], now_ns: int) -> Conditions:
    """The conditions of the last step that has begun; perfect before the first."""
    current = PERFECT
    for step in steps:
        if step.at_ns > now_ns:
            break
        current = step.conditions
    return current


def check_steps(steps: Sequence[Step]) -> None:
    times = [step.at_ns for step in steps]
    if times != sorted(times):
        raise _unusable("steps", times, "steps in the order of their times")


def _check_chances(owner: Bursts | Conditions, names: Sequence[str]) -> None:
    known = {field.name for field in fields(owner)}
    for name in names:
        assert name in known, "a chance that is checked is a field"
        value = getattr(owner, name)
        if not 0 <= value <= 1:
            raise _unusable(name, value, "a chance between 0 and 1")


def _unusable(name: str, value: object, expected: str) -> Unusable:
    return Unusable(
        "netem.conditions",
        f"{name} is {value}",
        expected=expected,
        actual=str(value),
        advice="See the table of conditions in the reference page on the transport",
    )


PERFECT: Final = Conditions()
