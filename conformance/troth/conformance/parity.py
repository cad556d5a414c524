"""Parity: the same image under many settings, compared; and what is least of a difference.

A *schedule* is a policy and a quantum. Under one schedule every runner, number of workers and
hash seed has to make the same bytes. Under different schedules a confluent program has to have
the same canonical fragment; of others nothing is promised, and what they do is only told.

Nothing here runs anything: whoever can is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from troth.vm.scheduling import COOPERATIVE

BACKWARDS: Final = 0
"""Instead of a number of workers: one thread, which executes the lanes of a round last first."""

ATTEMPTS_MAX: Final = 200
"""How many runs are spent on making a difference smaller."""


class Setting(NamedTuple):
    """How to run. `workers` None is the cooperative runner, `hash_seed` None this process."""

    policy: str = COOPERATIVE
    quantum: int = 64
    workers: int | None = None
    hash_seed: int | None = None

    @property
    def schedule(self) -> str:
        return f"policy {self.policy}, quantum {self.quantum}"

    @property
    def runner(self) -> str:
        """Who executes the turns, in words."""
        if self.workers is None:
            said = "cooperative"
        elif self.workers == BACKWARDS:
            said = "lanes last first"
        else:
            said = f"threaded with {self.workers} worker{'' if self.workers == 1 else 's'}"
        return said if self.hash_seed is None else f"{said}, hash seed {self.hash_seed}"


class Made(NamedTuple):
    """What a run made: digests of its record and its fragment, its lines, and how it ended."""

    record: bytes
    fragment: bytes
    printed: tuple[str, ...]
    ended: str
    rounds: int = 0

    @property
    def bytes_made(self) -> tuple[bytes, tuple[str, ...], str]:
        """What has to be the same under one schedule."""
        return self.record, self.printed, self.ended


class Part(NamedTuple):
    """Two settings whose runs differ although they must not."""

    base: Setting
    other: Setting
    why: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """What was run under one policy and quantum; `same` are the runners that made the bytes."""

    base: Setting
    made: Made
    same: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Parity:
    """What came of comparing."""

    schedules: tuple[Schedule, ...]
    parted: tuple[Part, ...]
    fragments: int

    @property
    def holds(self) -> bool:
        return not self.parted


Execute: TypeAlias = Callable[[Setting], Made]


def compare(
    execute: Execute,
    schedules: Sequence[Setting],
    runners: Iterable[Setting],
    once: Iterable[Setting] = (),
    *,
    confluent: bool,
) -> Parity:
    """Runs every schedule cooperatively and then on each of the `runners`; the first also on
    those that are to be tried `once`.
    """
    found: list[Schedule] = []
    parted: list[Part] = []
    variants = tuple(runners)
    for number, base in enumerate(schedules):
        made = execute(base)
        same = []
        for runner in (*variants, *(once if number == 0 else ())):
            other = runner._replace(policy=base.policy, quantum=base.quantum)
            if execute(other).bytes_made == made.bytes_made:
                same.append(other)
            else:
                parted.append(Part(base, other, "under one schedule the bytes are the same"))
        found.append(Schedule(base, made, tuple(same)))
    first = found[0]
    if confluent and first.made.ended == "ok":
        parted += [
            Part(first.base, one.base, "the fragment of a confluent program is the same")
            for one in found[1:]
            if one.made.fragment != first.made.fragment
        ]
    fragments = len({one.made.fragment for one in found})
    return Parity(tuple(found), tuple(parted), fragments)


# --- the least of a difference ---------------------------------------------------------------


class LeastSchedule(NamedTuple):
    """The first round in which lanes do not commute, and whether that round alone is enough."""

    round: int
    alone: bool


def least_schedule(parts: Callable[[range], bool], rounds: int) -> LeastSchedule | None:
    """The first round that has to be executed lanes last first for the runs to part.

    `parts` says whether they do when the rounds in a range, from 1, are executed that way.
    None when executing all of them like that shows nothing.
    """
    if not parts(range(1, rounds + 1)):
        return None
    low, high = 1, rounds
    while low < high:
        middle = (low + high) // 2
        if parts(range(1, middle + 1)):
            high = middle
        else:
            low = middle + 1
    return LeastSchedule(low, parts(range(low, low + 1)))


def least_script(parts: Callable[[str], bool], script: str) -> str:
    """The script without the statements of `main` that are not needed for the runs to part.

    Statements of `main` that share a name go together: an `open`, and who is spawned with it.
    `parts` is False for a script that does not compile.
    """
    head, separator, main = script.rpartition("\nmain:\n")
    if not separator:
        return script
    units = _units(main.splitlines())
    left = ATTEMPTS_MAX
    size = max(1, len(units) // 2)
    while units and left > 0:
        start, removed = 0, False
        while start < len(units) and left > 0:
            fewer = units[:start] + units[start + size :]
            left -= 1
            if fewer and parts(_script(head, separator, fewer)):
                units, removed = fewer, True
            else:
                start += size
        if size == 1 and not removed:
            break
        size = max(1, size // 2)
    return _script(head, separator, units)


def _script(head: str, separator: str, units: list[list[tuple[int, str]]]) -> str:
    lines = sorted(line for unit in units for line in unit)
    return head + separator + "\n".join(text for _, text in lines) + "\n"


def _units(lines: list[str]) -> list[list[tuple[int, str]]]:
    """Statements at the first level of `main`, with what is below them, joined by their names."""
    statements: list[list[tuple[int, str]]] = []
    for numbered in enumerate(lines):
        if statements and (numbered[1].startswith(" " * 5) or not numbered[1].strip()):
            statements[-1].append(numbered)
        else:
            statements.append([numbered])
    units: list[tuple[frozenset[str], list[tuple[int, str]]]] = []
    for statement in statements:
        mine = _bound_names(statement)
        words = _words(statement)
        together = [unit for unit in units if unit[0] & words]
        units = [unit for unit in units if not unit[0] & words]
        names = frozenset(mine).union(*(unit[0] for unit in together))
        units.append((names, [line for unit in together for line in unit[1]] + statement))
    return [statement for _, statement in units]


def _words(statement: list[tuple[int, str]]) -> frozenset[str]:
    text = " ".join(line for _, line in statement)
    kept = "".join(letter if letter.isalnum() or letter == "_" else " " for letter in text)
    return frozenset(kept.split())


def _bound_names(statement: list[tuple[int, str]]) -> frozenset[str]:
    """The names that a statement makes, as far as its first line says."""
    first = statement[0][1].split()
    if first[:1] == ["let"]:
        return _words([(0, first[1])]) if len(first) > 1 else frozenset()
    if first[:1] == ["open"] and "as" in first:
        names = first[first.index("as") + 1 :]
        end = names.index("with") if "with" in names else len(names)
        return _words([(0, " ".join(names[:end]))])
    return frozenset()
