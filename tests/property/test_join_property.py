"""Generated protocols whose roles Python plays, all of them: a walk through their local types.

Whatever is chosen, every walk ends, every record holds at levels 1 to 4, and the records agree on
what they share.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from role_players import Part, holds, play, verdict
from strategies_protocol import protocols
from troth import conformance, dsl, vm
from troth.vm.errors import Invalid
from troth.vm.types import ListType, LocalType, Primitive, RecordType, StateKind

STEPS_MAX = 25
"""A role that has not come to its end by then cancels the session."""


def _value(kind: object, random: Random) -> object:
    match kind:
        case Primitive.UNIT:
            return None
        case Primitive.INT:
            return random.randint(-(1 << 63), (1 << 63) - 1)
        case Primitive.FLOAT:
            return random.random()
        case Primitive.BOOL:
            return random.random() < 0.5
        case Primitive.STR:
            return random.choice(("", "x", "é\n"))
        case Primitive.BYTES:
            return random.randbytes(random.randint(0, 9))
        case Primitive.BLOB:
            return b"content"
        case ListType(item=item):
            return [_value(item, random) for _ in range(random.randint(0, 2))]
        case RecordType(fields=fields):
            return {field.name: _value(field.type, random) for field in fields}
    raise AssertionError(kind)


def _player(local: LocalType, random: Random) -> Part:
    """Chooses where it may, takes what comes, and knows where that leads."""

    async def part(s: vm.RoleEndpoint) -> None:
        state = local.states[0]
        for _ in range(STEPS_MAX):
            if state.kind is StateKind.END:
                assert s.position.startswith("nothing")
                return
            if state.kind is StateKind.SEND:
                step = random.choice(state.transitions)
                values = [_value(field.type, random) for field in step.fields]
                if random.random() < 0.5:
                    await s.send(state.peer, step.label, *values)
                else:
                    named = {f.name: v for f, v in zip(step.fields, values, strict=True)}
                    await s.send(state.peer, step.label, **named)
            else:
                answer = await s.recv_any(state.peer)
                step = next(t for t in state.transitions if t.label == answer.label)
            state = local.states[step.next]
        await s.cancel("long enough")

    return part


def _module(script: str) -> dsl.Module | None:
    try:
        return dsl.compile_module(script, "generated.troth")
    except Invalid:
        # Not every generated protocol can be projected.
        return None


@pytest.mark.parametrize("seal", list(vm.Seal))
@given(script=protocols(clocks=False, roles_max=4), seed=st.integers(0, 1 << 32))
def test_a_walk_of_python_roles_ends_and_its_records_hold(
    seal: vm.Seal, script: str, seed: int
) -> None:
    module = _module(script)
    if module is None:
        return
    protocol = module.image.protocols[-1]
    random = Random(seed)
    parts = {
        role: _player(local, Random(random.random()))
        for role, local in zip(protocol.roles, protocol.local_types, strict=True)
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raised = play(module, parts, folder, seal=seal)
        for role, error in raised.items():
            if error is not None:
                assert isinstance(error, vm.Fault), repr(error)
                assert "long enough" in error.message, error
            found = verdict(folder, role)
            assert holds(found), f"{role}: {conformance.to_prose(found)}"
