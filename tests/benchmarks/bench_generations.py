"""Memory of a receiver in mode nullifier: generations keep it flat, however many messages come.

One session carries all messages. Its resident memory is looked at when a tenth of them was
received and at the end. Without generations the set of nullifiers grows with every message.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from troth.dsl import compile_source
from troth.vm.events import Received
from troth.vm.host_signer import HostSigner
from troth.vm.keys import KeyPair, generate
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.loader import load
from troth.vm.machine import Machine

MESSAGES: Final = 20_000
LONG_MESSAGES: Final = 1_000_000

SCRIPT: Final = """
protocol Feed(A, B):
    edge A -> B: replay = nullifier, rotate = {rotate}, capacity = 64
    loop at A:
        A -> B: item(n: int)

program a(s: Feed.A):
    for i in range({messages}):
        send s.B item(i)
    send s.B done()
    close s

program b(s: Feed.B):
    loop:
        recv s.A:
            item(n):
                pass
            done():
                break
    close s

main:
    open Feed as a, b with seal = message
    spawn a(a)
    spawn b(b)
"""


class _Keys:
    def make(self, role: str) -> KeyPair:
        return generate(role, role.encode().ljust(32, b"."))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory_by_messages(messages: int, rotate: int) -> Iterator[tuple[int, int]]:
    """(messages received, resident bytes) at a tenth of the messages and at the end."""
    image = compile_source(SCRIPT.format(rotate=rotate, messages=messages), "feed.troth")
    signer = HostSigner({}, _Keys())
    machine = Machine(
        load(image), seed=bytes(32), signer=signer, roster=signer, limits=DEFAULT_LIMITS
    )
    machine.start()
    received, due = 0, messages // 10
    while machine.run_round(0):
        received += sum(type(event) is Received for event in machine.poll_events())
        if received >= due:
            yield received, resident_bytes()
            due = messages
    yield received, resident_bytes()


def measure(messages: int, rotate: int = 4096) -> str:
    points = list(memory_by_messages(messages, rotate))
    early, late = points[0], points[-1]
    return (
        f"rotate = {rotate}: {early[1] / 2**20:.1f} MiB after {early[0]:,} messages, "
        f"{late[1] / 2**20:.1f} MiB after {late[0]:,}: ratio {late[1] / early[1]:.3f}"
    )


if __name__ == "__main__":
    print(measure(LONG_MESSAGES if "--long" in sys.argv else MESSAGES))
