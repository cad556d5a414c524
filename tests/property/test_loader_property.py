"""What the loader accepts runs without a fault that it promises to keep out.

Images are spoilt at random: numbers, names and whole parts of them are changed, dropped, repeated
and swapped. Each is refused with a typed error, or runs; and then no program talks out of turn,
uses a register that is not set, or ends with an unfinished endpoint.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from random import Random
from typing import Any, Final

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_machine
from builders import run as run_machine
from troth.dsl.compile import compile_source
from troth.vm.errors import Invalid, LimitExceeded, Malformed
from troth.vm.events import Event, Faulted, Spawned
from troth.vm.image import Image
from troth.vm.image_codec import decode_image, encode_image, encode_protocol
from troth.vm.limits import Limits
from troth.vm.loader import load
from troth.vm.values import Record

SCRIPT: Final = """
type P = {x: int, tags: list[str]}
effect pick(xs: list[int]) -> P

protocol J(A, B):
    rec L:
        choice at A:
            A -> B: go(p: P, xs: list[int])
            B -> A: ok(f: float, b: bytes)
            continue L
        or:
            A -> B: stop()

protocol H(C, D):
    C -> D: give(j: J.B)

program a(s: J.A, n: int):
    let xs = [1, 2]
    let p = {tags: ["a"], x: 1}
    let i = 0
    while i < n and (len(xs) > 0 or not (i == 3)):
        send s.B go(p, [])
        recv s.B ok(f, b)
        if f > 1 and b == b"x":
            p = call pick(xs)
        elif i == 2:
            xs = xs + [i]
        else:
            let q = p.tags[0]
            print q
        i = i + 1
        if i == 77:
            fail "seventy seven"
    send s.B stop()
    close s

program b(s: J.B):
    loop:
        recv s.A:
            go(p, xs):
                send s.A ok(len(xs) / 2, b"x")
            stop():
                break
    close s

program d(h: H.D):
    recv h.C give(j)
    close h
    spawn b(j)

program c(h: H.C, j: J.B):
    send h.D give(j)
    close h

main:
    for k in range(2):
        open J as x, y with replay = sequence
        open H as u, v
        spawn a(x, 3)
        if k == 1:
            cancel v "no"
            cancel u "no"
            spawn b(y)
        else:
            spawn c(u, y)
            spawn d(v)
"""
COMPILED: Final = compile_source(SCRIPT, "right.troth")
# Without line numbers, or most changes would only be found not to fit them.
IMAGE: Final = replace(
    COMPILED, programs=tuple(replace(program, lines=()) for program in COMPILED.programs)
)
PROTOCOLS: Final = [encode_protocol(item) for item in IMAGE.protocols]
NAMES: Final = (
    *("A", "B", "C", "D", "J", "H", "go", "ok", "stop", "give", "pick"),
    *("p", "xs", "f", "b", "add", "eq", "len", "list", "index"),
)
LIMITS: Final = Limits(
    sessions_max=20, coroutines_max=60, instructions_max=2_000, value_bytes_max=10_000
)

POSSIBLE: Final = frozenset(
    f"vm.fault.{kind}"
    for kind in ("arithmetic", "channel", "credits", "fail", "index", "invoke", "limit", "open")
)
"""Faults of right programs: numbers, ends of sessions, limits, effects, settings of the run."""


def _parts(row: Any, found: list[tuple[list[Any], int]]) -> list[tuple[list[Any], int]]:
    """Every place of every array below, as (array, index)."""
    for place, item in enumerate(row):
        found.append((row, place))
        if isinstance(item, list):
            _parts(item, found)
    return found


def _spoil(rng: Random) -> bytes:
    rows = msgpack.unpackb(encode_image(IMAGE))
    # Mostly the programs: changes to a protocol alone rarely leave its sides in agreement.
    part = rows[3] if rng.random() < 0.8 else rows
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = _parts(part, [])
        row, place = rng.choice(places)
        item = row[place]
        match rng.randrange(6):
            case 0 if isinstance(item, list):
                row[place] = deepcopy(rng.choice(places)[0])
            case 1:
                del row[place]
            case 2:
                row.insert(place, deepcopy(item))
            case 3:
                other = rng.randrange(len(row))
                row[place], row[other] = row[other], item
            case 4 if isinstance(item, str):
                row[place] = rng.choice(NAMES)
            case _ if type(item) is int:
                row[place] = item + rng.choice((-2, -1, 1, 2))
    packed: bytes = msgpack.packb(rows)
    return packed


def _run(image: Image) -> list[Event]:
    machine = make_machine(image, limits=LIMITS, quantum=16)
    picked = Record((("tags", ("t",)), ("x", 1)))
    return run_machine(machine, {"pick": lambda *_: picked}, rounds_max=5_000)


def test_the_right_image_runs_without_a_fault() -> None:
    load(IMAGE)
    assert not [event for event in _run(IMAGE) if isinstance(event, Faulted)]


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 2**64))
def test_a_spoilt_image_is_refused_or_keeps_its_promises(seed: int) -> None:
    try:
        image = decode_image(_spoil(Random(seed)))
        loaded = load(image)
    except (Invalid, Malformed, LimitExceeded):
        return
    assert loaded.image == image
    if image.entry is None or any(effect.name != "pick" for effect in image.effects):
        return
    if [encode_protocol(item) for item in image.protocols] != PROTOCOLS:
        # Two sides that agree on labels alone may still wait for each other for ever.
        return
    _check_run(image)


def _check_run(image: Image) -> None:
    events = _run(image)
    assert any(isinstance(event, Spawned) for event in events)
    impossible = [
        event for event in events if isinstance(event, Faulted) and event.code not in POSSIBLE
    ]
    assert not impossible


def test_enough_spoilt_images_run() -> None:
    """The property says something only if many of the spoilt images are accepted."""
    accepted = 0
    for seed in range(300):
        try:
            load(decode_image(_spoil(Random(seed))))
        except (Invalid, Malformed, LimitExceeded):
            continue
        accepted += 1
    assert accepted >= 30


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 2**32))
def test_any_bytes_in_an_image(noise: bytes, seed: int) -> None:
    rng = Random(seed)
    data = encode_image(IMAGE)
    place = rng.randrange(len(data))
    end = min(len(data), place + rng.choice((0, len(noise))))
    try:
        load(decode_image(data[:place] + noise + data[end:]))
    except (Invalid, Malformed, LimitExceeded):
        return
