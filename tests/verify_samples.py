"""Scripts whose runs show how sessions live and end, recorded for the verifier's tests."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from artifact_surgery import EXAMPLES, Sample, key_pair, record_image, record_script
from troth.dsl import compile_source
from troth.vm.host_signer import HostSigner
from troth.vm.image_codec import encode_image
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.loader import load
from troth.vm.machine import Machine
from troth.vm.recorder import HeaderFacts, Recorder

TALK: Final = """
protocol Talk(A, B):
    rec Loop:
        choice at A:
            A -> B: item(n: int)
            continue Loop
        or:
            A -> B: last()
"""

CANCELLED: Final = (
    TALK
    + """
program giver(s: Talk.A):
    for n in range(3):
        send s.B item(n)
    cancel s "tired"

program taker(s: Talk.B):
    recv s.A:
        item(n):
            cancel s "enough"
        last():
            close s

main:
    open Talk as a, b
    spawn giver(a)
    spawn taker(b)
"""
)

FAULTED: Final = (
    TALK
    + """
program giver(s: Talk.A):
    send s.B item(1)
    fail "no more"

program taker(s: Talk.B):
    loop:
        recv s.A:
            item(n):
                pass
            last():
                break
    close s

main:
    open Talk as a, b
    spawn giver(a)
    spawn taker(b)
"""
)

GUARDED: Final = """
guard till

protocol Pay(A, B):
    A -> B: pay(n: int)

program payer(s: Pay.A, n: int):
    acquire till
    send s.B pay(n)
    yield
    release till
    close s

program taker(s: Pay.B):
    recv s.A pay(n)
    acquire till
    release till
    close s

main:
    open Pay as a, b
    spawn payer(a, 1)
    spawn taker(b)
"""

SPECULATIVE: Final = """
protocol Deal(A, B, C):
    B -> A: price(n: int)
    choice at A:
        A -> B: order()
        A -> C: pay(n: int)
    or:
        A -> B: leave()
        A -> C: nothing()

program buyer(s: Deal.A, budget: int):
    speculate:
        recv s.B price(n)
        send s.B order()
        budget = budget - n
        if budget < 0:
            rollback
        send s.C pay(n)
        commit
    else:
        recv s.B price(n)
        send s.B leave()
        send s.C nothing()
    close s

program seller(s: Deal.B):
    send s.A price(30)
    recv s.A:
        order():
            pass
        leave():
            pass
    close s

program bank(s: Deal.C):
    recv s.A:
        pay(n):
            print n
        nothing():
            print "nothing"
    close s

main:
    open Deal as a, b, c
    spawn buyer(a, 40)
    spawn seller(b)
    spawn bank(c)
    open Deal as d, e, f with seal = round
    spawn buyer(d, 20)
    spawn seller(e)
    spawn bank(f)
"""

HIDDEN: Final = """
effect price_of(name: str) -> int

protocol Ask(Client, Server):
    edge Client -> Server: payload = digest
    Client -> Server: ask(text: str)
    Server -> Client: answer(n: int)

program client(s: Ask.Client):
    send s.Server ask("how much")
    recv s.Server answer(n)
    print n
    close s

program server(s: Ask.Server):
    recv s.Client ask(text)
    let n = call price_of(text)
    send s.Client answer(n)
    close s

main:
    open Ask as c, s
    spawn client(c)
    spawn server(s)
"""

HIDDEN_DELEGATION: Final = (
    (EXAMPLES / "delegation.troth")
    .read_text()
    .replace(
        "    Dispatcher -> Worker: take(job: Job.Server)",
        "    edge Dispatcher -> Worker: payload = digest\n"
        "    Dispatcher -> Worker: take(job: Job.Server)",
    )
)

LATE_FAULT: Final = """
protocol Note(A, B):
    A -> B: note(n: int)

program writer(s: Note.A):
    send s.B note(1)
    close s

program reader(s: Note.B):
    yield
    fail "cannot read"

main:
    open Note as a, b
    spawn writer(a)
    spawn reader(b)
"""

UNDONE: Final = """
protocol Pair(A, B):
    A -> B: note(n: int)
    B -> A: done()

program writer(s: Pair.A):
    send s.B note(1)
    recv s.B done()
    cancel s "undone"

program reader(s: Pair.B):
    recv s.A note(n)
    send s.A done()
    close s

main:
    open Pair as a, b
    spawn writer(a)
    spawn reader(b)
"""

LATEST: Final = """
protocol Stream(Host, Viewer):
    edge Host -> Viewer: replay = nullifier, buffer = latest, capacity = 2
    loop at Host:
        Host -> Viewer: frame(n: int) lossy

program host(s: Stream.Host):
    for i in range(6):
        send s.Viewer frame(i)
    send s.Viewer done()
    close s

program viewer(s: Stream.Viewer):
    for nap in range(12):
        yield
    loop:
        recv s.Host:
            frame(n):
                print n
            done():
                break
    close s

main:
    open Stream as h, v
    spawn host(h)
    spawn viewer(v)
"""

DROPS: Final = LATEST.replace("buffer = latest, capacity = 2", "policy = drop, capacity = 1")

ROTATES: Final = """
protocol Count(A, B):
    edge A -> B: replay = nullifier, rotate = 3
    rec Next:
        choice at A:
            A -> B: tick(n: int)
            continue Next
        or:
            A -> B: stop()

program a(s: Count.A):
    for i in range(7):
        send s.B tick(i)
    send s.B stop()
    close s

program b(s: Count.B):
    loop:
        recv s.A:
            tick(n):
                print n
            stop():
                break
    close s

main:
    open Count as x, y
    spawn a(x)
    spawn b(y)
"""

NOBODY: Final = """
main:
    print "alone"
"""

_SCRIPTS: Final = {
    "cancelled": (CANCELLED, False),
    "faulted": (FAULTED, False),
    "guarded": (GUARDED, True),
    "speculative": (SPECULATIVE, True),
    "hidden": (HIDDEN, True),
    "late_fault": (LATE_FAULT, False),
    "hidden_delegation": (HIDDEN_DELEGATION, True),
    "undone": (UNDONE, False),
    "nobody": (NOBODY, True),
    "latest": (LATEST, True),
    "drops": (DROPS, True),
    "rotates": (ROTATES, True),
}


def price_of(name: str) -> int:
    return len(name)


@cache
def sample(name: str, *, seed: int = 1, variant: int = 0) -> Sample:
    """The recorded run of an example or of one of the scripts above."""
    with TemporaryDirectory() as folder:
        if name not in _SCRIPTS:
            return record_script(
                EXAMPLES / f"{name}.troth", Path(folder), seed=seed, variant=variant
            )
        text, ok = _SCRIPTS[name]
        return record_image(
            compile_source(text, f"{name}.troth"),
            Path(folder),
            seed=seed,
            variant=variant,
            effects={"price_of": price_of},
            ok=ok,
        )


@cache
def sealed_often(name: str, every: int) -> Sample:
    """The run of an example without effects in short rounds, sealed after `every` leaves."""
    image = compile_source((EXAMPLES / f"{name}.troth").read_text(), f"{name}.troth")
    loaded = load(image)
    roles = sorted({role for protocol in image.protocols for role in protocol.roles})
    keys = {role: key_pair(role) for role in roles}
    signer = HostSigner(keys)
    machine = Machine(loaded, seed=bytes(32), signer=signer, roster=signer, quantum=1)
    header = HeaderFacts(
        image_id=loaded.id,
        seed=bytes(32),
        quantum=1,
        policy="cooperative",
        limits=tuple(getattr(DEFAULT_LIMITS, field.name) for field in fields(Limits)),
        runner="cooperative",
        replay=None,
        seal=None,
        entry=image.entry or 0,
        anchor_unix_ns=0,
    )
    recorder = Recorder(header, encode_image(image), signer, signer, seal_every=every)
    machine.start()
    rounds = 0
    while machine.run_round(0):
        rounds += 1
        recorder.extend(machine.poll_events(), rounds)
    recorder.extend(machine.poll_events(), rounds)
    recorder.finish(rounds, "ok")
    return Sample(recorder.take_bytes(), keys)
