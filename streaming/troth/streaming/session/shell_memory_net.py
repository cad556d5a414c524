"""A network in memory under real time: what `troth stream local` runs over, with its losses.

It is the emulator of `netem`; here the clock is the machine's, and one task carries everything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from troth.streaming.netem import Network, Node, Step

Address = tuple[str, int]


class MemoryNetwork:
    """Parts at addresses, and what carries datagrams between them. `run` it in a task."""

    def __init__(self, seed: int, steps: Sequence[Step], on_change: Callable[[], None]) -> None:
        """The times of `steps` count from now."""
        began_ns = time.monotonic_ns()
        shifted = [Step(began_ns + step.at_ns, step.conditions) for step in steps]
        self.network = Network(seed, shifted)
        self._nodes: dict[Address, Node] = {}
        self._on_change = on_change
        self._woken = asyncio.Event()

    def add(self, address: Address, node: Node) -> None:
        self._nodes[address] = node

    def wake(self) -> None:
        """Something may be due."""
        self._woken.set()

    async def run(self) -> None:
        while True:
            now_ns = time.monotonic_ns()
            self._carry(now_ns)
            self._on_change()
            due_ns = self._due_ns()
            if due_ns is not None and due_ns <= time.monotonic_ns():
                await asyncio.sleep(0)
                continue
            try:
                async with asyncio.timeout(self._seconds_until(due_ns)):
                    await self._woken.wait()
            except TimeoutError:
                continue
            finally:
                self._woken.clear()

    def _carry(self, now_ns: int) -> None:
        for parcel in self.network.receive(now_ns):
            node = self._nodes.get(parcel.destination)
            if node is not None:
                node.receive(parcel.data, parcel.source, now_ns)
        for address, node in self._nodes.items():
            deadline_ns = node.deadline_ns
            if deadline_ns is not None and deadline_ns <= now_ns:
                node.tick(now_ns)
            for destination, data in node.datagrams():
                self.network.send(address, destination, data, now_ns)

    def _due_ns(self) -> int | None:
        times = [node.deadline_ns for node in self._nodes.values()]
        times.append(self.network.next_ns)
        return min((due for due in times if due is not None), default=None)

    @staticmethod
    def _seconds_until(due_ns: int | None) -> float | None:
        return None if due_ns is None else max(0.0, (due_ns - time.monotonic_ns()) / 1e9)
