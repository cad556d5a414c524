"""Parties that tell two stories: the same keys and seeds, run again with other inputs.

The session is the same in all of these runs, since its id comes from seeds, keys and terms alone.
So each record is whole, sealed by its own keys, and holds at every level by itself; only together
do they show that somebody lies.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from artifact_surgery import key_pair
from spread_machines import Party, run_spread
from troth import dsl
from troth.vm.image import Image
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.keys import TrustFile, parse_trust

TALK: Final = """
effect count() -> int
effect word() -> int
effect answer() -> int
effect bored() -> int

protocol Talk(A, B):
    rec Again:
        choice at A:
            A -> B: say(n: int)
            B -> A: heard(n: int)
            continue Again
        or:
            A -> B: bye()

program a(s: Talk.A):
    let times = call count()
    let first = call word()
    for n in range(times):
        send s.B say(first + n)
        recv s.B heard(x)
    let leaves = call bored()
    if leaves == 1:
        cancel s "bored"
    else:
        send s.B bye()
        close s

program b(s: Talk.B):
    let said = call answer()
    loop:
        recv s.A:
            say(n):
                send s.A heard(said)
            bye():
                break
    close s

main:
    open Talk as x, y
    spawn a(x)
    spawn b(y)
"""

HIRE: Final = """
effect answer() -> int

protocol Job(Client, Server):
    Client -> Server: ask()
    Server -> Client: answer(n: int)

protocol Hire(Dispatcher, Worker):
    Dispatcher -> Worker: take(job: Job.Server)

program client(s: Job.Client):
    send s.Server ask()
    recv s.Server answer(n)
    close s

program dispatcher(h: Hire.Dispatcher, job: Job.Server):
    send h.Worker take(job)
    close h

program worker(h: Hire.Worker):
    recv h.Dispatcher take(job)
    close h
    recv job.Client ask()
    let n = call answer()
    send job.Client answer(n)
    close job

main:
    open Job as c, s
    open Hire as d, w
    spawn client(c)
    spawn dispatcher(d, s)
    spawn worker(w)
"""


def told(
    *,
    count: int = 3,
    word: int = 7,
    answer: int = 1,
    bored: int = 0,
    seed: int = 1,
    seal: Seal | None = None,
    replay: ReplayMode | None = None,
) -> tuple[Party, Party]:
    """The records of A and of B; `seed` is that of A's machine."""
    inputs = {"count": count, "word": word, "answer": answer, "bored": bored}
    effects = {name: _always(value) for name, value in inputs.items()}
    image = _talk_image()
    (a, b), _ = run_spread(
        image, (("A",), ("B",)), seal=seal, replay=replay, effects=effects, seeds=(seed, 2)
    )
    return a, b


@cache
def _talk_image() -> Image:
    return dsl.compile_source(TALK, "talk")


talk: Final = cache(told)
"""The same, kept: most tests compare with a few of them."""


@cache
def hire(*, answer: int = 1, seal: Seal | None = None) -> tuple[Party, Party]:
    """The record of the client, and that of those who serve it by delegation."""
    homes = (("Client",), ("Server", "Dispatcher", "Worker"))
    image = dsl.compile_source(HIRE, "hire")
    (client, host), _ = run_spread(image, homes, seal=seal, effects={"answer": _always(answer)})
    return client, host


def _always(value: int) -> Callable[[], int]:
    return lambda: value


def trust(*names: str) -> TrustFile:
    return parse_trust("".join(key_pair(name).public_text + "\n" for name in names), "trust")
