"""What is run beside the reference: machines of the population, and images of any other kind."""

from __future__ import annotations

import builders
from parity_population import drawn_member
from parity_samples import run_beside_reference
from troth.conformance.reference import Setup
from troth.conformance.reference.compare import Both
from troth.vm.image import Image
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.substitutes import NO_SUBSTITUTES, Substitutes


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
    """Runs one machine of the population on both sides, with a host that interferes."""
    return run_beside_reference(drawn_member(number), substitutes)
