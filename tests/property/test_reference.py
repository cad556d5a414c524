"""The reference interpreter and the machine agree, and each is caught when it is changed.

On generated machines `test_runner_parity` has them agree, with those of the runners.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from artifact_surgery import EXAMPLES
from bundle_scripts import DESKTOP, TRIANGLE, leaving
from reference_samples import member, setup_of
from troth.conformance.reference import endings, receive, run_both, step
from troth.conformance.reference.compare import Both, Failed
from troth.conformance.reference.world import Coroutine, Edge, EdgeKey, World, edge_of, with_edge
from troth.dsl.compile import compile_source
from troth.vm import step_receive
from troth.vm.coroutine import Coroutine as Running
from troth.vm.events import Received
from troth.vm.instructions import Halt
from troth.vm.loader import load
from troth.vm.scheduling import Cooperative
from troth.vm.session import Edge as MachineEdge
from troth.vm.turn import EffectRequest, Turn
from troth.vm.values import RegisterValue
from verify_samples import DROPS, GUARDED, LATEST, ROTATES, SPECULATIVE

SCRIPTS: Final = (
    *(LATEST, DROPS, ROTATES, GUARDED, SPECULATIVE),
    *(DESKTOP, TRIANGLE, leaving('cancel d "enough"'), leaving('fail "broken"')),
)


def _price(request: EffectRequest) -> RegisterValue | Failed:
    return len(str(request.arguments)) if request.name == "price_of" else Failed("no")


def _both(source: str, name: str, quantum: int = 64) -> Both:
    image = compile_source(source, name)
    setup = replace(setup_of(image), quantum=quantum)
    return run_both(load(image), setup, effects=_price)


@pytest.mark.slow
@pytest.mark.parametrize("quantum", [3, 64])
def test_they_agree_on_the_examples(quantum: int) -> None:
    sources = [path.read_text() for path in sorted(EXAMPLES.glob("*.troth"))]
    assert len(sources) > 5
    for source in (*sources, *SCRIPTS):
        both = _both(source, "example", quantum)
        assert both.difference is None, source
        assert len(both.events) > 3


# --- they can disagree ---------------------------------------------------------------------


def _first_difference() -> str:
    for number in range(30, 70):
        difference = member(number).difference
        if difference is not None:
            print(f"member {number}, round {difference.round_number}: {difference}")
            return f"{type(difference.machine).__name__} {type(difference.reference).__name__}"
    pytest.fail("nobody noticed")


def test_a_machine_that_wakes_no_sender_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    real = step_receive.commit_receive

    def forgetful(turn: Turn, edge: MachineEdge, *rest: object) -> None:
        waiting, edge.waiting_sender = edge.waiting_sender, None
        real(turn, edge, *rest)  # type: ignore[arg-type]  # whatever it was called with
        edge.waiting_sender = waiting

    monkeypatch.setattr(step_receive, "commit_receive", forgetful)
    assert _first_difference()


def test_a_machine_that_takes_turns_backwards_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def take(self: Cooperative, ready: list[Running]) -> tuple[list[Running], list[Running]]:  # noqa: ARG001
        return ready[::-1], []

    monkeypatch.setattr(Cooperative, "take", take)
    assert _first_difference()


def _count_nothing(real: Callable[[World, EdgeKey], World]) -> Callable[[World, EdgeKey], World]:
    def consume(world: World, key: EdgeKey) -> World:
        world = real(world, key)
        edge: Edge = edge_of(world, key)
        return with_edge(world, key, edge._replace(consumed=0))

    return consume


def test_a_reference_that_counts_wrong_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "consume", _count_nothing(receive.consume))
    assert "Receipted" in _first_difference()


def test_a_reference_that_lets_everybody_halt_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(world: World, me: Coroutine) -> World:
        for end in me.owned:
            world = endings.give_up(world, me.id, end)
        return world

    monkeypatch.setattr(step, "halt", leave)
    assert _first_difference()


def test_the_reference_shares_no_code_that_executes() -> None:
    """It may know what an instruction is, what is signed and how values are encoded."""
    folder = Path(step.__file__).parent
    executing = (
        *("step_", "machine", "scheduler", "turn", "session", "buffer", "operators", "run_coop"),
        *("consumption", "speculation", "guards", "value_ops", "store", "merkle_set"),
    )
    for path in folder.glob("*.py"):
        if path.name == "compare.py":
            continue  # It runs the machine, too.
        for line in path.read_text().splitlines():
            if line.startswith("from troth.vm."):
                module = line.split()[1].removeprefix("troth.vm.")
                assert not module.startswith(executing), f"{path.name}: {line}"
    assert Received.__name__ in Path(receive.__file__).read_text()
    assert Halt.__name__ in Path(step.__file__).read_text()
