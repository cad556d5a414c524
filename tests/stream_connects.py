"""Connects and disconnects again and again, and sees what is left behind.

`python -m stream_connects --sessions 100` plays that many whole sessions over UDP sockets, one
after the other, in one process: handshake, media, farewell. After each it counts descriptors,
threads and tasks, and it prints memory as it goes. The exit code is 1 when anything stays.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from troth.streaming.media.interfaces import Picture
from troth.streaming.session.shell_end import Wanted
from troth.streaming.session.shell_remote import RemoteOptions, run_client, run_host
from troth.vm.shell_keys import load_or_create
from troth.vm.shell_line import Address

WARM_UP = 3
"""Sessions after which everything that is loaded once has been."""


@dataclass(frozen=True, slots=True)
class Held:
    """What this process holds."""

    descriptors: int
    threads: int
    tasks: int
    resident_kib: int

    def text(self) -> str:
        return (
            f"{self.descriptors} descriptors, {self.threads} threads, {self.tasks} tasks, "
            f"{self.resident_kib} KiB"
        )


def held() -> Held:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Held(
        len(os.listdir("/proc/self/fd")),
        threading.active_count(),
        len(asyncio.all_tasks()),
        pages * os.sysconf("SC_PAGE_SIZE") // 1024,
    )


async def one_session(keys: Path, seconds: float) -> bool:
    """A host and a client of their own, over UDP on the loopback."""
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    picture = Picture(80, 64, 20)
    hosting = asyncio.ensure_future(
        run_host(
            RemoteOptions(
                wanted=Wanted(bitrate_kbps=600),
                address=Address("127.0.0.1", 0),
                keys=keys,
                metrics=Address("127.0.0.1", 0),
                on_listening=listening.set_result,
            )
        )
    )
    port = await listening
    client, result = await run_client(
        RemoteOptions(
            wanted=Wanted(seconds=seconds, picture=picture, bitrate_kbps=600),
            address=Address("127.0.0.1", port),
            keys=keys,
        )
    )
    ok = await hosting
    return ok and result.ok and client.media_began_us is not None


async def play(sessions: int, seconds: float) -> tuple[Held, list[Held], int]:
    """What was held after the warm-up, after each session that followed, and how many were bad."""
    with tempfile.TemporaryDirectory(prefix="troth-connects-") as folder:
        keys = Path(folder)
        for role in ("Host", "Client"):
            load_or_create(keys, role)
        bad = 0
        for _ in range(WARM_UP):
            bad += not await one_session(keys, seconds)
        baseline, after = held(), []
        for _ in range(sessions):
            bad += not await one_session(keys, seconds)
            after.append(held())
    return baseline, after, bad


def left_behind(baseline: Held, after: list[Held]) -> list[str]:
    """What a later session has more than the first ones: nothing, when all is well."""
    last = after[-1]
    found = [
        f"{getattr(last, name) - getattr(baseline, name)} {name} more"
        for name in ("descriptors", "threads", "tasks")
        if getattr(last, name) > getattr(baseline, name)
    ]
    half = after[len(after) // 2].resident_kib
    if last.resident_kib > half * 1.05 + 2_048:
        found.append(f"memory still grows: {half} KiB at half, {last.resident_kib} KiB at the end")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=0.2)
    given = parser.parse_args()
    baseline, after, bad = asyncio.run(play(given.sessions, given.seconds))
    print(f"after {WARM_UP} sessions: {baseline.text()}")
    for number in sorted({1, len(after) // 4, len(after) // 2, len(after)} - {0}):
        print(f"after {number} more: {after[number - 1].text()}")
    found = left_behind(baseline, after)
    print(f"{bad} sessions did not end in good order" if bad else "all ended in good order")
    print("; ".join(found) if found else "nothing is left behind")
    return int(bool(found or bad))


if __name__ == "__main__":
    sys.exit(main())
