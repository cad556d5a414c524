"""Where the time of a recorded run and of a verification goes, by function's own time."""

from __future__ import annotations

import cProfile
import io
import pstats
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.workloads import ring_image, run_ring
from troth.conformance import verify

ROWS = 18


def main() -> None:
    image = ring_image(1000)
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder) / "ring.replay"
        print("== recorded run of ring.troth")
        print(_profile(lambda: run_ring(image, record=artifact)))
        print("== verification of its artifact at levels 1 to 4")
        print(_profile(lambda: verify(artifact, replay=None)))


def _profile(work: Callable[[], object]) -> str:
    profiler = cProfile.Profile()
    profiler.runcall(work)
    out = io.StringIO()
    pstats.Stats(profiler, stream=out).strip_dirs().sort_stats("tottime").print_stats(ROWS)
    return out.getvalue()


if __name__ == "__main__":
    main()
