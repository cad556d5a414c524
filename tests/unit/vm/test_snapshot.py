"""A machine as bytes, and from them again: the same future, byte for byte."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Final

import msgpack
import pytest
from blake3 import blake3

from bundle_scripts import DESKTOP, TRIANGLE
from crowded_machines import crowded_limits, crowded_script
from lossy_scripts import KEYS_FIRST
from population import Conversation
from population_campaign import member
from snapshot_future import future, machine_of, packed, step
from spread_machines import Courier, Party
from timed_scripts import YIELDS
from troth.dsl.compile import compile_source
from troth.vm import snapshot
from troth.vm.errors import Malformed, Unusable
from troth.vm.events import Event
from troth.vm.image import Image
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.loader import load
from troth.vm.machine import Machine
from troth.vm.scheduler import Scheduler
from troth.vm.snapshot_table import NOT_SCHEDULED, SCHEDULED, STATES
from verify_samples import DROPS, GUARDED, LATEST, ROTATES, SPECULATIVE

TESTS: Final = Path(__file__).resolve().parents[2]
MEMBERS: Final = int(os.environ.get("TROTH_SNAPSHOT_MEMBERS", "5"))


CLOCKS: Final = YIELDS.replace("PATIENCE", "9")
LOSES_AND_ROTATES: Final = KEYS_FIRST.format(more=", rotate = 3, buffer = latest")


def _compare(image: Image, limits: Limits = DEFAULT_LIMITS, quantum: int = 64) -> list[Event]:
    """After every round: the machine that was restored takes the next one as the first does.

    What it is after that is compared as a snapshot, so both have the same future. Returns what
    happened.
    """
    first = machine_of(image, limits, quantum)
    first.start()
    happened: list[Event] = []
    while first.rounds < 2_000:
        taken = first.snapshot()
        other = machine_of(image, limits, quantum)
        other.restore(taken)
        assert other.snapshot() == taken
        pending = (first.poll_events(), other.poll_events())
        assert pending[0] == pending[1]
        after = step(first)
        assert step(other) == after, f"round {first.rounds}"
        ran, _, events, _ = after
        happened += events
        if not ran:
            assert other.outcome() is first.outcome()
            assert other.report().describe() == first.report().describe()
            return happened
    raise AssertionError("the machine never comes to its end")


@pytest.mark.parametrize(
    "script",
    [LATEST, DROPS, ROTATES, LOSES_AND_ROTATES, GUARDED, SPECULATIVE, DESKTOP, TRIANGLE, CLOCKS],
)
def test_at_every_round_of_an_example(script: str) -> None:
    assert len(_compare(compile_source(script, "example"), quantum=3)) > 10


def test_at_every_round_of_generated_machines() -> None:
    """`TROTH_SNAPSHOT_MEMBERS` says how many machines."""
    happened: Counter[str] = Counter()
    for number in range(MEMBERS):
        rng = Random(7_000 + number)
        image = compile_source(crowded_script(rng), f"member {number}")
        events = _compare(image, crowded_limits(rng), rng.choice((1, 2, 7, 64)))
        happened.update(type(event).__name__ for event in events)
    _told(f"{MEMBERS} machines of seed 7000", happened, "BundleOpened", "Faulted")
    assert happened.total() > 50 * MEMBERS


def test_at_every_round_of_generated_conversations() -> None:
    """With clocks, losses, and bundles; three of them for each machine above."""
    happened: Counter[str] = Counter()
    for number in range(3 * MEMBERS):
        image = compile_source(_with_clocks(number).script(), f"conversation {number}")
        events = _compare(image, quantum=(1, 3, 64)[number % 3])
        happened.update(type(event).__name__ for event in events)
    kinds = ("TimerStarted", "TimerExpired", "BundleOpened")
    _told(f"{3 * MEMBERS} conversations", happened, *kinds)


def _with_clocks(number: int) -> Conversation:
    """The first from this place of the population on that has some."""
    return next(
        one for n in range(100) if "within" in (one := member(100 * number + n, [])).protocol
    )


def _told(what: str, happened: Counter[str], *kinds: str) -> None:
    """Prints it; some of each of these kinds of events have to be there."""
    seen = {kind: happened[kind] for kind in kinds}
    print(f"{what}: {happened.total()} events, among them {seen}")
    assert min(seen.values()) > 0


@pytest.mark.parametrize("script", [DESKTOP, CLOCKS])
def test_in_another_process_with_other_hashes(script: str) -> None:
    image = compile_source(script, "other")
    machine = machine_of(image)
    machine.start()
    for _ in range(3):
        step(machine)
    data = packed(machine, image)
    here = future(data)
    for seed in ("0", "1", "4242"):
        done = subprocess.run(
            [sys.executable, str(TESTS / "snapshot_future.py")],
            input=data,
            capture_output=True,
            check=True,
            timeout=120,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert done.stdout.decode().strip() == here


def test_a_machine_with_others_is_restored_in_the_middle() -> None:
    """One of two machines is replaced by its snapshot after each of its first steps."""
    image = compile_source(DESKTOP, "desktop")
    parties = [
        Party(image, (role,), bytes([n + 1]) * 32) for n, role in enumerate(("Host", "Client"))
    ]
    courier = Courier(parties)
    step = parties[0].step
    swaps = 0

    def step_and_swap() -> bool:
        nonlocal swaps
        ran = step()
        party = parties[0]
        taken = party.machine.snapshot()
        fresh = Machine(
            load(image),
            seed=bytes([1]) * 32,
            signer=party.keys,
            roster=party.keys,
            evidence=party.recorder,
            home=party.home,
        )
        fresh.restore(taken)
        assert fresh.snapshot() == taken
        party.machine = fresh
        swaps += 1
        return ran

    parties[0].step = step_and_swap  # type: ignore[method-assign]
    courier.run()
    assert swaps > 5
    for party in parties:
        party.finish()
        assert party.verdict().exit_code == 0, party.verdict().findings
    assert parties[1].printed


def test_the_table_has_every_part_of_a_machine() -> None:
    """Whoever adds a part decides whether a snapshot has it."""
    assert set(SCHEDULED) | set(NOT_SCHEDULED) == set(Scheduler.__slots__)
    assert not set(SCHEDULED) & set(NOT_SCHEDULED)
    assert all(snapshot.slots_of(kind) for kind in STATES)


def test_a_machine_that_its_host_plays_has_none() -> None:
    """Where Python plays a role there is no program to go on with."""
    machine = machine_of(compile_source(TRIANGLE, "triangle"))
    machine.play("A", 4)
    with pytest.raises(Unusable) as refused:
        machine.snapshot()
    assert refused.value.code == "snapshot.played"


def test_damage_and_mistakes_are_told() -> None:
    image = compile_source(DESKTOP, "desktop")
    machine = machine_of(image)
    machine.start()
    taken = machine.snapshot()
    for spoilt, code in (
        (b"", "snapshot.form"),
        (taken[:-1], "snapshot.damaged"),
        (taken[:40] + bytes([taken[40] ^ 1]) + taken[41:], "snapshot.damaged"),
    ):
        with pytest.raises(Malformed) as caught:
            machine_of(image).restore(spoilt)
        assert caught.value.code == code
    with pytest.raises(Unusable) as other_image:
        machine_of(compile_source(TRIANGLE, "triangle")).restore(taken)
    assert other_image.value.code == "snapshot.image"
    with pytest.raises(Unusable) as other_terms:
        machine_of(image, quantum=7).restore(taken)
    assert other_terms.value.code == "snapshot.terms"
    with pytest.raises(Unusable) as started:
        machine.restore(taken)
    assert started.value.code == "machine.started"


def _sealed(said: object) -> bytes:
    packed: bytes = msgpack.packb(said)
    digest = blake3(packed, derive_key_context="troth/v1 snapshot").digest()
    return snapshot.MAGIC + packed + digest


def test_what_somebody_made_up_is_an_error_and_nothing_else() -> None:
    image = compile_source(DESKTOP, "desktop")
    machine = machine_of(image)
    machine.start()
    machine.run_round(0)
    taken = machine.snapshot()
    rng = Random(3)
    refused = 0
    for _ in range(200):
        said = msgpack.unpackb(taken[len(snapshot.MAGIC) : -32])
        part = rng.choice((3, 6))
        place = rng.randrange(len(said[part]))
        said[part][place] = rng.choice((None, 7, [], [99, 1], [8, 10**6], [7, 0, [1]], "x"))
        try:
            machine_of(image).restore(_sealed(said))
        except (Malformed, Unusable):
            refused += 1
    assert refused > 50
