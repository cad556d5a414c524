"""Scripts with timed choices, for tests of the machine and of both verifiers."""

from __future__ import annotations

from typing import Final

CONSENT: Final = """
protocol Consent(Viewer, Host):
    Viewer -> Host: ask(n: int)
    choice at Host within 5ms:
        Host -> Viewer: yes(n: int)
    or:
        Host -> Viewer: no()
    timeout:
        Host -> Viewer: late()

program viewer(s: Consent.Viewer):
    send s.Host ask(7)
    recv s.Host:
        yes(n):
            print "yes " + str(n)
        no():
            print "no"
        late():
            print "late"
    close s

program ticks():
    for i in range(40):
        yield
"""

WAITS_FOR_EFFECT: Final = (
    CONSENT
    + """
effect decide(n: int) -> bool

program host(s: Consent.Host):
    recv s.Viewer ask(n)
    within s:
        let agreed = call decide(n)
        if agreed:
            send s.Viewer yes(n)
        else:
            send s.Viewer no()
    timeout:
        send s.Viewer late()
    close s

main:
    open Consent as v, h
    spawn ticks()
    spawn viewer(v)
    spawn host(h)
"""
)

WHILE_DRAINING: Final = (
    WAITS_FOR_EFFECT.replace(
        "protocol Consent(Viewer, Host):\n",
        "protocol Consent(Viewer, Host, Guest):\n    Guest -> Viewer: hello()\n",
    )
    .replace(
        "program viewer(s: Consent.Viewer):\n",
        "program guest(s: Consent.Guest):\n    send s.Viewer hello()\n    close s\n\n"
        "program viewer(s: Consent.Viewer):\n    recv s.Guest hello()\n"
        "    for i in range(4):\n        yield\n",
    )
    .replace("as v, h\n", "as v, h, g\n    spawn guest(g)\n")
)
"""The guest has closed before the viewer asks, so the session drains when the clock starts."""

LOOPS: Final = """
protocol Feed(Source, Sink):
    rec More:
        choice at Source within 3ms:
            Source -> Sink: item(n: int)
            continue More
        or:
            Source -> Sink: stop()
        timeout:
            Source -> Sink: idle()
            continue More

effect next(n: int) -> int

program source(s: Feed.Source):
    let n = 0
    loop:
        n = n + 1
        within s:
            let item = call next(n)
            if item == 0:
                send s.Sink stop()
                break
            send s.Sink item(item)
        timeout:
            send s.Sink idle()
    close s

program sink(s: Feed.Sink):
    let items = 0
    let idle = 0
    loop:
        recv s.Source:
            item(n):
                items = items + 1
            idle():
                idle = idle + 1
            stop():
                break
    print items
    print idle
    close s

program ticks():
    for i in range(200):
        yield

main:
    open Feed as a, b
    spawn ticks()
    spawn source(a)
    spawn sink(b)
"""

YIELDS: Final = (
    CONSENT
    + """
program host(s: Consent.Host, patience: int):
    recv s.Viewer ask(n)
    let turns = 0
    within s:
        while turns < patience:
            turns = turns + 1
            yield
        send s.Viewer no()
    timeout:
        print turns < patience
        send s.Viewer late()
    close s

main:
    open Consent as v, h
    spawn ticks()
    spawn viewer(v)
    spawn host(h, PATIENCE)
"""
)

WAITS_FOR_ANOTHER: Final = (
    CONSENT
    + """
protocol Advice(Asker, Adviser):
    Asker -> Adviser: what(n: int)
    Adviser -> Asker: this(n: int)

program adviser(s: Advice.Adviser, naps: int):
    recv s.Asker what(n)
    for nap in range(naps):
        yield
    send s.Asker this(n + 1)
    close s

program host(s: Consent.Host, a: Advice.Asker):
    recv s.Viewer ask(n)
    send a.Adviser what(n)
    within s:
        recv a.Adviser this(m)
        send s.Viewer yes(m)
        close a
    timeout:
        send s.Viewer late()
        recv a.Adviser this(m)
        print m
        close a
    close s

main:
    open Consent as v, h
    open Advice as a, b
    spawn ticks()
    spawn viewer(v)
    spawn host(h, a)
    spawn adviser(b, NAPS)
"""
)
