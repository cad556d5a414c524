"""The machines on which runners and the reference are compared.

Each is a crowd (`crowded_machines`) with scenes besides that lose messages, run out of time and
ask for effects, often with a whole drawn conversation, with a host that interferes, and with
trouble. Most of the time of drawing goes into compiling, so `TOGETHER` machines are compiled at
once: each has a first program of its own, and the programs that they start in common.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from random import Random
from typing import Final, NamedTuple

from crowded_machines import (
    SCENES,
    Main,
    Scene,
    crowded_limits,
    crowded_lines,
    crowded_programs,
    declared,
)
from population import Conversation, conversations
from troth.conformance.reference.compare import (
    CancelSession,
    Disturb,
    EndSession,
    Failed,
    HostAct,
)
from troth.dsl.compile import compile_source
from troth.vm.image import Image, Program
from troth.vm.image_codec import encode_image
from troth.vm.instructions import Spawn
from troth.vm.limits import Limits
from troth.vm.loaded import LoadedImage
from troth.vm.loader import load
from troth.vm.scheduling import Cooperative, Priority, RoundRobin, Scheduling
from troth.vm.trouble_kind import Trouble
from troth.vm.turn import EffectRequest
from troth.vm.values import RegisterValue

SEED: Final = 20250301
TOGETHER: Final = 40
FIRST: Final = "member"
POLICIES: Final = (
    *(Cooperative(), Cooperative(), RoundRobin()),
    Priority({"left": 2, "hub": 1}, 2),
)
VIEW: Final = """\
protocol VIEW(Host, Viewer):EDGE
    loop at Host:
        Host -> Viewer: frame(n: int) lossy

program VIEW_host(s: VIEW.Host, count: int, twist: int):
    for n in range(count):
        if twist == n:
            fail "no more pictures"
        send s.Viewer frame(n)
    send s.Viewer done()
    close s

program VIEW_viewer(s: VIEW.Viewer, twist: int):
    for nap in range(twist):
        yield
    loop:
        recv s.Host:
            frame(n):
                print str(twist // (n - twist))
            done():
                break
    close s
"""
VIEWS: Final[Mapping[str, str]] = {
    "View": "",
    "Latest": "\n    edge Host -> Viewer: buffer = latest",
    "Drops": "\n    edge Host -> Viewer: policy = drop",
}
PROGRAMS: Final = """\
effect price_of(name: str) -> int

protocol Rotating(A, B):
    edge A -> B: replay = nullifier, rotate = 2
    loop at A:
        A -> B: item(n: int)

protocol Consent(Viewer, Host):
    Viewer -> Host: may(n: int)
    choice at Host within 4ms:
        Host -> Viewer: yes(n: int)
    or:
        Host -> Viewer: no()
    timeout:
        Host -> Viewer: late()

program asker(s: Consent.Viewer, twist: int):
    send s.Host may(twist)
    recv s.Host:
        yes(n):
            print str(10 // (n - 1))
        no():
            pass
        late():
            print "too late"
    close s

program decider(s: Consent.Host, patience: int):
    recv s.Viewer may(n)
    within s:
        for nap in range(patience):
            yield
        if n > 3:
            send s.Viewer yes(n)
        else:
            send s.Viewer no()
    timeout:
        send s.Viewer late()
    close s

program teller(s: Rotating.A, count: int, twist: int):
    for n in range(count):
        send s.B item(n)
        if twist == n:
            fail "teller"
    send s.B done()
    close s

program listener(s: Rotating.B, twist: int):
    loop:
        recv s.A:
            item(n):
                if n == twist:
                    yield
            done():
                break
    close s

program shop(s: Job.Server, twist: int):
    recv s.Client ask(n)
    let price = call price_of(str(n + twist))
    send s.Client answer("costs " + str(price))
    close s
"""


PAIRS: Final = (
    *(("Left", "Right"), ("Client", "Server"), ("Dispatcher", "Worker"), ("Host", "Viewer")),
    *(("Buyer", "Seller"), ("A", "B")),
)
"""Roles between which somebody sends."""


class Member(NamedTuple):
    """One machine: its image, loaded and as bytes, and all that it runs with."""

    loaded: LoadedImage
    data: bytes
    limits: Limits
    quantum: int
    policy: Scheduling
    acts: Mapping[int, Sequence[HostAct]]
    round_ns: int

    @property
    def image(self) -> Image:
        return self.loaded.image


def answer(request: EffectRequest) -> RegisterValue | Failed:
    """What the host says to `price_of`: at times it does not know, or says nonsense."""
    name = str(request.arguments[0])
    match int(name) % 7:
        case 0:
            return Failed(f"nobody knows the price of {name}")
        case 1:
            return "not for sale"
        case price:
            return price


def drawn_member(number: int) -> Member:
    """One machine of the population."""
    rng = Random(SEED * 1_000 + number)
    loaded, data = _image(number)
    return Member(
        loaded,
        data,
        limits=crowded_limits(rng),
        quantum=rng.choice((1, 2, 7, 64)),
        policy=rng.choice(POLICIES),
        acts=_acts(rng) if rng.random() < 0.5 else {},
        round_ns=rng.choice((1_000, 1_000_000, 400_000_000)),
    )


@lru_cache(maxsize=2 * TOGETHER)
def _image(number: int) -> tuple[LoadedImage, bytes]:
    block, place = divmod(number, TOGETHER)
    image = _only_needed(_block(block), f"{FIRST}{place}")
    return load(image), encode_image(image)


def _only_needed(image: Image, first: str) -> Image:
    """A script of what `first` starts, and what that starts: the others would cost time."""
    needed = [place for place, program in enumerate(image.programs) if program.name == first]
    for place in needed:
        code = image.programs[place].code
        started = [step.program for step in code if isinstance(step, Spawn)]
        needed += [other for other in dict.fromkeys(started) if other not in needed]
    place_of = {old: new for new, old in enumerate(needed)}
    return replace(
        image, programs=tuple(_moved(image.programs[old], place_of) for old in needed), entry=0
    )


def _moved(program: Program, place_of: Mapping[int, int]) -> Program:
    code = (
        replace(step, program=place_of[step.program]) if isinstance(step, Spawn) else step
        for step in program.code
    )
    return replace(program, code=tuple(code))


@lru_cache(maxsize=2)
def _block(block: int) -> Image:
    """A library with the first programs of `TOGETHER` machines."""
    rng = Random(SEED + block)
    (conversation,) = conversations(rng, 1, [])
    views = [VIEW.replace("VIEW", name).replace("EDGE", edge) for name, edge in VIEWS.items()]
    texts = [crowded_programs(), *views, PROGRAMS, *declared(conversation)]
    for place in range(TOGETHER):
        lines = _first_program(rng, conversation if rng.random() < 0.3 else None)
        texts += [f"program {FIRST}{place}():", *lines]
    return compile_source("\n".join([*texts, ""]), f"block {block}")


def _first_program(rng: Random, conversation: Conversation | None) -> list[str]:
    main = Main(rng)
    count = rng.randint(8, 12) if rng.random() < 0.1 else rng.randint(2, 5)
    return crowded_lines(main, (*SCENES, *OWN_SCENES), count, conversation)


def _view(main: Main) -> None:
    host, viewer = main.names(2)
    protocol = main.rng.choice(list(VIEWS))
    settings = [f"capacity = {main.rng.randint(1, 3)}"]
    settings.append(main.rng.choice(("replay = nullifier", "replay = off")))
    settings += main.rng.choice(([], ["seal = round"]))
    main.opened.append(f"open {protocol} as {host}, {viewer} with {', '.join(settings)}")
    main.spawn(f"{protocol}_host", host, main.rng.randint(2, 6), main.twist())
    main.spawn(f"{protocol}_viewer", viewer, main.rng.choice((3, 7, 9)))


def _rotating(main: Main) -> None:
    a, b = main.names(2)
    main.opened.append(f"open Rotating as {a}, {b} with capacity = {main.rng.randint(1, 4)}")
    main.spawn("teller", a, main.rng.randint(0, 7), main.twist())
    main.spawn("listener", b, main.twist())


def _consent(main: Main) -> None:
    viewer, host = main.open("Consent", 2)
    main.spawn("asker", viewer, main.twist())
    main.spawn("decider", host, main.rng.randint(0, 9))


def _shop(main: Main) -> None:
    client, server = main.open("Job", 2)
    main.spawn("client", client, main.rng.randint(0, 20))
    main.spawn("shop", server, main.twist())


OWN_SCENES: Final[tuple[Scene, ...]] = (_view, _view, _rotating, _consent, _shop)


def _acts(rng: Random) -> Mapping[int, Sequence[HostAct]]:
    """What the host does after so many rounds, to the sessions that were opened first."""
    draws: Sequence[Callable[[Random, int], Sequence[HostAct]]]
    draws = (_cancels, _asks, _disturbs, _disturbs)
    acts: dict[int, Sequence[HostAct]] = {}
    for _ in range(3):
        after = rng.randrange(14)
        done = rng.choice(draws)(rng, rng.randrange(6))
        acts[after] = done
        parted = [act for act in done if isinstance(act, Disturb)]
        if parted and parted[0].trouble is Trouble.PARTITION:
            healed = [act._replace(trouble=Trouble.HEAL) for act in parted]
            acts[after + rng.randint(1, 9)] = healed
    return acts


def _cancels(_rng: Random, session: int) -> Sequence[HostAct]:
    return (CancelSession(session, "host"),)


def _asks(_rng: Random, session: int) -> Sequence[HostAct]:
    return (EndSession(session),)


def _disturbs(rng: Random, session: int) -> Sequence[Disturb]:
    """The same trouble for any roles that the session may have: it has one of these pairs."""
    # A message has to be in flight to be corrupted, which is not often so.
    what = rng.choice((*Trouble, Trouble.CORRUPT, Trouble.CORRUPT))
    if what in (Trouble.CRASH, Trouble.TIMEOUT):
        until_ns = rng.choice((5_000_000, 2_000_000_000)) if what is Trouble.TIMEOUT else None
        return [Disturb(session, what, rng.choice(pair), "", until_ns) for pair in PAIRS]
    return [
        Disturb(session, what, role, peer)
        for one, two in PAIRS
        for role, peer in ((one, two), (two, one))
    ]
