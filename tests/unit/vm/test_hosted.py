"""A coroutine that the host drives: one action at a time, and the machine's rules for each."""

from __future__ import annotations

import pytest

from builders import END, make_signer, protocol, receives, sends
from troth.vm.errors import Unusable
from troth.vm.hosted import Player
from troth.vm.image import Image
from troth.vm.instructions import Cancel, Close, Halt, Open, OpenOptions, Recv, Send
from troth.vm.loader import load
from troth.vm.machine import Machine, MachineState, Outcome
from troth.vm.types import Primitive

A, B, VALUE, OTHER = range(4)


def _machine() -> tuple[Machine, Player]:
    both = protocol(
        "P",
        {
            "A": sends("B", ("m", (Primitive.INT,), END)),
            "B": receives("A", ("m", (Primitive.INT,), END)),
        },
    )
    signer = make_signer()
    loaded = load(Image((both,), (), (), None))
    machine = Machine(loaded, seed=bytes(32), signer=signer, roster=signer)
    player = machine.play("A and B", 4)
    _go(machine)
    return machine, player


def _go(machine: Machine) -> None:
    while machine.run_round(0):
        pass


def _open(machine: Machine, player: Player) -> None:
    player.act(Open(0, (A, B), OpenOptions()))
    _go(machine)
    assert player.parked


def test_it_waits_for_the_host_and_nothing_is_stuck() -> None:
    machine, player = _machine()
    assert machine.state is MachineState.WAITING
    assert player.parked
    assert machine.outcome() is Outcome.RUNNING
    assert "waits for what the host does next" in machine.report().describe()


def test_it_plays_both_roles_to_the_end() -> None:
    machine, player = _machine()
    _open(machine, player)
    player.act(Send(A, "B", "m", (VALUE,)), {VALUE: 7})
    assert not player.parked
    _go(machine)
    player.act(Recv(B, "A", "m", (OTHER,)))
    _go(machine)
    assert player.cell(OTHER) == 7
    for register in (A, B):
        player.act(Close(register))
        _go(machine)
        assert player.endpoint(register) is None
    player.act(Halt())
    _go(machine)
    assert player.ended
    assert player.fault() is None
    assert machine.outcome() is Outcome.OK


def test_a_receive_waits_and_can_be_taken_back() -> None:
    machine, player = _machine()
    _open(machine, player)
    assert not player.withdraw(), "there is nothing to take back"
    player.act(Recv(B, "A", "m", (OTHER,)))
    _go(machine)
    assert not player.parked
    with pytest.raises(Unusable) as caught:
        player.act(Halt())
    assert caught.value.code == "machine.act"
    assert player.withdraw()
    assert player.parked
    player.act(Send(A, "B", "m", (VALUE,)), {VALUE: 1})
    _go(machine)
    player.act(Recv(B, "A", "m", (OTHER,)))
    _go(machine)
    assert player.cell(OTHER) == 1


def test_a_mistake_is_a_fault_as_any_program_s() -> None:
    machine, player = _machine()
    _open(machine, player)
    player.act(Send(A, "B", "n", ()))
    _go(machine)
    fault = player.fault()
    assert player.ended
    assert fault is not None
    assert fault.code == "vm.fault.label"
    assert fault.place.program == "A and B"
    assert machine.outcome() is Outcome.FAILED
    with pytest.raises(Unusable):
        player.act(Halt())


def test_it_can_cancel() -> None:
    machine, player = _machine()
    _open(machine, player)
    player.act(Cancel(A, VALUE), {VALUE: "enough"})
    _go(machine)
    player.act(Halt())
    _go(machine)
    assert player.fault() is None
    assert machine.outcome() is Outcome.FAILED


def test_a_machine_starts_or_plays_once() -> None:
    machine, _ = _machine()
    for again in (machine.start, lambda: machine.play("again", 1)):
        with pytest.raises(Unusable) as caught:
            again()
        assert caught.value.code == "machine.started"
