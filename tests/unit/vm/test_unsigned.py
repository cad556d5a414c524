"""Messages that are signed at the end of their round: nobody can tell it from signing each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Final

import pytest

import builders
from crowded_machines import crowded_script
from parity_samples import Backwards
from troth.dsl.compile import compile_source
from troth.vm.buffer import Envelope
from troth.vm.errors import Unusable
from troth.vm.events import Event, Faulted, Received, Sent
from troth.vm.host_signer import HostSigner
from troth.vm.image import Image
from troth.vm.instructions import Seal
from troth.vm.loader import load
from troth.vm.machine import Machine
from troth.vm.run_lanes import Workers
from troth.vm.settings import Overrides
from troth.vm.shell_workers import ThreadWorkers

MESSAGE: Final = Overrides(seal=Seal.MESSAGE)
TALK: Final = """
protocol Talk(A, B):
    rec More:
        choice at A:
            A -> B: item(n: int)
            B -> A: seen(n: int)
            continue More
        or:
            A -> B: done()

program a(s: Talk.A):
    for n in range(6):
        send s.B item(n)
        recv s.B seen(m)
    send s.B done()
    close s

program b(s: Talk.B):
    loop:
        recv s.A:
            item(n):
                send s.A seen(n)
            done():
                break
    close s

main:
    for i in range(3):
        open Talk as x, y
        spawn a(x)
        spawn b(y)
"""
Between = Callable[[int, Machine], None]


def _machine(image: Image, signer: HostSigner, workers: Workers | None) -> Machine:
    return Machine(
        load(image),
        seed=builders.SEED,
        signer=signer,
        roster=signer,
        overrides=MESSAGE,
        workers=workers,
    )


def _events(
    image: Image,
    workers: Workers | None,
    between: Between | None = None,
    signer: HostSigner | None = None,
) -> list[Event]:
    machine = _machine(image, signer or builders.make_signer(), workers)
    machine.start()
    found: list[Event] = []
    for number in range(60):
        machine.run_round(0)
        found += machine.poll_events()
        if between is not None:
            between(number, machine)
    return found


def _change(number: int, how: Callable[[list[Envelope]], None]) -> Between:
    """Changes the first message in flight after a round."""

    def between(round_number: int, machine: Machine) -> None:
        if round_number != number:
            return
        for session in machine._scheduler.sessions.live.values():
            for edge in session.edges:
                if edge.buffer.messages:
                    how(edge.buffer.messages)
                    return

    return between


def _set(**changes: object) -> Callable[[list[Envelope]], None]:
    def how(messages: list[Envelope]) -> None:
        messages[0] = messages[0]._replace(**changes)  # type: ignore[arg-type]

    return how


def _copy(messages: list[Envelope]) -> None:
    messages.insert(0, messages[0])


def _equal(messages: list[Envelope]) -> None:
    """Another object with the same content is no forgery."""
    messages[0] = messages[0]._replace()


def _strange(messages: list[Envelope]) -> None:
    messages[0] = messages[0]._replace(signature=bytes(64))


CHANGES: Final = [
    (_set(payload=b"\x91\x07"), "vm.fault.verification"),
    (_set(label="done"), "vm.fault.verification"),
    (_set(sequence=7), "vm.fault.verification"),
    (_set(signature=b""), "vm.fault.verification"),
    (_strange, "vm.fault.verification"),
    (_copy, "vm.fault.replay.duplicate"),
    (_equal, None),
]


@pytest.mark.parametrize(("how", "code"), CHANGES)
@pytest.mark.parametrize("number", [2, 3, 4])
def test_what_is_put_in_the_place_of_a_message_is_refused_as_ever(
    how: Callable[[list[Envelope]], None], code: str | None, number: int
) -> None:
    image = compile_source(TALK, "talk.troth")
    between = _change(number, how)
    expected = _events(image, None, between)
    codes = [event.code for event in expected if isinstance(event, Faulted)]
    assert codes[:1] == ([] if code is None else [code])
    assert _events(image, Backwards(), between) == expected
    pool = ThreadWorkers(2)
    assert _events(image, pool, between) == expected
    pool.close()


ROTATES: Final = """
protocol Count(A, B):
    edge A -> B: replay = nullifier, rotate = 2
    loop at A:
        A -> B: item(n: int)

program a(s: Count.A):
    for n in range(7):
        send s.B item(n)
    send s.B done()
    close s

program b(s: Count.B):
    loop:
        recv s.A:
            item(n):
                print n
            done():
                break
    close s

main:
    open Count as x, y with capacity = 8
    spawn a(x)
    spawn b(y)
    open Count as v, w with capacity = 8
    spawn b(w)
    spawn a(v)
"""


def test_generations_in_one_buffer_are_told_apart() -> None:
    """Numbers begin anew in each, and several may wait for the end of a round together."""
    image = compile_source(ROTATES, "rotates.troth")
    expected = _events(image, None)
    assert not [event for event in expected if isinstance(event, Faulted)]
    assert len([event for event in expected if isinstance(event, Received)]) == 16
    assert _events(image, Backwards()) == expected


class Crooked(HostSigner):
    """Some of its signatures are not genuine."""

    def sign(self, principal: bytes, statement: bytes) -> bytes:
        made = super().sign(principal, statement)
        return bytes(64) if b"item" in statement and statement[-1] % 3 == 0 else made


def test_a_signature_that_is_not_genuine_is_refused_by_the_receiver() -> None:
    image = compile_source(TALK, "talk.troth")
    signer = Crooked({}, builders.KEY_SOURCE)
    expected = _events(image, None, signer=signer)
    assert "vm.fault.verification" in [e.code for e in expected if isinstance(e, Faulted)]
    assert _events(image, Backwards(), signer=signer) == expected


class Counted(HostSigner):
    made = 0

    def sign(self, principal: bytes, statement: bytes) -> bytes:
        self.made += b"item" in statement or b"seen" in statement
        return super().sign(principal, statement)


def test_a_message_of_an_earlier_round_is_signed_once_and_verified_once() -> None:
    image = compile_source(TALK, "talk.troth")
    signer = Counted({}, builders.KEY_SOURCE)
    events = _events(image, Backwards(), signer=signer)
    sent = [e for e in events if isinstance(e, Sent) and e.label in {"item", "seen"}]
    # Only what is received in the round of its sending is signed before its round ends, and again.
    assert len(sent) == 36
    assert len(sent) <= signer.made <= len(sent) + 3
    assert all(len(event.signature) == 64 for event in sent)
    assert sum(isinstance(event, Received) for event in events) == 39


class Lost(HostSigner):
    def sign(self, principal: bytes, statement: bytes) -> bytes:
        if b"seen" in statement:
            raise Unusable("key.missing", "the key is gone")
        return super().sign(principal, statement)


def test_a_signer_that_fails_ends_the_run_with_its_own_error() -> None:
    image = compile_source(TALK, "talk.troth")
    pool = ThreadWorkers(2)
    with pytest.raises(Unusable, match="the key is gone"):
        _events(image, pool, signer=Lost({}, builders.KEY_SOURCE))
    pool.close()


@pytest.mark.parametrize("number", range(8))
def test_snapshots_do_not_depend_on_the_runner(number: int) -> None:
    """Also in the middle of speculation, and of what is received in the round of its sending."""
    image = compile_source(crowded_script(Random(number)), "crowd.troth")
    signer = builders.make_signer()
    one = _machine(image, signer, None)
    other = _machine(image, signer, Backwards())
    one.start()
    other.start()
    for _ in range(40):
        assert one.run_round(0) == other.run_round(0)
        assert one.poll_events() == other.poll_events()
        assert one.snapshot() == other.snapshot()
        again = _machine(image, signer, Backwards())
        again.restore(one.snapshot())
        other = again


def test_every_part_is_shared_out_once() -> None:
    pool = ThreadWorkers(3)
    for count in (0, 1, 2, 3, 7, 100):
        done: list[int] = []

        def work(places: Iterator[int], done: list[int] = done) -> None:
            done.extend(places)

        pool.share(count, work)
        assert sorted(done) == list(range(count))
    pool.close()
