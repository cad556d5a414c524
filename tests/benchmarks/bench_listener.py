"""A listener with many links: what a datagram for one of them costs, beside the same among few."""

from __future__ import annotations

import gc
import statistics

from benchmarks.measure import seconds
from link_crowd import Crowd

FEW = 10


def measure(links: int, datagrams: int, pairs: int) -> list[str]:
    """Receive, look at the deadlines, do what is due, and take what is to be sent."""
    few, many = Crowd(FEW), Crowd(links)
    gc.collect()
    gc.freeze()  # a collector that walks the crowd is not what is measured
    times = [(_turns(few, datagrams), _turns(many, datagrams)) for _ in range(pairs)]
    gc.unfreeze()
    ratios = [much / little for little, much in times]
    cost_us = statistics.median(much for _, much in times) * 1e6
    return [
        f"listener, a datagram among {links} links over one among {FEW}: ratio "
        f"{statistics.median(ratios):.3f} (goal <= 1.5; {pairs} pairs from {min(ratios):.3f} to "
        f"{max(ratios):.3f}); {cost_us:.1f} us each"
    ]


def _turns(crowd: Crowd, count: int) -> float:
    words = [crowd.word_for(number % FEW)[1] for number in range(count)]

    def work() -> None:
        for word in words:
            crowd.turn(word)

    return seconds(work) / count


if __name__ == "__main__":
    print("\n".join(measure(links=1_000, datagrams=100, pairs=9)))
