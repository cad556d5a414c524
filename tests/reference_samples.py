"""Machines to be run beside the reference: drawn ones, and the examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Final

import builders
from crowded_machines import crowded_limits, crowded_script
from population import Conversation, conversations
from troth.conformance.reference import Setup, run_both
from troth.conformance.reference.compare import Both, CancelSession, EndSession, HostAct
from troth.dsl.compile import compile_source
from troth.vm.image import Image
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.loader import load
from troth.vm.substitutes import NO_SUBSTITUTES, Substitutes

SEED: Final = 20250714
POLICIES: Final = ("cooperative", "cooperative", "round-robin", "priority aging=2 hub=1 left=2")


def setup_of(image: Image, limits: Limits = DEFAULT_LIMITS) -> Setup:
    keys = builders.make_signer()
    return Setup(
        image=image,
        seed=builders.SEED,
        signer=keys,
        roster=keys,
        limits=limits,
        seals_rounds=True,
    )


def member(number: int, substitutes: Substitutes = NO_SUBSTITUTES) -> Both:
    """Runs one machine of the population on both sides.

    It has many sessions, delegation, guards, speculation, faults and cancellations; every third
    has a whole generated conversation, too, and every other a host that interferes.
    """
    rng = Random(SEED + number)
    conversation: Conversation | None = None
    if number % 3 == 0:
        (conversation,) = conversations(rng, 1, [])
    image = compile_source(crowded_script(rng, conversation), f"member {number}")
    setup = replace(
        setup_of(image, crowded_limits(rng)),
        quantum=rng.choice((1, 2, 7, 64)),
        policy=rng.choice(POLICIES),
    )
    return run_both(
        load(image),
        setup,
        acts=_acts(rng) if number % 2 else None,
        round_ns=rng.choice((0, 1_000, 400_000_000)),
        substitutes=substitutes,
    )


def _acts(rng: Random) -> Mapping[int, Sequence[HostAct]]:
    acts: dict[int, Sequence[HostAct]] = {}
    for _ in range(3):
        session = rng.randrange(4)
        act = CancelSession(session, "host") if rng.random() < 0.5 else EndSession(session)
        acts[rng.randrange(14)] = (act,)
    return acts
