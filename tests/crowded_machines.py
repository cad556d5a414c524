"""Scripts with many sessions at once, for what depends on who runs beside whom.

A script is put together from scenes that are drawn many times each: streams of messages, jobs
that are handed on through other sessions, hubs that hold endpoints of several sessions, guards,
speculations, faults and cancellations in the middle, programs that open sessions themselves.
Every scene has a twist: how far it gets, who fails, who leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Final, TypeAlias

from population import Conversation
from troth.vm.limits import DEFAULT_LIMITS, Limits

HUB_WIDTH: Final = 3

PROGRAMS: Final = """\
guard till
guard ledger

protocol Stream(Left, Right):
    rec More:
        choice at Left:
            Left -> Right: item(n: int)
            Right -> Left: seen(n: int)
            continue More
        or:
            Left -> Right: done()

protocol Job(Client, Server):
    Client -> Server: ask(n: int)
    Server -> Client: answer(text: str)

protocol Hire(Dispatcher, Worker):
    Dispatcher -> Worker: take(job: Job.Server)

protocol Deal(Buyer, Seller, Bank):
    Seller -> Buyer: quote(price: int)
    choice at Buyer:
        Buyer -> Seller: order()
        Buyer -> Bank: pay(amount: int)
    or:
        Buyer -> Seller: leave()
        Buyer -> Bank: nothing()

bundle Pair(One, Two):
    there: Stream(One, Two)
    job: Job(One, Two)
    back: Stream(Two, One)

program left(s: Stream.Left, count: int, twist: int):
    for n in range(count):
        send s.Right item(n)
        if twist == n:
            fail "left has had enough"
        recv s.Right seen(m)
    send s.Right done()
    close s

program right(s: Stream.Right, twist: int):
    let taken = 0
    loop:
        recv s.Left:
            item(n):
                if taken == twist:
                    print 1 // (n - n)
                send s.Left seen(n)
                taken = taken + 1
            done():
                break
    print taken
    close s

program quitter(s: Stream.Right, twist: int):
    recv s.Left:
        item(n):
            if twist > 1:
                cancel s "quitter"
            else:
                send s.Left seen(n)
                loop:
                    recv s.Left:
                        item(n):
                            send s.Left seen(n)
                        done():
                            break
                close s
        done():
            close s

program hub(HUB_PARAMETERS, twist: int):
HUB_BODY

program client(s: Job.Client, twist: int):
    send s.Server ask(twist)
    recv s.Server answer(text)
    print text
    close s

program dispatcher(h: Hire.Dispatcher, job: Job.Server, twist: int):
    for n in range(twist):
        yield
    send h.Worker take(job)
    if twist == 2:
        fail "dispatcher"
    close h

program worker(h: Hire.Worker, twist: int):
    for n in range(twist):
        yield
    if twist == 3:
        cancel h "no work today"
    else:
        recv h.Dispatcher take(job)
        close h
        recv job.Client ask(n)
        if twist == 1:
            fail "worker"
        send job.Client answer("done " + str(n // (twist - 4)))
        close job

program cashier(s: Stream.Left, twist: int):
    acquire till
    send s.Right item(twist)
    recv s.Right seen(m)
    if twist == 2:
        fail "with the till"
    if twist == 3:
        acquire ledger
        yield
        release ledger
    release till
    send s.Right done()
    close s

program clerk(s: Stream.Right, twist: int):
    loop:
        recv s.Left:
            item(n):
                acquire ledger
                for i in range(twist):
                    yield
                print "ledger " + str(n)
                release ledger
                send s.Left seen(n)
            done():
                break
    close s

program buyer(s: Deal.Buyer, budget: int):
    recv s.Seller quote(price)
    speculate:
        send s.Seller order()
        budget = budget - price
        if budget < 0:
            rollback
        send s.Bank pay(price)
        commit
    else:
        send s.Seller leave()
        send s.Bank nothing()
    close s

program seller(s: Deal.Seller, twist: int):
    send s.Buyer quote(twist * 10)
    recv s.Buyer:
        order():
            if twist == 1:
                fail "seller"
            print "sold"
        leave():
            pass
    close s

program bank(s: Deal.Bank, twist: int):
    if twist == 2:
        cancel s "closed today"
    else:
        recv s.Buyer:
            pay(amount):
                print amount
            nothing():
                pass
        close s

program parent(depth: int, twist: int):
    if depth > 0:
        open Stream as a, b with capacity = 1
        spawn left(a, depth, twist)
        spawn right(b, 9)
        spawn parent(depth - 1, twist)
        spawn parent(depth - 2, twist)
"""


CALM_PROGRAMS: Final = """\
protocol Stream(Left, Right):
    rec More:
        choice at Left:
            Left -> Right: item(n: int)
            Right -> Left: seen(n: int)
            continue More
        or:
            Left -> Right: done()

protocol Job(Client, Server):
    Client -> Server: ask(n: int)
    Server -> Client: answer(text: str)

protocol Hire(Dispatcher, Worker):
    Dispatcher -> Worker: take(job: Job.Server)

bundle Pair(One, Two):
    there: Stream(One, Two)
    job: Job(One, Two)
    back: Stream(Two, One)

program left(s: Stream.Left, count: int, twist: int):
    for n in range(count):
        send s.Right item(n)
        recv s.Right seen(m)
    send s.Right done()
    close s

program right(s: Stream.Right, twist: int):
    loop:
        recv s.Left:
            item(n):
                for i in range(twist):
                    yield
                send s.Left seen(n)
            done():
                break
    close s

program hub(HUB_PARAMETERS, twist: int):
HUB_BODY

program client(s: Job.Client, twist: int):
    send s.Server ask(twist)
    recv s.Server answer(text)
    print text
    close s

program dispatcher(h: Hire.Dispatcher, job: Job.Server, twist: int):
    for n in range(twist):
        yield
    send h.Worker take(job)
    close h

program worker(h: Hire.Worker, twist: int):
    recv h.Dispatcher take(job)
    close h
    recv job.Client ask(n)
    send job.Client answer("done " + str(n + twist))
    close job

program parent(depth: int, twist: int):
    if depth > 0:
        open Stream as a, b with capacity = 1
        spawn left(a, depth, twist)
        spawn right(b, twist)
        spawn parent(depth - 1, twist)
        spawn parent(depth - 2, twist)
"""
"""The same without anything that would make the order of turns matter."""


def _with_hub(text: str, *, calm: bool) -> str:
    names = [f"s{number}" for number in range(HUB_WIDTH)]
    body = []
    for name in names:
        body += [f"    send {name}.Right item(twist)", f"    recv {name}.Right seen(m{name})"]
        if not calm:
            body += ["    if twist == 1:", f'        fail "hub at {name}"']
    for name in reversed(names):
        body += [f"    send {name}.Right done()", f"    close {name}"]
    parameters = ", ".join(f"{name}: Stream.Left" for name in names)
    return text.replace("HUB_PARAMETERS", parameters).replace("HUB_BODY", "\n".join(body))


class Main:
    """Collects the lines of `main`: all sessions are opened, then programs in any order."""

    def __init__(self, rng: Random, *, calm: bool = False) -> None:
        self.rng = rng
        self.calm = calm
        self.opened: list[str] = []
        self.spawned: list[str] = []
        self.count = 0

    def names(self, count: int) -> list[str]:
        self.count += 1
        return [f"e{self.count}x{number}" for number in range(count)]

    def open(self, protocol: str, count: int) -> list[str]:
        names = self.names(count)
        rng = self.rng
        settings = [f"capacity = {rng.randint(1, 3)}"]
        settings += rng.choice(([], [], ["replay = nullifier"], ["replay = off"]))
        settings += rng.choice(([], [], [], ["seal = round"]))
        if not self.calm:
            settings += rng.choice(([], [], ["policy = error"]))
        self.opened.append(f"open {protocol} as {', '.join(names)} with {', '.join(settings)}")
        return names

    def spawn(self, program: str, *arguments: object) -> None:
        self.spawned.append(f"spawn {program}({', '.join(map(str, arguments))})")

    def any_of(self, calm: str, *others: str) -> str:
        return calm if self.calm else self.rng.choice((calm, *others))

    def twist(self) -> int:
        return self.rng.choice((0, 1, 2, 3, 9, 9, 9))


def _stream(main: Main) -> None:
    a, b = main.open("Stream", 2)
    main.spawn("left", a, main.rng.randint(0, 4), main.twist())
    main.spawn(main.any_of("right", "right", "quitter"), b, main.twist())


def _hub(main: Main) -> None:
    mine = []
    for _ in range(HUB_WIDTH):
        a, b = main.open("Stream", 2)
        mine.append(a)
        main.spawn(main.any_of("right", "clerk", "quitter"), b, main.twist())
    main.spawn("hub", *mine, main.twist())


def _job(main: Main) -> None:
    c, s = main.open("Job", 2)
    d, w = main.open("Hire", 2)
    main.spawn("client", c, main.twist())
    main.spawn("dispatcher", d, s, main.rng.randint(0, 4))
    main.spawn("worker", w, main.rng.randint(0, 4))


def _pair(main: Main) -> None:
    """A bundle of two streams and a job, one end of which goes to somebody else."""
    one, two = main.open("Pair", 2)
    d, w = main.open("Hire", 2)
    main.spawn("left", f"{one}.there", main.rng.randint(0, 4), main.twist())
    main.spawn(main.any_of("right", "right", "quitter"), f"{two}.there", main.twist())
    main.spawn("left", f"{two}.back", main.rng.randint(0, 4), main.twist())
    main.spawn(main.any_of("right", "right", "clerk"), f"{one}.back", main.twist())
    main.spawn("client", f"{one}.job", main.twist())
    main.spawn("dispatcher", d, f"{two}.job", main.rng.randint(0, 4))
    main.spawn("worker", w, main.rng.randint(0, 4))


def _till(main: Main) -> None:
    a, b = main.open("Stream", 2)
    main.spawn("cashier", a, main.rng.randint(0, 4))
    main.spawn("clerk", b, main.rng.randint(0, 2))


def _deal(main: Main) -> None:
    b, s, k = main.open("Deal", 3)
    main.spawn("buyer", b, main.rng.choice((5, 50)))
    main.spawn("seller", s, main.rng.randint(0, 3))
    main.spawn("bank", k, main.rng.randint(0, 4))


def _family(main: Main) -> None:
    main.spawn("parent", main.rng.randint(0, 3), main.twist())


Scene: TypeAlias = Callable[[Main], None]
SCENES: Final[tuple[Scene, ...]] = (
    *(_stream, _hub, _job, _pair),
    *(_till, _deal, _family),
)
CALM_SCENES: Final = (_stream, _hub, _job, _pair, _family)


def crowded_programs(*, calm: bool = False) -> str:
    """The protocols and programs of all scenes."""
    return _with_hub(CALM_PROGRAMS if calm else PROGRAMS, calm=calm)


def crowded_lines(
    main: Main, scenes: Sequence[Scene], count: int, conversation: Conversation | None
) -> list[str]:
    """What a main does that puts on so many scenes, and a whole conversation if one is given."""
    for _ in range(count):
        main.rng.choice(scenes)(main)
    if conversation is not None:
        lines = conversation.main.splitlines()[1:]
        main.opened += [line.strip() for line in lines if line.strip().startswith("open")]
        main.spawned += [line.strip() for line in lines if line.strip().startswith("spawn")]
    main.rng.shuffle(main.spawned)
    return [f"    {line}" for line in (*main.opened, *main.spawned)]


def declared(conversation: Conversation) -> list[str]:
    """The protocols and programs of a conversation."""
    return [conversation.protocol, *("\n".join(x) for x in conversation.programs.values())]


def crowded_script(
    rng: Random, conversation: Conversation | None = None, *, calm: bool = False
) -> str:
    """A script of 2 to 12 scenes, and of a whole conversation besides if one is given.

    A `calm` one means the same in whatever order its coroutines have their turns.
    """
    main = Main(rng, calm=calm)
    scenes = CALM_SCENES if calm else SCENES
    lines = crowded_lines(main, scenes, rng.randint(2, 12), conversation)
    texts = declared(conversation) if conversation is not None else []
    return "\n".join([crowded_programs(calm=calm), *texts, "main:", *lines, ""])


def crowded_limits(rng: Random) -> Limits:
    """Mostly the usual ones; at times there is no place for everybody, or no time."""
    limits = replace(DEFAULT_LIMITS, rounds_max=20_000)
    match rng.randrange(6):
        case 0:
            return replace(limits, coroutines_max=rng.randint(4, 40))
        case 1:
            return replace(limits, sessions_max=rng.randint(3, 20))
        case 2:
            return replace(limits, instructions_max=rng.randint(20, 90))
        case _:
            return limits
