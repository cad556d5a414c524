"""Scripts whose protocols say what follows a crash, and the crash at every moment of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from artifact_surgery import Sample
from replay_samples import Host, record_run
from troth.conformance.reference.compare import Disturb
from troth.dsl import compile_source
from troth.vm.image import Image
from troth.vm.instructions import Seal
from troth.vm.trouble_kind import Trouble

MILLISECOND: Final = 1_000_000

ASK: Final = """
protocol Ask(Oracle, Asker, Friend):
    edge Asker -> Oracle: capacity = 1
    Asker -> Oracle: first(text: str)
    Asker -> Oracle: second(text: str)
    Asker -> Oracle: third(text: str)
    choice at Oracle:
        Oracle -> Asker: answer(text: str)
        Asker -> Friend: told(text: str)
    or:
        Oracle -> Asker: unknown()
        Asker -> Friend: told(text: str)
    on crash Oracle:
        Asker -> Friend: alone()
        Friend -> Asker: guess(text: str)

program oracle(s: Ask.Oracle):
    recv s.Asker first(text)
    recv s.Asker second(more)
    yield
    recv s.Asker third(rest)
    yield
    send s.Asker answer(text + more + rest)
    close s

program asker(s: Ask.Asker):
    send s.Oracle first("w")
    send s.Oracle second("h")
    send s.Oracle third("y")
    recv s.Oracle:
        answer(text):
            send s.Friend told(text)
            print text
        unknown():
            send s.Friend told("nothing")
        on crash:
            print "the oracle is gone"
            send s.Friend alone()
            recv s.Friend guess(text)
            print text
    close s

program friend(s: Ask.Friend):
    recv s.Asker:
        told(text):
            print text
        alone():
            send s.Asker guess("because")
    close s

main:
    open Ask as o, a, f
    spawn oracle(o)
    spawn asker(a)
    spawn friend(f)
"""

SEVERAL: Final = """
protocol Chain(Source, Middle, Sink):
    rec More:
        choice at Source:
            Source -> Middle: item(n: int)
            Middle -> Sink: item(n: int)
            Sink -> Middle: took(n: int)
            continue More
        or:
            Source -> Middle: done()
            Middle -> Sink: done()
        on crash Source:
            Middle -> Sink: cut()
            Sink -> Middle: sorry()

protocol Log(Writer, Keeper, Reader):
    choice at Writer within 40ms:
        Writer -> Keeper: wrote(n: int)
        Keeper -> Reader: wrote(n: int)
        Writer -> Keeper: bye()
    timeout:
        Writer -> Keeper: idle()
        Keeper -> Reader: nothing()
    on crash Writer:
        Keeper -> Reader: nothing()

protocol Plain(Left, Right):
    Left -> Right: hello()
    Right -> Left: hello()

program source(s: Chain.Source, l: Log.Writer, p: Plain.Left):
    send p.Right hello()
    for i in range(2):
        send s.Middle item(i)
        yield
    within l:
        yield
        send l.Keeper wrote(1)
        send l.Keeper bye()
    timeout:
        send l.Keeper idle()
    send s.Middle done()
    recv p.Right hello()
    close s
    close l
    close p

program middle(s: Chain.Middle):
    loop:
        recv s.Source:
            item(n):
                send s.Sink item(n)
                recv s.Sink took(_)
            done():
                send s.Sink done()
                break
            on crash:
                send s.Sink cut()
                recv s.Sink sorry()
                print "no more"
                break
    close s

program sink(s: Chain.Sink):
    loop:
        recv s.Middle:
            item(n):
                print n
                send s.Middle took(n)
            done():
                break
            cut():
                send s.Middle sorry()
                break
    close s

program keeper(l: Log.Keeper, p: Plain.Right):
    recv l.Writer:
        wrote(n):
            send l.Reader wrote(n)
            recv l.Writer bye()
        idle():
            send l.Reader nothing()
        on crash:
            send l.Reader nothing()
    close l
    recv p.Left hello()
    send p.Left hello()
    close p

program reader(l: Log.Reader):
    recv l.Keeper:
        wrote(n):
            print n
        nothing():
            print "nothing"
    close l

main:
    open Chain as a, b, c
    open Log as w, k, r
    open Plain as left, right
    spawn source(a, w, left)
    spawn middle(b)
    spawn sink(c)
    spawn keeper(k, right)
    spawn reader(r)
"""

CARRIED: Final = """
protocol Side(Left, Right):
    Left -> Right: hello()

protocol Give(Giver, Taker, Friend):
    Taker -> Giver: please()
    Giver -> Friend: hint()
    Friend -> Taker: ready()
    Taker -> Giver: side(end: Side.Right)
    choice at Giver:
        Giver -> Taker: thanks()
        Taker -> Friend: done()
    on crash Giver:
        Taker -> Friend: lost()

program giver(s: Give.Giver):
    recv s.Taker please()
    send s.Friend hint()
    yield
    recv s.Taker side(end)
    recv end.Left hello()
    close end
    send s.Taker thanks()
    close s

program taker(s: Give.Taker, end: Side.Right):
    send s.Giver please()
    recv s.Friend ready()
    send s.Giver side(end)
    recv s.Giver:
        thanks():
            send s.Friend done()
        on crash:
            send s.Friend lost()
    close s

program friend(s: Give.Friend, end: Side.Left):
    recv s.Giver hint()
    send s.Taker ready()
    recv s.Taker:
        done():
            print "done"
        lost():
            print "lost"
    close s
    send end.Right hello()
    close end

main:
    open Give as g, t, f
    open Side as l, r
    spawn giver(g)
    spawn taker(t, r)
    spawn friend(f, l)
"""

GUESS: Final = """
protocol Play(Judge, Player, Guest):
    Player -> Judge: guess(n: int)
    Player -> Judge: guess(n: int)
    Player -> Guest: hello()
    choice at Judge:
        Judge -> Player: right()
        Player -> Guest: won()
    or:
        Judge -> Player: wrong()
        Player -> Guest: lost()
    on crash Judge:
        Player -> Guest: nobody_knows()

program judge(s: Play.Judge):
    recv s.Player guess(n)
    yield
    recv s.Player guess(m)
    if n + m == 3:
        send s.Player right()
    else:
        send s.Player wrong()
    close s

program player(s: Play.Player):
    yield
    speculate:
        send s.Judge guess(5)
        yield
        rollback
    else:
        speculate:
            send s.Judge guess(1)
            yield
            send s.Judge guess(2)
            yield
            commit
    send s.Guest hello()
    recv s.Judge:
        right():
            send s.Guest won()
        wrong():
            send s.Guest lost()
        on crash:
            send s.Guest nobody_knows()
    close s

program guest(s: Play.Guest):
    recv s.Player hello()
    recv s.Player:
        won():
            print "won"
        lost():
            print "lost"
        nobody_knows():
            print "nobody knows"
    close s

main:
    open Play as j, p, g
    spawn judge(j)
    spawn player(p)
    spawn guest(g)
"""

DESK: Final = """
protocol Video(Host, Viewer, Log):
    Host -> Viewer: start()
    Viewer -> Host: more()
    choice at Host:
        Host -> Viewer: frame(n: int)
        Viewer -> Log: seen(n: int)
    on crash Host:
        Viewer -> Log: dark()

protocol Sound(Host, Viewer, Log):
    choice at Host:
        Host -> Viewer: tone(n: int)
        Viewer -> Log: heard(n: int)
    or:
        Host -> Viewer: silence()
        Viewer -> Log: heard(n: int)
    on crash Host:
        Viewer -> Log: silent()

bundle Desk(Host, Viewer, Log):
    video: Video(Host, Viewer, Log)
    sound: Sound(Host, Viewer, Log)

program host(d: Desk.Host):
    send d.video.Viewer start()
    recv d.video.Viewer more()
    yield
    send d.sound.Viewer tone(7)
    yield
    send d.video.Viewer frame(1)
    close d

program viewer(d: Desk.Viewer):
    recv d.video.Host start()
    yield
    send d.video.Host more()
    recv d.video.Host:
        frame(n):
            send d.video.Log seen(n)
        on crash:
            send d.video.Log dark()
    recv d.sound.Host:
        tone(n):
            send d.sound.Log heard(n)
        silence():
            send d.sound.Log heard(0)
        on crash:
            send d.sound.Log silent()
    close d

program log(d: Desk.Log):
    recv d.video.Viewer:
        seen(n):
            print n
        dark():
            print "dark"
    recv d.sound.Viewer:
        heard(n):
            print n
        silent():
            print "silent"
    close d

main:
    open Desk as h, v, l
    spawn host(h)
    spawn viewer(v)
    spawn log(l)
"""
"""A bundle: in both of its sessions the others can do without the host."""

SCRIPTS: Final = {"ask": ASK, "several": SEVERAL, "carried": CARRIED, "guess": GUESS, "desk": DESK}


@cache
def crashing(name: str) -> Image:
    return compile_source(SCRIPTS[name], f"{name}.troth")


CRASHES: Final = {
    "ask": (3, "Oracle"),
    "several": (3, "Source"),
    "carried": (4, "Giver"),
    "guess": (4, "Judge"),
    "desk": (4, "Host"),
}
"""Of each script a crash that the others go on after: after how many rounds, and of whom."""


def recorded(name: str, *, seal: Seal | None = None) -> Sample:
    after, role = CRASHES[name]
    crash = after, Disturb(0, Trouble.CRASH, role)
    return record_run(crashing(name), host(crash), seal=seal)


def host(*troubles: tuple[int, Disturb]) -> Host:
    return Host(now_ns=lambda rounds: rounds * MILLISECOND, troubles=troubles)


def moments(name: str, rounds: int) -> Iterator[tuple[int, Disturb]]:
    """The crash of each role of the first session, after each number of rounds."""
    for role in crashing(name).protocols[_first(name)].roles:
        for after in range(1, rounds + 1):
            yield after, Disturb(0, Trouble.CRASH, role)


def _first(name: str) -> int:
    """The protocol that `main` opens first."""
    main = SCRIPTS[name].split("main:")[1].split()
    names = [one.name for one in crashing(name).protocols]
    return names.index(main[1]) if main[1] in names else 0


FARM: Final = """
protocol Farm(Hub, Log, Worker[N]):
    Hub -> Worker[*]: task(n: int)
    foreach w in Worker:
        choice at w within 6ms:
            w -> Hub: result(n: int)
            Hub -> Log: result(n: int)
        timeout:
            w -> Hub: late()
            Hub -> Log: late()
        on crash w:
            Hub -> Log: lost()
    Log -> Hub: thanks()

program hub(s: Farm.Hub):
    foreach w in s.Worker:
        send s.w task(w)
    foreach w in s.Worker:
        recv s.w:
            result(n):
                send s.Log result(n)
            late():
                send s.Log late()
            on crash:
                send s.Log lost()
    recv s.Log thanks()
    close s

program log(s: Farm.Log):
RECEIVES
    send s.Hub thanks()
    close s

program worker(s: Farm.Worker[i]):
    recv s.Hub task(n)
    within s:
        for nap in range(i % 2 * 12):
            yield
        send s.Hub result(n * i)
    timeout:
        send s.Hub late()
    close s

main:
    open Farm as h, l, ws with N = SIZE
    spawn hub(h)
    spawn log(l)
    foreach w in ws:
        spawn worker(w)
"""
"""A family of workers, of which each may crash; every other one is late."""

_RECEIVE: Final = """\
    recv s.Hub:
        result(n):
            print n
        late():
            print "late"
        lost():
            print "lost"
"""


def farm(size: int) -> str:
    return FARM.replace("SIZE", str(size)).replace("RECEIVES\n", size * _RECEIVE)
