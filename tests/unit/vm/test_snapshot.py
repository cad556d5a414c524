"""A machine as bytes, and from them again: the same future, byte for byte."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Final

import msgpack
import pytest
from blake3 import blake3

import builders as b
from artifact_surgery import key_pair
from bundle_scripts import DESKTOP, TRIANGLE
from crowded_machines import crowded_limits, crowded_script
from spread_machines import Courier, Party
from troth.dsl.compile import compile_source
from troth.vm import snapshot
from troth.vm.errors import Malformed, TrothError, Unusable
from troth.vm.events import Event
from troth.vm.host_signer import HostSigner
from troth.vm.image import Image
from troth.vm.image_codec import encode_image
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.loader import load, load_bytes
from troth.vm.machine import Machine
from troth.vm.scheduler import Scheduler
from troth.vm.snapshot_table import NOT_SCHEDULED, SCHEDULED, STATES
from verify_samples import DROPS, GUARDED, LATEST, ROTATES, SPECULATIVE

TESTS: Final = Path(__file__).resolve().parents[2]
MEMBERS: Final = int(os.environ.get("TROTH_SNAPSHOT_MEMBERS", "8"))


class Trusting:
    """Evidence that writes nothing: what is compared is what happens."""

    def extend(self, events: object, round_number: int) -> None:
        """Nothing is written."""

    def proofs(self) -> dict[object, object]:
        return {}


def _signer(image: Image) -> HostSigner:
    """Always the same key for the same role."""
    named = [one.roles for one in image.protocols] + [one.roles for one in image.bundles]
    roles = {role for some in named for role in some}
    return HostSigner({role: key_pair(role) for role in sorted(roles)})


def _machine(image: Image, limits: Limits = DEFAULT_LIMITS, quantum: int = 64) -> Machine:
    signer = _signer(image)
    return Machine(
        load(image),
        seed=b.SEED,
        signer=signer,
        roster=signer,
        limits=limits,
        quantum=quantum,
        evidence=Trusting(),  # type: ignore[arg-type]  # it believes everybody
    )


def _step(machine: Machine, now_ns: int) -> tuple[bool, str, list[Event], bytes]:
    try:
        ran, stopped = machine.run_round(now_ns), ""
    except TrothError as error:
        ran, stopped = False, error.code
    return ran, stopped, machine.poll_events(), machine.snapshot()


def _compare(image: Image, limits: Limits = DEFAULT_LIMITS, quantum: int = 64) -> int:
    """After every round: the machine that was restored takes the next one as the first does.

    What it is after that is compared as a snapshot, so both have the same future.
    """
    first = _machine(image, limits, quantum)
    first.start()
    now_ns = 0
    for rounds in range(2_000):
        taken = first.snapshot()
        other = _machine(image, limits, quantum)
        other.restore(taken)
        assert other.snapshot() == taken
        pending = (first.poll_events(), other.poll_events())
        assert pending[0] == pending[1]
        after = _step(first, now_ns)
        assert _step(other, now_ns) == after, f"round {rounds}"
        if not after[0]:
            deadline_ns = first.deadline_ns()
            if after[1] or deadline_ns is None:
                assert other.outcome() is first.outcome()
                assert other.report().describe() == first.report().describe()
                return rounds
            now_ns = deadline_ns
    raise AssertionError("the machine never comes to its end")


@pytest.mark.parametrize(
    "script", [LATEST, DROPS, ROTATES, GUARDED, SPECULATIVE, DESKTOP, TRIANGLE]
)
def test_at_every_round_of_an_example(script: str) -> None:
    assert _compare(compile_source(script, "example"), quantum=3) > 2


def test_at_every_round_of_generated_machines() -> None:
    """`TROTH_SNAPSHOT_MEMBERS` says how many machines."""
    rounds = 0
    for number in range(MEMBERS):
        rng = Random(7_000 + number)
        image = compile_source(crowded_script(rng), f"member {number}")
        rounds += _compare(image, crowded_limits(rng), rng.choice((1, 2, 7, 64)))
    print(f"{MEMBERS} machines of seed 7000, restored after each of {rounds} rounds")
    assert rounds > 5 * MEMBERS


OTHER_PROCESS: Final = """
import sys
sys.path.insert(0, sys.argv[1])
sys.path.insert(0, sys.argv[1] + "/unit/vm")
from test_snapshot import future
print(future(sys.stdin.buffer.read()))
"""


def future(packed: bytes) -> str:
    """What becomes of a snapshot and its image: a digest of all events and of the last state."""
    data, taken = msgpack.unpackb(packed)
    loaded = load_bytes(data)
    signer = _signer(loaded.image)
    machine = Machine(
        loaded,
        seed=b.SEED,
        signer=signer,
        roster=signer,
        evidence=Trusting(),  # type: ignore[arg-type]
    )
    machine.restore(taken)
    digest = blake3()
    while machine.run_round(0):
        digest.update(repr(machine.poll_events()).encode())
    digest.update(machine.snapshot())
    return digest.hexdigest()


def test_in_another_process_with_other_hashes() -> None:
    image = compile_source(DESKTOP, "desktop")
    machine = _machine(image)
    machine.start()
    for _ in range(3):
        machine.run_round(0)
    packed = msgpack.packb([encode_image(image), machine.snapshot()])
    here = future(packed)
    for seed in ("0", "1", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", OTHER_PROCESS, str(TESTS)],
            input=packed,
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


def test_damage_and_mistakes_are_told() -> None:
    image = compile_source(DESKTOP, "desktop")
    machine = _machine(image)
    machine.start()
    taken = machine.snapshot()
    for spoilt, code in (
        (b"", "snapshot.form"),
        (taken[:-1], "snapshot.damaged"),
        (taken[:40] + bytes([taken[40] ^ 1]) + taken[41:], "snapshot.damaged"),
    ):
        with pytest.raises(Malformed) as caught:
            _machine(image).restore(spoilt)
        assert caught.value.code == code
    with pytest.raises(Unusable) as other_image:
        _machine(compile_source(TRIANGLE, "triangle")).restore(taken)
    assert other_image.value.code == "snapshot.image"
    with pytest.raises(Unusable) as other_terms:
        _machine(image, quantum=7).restore(taken)
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
    machine = _machine(image)
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
            _machine(image).restore(_sealed(said))
        except (Malformed, Unusable):
            refused += 1
    assert refused > 50
