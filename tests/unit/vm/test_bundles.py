"""Bundles in the machine: sessions that are opened and closed together."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from itertools import pairwise

import pytest

import builders as b
from troth.dsl.compile import compile_source
from troth.vm import events as ev
from troth.vm import statements
from troth.vm.assembly_read import assemble
from troth.vm.assembly_write import disassemble
from troth.vm.descriptor import BundleDescriptor
from troth.vm.errors import Invalid
from troth.vm.events import Status
from troth.vm.image import BundleChild, Image
from troth.vm.limits import Limits
from troth.vm.loader import load
from troth.vm.machine import Machine, MachineState
from troth.vm.shell_workers import ThreadWorkers

DECLARED = """
protocol Talk(Left, Right):
    Left -> Right: word(n: int)

bundle Both(A, B):
    there: Talk(A, B)
    back: Talk(B, A)
"""


def _image(main: str) -> Image:
    return compile_source(DECLARED + main, "both.troth")


def _run(image: Image, *, limits: Limits | None = None) -> tuple[Machine, list[ev.Event]]:
    signer = b.make_signer()
    machine = Machine(
        load(image),
        seed=b.SEED,
        signer=signer,
        roster=signer,
        limits=Limits() if limits is None else limits,
    )
    machine.start()
    while machine.run_round(0):
        pass
    return machine, machine.poll_events()


def _statuses(events: list[ev.Event]) -> list[tuple[int, Status, str]]:
    """The statuses by the number of the session, in order."""
    opened = [event.session for event in events if isinstance(event, ev.Opened)]
    return [
        (opened.index(event.session), event.status, event.detail)
        for event in events
        if isinstance(event, ev.StatusChanged)
    ]


PEACEFUL = """
program one(d: Both.A):
    send d.there.Right word(1)
    recv d.back.Left word(n)
    close d

program two(d: Both.B):
    send d.back.Right word(2)
    close d.back
    recv d.there.Left word(n)
    yield
    yield
    close d

main:
    open Both as a, b
    spawn one(a)
    spawn two(b)
"""


def test_a_bundle_opens_as_one_and_closes_with_its_last_notice() -> None:
    _, events = _run(_image(PEACEFUL))
    kinds = [type(event) for event in events]
    place = kinds.index(ev.BundleOpened)
    assert kinds[place + 1 : place + 3] == [ev.Opened, ev.Opened]
    assert kinds.count(ev.Opened) == 2
    noticed = [place for place, kind in enumerate(kinds) if kind is ev.Noticed]
    closed = [
        place
        for place, event in enumerate(events)
        if isinstance(event, ev.StatusChanged) and event.status is Status.CLOSED
    ]
    # `back` has all its notices long before `there`, and waits.
    assert len(noticed) == 4
    assert min(closed) > max(noticed)
    assert [max(closed), min(closed)] == [min(closed) + 1, min(closed)]
    closing = [(number, detail) for number, at, detail in _statuses(events) if at is Status.CLOSED]
    assert sorted(closing) == [(0, ""), (1, "")]


def test_the_ids_of_the_sessions_say_which_bundle_they_are_of() -> None:
    image = _image(PEACEFUL)
    _, events = _run(image)
    (bundle,) = [event for event in events if isinstance(event, ev.BundleOpened)]
    opened = [event for event in events if isinstance(event, ev.Opened)]
    described = BundleDescriptor(
        bundle.name,
        bundle.roles,
        bundle.principals,
        tuple((row.name, row.protocol_id, row.players) for row in bundle.children),
        bundle.nonce,
    )
    assert bundle.bundle == described.bundle
    assert bundle.nonce == statements.session_nonce(b.SEED, bundle.coroutine, 0)
    for event, row in zip(opened, bundle.children, strict=True):
        assert event.nonce == statements.child_nonce(bundle.bundle, row.name)
        keys = dict(zip(bundle.roles, bundle.principals, strict=True))
        assert event.principals == tuple(keys[player] for player in row.players)
    assert [row.players for row in bundle.children] == [("A", "B"), ("B", "A")]


ENDINGS = {
    "cancelled": ('cancel d "enough"', Status.CANCELLED, "enough"),
    "faulted": ('fail "broken"', Status.FAULTED, "vm.fault.fail"),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_what_ends_one_session_ends_the_others(name: str) -> None:
    act, status, detail = ENDINGS[name]
    machine, events = _run(
        _image(f"""
program one(d: Both.A):
    send d.there.Right word(1)
    yield
    {act}

program wait(s: Talk.Left):
    yield
    yield
    yield
    send s.Right word(1)
    close s

program two(d: Both.B):
    spawn wait(d.back)
    yield
    yield
    yield
    recv d.there.Left word(n)
    close d

main:
    open Both as a, b
    spawn one(a)
    spawn two(b)
""")
    )
    assert _statuses(events) == [(0, status, detail), (1, status, detail)]
    (undelivered,) = [event for event in events if isinstance(event, ev.Undelivered)]
    assert undelivered.sequence == 0
    assert machine.state is MachineState.FINISHED


def test_a_message_that_nobody_takes_keeps_the_whole_bundle_until_the_linger_time() -> None:
    image = _image("""
program one(d: Both.A):
    send d.there.Right word(1)
    recv d.back.Left word(n)
    close d

program two(d: Both.B):
    send d.back.Right word(2)
    recv d.there.Left word(n)
    close d

main:
    open Both as a, b with linger = 2s
    spawn one(a)
    spawn two(b)
""")
    signer = b.make_signer()
    machine = Machine(load(image), seed=b.SEED, signer=signer, roster=signer)
    machine.start()
    machine.run_round(0)
    events = machine.poll_events()
    first = next(event.session for event in events if isinstance(event, ev.Opened))
    deadline_ns = machine.end_session(first, 1_000)
    assert deadline_ns == 2_000_001_000
    assert machine.end_session(first, 5_000) == deadline_ns
    events += machine.poll_events()
    assert [status for _, status, _ in _statuses(events)] == [Status.DRAINING] * 2
    assert sum(isinstance(event, ev.EndAsked) for event in events) == 1
    machine.run_round(deadline_ns)
    events += machine.poll_events()
    over = "linger time is over; no notice of Left, Right"
    assert _statuses(events)[-2:] == [(0, Status.CLOSED, over), (1, Status.CLOSED, over)]


def test_a_bundle_that_does_not_fit_opens_nothing() -> None:
    _, events = _run(_image(PEACEFUL), limits=Limits(sessions_max=1))
    assert not [event for event in events if isinstance(event, ev.Opened | ev.BundleOpened)]
    (fault,) = [event for event in events if isinstance(event, ev.Faulted)]
    assert fault.code == "vm.fault.limit"


def test_the_threads_do_the_same_in_the_same_order() -> None:
    image = _image(PEACEFUL)
    alone = _run(image)[1]
    signer = b.make_signer()
    with closing(ThreadWorkers(3)) as workers:
        machine = Machine(load(image), seed=b.SEED, signer=signer, roster=signer, workers=workers)
        machine.start()
        while machine.run_round(0):
            pass
    assert machine.poll_events() == alone


def test_assembly_has_all_of_a_bundle() -> None:
    image = _image(PEACEFUL)
    text = disassemble(image)
    assert "bundle Both(A, B)\n  child there = Talk(0, 1)\n  child back = Talk(1, 0)" in text
    assert "open_bundle Both(" in text
    assert assemble(text, "both.asm") == image


def _spoilt(image: Image) -> dict[str, tuple[Image, str]]:
    (bundle,) = image.bundles
    there, back = bundle.children

    def with_(**changes: object) -> Image:
        return replace(image, bundles=(replace(bundle, **changes),))  # type: ignore[arg-type]

    return {
        "no protocol": (with_(children=(replace(there, protocol=7), back)), "image.bundle"),
        "one player twice": (
            with_(children=(replace(there, players=(0, 0)), back)),
            "image.bundle",
        ),
        "few players": (with_(children=(replace(there, players=(0,)), back)), "image.bundle"),
        "no such player": (with_(children=(replace(there, players=(0, 2)), back)), "image.bundle"),
        "no children": (with_(children=()), "image.bundle"),
        "too many": (
            with_(children=tuple(BundleChild(f"c{n}", 0, (0, 1)) for n in range(65))),
            "image.bundle",
        ),
        "an idle role": (with_(roles=("A", "B", "C")), "image.bundle"),
        "one role": (with_(roles=("A",)), "image.bundle"),
        "a role twice": (with_(roles=("A", "A")), "image.name"),
        "a child twice": (with_(children=(there, replace(back, name="there"))), "image.name"),
        "a protocol's name": (with_(name="Talk"), "image.name"),
        "fewer endpoints": (with_(children=(there,)), "image.arity"),
        "none": (replace(image, bundles=()), "image.operand"),
    }


@pytest.mark.parametrize("name", _spoilt(_image(PEACEFUL)))
def test_the_loader_refuses_a_bundle_that_does_not_fit(name: str) -> None:
    spoilt, code = _spoilt(_image(PEACEFUL))[name]
    with pytest.raises(Invalid) as caught:
        load(spoilt)
    assert caught.value.code == code


def test_one_session_after_another_keeps_its_order() -> None:
    """Two bundles of one coroutine have different ids, though everything else is the same."""
    _, events = _run(
        _image("""
program pass_on(d: Both.A):
    send d.there.Right word(1)
    recv d.back.Left word(n)
    close d

program back(d: Both.B):
    send d.back.Right word(2)
    recv d.there.Left word(n)
    close d

main:
    open Both as a, b
    spawn pass_on(a)
    spawn back(b)
    open Both as a, b
    spawn pass_on(a)
    spawn back(b)
""")
    )
    bundles = [event.bundle for event in events if isinstance(event, ev.BundleOpened)]
    sessions = [event.session for event in events if isinstance(event, ev.Opened)]
    assert len(set(bundles)) == 2
    assert len(set(sessions)) == 4
    assert all(one != other for one, other in pairwise(sessions))
