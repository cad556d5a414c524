"""The main job against its floor: running, recording and verifying the ring.

Not measured: start-up, compiling the script, disks (the artifact goes to a temporary folder).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measure import Ratio, paired
from benchmarks.workloads import VerifyLoop, ring_image, ring_messages, run_ring, sign_and_verify
from troth.conformance import verify


def measure(rounds: int, pairs: int) -> list[Ratio]:
    image = ring_image(rounds)
    messages = ring_messages(rounds)
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder) / "ring.replay"
        run_ring(image, record=artifact)
        return [
            paired(
                "run of ring.troth over a bare sign + verify loop (messages)",
                ">= 0.80",
                lambda: run_ring(image),
                lambda: sign_and_verify(messages),
                operations=messages,
                baseline_operations=messages,
                pairs=pairs,
            ),
            paired(
                "recorded run over the same run unrecorded (messages)",
                ">= 0.87, that is at most 15 % more time",
                lambda: run_ring(image, record=artifact),
                lambda: run_ring(image),
                operations=messages,
                baseline_operations=messages,
                pairs=pairs,
            ),
            paired(
                "verification at levels 1 to 4 over a bare loop of verifications (messages)",
                ">= 0.80",
                lambda: _verified(artifact),
                VerifyLoop(messages),
                operations=messages,
                baseline_operations=messages,
                pairs=pairs,
            ),
        ]


def _verified(artifact: Path) -> None:
    verdict = verify(artifact, replay=None)
    if verdict.exit_code != 5:
        raise AssertionError(f"the ring's artifact did not verify: {verdict}")
