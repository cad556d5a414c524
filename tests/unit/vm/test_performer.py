"""Effects side by side: who overlaps with whom, in which order they end, and what stops them.

Nothing here sleeps. That effects overlap is shown by a barrier that they only pass together, and
an effect that never ends waits for an event that the test sets when it is over.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest

from troth import vm
from troth.vm.image import Effect, Image
from troth.vm.shell_blobs import MemoryBlobStore
from troth.vm.shell_effect_threads import EFFECT_THREADS_MAX
from troth.vm.shell_effects import bind_effects
from troth.vm.shell_performer import EffectPerformer, Finished
from troth.vm.turn import EffectRequest
from troth.vm.types import Field, Primitive

INT: Final = Primitive.INT
SECONDS_MAX: Final = 60
"""Only there so that a test that would wait for ever fails."""


class Effects:
    """A performer, and requests for the effects that it was given functions for."""

    def __init__(self, functions: Mapping[str, object], **options: Any) -> None:
        declared = tuple(Effect(name, (Field("n", INT),), INT) for name in functions)
        bound = bind_effects(Image((), declared, (), None), functions, "the test")
        self.performer = EffectPerformer(bound, blobs=MemoryBlobStore(), **options)
        self.index = {name: index for index, name in enumerate(functions)}
        self.count = 0

    def request(self, name: str, argument: int = 0) -> EffectRequest:
        self.count += 1
        identity = self.count.to_bytes(16, "big")
        return EffectRequest(identity, bytes(16), self.index[name], name, (argument,))

    def start(self, *asked: tuple[str, int]) -> None:
        self.performer.start([self.request(name, argument) for name, argument in asked])

    def all(self) -> list[Finished]:
        finished = []
        while self.performer.outstanding:
            self.performer.wait()
            finished += self.performer.poll()
        return finished

    def values(self) -> list[object]:
        return [one.failure or one.value for one in self.all()]


@pytest.fixture
def effects() -> Iterator[Callable[..., Effects]]:
    made: list[Effects] = []

    def make(**functions: object) -> Effects:
        made.append(Effects(functions))
        return made[-1]

    yield make
    for one in made:
        one.performer.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a function waits for that ends only after the test."""
    event = threading.Event()
    yield event
    event.set()


Make = Callable[..., Effects]


# --- order ---------------------------------------------------------------------------------


def test_ordinary_functions_are_called_here_one_after_the_other(effects: Make) -> None:
    seen: list[tuple[int, int]] = []

    def ask(n: int) -> int:
        seen.append((n, threading.get_ident()))
        return n + 1

    made = effects(ask=ask)
    made.start(("ask", 3), ("ask", 1), ("ask", 2))
    assert seen == []
    assert made.performer.serial_outstanding == 3
    assert [one.value for one in made.performer.poll()] == [4, 2, 3]
    here = threading.get_ident()
    assert seen == [(3, here), (1, here), (2, here)]
    assert (made.performer.outstanding, made.performer.serial_outstanding) == (0, 0)
    assert made.performer.poll() == []
    made.performer.wait()


@pytest.mark.parametrize("kind", ["worker", "loop"])
def test_concurrent_effects_overlap(effects: Make, kind: str) -> None:
    """Each of them waits until all have begun."""
    count = 8
    barrier = threading.Barrier(count, timeout=SECONDS_MAX)
    begun = 0
    all_begun = asyncio.Event()

    @vm.effect(concurrent=True)
    def block(n: int) -> int:
        barrier.wait()
        return n

    async def turn(n: int) -> int:
        nonlocal begun
        begun += 1
        if begun == count:
            all_begun.set()
        await all_begun.wait()
        return n

    made = effects(ask=block if kind == "worker" else turn)
    made.start(*[("ask", n) for n in range(count)])
    assert made.performer.serial_outstanding == 0
    finished = made.values()
    assert sorted(finished, key=str) == list(range(count))


def test_concurrent_effects_are_under_way_while_an_ordinary_one_is_called(effects: Make) -> None:
    barrier = threading.Barrier(3, timeout=SECONDS_MAX)

    @vm.effect(concurrent=True)
    def aside(n: int) -> int:
        barrier.wait()
        return n

    async def turn(n: int) -> int:
        await asyncio.get_running_loop().run_in_executor(None, barrier.wait)
        return n

    def here(n: int) -> int:
        barrier.wait()
        return n

    made = effects(aside=aside, turn=turn, here=here)
    made.start(("here", 1), ("aside", 2), ("turn", 3))
    assert sorted(made.values(), key=str) == [1, 2, 3]


def test_what_ends_first_is_given_first(effects: Make) -> None:
    gates = [threading.Event() for _ in range(3)]

    @vm.effect(concurrent=True)
    def ask(n: int) -> int:
        assert gates[n].wait(SECONDS_MAX)
        return n

    made = effects(ask=ask)
    made.start(("ask", 0), ("ask", 1), ("ask", 2))
    given = []
    for n in (2, 0, 1):
        gates[n].set()
        made.performer.wait()
        given += [one.value for one in made.performer.poll()]
    assert given == [2, 0, 1]


@pytest.mark.parametrize("kind", ["timed", "async", "mixed"])
def test_calls_that_are_not_concurrent_never_overlap(effects: Make, kind: str) -> None:
    inside = 0
    order: list[int] = []

    def enter(n: int) -> None:
        nonlocal inside
        inside += 1
        assert inside == 1
        order.append(n)

    def leave(n: int) -> int:
        nonlocal inside
        inside -= 1
        return n

    @vm.effect(timeout_seconds=SECONDS_MAX)
    def timed(n: int) -> int:
        enter(n)
        return leave(n)

    @vm.effect(concurrent=False)
    async def turn(n: int) -> int:
        enter(n)
        await asyncio.sleep(0)
        return leave(n)

    def here(n: int) -> int:
        enter(n)
        return leave(n)

    made = effects(timed=timed, turn=turn, here=here)
    names = {"timed": ["timed"], "async": ["turn"], "mixed": ["here", "timed", "turn"]}[kind]
    asked = [(names[n % len(names)], n) for n in range(30)]
    made.start(*asked)
    assert made.values() == list(range(30))
    assert order == list(range(30))


def test_workers_are_bounded(effects: Make) -> None:
    lock = threading.Lock()
    most = now = 0

    @vm.effect(concurrent=True)
    def ask(n: int) -> int:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        with lock:
            now -= 1
        return n

    made = effects(ask=ask)
    made.start(*[("ask", n) for n in range(20 * EFFECT_THREADS_MAX)])
    assert len(made.values()) == 20 * EFFECT_THREADS_MAX
    assert 1 <= most <= EFFECT_THREADS_MAX
    assert threading.active_count() <= EFFECT_THREADS_MAX + 10


# --- what stops them -----------------------------------------------------------------------


def test_a_blocking_effect_that_takes_too_long(effects: Make, gate: threading.Event) -> None:
    @vm.effect(timeout_seconds=0.01, concurrent=True)
    def ask(n: int) -> int:
        gate.wait(SECONDS_MAX)
        return n

    made = effects(ask=ask, other=lambda n: n)
    made.start(("ask", 1))
    assert made.values() == ["it took longer than its timeout of 0.01 seconds"]
    gate.set()
    made.start(("other", 5))
    assert made.values() == [5]
    assert made.performer.poll() == []


def test_an_asynchronous_effect_that_takes_too_long_is_cancelled(effects: Make) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    @vm.effect(timeout_seconds=0.01)
    async def ask(n: int) -> int:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return n

    made = effects(ask=ask)
    made.start(("ask", 1))
    assert begun.wait(SECONDS_MAX)
    assert made.values() == ["it took longer than its timeout of 0.01 seconds"]
    assert cancelled.wait(SECONDS_MAX)


def test_a_late_result_is_dropped(effects: Make, gate: threading.Event) -> None:
    returned = threading.Event()

    @vm.effect(concurrent=True)
    def ask(n: int) -> int:
        gate.wait(SECONDS_MAX)
        returned.set()
        return n

    made = effects(ask=ask, other=ask)
    made.start(("ask", 1), ("other", 2))
    made.performer.cancel((1).to_bytes(16, "big"), "enough")
    made.performer.cancel((1).to_bytes(16, "big"), "twice")
    made.performer.cancel(bytes(16), "never asked for")
    assert [(one.failure, one.value) for one in made.performer.poll()] == [("enough", None)]
    gate.set()
    assert returned.wait(SECONDS_MAX)
    assert made.values() == [2]
    assert made.performer.poll() == []


def test_a_serial_effect_waits_until_one_that_was_given_up_is_really_over(
    effects: Make, gate: threading.Event
) -> None:
    begun = threading.Event()
    over: list[int] = []

    @vm.effect(timeout_seconds=SECONDS_MAX)
    def slow(n: int) -> int:
        begun.set()
        gate.wait(SECONDS_MAX)
        over.append(n)
        return n

    def fast(n: int) -> int:
        assert over == [1]
        return n

    made = effects(slow=slow, fast=fast)
    made.start(("slow", 1), ("slow", 2), ("fast", 3))
    assert made.performer.poll() == []
    assert begun.wait(SECONDS_MAX)
    for identity in (1, 2):
        made.performer.cancel(identity.to_bytes(16, "big"), "enough")
    assert [one.failure for one in made.performer.poll()] == ["enough", "enough"]
    assert made.performer.serial_outstanding == 1
    gate.set()
    assert made.values() == [3]
    assert over == [1]


def test_an_effect_that_refuses_to_be_cancelled(effects: Make) -> None:
    begun, refused = threading.Event(), threading.Event()

    @vm.effect(timeout_seconds=0.01)
    async def ask(n: int) -> int:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            refused.set()
        return n

    made = effects(ask=ask)
    made.start(("ask", 1))
    assert begun.wait(SECONDS_MAX)
    assert made.values() == ["it took longer than its timeout of 0.01 seconds"]
    assert refused.wait(SECONDS_MAX)
    assert made.performer.poll() == []


@pytest.mark.parametrize("concurrent", [True, False])
def test_closing_gives_up_what_still_runs(gate: threading.Event, concurrent: bool) -> None:
    cleaned = threading.Event()
    begun = threading.Event()

    @vm.effect(concurrent=True)
    def block(n: int) -> int:
        gate.wait(SECONDS_MAX)
        return n

    @vm.effect(concurrent=concurrent)
    async def turn(n: int) -> int:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()
        return n

    made = Effects({"block": block, "turn": turn})
    made.start(("block", 1), ("turn", 2), ("turn", 3))
    made.performer.poll()
    assert begun.wait(SECONDS_MAX)
    made.performer.close()
    assert cleaned.is_set()
    made.performer.close()


def test_no_thread_is_left_behind() -> None:
    @vm.effect(concurrent=True)
    def block(n: int) -> int:
        return n

    async def turn(n: int) -> int:
        return n

    before = set(threading.enumerate())
    made = Effects({"block": block, "turn": turn})
    made.start(*[(name, n) for n in range(10) for name in ("block", "turn")])
    assert len(made.values()) == 20
    threads = set(threading.enumerate()) - before
    assert {thread.daemon for thread in threads} == {True}
    made.performer.close()
    for thread in threads:
        thread.join(SECONDS_MAX)
        assert not thread.is_alive()


# --- what functions do wrong ---------------------------------------------------------------


class Odd(BaseException):
    def __str__(self) -> str:
        raise KeyError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no row"), "ask raised ValueError: no row"),
        (SystemExit(3), "ask raised SystemExit: 3"),
        (GeneratorExit(), "ask raised GeneratorExit"),
        (asyncio.CancelledError(), "ask raised CancelledError"),
        (Odd(), "ask raised Odd, which fails to say why"),
        (StopIteration(4), "ask raised StopIteration: 4"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("kind", ["here", "worker", "loop"])
def test_whatever_a_function_raises_fails_its_effect(
    effects: Make, kind: str, error: BaseException, said: str
) -> None:
    def here(_n: int) -> int:
        raise error

    async def turn(_n: int) -> int:
        # Python itself turns a StopIteration that leaves a coroutine into another error.
        raise RuntimeError("a generator") if isinstance(error, StopIteration) else error

    @vm.effect(concurrent=True)
    def aside(_n: int) -> int:
        raise error

    made = effects(ask={"here": here, "worker": aside, "loop": turn}[kind], next=lambda n: n)
    made.start(("ask", 1), ("next", 2))
    wanted = "ask raised RuntimeError: a generator"
    if not (kind == "loop" and isinstance(error, StopIteration)):
        wanted = said
    assert sorted(made.values(), key=str) == [2, wanted]


@pytest.mark.parametrize("kind", ["here", "worker", "loop"])
def test_a_keyboard_interrupt_reaches_the_run(effects: Make, kind: str) -> None:
    def here(_n: int) -> int:
        raise KeyboardInterrupt

    async def turn(_n: int) -> int:
        raise KeyboardInterrupt

    aside = vm.effect(concurrent=True)(here)
    made = effects(ask={"here": here, "worker": aside, "loop": turn}[kind])
    made.start(("ask", 1))
    with pytest.raises(KeyboardInterrupt):
        made.all()


class Endless(list[int]):
    def __iter__(self) -> Iterator[int]:
        while True:
            yield 1


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("7", "what ask returned has the wrong type; found '7' of type str"),
        (2**80, "what ask returned is out of range; found an integer of 82 bits"),
        (Endless(), "has the wrong type"),
        (b"x" * 10_000_000, "has the wrong type"),
        (None, "what ask returned has the wrong type; found None of type NoneType"),
    ],
    ids=["text", "large", "endless", "long", "nothing"],
)
def test_a_result_of_another_type_fails_the_effect(
    effects: Make, result: object, said: str
) -> None:
    made = effects(ask=lambda _n: result)
    made.start(("ask", 1))
    (failure,) = made.values()
    assert said in str(failure)
    assert len(str(failure)) < 300


def test_a_coroutine_that_nobody_awaits(effects: Make) -> None:
    async def inner(n: int) -> int:
        return n

    made = effects(ask=lambda n: (inner(n),)[0])
    made.start(("ask", 1))
    assert made.values() == ["ask returned a coroutine; declare it with `async def`"]


class CalledLater:
    async def __call__(self, n: int) -> int:
        await asyncio.sleep(0)
        return n * 2


def test_an_object_that_is_called_asynchronously(effects: Make) -> None:
    made = effects(ask=CalledLater())
    made.start(("ask", 4))
    assert made.values() == [8]


# --- on the caller's loop ------------------------------------------------------------------


def test_on_the_loop_of_the_caller() -> None:
    async def main() -> list[object]:
        here = asyncio.get_running_loop()

        async def turn(n: int) -> int:
            assert asyncio.get_running_loop() is here
            await asyncio.sleep(0)
            return n

        @vm.effect(concurrent=True)
        def block(n: int) -> int:
            assert threading.current_thread() is not threading.main_thread()
            return n

        made = Effects({"turn": turn, "block": block}, loop=here)
        made.start(("turn", 1), ("block", 2), ("turn", 3))
        finished: list[Finished] = []
        while made.performer.outstanding:
            await made.performer.wait_async()
            finished += made.performer.poll()
        await made.performer.aclose()
        return sorted((one.failure or one.value for one in finished), key=str)

    assert asyncio.run(main()) == [1, 2, 3]


def test_closing_on_the_loop_of_the_caller_cancels_its_tasks() -> None:
    cleaned: list[int] = []
    begun = asyncio.Event()

    async def main() -> None:
        async def turn(n: int) -> int:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.append(n)
            return n

        slow = vm.effect(timeout_seconds=0.01)(turn)
        made = Effects({"turn": slow}, loop=asyncio.get_running_loop())
        made.start(("turn", 1))
        await begun.wait()
        finished: list[Finished] = []
        while not finished:
            await made.performer.wait_async()
            finished += made.performer.poll()
        assert "timeout" in str(finished[0].failure)
        begun.clear()
        made.start(("turn", 2))
        while not begun.is_set():
            await asyncio.sleep(0)
        # This one is cancelled before it begins.
        made.start(("turn", 3))
        await made.performer.aclose()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert cleaned == [1, 2]
