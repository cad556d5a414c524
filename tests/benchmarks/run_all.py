"""Runs the benchmarks and prints ratios; `--smoke` is a short run for CI, `--long` adds minutes.

A benchmark never fails on a number: it fails when what it runs does not work.
"""

from __future__ import annotations

import argparse

from benchmarks import (
    bench_aiortc,
    bench_batch,
    bench_effects,
    bench_event_socket,
    bench_generations,
    bench_lease_legs,
    bench_listener,
    bench_long_life,
    bench_main_job,
    bench_memory,
    bench_relay,
    bench_replay,
    bench_report,
    bench_resume,
    bench_round_seal,
    bench_sessions,
    bench_stream_evidence,
    bench_threads,
    bench_transport,
)
from benchmarks.measure import describe_machine, one_core


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a few seconds instead of minutes")
    parser.add_argument("--long", action="store_true", help="millions of events and sessions, too")
    arguments = parser.parse_args()
    smoke = arguments.smoke
    print(describe_machine())
    print(bench_batch.measure(files=40 if smoke else 1000, pairs=1 if smoke else 5))
    for line in bench_threads.measure(64, pairs=1 if smoke else 9):
        print(line)
    one_core()
    for ratio in bench_main_job.measure(rounds=200 if smoke else 1000, pairs=3 if smoke else 15):
        print(ratio.line())
    for ratio in bench_round_seal.measure(32 if smoke else 256, pairs=3 if smoke else 7):
        print(ratio.line())
    for ratio in bench_replay.measure(
        200 if smoke else 1000, 32 if smoke else 256, pairs=3 if smoke else 9
    ):
        print(ratio.line())
    for ratio in bench_effects.measure(16 if smoke else 64, pairs=3 if smoke else 9):
        print(ratio.line())
    for line in bench_effects.measure_overhead(20 if smoke else 200, pairs=3 if smoke else 9):
        print(line)
    for ratio in bench_resume.measure(
        200 if smoke else 1000, 32 if smoke else 256, pairs=3 if smoke else 7
    ):
        print(ratio.line())
    report, size = bench_report.measure(200 if smoke else 5000, pairs=3 if smoke else 9)
    print(report.line())
    print(size)
    for line in bench_relay.measure(500 if smoke else 10_000, 300, pairs=1 if smoke else 7):
        print(line)
    for line in bench_lease_legs.measure(
        10 if smoke else 60, 5 if smoke else 200, pairs=1 if smoke else 7
    ):
        print(line)
    for line in bench_listener.measure(
        50 if smoke else 1_000, 20 if smoke else 100, pairs=1 if smoke else 9
    ):
        print(line)
    for line in bench_memory.measure([1_000] if smoke else [10_000, 100_000]):
        print(line)
    print(bench_generations.measure(5_000 if smoke else 100_000))
    for line in bench_sessions.measure(
        [100, 1_000] if smoke else [100, 1_000, 10_000, 100_000], 200 if smoke else 1_000
    ):
        print(line)
    for line in bench_sessions.measure_life([100, 1_000] if smoke else [10_000, 100_000]):
        print(line)
    for line in bench_long_life.measure(1_000 if smoke else 50_000, points=2 if smoke else 5):
        print(line)
    for line in bench_event_socket.measure(1 if smoke else 6, pairs=3 if smoke else 15):
        print(line)
    for recorded in (False, True):
        print(bench_event_socket.memory_per_call(50 if smoke else 300, recorded=recorded))
    for line in bench_transport.figures(5 if smoke else 100):
        print(line)
    for ratio in bench_transport.measure(2 if smoke else 30, pairs=3 if smoke else 9):
        print(ratio.line())
    for line in bench_stream_evidence.measure(1 if smoke else 6, pairs=1 if smoke else 5):
        print(line)
    seconds, network = (1.0, bench_aiortc.SMOKE_NETWORK) if smoke else (12.0, "")
    for line in bench_aiortc.measure([1] if smoke else [1, 2, 3], seconds, network):
        print(line)
    if arguments.long:
        print(bench_memory.measure_long())
        for line in bench_long_life.measure(1_000_000):
            print(line)


if __name__ == "__main__":
    main()
