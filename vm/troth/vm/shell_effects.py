"""Effects a script asks its host for: finding the functions and calling them.

A function that raises, or returns a value of another type than declared, fails its effect:
the coroutine that asked faults with `vm.fault.invoke`, everything else runs on.
"""

from __future__ import annotations

import importlib.util
import inspect
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Final

from troth.vm.errors import Place, TrothError, Unusable
from troth.vm.host_values import from_python, to_python
from troth.vm.image import Effect, Image
from troth.vm.values import RegisterValue

EffectFunction = Callable[..., object]

EFFECTS_LISTED_MAX: Final = 20


class EffectError(Exception):
    """An effect's function raised or returned the wrong type; the text says which."""


def load_effects_module(path: Path) -> ModuleType:
    """Runs the Python file `path` as a module of its own.

    Raises:
        Unusable: code `effects.module`, when there is no such file or it fails to load.
    """
    problem = _unusable_file(path)
    if problem:
        raise Unusable(
            "effects.module",
            f"the effects file cannot be used: {problem}",
            place=Place(file=str(path)),
            expected="a Python file that defines the script's effects",
            advice="Check the path",
        )
    spec = importlib.util.spec_from_file_location("troth_effects", path)
    if spec is None or spec.loader is None:
        raise Unusable(
            "effects.module",
            "the effects file is not a Python file",
            place=Place(file=str(path)),
            expected="a name that ends in .py",
            advice="Rename the file",
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # SystemExit too: what the host's code does must not look like what the run did.
        raise Unusable(
            "effects.module",
            f"the effects file failed to load: {_describe(error)}",
            place=Place(file=str(path)),
            advice="Run it with python on its own to see the whole error",
        ) from error
    return module


def _unusable_file(path: Path) -> str:
    """Why there is nothing to load; "" when there is."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        return (error.strerror if isinstance(error, OSError) else None) or str(error)
    if stat.S_ISDIR(mode):
        return "it is a directory"
    return "" if stat.S_ISREG(mode) else "it is not an ordinary file"


def bind_effects(
    image: Image, functions: Mapping[str, object], where: str
) -> dict[str, EffectFunction]:
    """The function for each effect that the image declares.

    Raises:
        Unusable: code `effects.missing`, naming all that are, or `effects.signature`.
    """
    missing = [effect for effect in image.effects if functions.get(effect.name) is None]
    if missing:
        what = "an effect that is" if len(missing) == 1 else f"{len(missing)} effects that are"
        signatures = [_signature(effect) for effect in missing[:EFFECTS_LISTED_MAX]]
        rest = len(missing) - len(signatures)
        raise Unusable(
            "effects.missing",
            f"the script declares {what} missing from {where}",
            expected=", ".join(signatures) + (f" and {rest} more" if rest else ""),
            advice="Define a function of that name for each",
        )
    return {effect.name: _bind(effect, functions[effect.name], where) for effect in image.effects}


def _signature(effect: Effect) -> str:
    declared = ", ".join(str(parameter) for parameter in effect.parameters)
    return f"{effect.name}({declared}) -> {effect.result}"


def _bind(effect: Effect, function: object, where: str) -> EffectFunction:
    signature = _signature(effect)
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
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # SystemExit too: an effect that fails must not end the run, or choose its exit code.
        raise EffectError(f"{effect.name} raised {_describe(error)}") from error
    try:
        return from_python(result, effect.result, f"what {effect.name} returned")
    except TrothError as error:
        # What the whole effect should give back is said by the machine's fault.
        raise EffectError(_describe_result(error, effect)) from error


def _describe_result(error: TrothError, effect: Effect) -> str:
    text = error.message
    if error.expected is not None and error.expected != str(effect.result):
        text += f"; it should be {error.expected}"
    return text if error.actual is None else f"{text}; found {error.actual}"


def _describe(error: BaseException) -> str:
    """`ValueError: no such row`; an exception's own text is the host's code, and may fail."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001
        return f"{name}, which fails to say why"
    return f"{name}: {text}" if text else name
