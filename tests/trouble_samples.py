"""Runs over which trouble comes: the scripts, what the host does, and what is written of it."""

from __future__ import annotations

from typing import Final

from artifact_surgery import Sample
from replay_samples import Host, record_run
from troth.conformance.reference.compare import Disturb
from troth.dsl import compile_source
from troth.vm.image import Image
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.trouble_kind import Trouble

RELAY: Final = """
effect weigh(n: int) -> int

guard scales

protocol Relay(Source, Middle, Sink):
    rec More:
        choice at Source:
            Source -> Middle: item(n: int)
            Middle -> Sink: item(n: int)
            Sink -> Middle: took(n: int)
            continue More
        or:
            Source -> Middle: done()
            Middle -> Sink: done()

protocol Other(Left, Right):
    Left -> Right: hello(text: str)
    Right -> Left: hello(text: str)

program source(s: Relay.Source):
    for i in range(4):
        send s.Middle item(i)
        yield
    send s.Middle done()
    close s

program middle(s: Relay.Middle):
    loop:
        recv s.Source:
            item(n):
                acquire scales
                let w = call weigh(n)
                release scales
                send s.Sink item(w)
                recv s.Sink took(_)
            done():
                send s.Sink done()
                break
    close s

program sink(s: Relay.Sink):
    loop:
        recv s.Middle:
            item(n):
                print n
                send s.Middle took(n)
            done():
                break
    close s

program left(s: Other.Left):
    send s.Right hello("to the right")
    recv s.Right hello(text)
    print text
    close s

program right(s: Other.Right):
    acquire scales
    recv s.Left hello(text)
    print text
    send s.Left hello("to the left")
    release scales
    close s

main:
    open Relay as a, b, c
    spawn source(a)
    spawn middle(b)
    spawn sink(c)
    open Other as l, r
    spawn left(l)
    spawn right(r)
"""

MILLISECOND: Final = 1_000_000

TROUBLES: Final[dict[str, tuple[tuple[int, Disturb], ...]]] = {
    "crash": ((4, Disturb(0, Trouble.CRASH, "Middle")),),
    "early-crash": ((1, Disturb(0, Trouble.CRASH, "Sink")),),
    "crash-in-another": ((2, Disturb(1, Trouble.CRASH, "Right")),),
    "parted": ((3, Disturb(0, Trouble.PARTITION, "Source", "Middle")),),
    "healed": (
        (3, Disturb(0, Trouble.PARTITION, "Sink", "Middle")),
        (30, Disturb(0, Trouble.HEAL, "Middle", "Sink")),
    ),
    "corrupt": ((3, Disturb(0, Trouble.CORRUPT, "Source", "Middle")),),
    "timeout": ((3, Disturb(0, Trouble.TIMEOUT, "Middle", "", 40 * MILLISECOND)),),
    "timeout-and-crash": (
        (3, Disturb(0, Trouble.TIMEOUT, "Sink", "", 40 * MILLISECOND)),
        (8, Disturb(0, Trouble.CRASH, "Sink")),
    ),
}


def relay() -> Image:
    return compile_source(RELAY, "relay.troth")


def host(name: str, *, delay: int = 1) -> Host:
    return Host(
        effects={"weigh": lambda n: 10 * int(str(n))},
        delay=delay,
        now_ns=lambda rounds: rounds * MILLISECOND,
        troubles=TROUBLES[name],
    )


def recorded(name: str, *, seal: Seal | None = None, replay: ReplayMode | None = None) -> Sample:
    return record_run(relay(), host(name), seal=seal, replay=replay)
