"""Effects a script asks its host for: finding the functions and calling them.

A function that raises, or returns a value of another type than declared, fails its effect:
the coroutine that asked faults with `vm.fault.invoke`, everything else runs on.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

from troth.vm.errors import Place, TrothError, Unusable
from troth.vm.host_values import from_python, to_python
from troth.vm.image import Effect, Image
from troth.vm.values import RegisterValue

EffectFunction = Callable[..., object]


class EffectError(Exception):
    """An effect's function raised or returned the wrong type; the text says which."""


def load_effects_module(path: Path) -> ModuleType:
    """Runs the Python file `path` as a module of its own.

    Raises:
        Unusable: code `effects.module`, when there is no such file or it fails to load.
    """
    if not path.is_file():
        raise Unusable(
            "effects.module",
            f"there is no effects file {path}",
            advice="Give --effects the path of a Python file that defines the script's effects",
        )
    spec = importlib.util.spec_from_file_location("troth_effects", path)
    if spec is None or spec.loader is None:
        raise Unusable("effects.module", f"{path} is not a Python file", expected="a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise Unusable(
            "effects.module",
            f"the effects file failed to load: {type(error).__name__}: {error}",
            place=Place(file=str(path)),
            advice="Run it with python on its own to see the whole error",
        ) from error
    return module


def bind_effects(
    image: Image, functions: Mapping[str, object], where: str
) -> dict[str, EffectFunction]:
    """The function for each effect that the image declares.

    Raises:
        Unusable: code `effects.missing` or `effects.signature`, naming the effect.
    """
    return {
        effect.name: _bind(effect, functions.get(effect.name), where) for effect in image.effects
    }


def _bind(effect: Effect, function: object, where: str) -> EffectFunction:
    declared = ", ".join(str(parameter) for parameter in effect.parameters)
    signature = f"{effect.name}({declared}) -> {effect.result}"
    if function is None:
        raise Unusable(
            "effects.missing",
            f"the effect {effect.name} of the script is missing from {where}",
            expected=signature,
            advice="Define a function of that name, and pass its file with --effects",
        )
    if not callable(function):
        raise Unusable(
            "effects.signature",
            f"{effect.name} in {where} is not a function",
            expected=signature,
            actual=type(function).__name__,
        )
    if inspect.iscoroutinefunction(function):
        raise Unusable(
            "effects.signature",
            f"{effect.name} in {where} is asynchronous, which this version cannot call",
            expected="an ordinary function",
            actual="async def",
            advice="Wrap it with asyncio.run in an ordinary function",
        )
    _check_arity(effect, function, where, signature)
    return function


def _check_arity(effect: Effect, function: EffectFunction, where: str, signature: str) -> None:
    try:
        inspect.signature(function).bind(*effect.parameters)
    except TypeError as error:
        raise Unusable(
            "effects.signature",
            f"{effect.name} in {where} cannot be called as the script declares it: {error}",
            expected=signature,
        ) from error
    except ValueError:
        # A builtin without a readable signature: calling it will tell.
        return


def call_effect(
    effect: Effect, function: EffectFunction, arguments: tuple[RegisterValue, ...]
) -> RegisterValue:
    """Calls the host's function and returns the machine's value of its result.

    Raises:
        EffectError: when the function raised or its result has the wrong type.
    """
    try:
        result = function(*(to_python(argument) for argument in arguments))
    except Exception as error:
        raise EffectError(f"{effect.name} raised {type(error).__name__}: {error}") from error
    try:
        return from_python(result, effect.result, f"what {effect.name} returned")
    except TrothError as error:
        raise EffectError(str(error)) from error
