"""Effects a script asks its host for: finding the functions and calling them.

A function that raises, or returns a value of another type than declared, fails its effect:
the coroutine that asked faults with `vm.fault.invoke`, everything else runs on.

`shell_performer` decides when and on which thread a function is called.
"""

from __future__ import annotations

import importlib.util
import inspect
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from troth.vm.blobs import BlobStore
from troth.vm.effect_traits import ATTRIBUTE, EffectTraits, traits_of
from troth.vm.errors import Place, TrothError, Unusable
from troth.vm.host_values import from_python, to_python
from troth.vm.image import Effect, Image
from troth.vm.values import RegisterValue

EffectFunction = Callable[..., object]

EFFECTS_LISTED_MAX: Final = 20

IDENTITY_PARAMETER: Final = "effect_id"
"""A function with a keyword-only parameter of this name is told which effect it performs."""


class EffectError(Exception):
    """An effect's function raised or returned the wrong type; the text says which."""


@dataclass(frozen=True, slots=True)
class BoundEffect:
    """An effect that an image declares and the host's function for it.

    Attributes:
        asynchronous: calling the function gives something to await.
        concurrent: its calls may overlap with one another and with those of other effects.
        told_identity: it takes the effect's id, an idempotency key, as `effect_id`.
    """

    effect: Effect
    function: EffectFunction
    traits: EffectTraits
    asynchronous: bool
    concurrent: bool
    told_identity: bool

    @property
    def name(self) -> str:
        return self.effect.name


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


def functions_of(effects: Mapping[str, object] | ModuleType) -> Mapping[str, object]:
    """The functions by the name of their effect.

    A mapping says the names itself. In a module a function counts under its own name and, when
    `@effect(name=…)` gives it another, under that one instead.

    Raises:
        Unusable: code `effects.signature`, when two functions are for the same effect.
    """
    if not isinstance(effects, ModuleType):
        return effects
    functions: dict[str, object] = {}
    named: dict[str, object] = {}
    for attribute, value in vars(effects).items():
        name = _given_name(value)
        if name is None or name == attribute:
            functions[attribute] = value
            continue
        if named.setdefault(name, value) is not value:
            raise _two_functions(name, effects)
    for name in named:
        if _given_name(functions.get(name)) == name:
            raise _two_functions(name, effects)
    return functions | named


def _given_name(value: object) -> str | None:
    """The name that `@effect` gave to something in a module, which may be anything at all."""
    traits: object = inspect.getattr_static(value, ATTRIBUTE, None)
    return traits.name if isinstance(traits, EffectTraits) else None


def _two_functions(name: str, module: ModuleType) -> Unusable:
    return Unusable(
        "effects.signature",
        f"two functions of {module.__name__} are named {name} as effects",
        expected="one function for each effect",
        advice="Give one of them another name",
    )


def bind_effects(
    image: Image, effects: Mapping[str, object] | ModuleType, where: str
) -> dict[str, BoundEffect]:
    """The function for each effect that the image declares.

    Raises:
        Unusable: code `effects.missing`, naming all that are, or `effects.signature`.
    """
    functions = functions_of(effects)
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


def _bind(effect: Effect, function: object, where: str) -> BoundEffect:
    signature = _signature(effect)
    if not callable(function):
        raise Unusable(
            "effects.signature",
            f"{effect.name} in {where} is not a function",
            expected=signature,
            actual=type(function).__name__,
        )
    traits = traits_of(function)
    asynchronous = _is_asynchronous(function)
    return BoundEffect(
        effect,
        function,
        traits,
        asynchronous,
        asynchronous if traits.concurrent is None else traits.concurrent,
        _check_parameters(effect, function, where, signature),
    )


def _is_asynchronous(function: Callable[..., object]) -> bool:
    called: object = type(function).__call__
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def _check_parameters(effect: Effect, function: EffectFunction, where: str, signature: str) -> bool:
    """Whether the function takes the effect's id, besides what the script gives it."""
    try:
        found = inspect.signature(function)
    except ValueError:
        # A builtin without a readable signature: calling it will tell.
        return False
    parameter = found.parameters.get(IDENTITY_PARAMETER)
    told = parameter is not None and parameter.kind is inspect.Parameter.KEYWORD_ONLY
    identity: dict[str, Any] = {IDENTITY_PARAMETER: ""} if told else {}
    try:
        found.bind(*effect.parameters, **identity)
    except TypeError as error:
        raise Unusable(
            "effects.signature",
            f"{effect.name} in {where} cannot be called as the script declares it: {error}",
            expected=signature,
        ) from error
    return told


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an effect's function: what it is given, as values of its own."""

    bound: BoundEffect
    effect_id: bytes
    arguments: tuple[object, ...]

    def begin(self) -> object:
        """Calls the function: its result, or what is to be awaited for it."""
        bound = self.bound
        if bound.told_identity:
            return bound.function(*self.arguments, effect_id=self.effect_id.hex())
        return bound.function(*self.arguments)


def make_call(
    bound: BoundEffect,
    effect_id: bytes,
    arguments: tuple[RegisterValue, ...],
    blobs: BlobStore,
) -> Call:
    given = tuple(to_python(argument, blobs) for argument in arguments)
    return Call(bound, effect_id, given)


def raised(bound: BoundEffect, error: BaseException) -> EffectError:
    """What a function's exception means for its effect."""
    return EffectError(f"{bound.name} raised {_describe(error)}")


def take_result(bound: BoundEffect, result: object, blobs: BlobStore) -> RegisterValue:
    """The machine's value of what the host's function returned.

    Raises:
        EffectError: when it has the wrong type, or a blob's content cannot be kept.
    """
    effect = bound.effect
    if inspect.iscoroutine(result):
        # Never awaited, so it would complain when it is forgotten.
        result.close()
        raise EffectError(f"{effect.name} returned a coroutine; declare it with `async def`")
    try:
        return from_python(result, effect.result, f"what {effect.name} returned", blobs)
    except TrothError as error:
        # What the whole effect should give back is said by the machine's fault.
        raise EffectError(_describe_result(error, effect)) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # A value of a class of the host's own, which fails when it is looked at.
        raise EffectError(
            f"what {effect.name} returned cannot be read: {_describe(error)}"
        ) from error


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
