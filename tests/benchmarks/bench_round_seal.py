"""Sealing by round: two principals share many sessions, against signing every message.

The floor is what authenticating each message costs at least when each is signed and verified by
itself; the logs of round seals replace that by hashing. Recorded runs, artifact included.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measure import Ratio, paired
from benchmarks.workloads import (
    run_streams,
    sign_and_verify,
    streams_image,
    streams_messages,
)
from troth.conformance import verify
from troth.vm.instructions import ReplayMode, Seal

FLOOR_MESSAGES = 4_000


def measure(sessions: int, pairs: int) -> list[Ratio]:
    image, messages = streams_image(sessions), streams_messages(sessions)
    goals = {ReplayMode.SEQUENCE: ">= 3", ReplayMode.NULLIFIER: ">= 2"}
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder) / "streams.replay"
        ratios = [
            paired(
                f"{sessions} sessions sealed by round, {mode}, recorded, over a bare sign + verify "
                "loop (messages)",
                goal,
                lambda mode=mode: run_streams(  # type: ignore[misc]
                    image, replay=mode, seal=Seal.ROUND, record=artifact
                ),
                lambda: sign_and_verify(FLOOR_MESSAGES),
                operations=messages,
                baseline_operations=FLOOR_MESSAGES,
                pairs=pairs,
            )
            for mode, goal in goals.items()
        ]
        run_streams(image, replay=ReplayMode.SEQUENCE, seal=Seal.ROUND, record=artifact)
        ratios.append(
            paired(
                "verification at levels 1 to 4 of that artifact, over making it (events)",
                "at least 100,000 events a second",
                lambda: _verified(artifact),
                lambda: run_streams(
                    image, replay=ReplayMode.SEQUENCE, seal=Seal.ROUND, record=artifact
                ),
                operations=2 * messages,
                baseline_operations=2 * messages,
                pairs=pairs,
            )
        )
    return ratios


def _verified(artifact: Path) -> None:
    verdict = verify(artifact, replay=None)
    if verdict.exit_code != 5:
        raise AssertionError(f"the artifact did not verify: {verdict}")
