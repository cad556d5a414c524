"""A machine that opens and ends sessions of every kind, one after another: what it still holds.

`python -m benchmarks.bench_long_life --sessions 1000000` in `tests` prints a curve: after so many
sessions, the process's memory, the blocks that Python has allocated, what a snapshot takes, and
the processor's time for a session. Every one is signed and recorded; the bytes of the record are
counted and let go, as a run lets go of what it has written to its file.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Final, NamedTuple

import builders
from benchmarks.measure import describe_machine
from troth.dsl.compile import compile_source
from troth.vm.events import Status
from troth.vm.image import Image
from troth.vm.image_codec import encode_image
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.loader import load
from troth.vm.machine import Machine
from troth.vm.recorder import HeaderFacts, Recorder

POINTS: Final = 10
ROUND_NS: Final = 1_000_000
SESSIONS_A_TURN: Final = 11

_LIFE: Final = """
effect square(n: int) -> int

protocol Talk(Left, Right):
    Left -> Right: ask(n: int)
    Right -> Left: answer(n: int)

protocol Counted(Left, Right):
    edge Left -> Right: replay = nullifier, rotate = 2
    loop at Left:
        Left -> Right: item(n: int)

protocol Frames(Left, Right):
    edge Left -> Right: replay = nullifier, buffer = latest, capacity = 2
    loop at Left:
        Left -> Right: frame(n: int) lossy

protocol Timed(Left, Right):
    choice at Left within 5ms:
        Left -> Right: yes()
    timeout:
        Left -> Right: late()

protocol Hire(Left, Right):
    Left -> Right: take(job: Talk.Right)

bundle Both(A, B):
    there: Talk(A, B)
    back: Talk(B, A)

program reply(s: Talk.Right):
    recv s.Left ask(n)
    let m = call square(n)
    send s.Left answer(m)
    close s

program refuse(s: Talk.Right):
    recv s.Left ask(n)
    fail "nothing to say"

program left_alone(s: Talk.Left):
    send s.Right ask(1)
    recv s.Right answer(m)
    close s

program count(s: Counted.Right):
    loop:
        recv s.Left:
            item(n):
                pass
            done():
                break
    close s

program watch(s: Frames.Right):
    loop:
        recv s.Left:
            frame(n):
                pass
            done():
                break
    close s

program hear(s: Timed.Right):
    recv s.Left:
        yes():
            pass
        late():
            pass
    close s

program hired(s: Hire.Right):
    recv s.Left take(job)
    close s
    spawn reply(job)

program other(d: Both.B):
    recv d.there.Left ask(n)
    send d.there.Left answer(n)
    send d.back.Right ask(n)
    recv d.back.Right answer(m)
    close d

main:
    for n in range(TURNS):
        open Talk as a, b
        spawn reply(b)
        send a.Right ask(n % 1000)
        recv a.Right answer(m)
        close a
        open Counted as c, d
        spawn count(d)
        for i in range(5):
            send c.Right item(i)
        send c.Right done()
        close c
        open Frames as e, f
        spawn watch(f)
        for i in range(5):
            send e.Right frame(i)
        send e.Right done()
        close e
        open Timed as g, h
        spawn hear(h)
        within g:
            for i in range(n % 2 * 9):
                yield
            send g.Right yes()
        timeout:
            send g.Right late()
        close g
        open Both as j, k
        spawn other(k)
        send j.there.Right ask(n % 1000)
        recv j.there.Right answer(m)
        recv j.back.Left ask(m)
        send j.back.Left answer(m)
        close j
        open Talk as l, o with seal = round
        open Hire as p, q
        spawn hired(q)
        send p.Right take(o)
        close p
        send l.Right ask(n % 1000)
        recv l.Right answer(m)
        close l
        open Talk as r, s
        spawn reply(s)
        cancel r "no more"
        open Talk as t, u
        spawn left_alone(t)
        spawn refuse(u)
        yield
        open Talk as v, w with replay = off
        spawn reply(w)
        send v.Right ask(n % 1000)
        recv v.Right answer(m)
        close v
"""
"""Closed, cancelled and faulted ones, bundles, clocks, generations, losses, endpoints in messages.
A program that is left without its session faults, and goes the same way."""


class Point(NamedTuple):
    """What a machine holds after so many sessions."""

    sessions: int
    resident_bytes: int
    blocks: int
    snapshot_bytes: int
    recorded_bytes: int
    seconds_per_session: float

    def line(self) -> str:
        return (
            f"{self.sessions:>10,} sessions: {self.resident_bytes / 2**20:7.1f} MiB resident, "
            f"{self.blocks:>9,} blocks, a snapshot of {self.snapshot_bytes:>6,} bytes, "
            f"{self.recorded_bytes / 2**20:8.1f} MiB recorded, "
            f"{self.seconds_per_session * 1e6:6,.0f} us a session"
        )


def image(turns: int) -> Image:
    return compile_source(_LIFE.replace("TURNS", str(turns)), "long_life.troth")


def curve(sessions: int, points: int = POINTS) -> Iterator[Point]:
    """The points of a life of so many sessions; the last has all of them."""
    turns = -(-sessions // SESSIONS_A_TURN)
    machine, recorder = _machine(image(turns))
    ended = machine._scheduler.sessions.ended
    recorded = 0
    for number in range(1, points + 1):
        wanted = turns * SESSIONS_A_TURN * number // points
        before, started = sum(ended.values()), time.process_time()
        while sum(ended.values()) < wanted:
            if not _round(machine):
                raise AssertionError(f"the life is over after {sum(ended.values())} sessions")
            recorded += len(recorder.take_bytes())
        seconds = (time.process_time() - started) / (sum(ended.values()) - before)
        gc.collect()
        yield Point(
            sessions=sum(ended.values()),
            resident_bytes=_resident_bytes(),
            blocks=sys.getallocatedblocks(),
            snapshot_bytes=len(machine.snapshot()),
            recorded_bytes=recorded,
            seconds_per_session=seconds,
        )
    while _round(machine):
        recorder.take_bytes()
    assert ended[Status.CANCELLED] == ended[Status.FAULTED] == turns, ended


def _machine(built: Image) -> tuple[Machine, Recorder]:
    loaded = load(built)
    keys = builders.make_signer()
    header = HeaderFacts(
        image_id=loaded.id,
        seed=builders.SEED,
        quantum=64,
        policy="cooperative",
        limits=tuple(getattr(DEFAULT_LIMITS, one.name) for one in fields(Limits)),
        runner="cooperative",
        replay=None,
        seal=None,
        entry=built.entry or 0,
        anchor_unix_ns=0,
    )
    recorder = Recorder(header, encode_image(built), keys, keys)
    machine = Machine(loaded, seed=builders.SEED, signer=keys, roster=keys, evidence=recorder)
    machine.start()
    return machine, recorder


def _round(machine: Machine) -> bool:
    """Whether anything happened; the host answers at once."""
    ran = machine.run_round(machine.rounds * ROUND_NS)
    machine.poll_events()
    requests = machine.poll_effects()
    for request in requests:
        (n,) = request.arguments
        assert isinstance(n, int)
        machine.complete(request.effect_id, n * n)
    return ran or bool(requests)


def _resident_bytes() -> int:
    """Of this process now; 0 where the system does not say."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    (line,) = [line for line in text.splitlines() if line.startswith("VmRSS:")]
    return 1024 * int(line.split()[1])


def measure(sessions: int, points: int = POINTS) -> Iterator[str]:
    """One line a point, and what has grown since the first."""
    found: list[Point] = []
    for point in curve(sessions, points):
        found.append(point)
        yield point.line()
    first, last = found[0], found[-1]
    yield (
        f"from {first.sessions:,} to {last.sessions:,} sessions: memory x "
        f"{last.resident_bytes / max(1, first.resident_bytes):.3f}, blocks x "
        f"{last.blocks / first.blocks:.3f}, time of a session x "
        f"{last.seconds_per_session / first.seconds_per_session:.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    arguments = parser.parse_args()
    print(describe_machine())
    for line in measure(arguments.sessions):
        print(line, flush=True)


if __name__ == "__main__":
    main()
