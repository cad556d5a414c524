"""Effects that overlap against the same effects one after the other.

What an effect does here is wait, as it would for another host: for a moment on the event loop, or
in a blocking call. The baseline is the same script with functions that are not concurrent. The
ratio can be at most the number of effects, or of worker threads.

Also what a single effect costs when it does nothing: called in place, on a worker, on the loop.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Final

from benchmarks.measure import Ratio, paired, seconds
from troth import dsl, vm
from troth.vm.shell_effect_threads import EFFECT_THREADS_MAX

WAIT_SECONDS: Final = 0.01

SCRIPT: Final = """\
effect ask(n: int) -> int

program asker(n: int):
    for i in range(ROUNDS):
        let answer = call ask(n)

main:
    for n in range(COUNT):
        spawn asker(n)
"""


def _image(count: int, rounds: int = 1) -> vm.Image:
    text = SCRIPT.replace("COUNT", str(count)).replace("ROUNDS", str(rounds))
    return dsl.compile_source(text, "effects.troth")


def _run(image: vm.Image, function: Callable[..., object]) -> None:
    result = vm.run(image, options=vm.RunOptions(effects={"ask": function}))
    assert result.ok


async def _wait(n: int) -> int:
    await asyncio.sleep(WAIT_SECONDS)
    return n


def _block(n: int) -> int:
    time.sleep(WAIT_SECONDS)
    return n


def _answer(n: int) -> int:
    return n


async def _answer_later(n: int) -> int:
    return n


@vm.effect(concurrent=True)
def _overlapping_block(n: int) -> int:
    return _block(n)


@vm.effect(concurrent=True)
def _answer_aside(n: int) -> int:
    return n


def measure(count: int, pairs: int) -> list[Ratio]:
    """`count` effects that wait; threads overlap at most `EFFECT_THREADS_MAX` of them."""
    image = _image(count)
    ratios = []
    for name, overlapping, most in (
        ("asynchronous", _wait, count),
        ("blocking", _overlapping_block, min(count, EFFECT_THREADS_MAX)),
    ):
        ratios.append(
            paired(
                f"{count} {name} effects of {WAIT_SECONDS * 1000:g} ms overlapped, over one "
                "after the other",
                f">= {most // 4}",
                lambda function=overlapping: _run(image, function),  # type: ignore[misc]
                lambda: _run(image, _block),
                operations=count,
                baseline_operations=count,
                pairs=pairs,
            )
        )
    return ratios


def measure_overhead(count: int, pairs: int) -> list[str]:
    """What an effect that does nothing costs more on another thread than in place."""
    image = _image(8, count)
    lines = []
    for name, function in (("a worker", _answer_aside), ("the event loop", _answer_later)):
        ratios = []
        for _ in range(pairs):
            here = seconds(lambda: _run(image, _answer))
            ratios.append(seconds(lambda: _run(image, function)) / here)  # noqa: B023
        lines.append(
            f"an effect that does nothing on {name}, over one in place: "
            f"{statistics.median(ratios):.2f} times as long ({pairs} pairs from "
            f"{min(ratios):.2f} to {max(ratios):.2f})"
        )
    return lines
