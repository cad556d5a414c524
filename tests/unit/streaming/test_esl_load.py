"""Many calls at once, some of them reset at random moments: all end, and nothing is left."""

from __future__ import annotations

import asyncio
import random
import resource
from collections import Counter
from collections.abc import Iterator

import pytest

from event_socket_loop import Reports, run, start
from troth.streaming.eventsocket import Call, CallHungUp, ConnectionEnded, Ending, HandlerEnd
from troth.streaming.eventsocket.testing import EndOrder, Fault, Script, call

SEED = 20261125
CALLS = 1_000
RESET_SHARE = 0.01
RANDOM_ENDS = (EndOrder.NATURAL, EndOrder.NOTICE_FIRST, EndOrder.NOTICE_TWICE)


def script_of(number: int, draw: random.Random) -> Script:
    fault = Fault.RESET if number % round(1 / RESET_SHARE) == 0 else None
    return Script(
        uuid=f"call-{number}",
        digits=(str(number),),
        fault=fault,
        fault_after_s=draw.uniform(0, 3),
        end=draw.choice(RANDOM_ENDS),
        hang_up_in=draw.choice((None, "playback")),
    )


@pytest.fixture
def many_files() -> Iterator[None]:
    """Both ends of every call are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4 * CALLS), hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
@pytest.mark.usefixtures("many_files")
def test_a_thousand_calls_of_which_one_in_a_hundred_is_reset() -> None:
    results: Counter[str] = Counter()

    async def handler(call: Call) -> None:
        try:
            await call.answer()
            digits = await call.play_and_get_digits("menu")
            assert call.uuid == f"call-{digits}"
            await call.playback("x", loops=2)
            await asyncio.sleep(0.5)
            await call.hangup()
            results["done"] += 1
        except (CallHungUp, ConnectionEnded) as error:
            results[error.code] += 1
            raise

    async def scenario() -> None:
        draw = random.Random(SEED)
        print(f"seed {SEED}")
        reports = Reports()
        async with await start(handler, reports) as server:
            scripts = [script_of(number, draw) for number in range(CALLS)]
            calls = await asyncio.gather(*(call(server.port, script) for script in scripts))
            await asyncio.gather(*(one.finished() for one in calls))
            await server.drained()
            assert server.sessions_open == 0
        endings = Counter(report.outcome.ending for report in reports)
        handlers = Counter(report.handler for report in reports)
        assert len(reports) == CALLS
        assert endings[Ending.RESET] >= 1
        assert set(endings) <= {Ending.LATCHED, Ending.RESET}
        assert endings[Ending.LATCHED] >= CALLS * (1 - RESET_SHARE)
        assert set(handlers) <= {
            HandlerEnd.RETURNED, HandlerEnd.ENDED_WITH_CALL, HandlerEnd.NOT_STARTED,
        }  # fmt: skip
        assert results.total() == handlers.total() - handlers[HandlerEnd.NOT_STARTED]

    run(scenario)
