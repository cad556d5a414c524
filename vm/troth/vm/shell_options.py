"""How to run an image: what a caller may choose, checked before anything runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from typing import Final, TypeVar

from blake3 import blake3

from troth.vm.blobs import BlobStore
from troth.vm.errors import Unusable
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.limits import DEFAULT_LIMITS, LIMIT_HIGHEST, Limits
from troth.vm.machine import QUANTUM_DEFAULT, SEED_BYTES
from troth.vm.scheduling import (
    COOPERATIVE,
    Cooperative,
    Priority,
    RoundRobin,
    Scheduling,
    parse_policy,
)
from troth.vm.shell_workers import WORKERS_MAX
from troth.vm.trouble_schedule import Planned

SEED_BITS_MAX: Final = 4096
"""A number with more bits says no more than a seed can hold, and takes long to write out."""

Word = TypeVar("Word", bound=StrEnum)


class Runner(StrEnum):
    """Who executes the turns of a round. The evidence is the same, but for this word."""

    COOPERATIVE = "cooperative"
    THREADED = "threaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to run an image. What cannot be used is `Unusable`, with a code `run.…`.

    Attributes:
        effects: the host's functions, by effect name or as a module that defines them.
        effects_from: what messages call the place where the functions come from.
        keys: a directory of `ROLE.key` files, missing ones are made; None for ephemeral keys.
        record: where to write the artifact; None records nothing.
        durable: wait for the disk after each round, so that a power failure loses nothing.
        blobs: where the content of blobs is kept, a directory or a store; None for memory.
        seed: 32 bytes; None draws a random one, so that honest runs never share a session id.
        replay: replaces every replay mode that the script asks for; its word will do.
        seal: replaces every seal that the script asks for; its word will do.
        roles: the roles that this machine holds, as `Role` or `Protocol.Role`; None for all.
        observed: the roles that are played outside of every machine, as `Role` or
            `Protocol.Role`: what they were seen to do is signed with the key `observer`.
        quantum: instructions of one turn.
        policy: the order of turns, a `scheduling.Priority` or the text of any policy.
        runner: one turn after the other, or lanes side by side on threads; its word will do.
        workers: threads of the threaded runner; None for as many as there are cores.
        troubles: what is to come over the run: see `trouble_schedule`.
    """

    effects: Mapping[str, object] | ModuleType | None = None
    effects_from: str = "the given functions"
    keys: str | os.PathLike[str] | None = None
    record: str | os.PathLike[str] | None = None
    durable: bool = False
    blobs: BlobStore | str | os.PathLike[str] | None = None
    seed: bytes | None = None
    replay: ReplayMode | None = None
    seal: Seal | None = None
    roles: tuple[str, ...] | None = None
    observed: tuple[str, ...] = ()
    limits: Limits = DEFAULT_LIMITS
    quantum: int = QUANTUM_DEFAULT
    policy: str | Scheduling = COOPERATIVE
    runner: Runner | str = Runner.COOPERATIVE
    workers: int | None = None
    troubles: tuple[Planned, ...] = ()

    def __post_init__(self) -> None:
        if self.effects is not None and not isinstance(self.effects, Mapping | ModuleType):
            raise _unusable(
                "effects", "a mapping from names to functions, or a module", self.effects
            )
        if self.blobs is not None and not isinstance(self.blobs, BlobStore | str | os.PathLike):
            raise _unusable("blobs", "a path, or a store with put, get and holds", self.blobs)
        for name in ("keys", "record"):
            path: object = getattr(self, name)
            if path is not None and not isinstance(path, str | os.PathLike):
                raise _unusable(name, "a path, as a str or a Path", path)
        if self.roles is not None and (
            type(self.roles) is not tuple
            or not self.roles
            or not all(type(role) is str and role for role in self.roles)
        ):
            raise _unusable("roles", "a tuple of names of roles", self.roles)
        if type(self.observed) is not tuple or not all(
            type(role) is str and role for role in self.observed
        ):
            raise _unusable("observed", "a tuple of names of roles", self.observed)
        if self.observed and self.roles is not None:
            raise _unusable("observed", "none on a machine that meets others", self.observed)
        if type(self.troubles) is not tuple or not all(
            type(one) is Planned for one in self.troubles
        ):
            raise _unusable("troubles", "a tuple of Planned", self.troubles)
        if type(self.durable) is not bool:
            raise _unusable("durable", "True or False", self.durable)
        if self.seed is not None and (type(self.seed) is not bytes or len(self.seed) != SEED_BYTES):
            raise _unusable("seed", f"{SEED_BYTES} bytes, as seed_from_number gives", self.seed)
        # A frozen dataclass can only set its own fields like this.
        object.__setattr__(self, "replay", _word(ReplayMode, "replay", self.replay))
        object.__setattr__(self, "seal", _word(Seal, "seal", self.seal))
        if not isinstance(self.limits, Limits):
            raise _unusable("limits", "a Limits", self.limits)
        if type(self.quantum) is not int or not 1 <= self.quantum <= LIMIT_HIGHEST:
            raise _unusable("quantum", "a number of instructions from 1", self.quantum)
        if isinstance(self.policy, str):
            object.__setattr__(self, "policy", parse_policy(self.policy))
        elif not isinstance(self.policy, Cooperative | RoundRobin | Priority):
            raise _unusable("policy", "the text of a policy, or a Priority", self.policy)
        object.__setattr__(self, "runner", _word(Runner, "runner", self.runner))
        if self.runner is None:
            raise _unusable("runner", "one of " + ", ".join(Runner), self.runner)
        workers = self.workers
        if workers is not None and (type(workers) is not int or not 1 <= workers <= WORKERS_MAX):
            raise _unusable("workers", f"a number of threads from 1 to {WORKERS_MAX}", workers)
        if workers is not None and self.runner is not Runner.THREADED:
            raise _unusable("workers", "none: only the threaded runner has workers", workers)

    @property
    def scheduling(self) -> Scheduling:
        """The policy, understood."""
        return parse_policy(self.policy) if isinstance(self.policy, str) else self.policy


def seed_from_number(number: int) -> bytes:
    """The 32-byte seed that `--seed NUMBER` stands for.

    Raises:
        Unusable: code `run.seed`, when it is not an integer of at most `SEED_BITS_MAX` bits.
    """
    if type(number) is not int:
        raise _unusable("seed", "an integer", number)
    if number.bit_length() > SEED_BITS_MAX:
        raise _unusable("seed", f"an integer of at most {SEED_BITS_MAX} bits", number)
    return blake3(str(number).encode(), derive_key_context="troth/v1 seed number").digest()


def _word(kind: type[Word], what: str, value: object) -> Word | None:
    if value is None:
        return None
    for word in kind:
        if word.value == value:
            return word
    raise _unusable(what, "one of " + ", ".join(word.value for word in kind), value)


def _unusable(what: str, expected: str, value: object) -> Unusable:
    return Unusable(
        f"run.{what}",
        f"the option {what} of a run cannot be used",
        expected=expected,
        actual=_describe(value),
        advice="Leave it out to have its default",
    )


def _describe(value: object) -> str:
    if type(value) is bytes:
        return f"{len(value)} bytes"
    if type(value) is int:
        return str(value) if value.bit_length() <= 64 else f"one of {value.bit_length()} bits"
    if type(value) is str:
        return ascii(value[:40])
    return f"a {type(value).__name__}"
