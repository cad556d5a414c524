"""`@effect`: what it says, what it refuses, and how functions are found and bound."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any, Final

import pytest

from troth import vm
from troth.vm.effect_traits import EffectTraits, traits_of
from troth.vm.image import Effect, Image
from troth.vm.shell_effects import bind_effects, functions_of
from troth.vm.types import Field, Primitive

ASK: Final = Effect("ask", (Field("n", Primitive.INT),), Primitive.INT)
IMAGE: Final = Image((), (ASK,), (), None)


def test_a_marked_function_stays_what_it_is() -> None:
    @vm.effect
    def plain(n: int) -> int:
        return n + 1

    @vm.effect(name="ask", timeout_seconds=2, concurrent=True, cancellable=True)
    def other(n: int) -> int:
        return n + 2

    assert (plain(1), other(1)) == (2, 3)
    assert traits_of(plain) == EffectTraits()
    assert traits_of(other) == EffectTraits(
        name="ask", timeout_seconds=2.0, concurrent=True, cancellable=True
    )
    assert traits_of(len) == EffectTraits()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": 5}, "name"),
        ({"name": "no name"}, "name"),
        ({"timeout_seconds": 0}, "timeout"),
        ({"timeout_seconds": -1}, "timeout"),
        ({"timeout_seconds": float("nan")}, "timeout"),
        ({"timeout_seconds": float("inf")}, "timeout"),
        ({"timeout_seconds": True}, "timeout"),
        ({"timeout_seconds": "5s"}, "timeout"),
        ({"concurrent": 1}, "concurrent"),
        ({"cancellable": None}, "cancellable"),
    ],
)
def test_an_option_that_cannot_be_used(options: dict[str, Any], said: str) -> None:
    with pytest.raises(vm.Unusable) as caught:
        vm.effect(**options)
    assert caught.value.code == "effect.traits"
    assert said in str(caught.value)


@pytest.mark.parametrize("function", [5, len, [].append])
def test_what_cannot_be_marked(function: Any) -> None:
    with pytest.raises(vm.Unusable, match=r"effect\.traits"):
        vm.effect(function)


def _module(**content: object) -> ModuleType:
    module = ModuleType("answers")
    vars(module).update(content)
    return module


class Proxy:
    """Like objects of some libraries, which fail when anything is asked of them."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError("outside of a request")


def test_functions_of_a_module_by_their_names() -> None:
    marked = vm.effect(name="ask")(lambda n: n)
    plain = vm.effect(lambda n: -n)
    found = functions_of(_module(lookup=marked, ask=plain, proxy=Proxy(), number=5))
    assert found["ask"] is marked
    assert "lookup" not in found
    same = functions_of(_module(ask=marked))
    assert same["ask"] is marked
    twice = functions_of(_module(one=marked, two=marked))
    assert twice["ask"] is marked
    mapping = {"ask": vm.effect(name="other")(lambda n: n)}
    assert functions_of(mapping) is mapping


@pytest.mark.parametrize("second", ["two", "ask"])
def test_two_functions_of_one_name(second: str) -> None:
    one, two = (vm.effect(name="ask")(lambda n: n) for _ in range(2))
    with pytest.raises(vm.Unusable) as caught:
        functions_of(_module(**{"one": one, second: two}))
    assert caught.value.code == "effects.signature"
    assert "two functions of answers are named ask" in caught.value.message


def test_what_a_function_is_called_like() -> None:
    def told(n: int, *, effect_id: str) -> int:
        return n + len(effect_id)

    async def turn(n: int) -> int:
        return n

    marked = vm.effect(concurrent=False)(turn)
    bound = {
        name: bind_effects(IMAGE, {"ask": function}, "here")["ask"]
        for name, function in {
            "told": told,
            "not told": lambda effect_id: effect_id,
            "turn": functools.partial(turn),
            "serial": marked,
            "builtin": int,
        }.items()
    }
    assert [one.told_identity for one in bound.values()] == [True, False, False, False, False]
    assert bound["turn"].asynchronous
    assert bound["turn"].concurrent
    assert bound["serial"].asynchronous is True


@pytest.mark.parametrize(
    "function",
    [lambda: 1, lambda n, m: n + m, lambda n, *, key: n + key, lambda *, effect_id: effect_id, 7],
    ids=range(5),
)
def test_a_function_that_cannot_be_called_like_that(function: object) -> None:
    with pytest.raises(vm.Unusable) as caught:
        bind_effects(IMAGE, {"ask": function}, "here")
    assert caught.value.code == "effects.signature"
    assert caught.value.expected == "ask(n: int) -> int"
