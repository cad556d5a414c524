"""Level 4: was a guard ever held by two coroutines at once, or left behind?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from troth.conformance.divergence import Divergence
from troth.conformance.world import World
from troth.vm.record_codec import Items
from troth.vm.records import Kind

Handler: TypeAlias = Callable[[Items], None]

_NAMED_MAX: Final = 8


class Guards:
    """Who holds what, as the records tell it. A fault gives back what its coroutine holds."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._holders: dict[int, int] = {}
        self._held: dict[int, dict[int, None]] = {}

    def handlers(self) -> Mapping[int, Handler]:
        return {
            Kind.ACQUIRE: self.acquire,
            Kind.RELEASE: self.release,
            Kind.HALT: self.halt,
            Kind.FAULT: self.fault,
        }

    def acquire(self, items: Items) -> None:
        _, coroutine, guard = items
        holder = self._holders.get(guard)
        if holder is not None:
            raise Divergence(
                "protocol.guard",
                f"{self._name(guard)} is acquired while it is held",
                expected=f"{self._name(guard)} released by coroutine {holder} before",
                expected_side="guards are exclusive",
                actual=f"coroutine {coroutine} acquires it",
            )
        self._holders[guard] = coroutine
        self._held.setdefault(coroutine, {})[guard] = None

    def release(self, items: Items) -> None:
        _, coroutine, guard = items
        holder = self._holders.get(guard)
        if holder != coroutine:
            raise Divergence(
                "protocol.guard",
                f"{self._name(guard)} is released by a coroutine that does not hold it",
                expected="a release by " + ("nobody" if holder is None else f"coroutine {holder}"),
                expected_side="guards are exclusive",
                actual=f"a release by coroutine {coroutine}",
            )
        del self._holders[guard]
        held = self._held[coroutine]
        del held[guard]
        if not held:
            del self._held[coroutine]

    def halt(self, items: Items) -> None:
        held = self._held.get(items[1])
        if held is not None:
            names = ", ".join(self._name(guard) for guard in list(held)[:_NAMED_MAX])
            raise Divergence(
                "protocol.guard",
                "a coroutine halts while it holds a guard",
                expected="every guard released",
                expected_side="a program ends without guards",
                actual=f"coroutine {items[1]} holds {names}",
            )

    def fault(self, items: Items) -> None:
        for guard in self._held.pop(items[1], ()):
            del self._holders[guard]

    def _name(self, guard: int) -> str:
        image = self._world.image
        return f"guard {guard}" if image is None else f"the guard {image.image.guards[guard]}"
