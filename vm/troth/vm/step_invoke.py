"""`invoke`: ask the host for an effect and wait for its result."""

from __future__ import annotations

from troth.vm import statements
from troth.vm.codec import encode_payload
from troth.vm.coroutine import Blocked, Coroutine
from troth.vm.events import Invoked
from troth.vm.faults import fault
from troth.vm.image import Effect
from troth.vm.instructions import Invoke
from troth.vm.session import EndpointState
from troth.vm.step_common import Step, cell_name
from troth.vm.turn import BLOCKED, EffectRequest, Turn
from troth.vm.value_ops import type_matches
from troth.vm.values import RegisterValue


def decode_invoke(instruction: Invoke, following: int) -> Step:
    """Executed twice: the first time it asks and blocks, the second it takes the result."""

    def step(turn: Turn, coroutine: Coroutine) -> int:
        effect = turn.context.loaded.image.effects[instruction.effect]
        completion = coroutine.completion
        if completion is None:
            _ask(turn, coroutine, effect, instruction)
            coroutine.blocked = Blocked.EFFECT
            return BLOCKED
        if completion.failure is not None:
            raise fault(
                "vm.fault.invoke",
                f"the effect {effect.name} failed: {completion.failure}",
                expected=str(effect.result),
            )
        if not type_matches(completion.value, effect.result):
            raise fault(
                "vm.fault.invoke",
                f"the effect {effect.name} returned a value of another type",
                expected=str(effect.result),
                actual=cell_name(completion.value),
            )
        coroutine.registers[instruction.target] = completion.value
        coroutine.completion = None
        coroutine.effect = None
        return following

    return step


def _ask(turn: Turn, coroutine: Coroutine, effect: Effect, instruction: Invoke) -> None:
    arguments = _arguments(coroutine, effect, instruction)
    payload = encode_payload(arguments)
    limit = turn.context.limits.message_bytes_max
    if len(payload) > limit:
        raise fault(
            "vm.fault.limit",
            f"the arguments of the effect {effect.name} are too long",
            expected=f"at most message_bytes_max = {limit} bytes",
            actual=f"{len(payload)} bytes",
        )
    identity = statements.effect_id(coroutine.id, coroutine.invoked)
    coroutine.invoked += 1
    coroutine.effect = identity
    turn.events.append(Invoked(coroutine.id, identity, instruction.effect, payload))
    turn.request(EffectRequest(identity, coroutine.id, instruction.effect, effect.name, arguments))


def _arguments(
    coroutine: Coroutine, effect: Effect, instruction: Invoke
) -> tuple[RegisterValue, ...]:
    registers = coroutine.registers
    values = [registers[register] for register in instruction.arguments]
    fitting = tuple(
        value
        for value, field in zip(values, effect.parameters, strict=False)
        if not isinstance(value, EndpointState) and type_matches(value, field.type)
    )
    if len(fitting) == len(values) == len(effect.parameters):
        return fitting
    raise fault(
        "vm.fault.type",
        f"the arguments of the effect {effect.name} do not have its declared types",
        expected=f"{effect.name}({', '.join(str(field) for field in effect.parameters)})",
        actual=", ".join(cell_name(value) for value in values),
    )
