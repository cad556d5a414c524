"""The scheduling policies: their orders, their texts, and what records make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from artifact_surgery import join, parse, with_field
from troth import conformance, vm
from troth.dsl.compile import compile_source
from troth.vm.coroutine import Coroutine
from troth.vm.image import Image
from troth.vm.scheduling import (
    AGING_MAX,
    PRIORITY_MAX,
    Cooperative,
    Priority,
    RoundRobin,
    Scheduling,
    parse_policy,
)
from troth.vm.step_code import ProgramCode

SCRIPT: Final = """
protocol Knock(A, B):
    A -> B: knock()

program waits(s: Knock.B):
    recv s.A knock()
    print "waits"
    yield
    print "waits again"
    close s

program knocks(s: Knock.A):
    send s.B knock()
    close s
    yield
    print "knocks"

program busy(name: str, times: int):
    for n in range(times):
        yield
    print name

main:
    open Knock as a, b
    spawn waits(b)
    spawn busy("one", 1)
    spawn knocks(a)
    spawn busy("two", 3)
"""


def _image() -> Image:
    return compile_source(SCRIPT, "knock.troth")


def _run(policy: str | Scheduling, **options: object) -> list[str]:
    lines: list[str] = []
    settings = vm.RunOptions(policy=policy, seed=bytes(32), **options)  # type: ignore[arg-type]
    assert vm.run(_image(), options=settings, write_line=lines.append).ok
    return lines


def test_each_policy_has_its_order() -> None:
    # `waits` is woken by `knocks` in the first round, so it comes first or last in the next.
    assert _run("cooperative") == ["one", "waits", "knocks", "waits again", "two"]
    assert _run("round-robin") == ["waits", "one", "knocks", "waits again", "two"]
    first = Priority({"busy": 5})
    assert _run(first) == ["one", "two", "waits", "knocks", "waits again"]
    assert sorted(_run(Priority({"waits": 1}, 1))) == sorted(_run("cooperative"))


def _coroutine(name: str, birth: int) -> Coroutine:
    code = ProgramCode(0, name, (), 0, (), ())
    found = Coroutine(bytes([birth]), b"", code)
    found.birth = birth
    return found


def test_round_robin_is_a_ring() -> None:
    ready = [_coroutine("x", birth) for birth in (3, 1, 2)]
    batch, left = RoundRobin().take(ready)
    assert ([c.birth for c in batch], left) == ([1, 2, 3], [])
    assert Cooperative().take(ready) == (ready, [])


def test_nobody_waits_for_ever() -> None:
    """The one of priority 0 gains a level every 3 rounds, and then has its turn."""
    policy = Priority({"high": 2}, 3)
    high, low = _coroutine("high", 0), _coroutine("low", 1)
    taken = []
    for _ in range(20):
        batch, left = policy.take([high, low])
        taken.append("".join(c.code.name[0] for c in batch))
        assert len(batch) + len(left) == 2
    # After 6 rounds of waiting both are level, and run together; then it begins anew.
    assert taken == [*["h"] * 6, "hl", *["h"] * 6, "hl", *["h"] * 6]
    assert [c.waited for c in (high, low)] == [0, 6]


@pytest.mark.parametrize(
    "policy",
    [
        Cooperative(),
        RoundRobin(),
        Priority(),
        Priority({"b": 1, "a": PRIORITY_MAX, "w[2]": 0}, AGING_MAX),
    ],
)
def test_a_text_is_the_policy(policy: Scheduling) -> None:
    assert parse_policy(policy.text).text == policy.text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "random",
        "priority",
        "priority a=1",
        "priority aging=0",
        "priority aging=01",
        "priority aging=8 b=1 a=1",
        "priority aging=8 a=1 a=1",
        "priority aging=8  a=1",
        "priority aging=8 a=-1",
        "priority aging=8 a=b",
        "priority aging=x",
        "priority aging=8 a=1001",
        "priority aging=8 =1",
        "priority aging=8 a=\u0661",
        "priority aging=8 a=1 ",
        "priority aging=99999999",
        "priority aging=8 " + "a" * 300 + "=1",
        "cooperative\n",
    ],
)
def test_no_other_text_is_one(text: str) -> None:
    with pytest.raises(vm.Unusable) as caught:
        parse_policy(text)
    assert caught.value.code == "machine.policy"


def test_a_policy_that_is_too_long_for_a_header() -> None:
    with pytest.raises(vm.Unusable, match="at most 255 bytes"):
        Priority({f"program_{number}": 1 for number in range(30)})


@pytest.mark.parametrize("policy", ["round-robin", "priority aging=2 busy=3 knocks=1"])
@pytest.mark.parametrize("quantum", [1, 5, 64])
def test_a_record_keeps_its_policy(tmp_path: Path, policy: str, quantum: int) -> None:
    """Level 5 runs it again, and `resume` goes on with it, in the same order."""
    whole, keys = tmp_path / "whole.replay", tmp_path / "keys"
    lines = _run(policy, quantum=quantum, record=whole, keys=keys)
    verdict = conformance.verify(whole)
    assert verdict.levels[-1].ok, verdict
    data = whole.read_bytes()
    for size in range(1200, len(data), 173):
        cut = tmp_path / "cut.replay"
        cut.write_bytes(data[:size])
        again: list[str] = []
        assert vm.resume(cut, keys=keys, write_line=again.append).ok
        assert lines[len(lines) - len(again) :] == again


def test_a_record_of_an_unknown_policy(tmp_path: Path) -> None:
    whole, keys = tmp_path / "whole.replay", tmp_path / "keys"
    _run("cooperative", record=whole, keys=keys)
    items = parse(whole.read_bytes())
    for place, value, code in ((5, "lottery", "policy"), (7, "gpu", "runner")):
        cut = tmp_path / "cut.replay"
        cut.write_bytes(join([with_field(items[0], place, value), *items[1:-4]]))
        with pytest.raises(vm.Unusable) as caught:
            vm.resume(cut, keys=keys)
        assert caught.value.code == f"resume.{code}"
