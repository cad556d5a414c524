"""What becomes of a snapshot: `python snapshot_future.py < FILE` says it in any Python.

The file has an image and a snapshot of a machine that runs it. What is printed is a digest of all
events to come and of the last state.
"""

from __future__ import annotations

import sys
from typing import Final

import msgpack
from blake3 import blake3

import builders
from artifact_surgery import key_pair
from troth.vm.errors import TrothError
from troth.vm.events import Event
from troth.vm.host_signer import HostSigner
from troth.vm.image import Image
from troth.vm.image_codec import encode_image
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.loader import load, load_bytes
from troth.vm.machine import Machine

ROUND_NS: Final = 1_000_000
"""A round takes a millisecond, so clocks run out."""


class Trusting:
    """Evidence that writes nothing: what is compared is what happens."""

    def extend(self, events: object, round_number: int) -> None:
        """Nothing is written."""

    def proofs(self) -> dict[object, object]:
        return {}


def signer_of(image: Image) -> HostSigner:
    """Always the same key for the same role."""
    named = [one.roles for one in image.protocols] + [one.roles for one in image.bundles]
    roles = {role for some in named for role in some}
    return HostSigner({role: key_pair(role) for role in sorted(roles)})


def machine_of(image: Image, limits: Limits = DEFAULT_LIMITS, quantum: int = 64) -> Machine:
    signer = signer_of(image)
    return Machine(
        load(image),
        seed=builders.SEED,
        signer=signer,
        roster=signer,
        limits=limits,
        quantum=quantum,
        evidence=Trusting(),  # type: ignore[arg-type]  # it believes everybody
    )


def step(machine: Machine) -> tuple[bool, str, list[Event], bytes]:
    """A round, whatever comes of it: also none, when the machine is at its end."""
    now_ns = machine.rounds * ROUND_NS
    deadline_ns = machine.deadline_ns()
    try:
        ran = machine.run_round(now_ns)
        if not ran and deadline_ns is not None:
            ran = machine.run_round(max(now_ns, deadline_ns))
        stopped = ""
    except TrothError as error:
        ran, stopped = False, error.code
    return ran, stopped, machine.poll_events(), machine.snapshot()


def packed(machine: Machine, image: Image) -> bytes:
    data: bytes = msgpack.packb([encode_image(image), machine.snapshot()])
    return data


def future(data: bytes) -> str:
    """What becomes of the snapshot: a digest of all events and of the last state."""
    image, taken = msgpack.unpackb(data)
    machine = machine_of(load_bytes(image).image)
    machine.restore(taken)
    digest = blake3()
    ran = True
    while ran:
        ran, _, events, last = step(machine)
        digest.update(repr(events).encode())
    digest.update(last)
    return digest.hexdigest()


if __name__ == "__main__":
    print(future(sys.stdin.buffer.read()))
