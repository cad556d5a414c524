"""`open` with its settings, and `spawn`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from troth.dsl.ast import BundleDecl, Name, OpenStatement, Setting, SpawnStatement
from troth.dsl.check_edges import REPLAY_MODES, suggest_value
from troth.dsl.check_expression import expect
from troth.dsl.check_program_context import Context
from troth.dsl.check_program_symbols import MAIN
from troth.dsl.check_program_talk import check_loose_arguments, is_endpoint, move_endpoint
from troth.dsl.durations import nanoseconds
from troth.dsl.names import did_you_mean, one_of
from troth.dsl.plural import count
from troth.dsl.scope import Scope
from troth.vm.image import EdgeSettings, Protocol
from troth.vm.instructions import OpenOptions, Policy, ReplayMode, Seal
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.local_types import lossy_labels
from troth.vm.settings import CAPACITY_DEFAULT, REPLAY_DEFAULT
from troth.vm.types import EndpointType, Field
from troth.vm.values import INT_MAX

_T = TypeVar("_T")


def check_open(context: Context, scope: Scope, item: OpenStatement) -> None:
    options = check_settings(context, item.settings)
    context.facts.options[item.span] = options
    if item.bundle is not None:
        _check_bundle(context, scope, item, item.bundle, options)
        return
    protocol = _protocol(context, item.protocol)
    if protocol is not None:
        _check_edges(context, item, protocol, options)
        if len(item.targets) != len(protocol.roles):
            # A family takes one name for all its members.
            roles = tuple(dict.fromkeys(role.partition("[")[0] for role in protocol.roles))
            context.error(
                "check.open.count",
                f"{protocol.name} takes {count(len(roles), 'name')}",
                item.protocol.span,
                expected=f"a name for each of {', '.join(roles)}",
                found=count(len(item.targets), "name"),
                fix="give one name for each role, in the order of the roles",
            )
            protocol = None
    kinds: list[EndpointType | None] = [None] * len(item.targets)
    if protocol is not None:
        kinds = [EndpointType(protocol.name, role) for role in protocol.roles]
    _bind_targets(context, scope, item, kinds)


def _check_bundle(
    context: Context,
    scope: Scope,
    item: OpenStatement,
    bundle: BundleDecl,
    options: OpenOptions,
) -> None:
    """The targets are the endpoints of all its sessions, one after the other."""
    kinds: list[EndpointType | None] = []
    for child in bundle.children:
        protocol = context.symbols.protocols.get(child.protocol.text)
        if protocol is None:
            kinds += [None] * len(child.players)
        else:
            _check_edges(context, item, protocol, options)
            kinds += [EndpointType(protocol.name, role) for role in protocol.roles]
    _bind_targets(context, scope, item, kinds)


def _bind_targets(
    context: Context, scope: Scope, item: OpenStatement, kinds: Sequence[EndpointType | None]
) -> None:
    seen: set[str] = set()
    for target, kind in zip(item.targets, kinds, strict=True):
        if target.text in seen:
            context.error(
                "check.variable.duplicate",
                f"{target.text} would be bound twice by one open",
                target.span,
                expected="a name for each role",
                found=f"{target.text} again",
                fix="use another name here",
            )
            continue
        seen.add(target.text)
        context.bind(scope, target, kind)


def _protocol(context: Context, name: Name) -> Protocol | None:
    symbols = context.symbols
    if name.text in symbols.protocols:
        return symbols.protocols[name.text]
    if name.text not in symbols.broken:
        known = tuple(symbols.protocols)
        context.error(
            "check.protocol.unknown",
            f"there is no protocol {name.text}",
            name.span,
            expected=one_of(known, "a protocol of this file"),
            found=name.text,
            fix=did_you_mean(name.text, known) or "declare the protocol",
        )
    return None


# --- settings ----------------------------------------------------------------------------


def check_settings(context: Context, settings: tuple[Setting, ...]) -> OpenOptions:
    """The options that the settings of an `open` mean; what is refused is left out."""
    values: dict[str, str] = {}
    found = _Settings(context)
    for setting in settings:
        key = setting.key.text
        if key in values:
            found.refuse(
                "duplicate", setting.key, f"{key} is set twice", "each setting once", "remove one"
            )
            continue
        values[key] = setting.value.text
        read = _READERS.get(key)
        if read is None:
            known = tuple(_READERS)
            fix = did_you_mean(key, known) or "remove it"
            if key[:1].isupper():
                fix = f"remove it: no family of this protocol has the size {key}"
            found.refuse(
                "unknown",
                setting.key,
                f"there is no setting {key}",
                one_of(known, "a setting"),
                fix,
            )
        else:
            read(found, setting.value)
    return OpenOptions(
        replay=found.replay,
        seal=found.seal,
        capacity=found.capacity,
        policy=found.policy,
        linger_ns=found.linger_ns,
    )


class _Settings:
    """Reads the values of settings one by one."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.replay: ReplayMode | None = None
        self.seal: Seal | None = None
        self.capacity: int | None = None
        self.policy: Policy | None = None
        self.linger_ns: int | None = None

    def refuse(self, what: str, name: Name, message: str, expected: str, fix: str) -> None:
        self.context.error(
            f"check.setting.{what}", message, name.span, expected=expected, found=name.text, fix=fix
        )

    def read_replay(self, value: Name) -> None:
        self.replay = self._one_of("replay", value, REPLAY_MODES)

    def read_seal(self, value: Name) -> None:
        self.seal = self._one_of("seal", value, {item.value: item for item in Seal})

    def read_capacity(self, value: Name) -> None:
        most = DEFAULT_LIMITS.buffer_capacity_max
        digits = value.text.isascii() and value.text.isdigit() and len(value.text) <= 9
        if digits and 1 <= int(value.text) <= most:
            self.capacity = int(value.text)
        else:
            self.refuse(
                "value",
                value,
                "a capacity counts messages",
                f"a number from 1 to {most}",
                "write `capacity = 64`, or leave it out",
            )

    def read_policy(self, value: Name) -> None:
        if value.text == Policy.DROP.value:
            self.refuse(
                "conflict",
                value,
                "a full buffer may drop only messages that are lossy",
                "block or error",
                "write `policy = block`: the sender waits for space",
            )
        elif value.text.startswith(Policy.RESIZE.value):
            self.refuse(
                "unsupported",
                value,
                "resize is set for one edge, with its maximum",
                "block or error",
                "in the protocol write `edge A -> B: policy = resize{n}`",
            )
        else:
            named = {item.value: item for item in (Policy.BLOCK, Policy.ERROR)}
            self.policy = self._one_of("policy", value, named)

    def read_linger(self, value: Name) -> None:
        linger_ns = nanoseconds(value.text)
        if linger_ns is not None and linger_ns <= INT_MAX:
            self.linger_ns = linger_ns
        else:
            self.refuse(
                "value",
                value,
                "linger is a duration",
                "a number with a unit: ns, us, ms, s, m or h",
                "write `linger = 5s`, or leave it out",
            )

    def _one_of(self, key: str, value: Name, known: Mapping[str, _T]) -> _T | None:
        if value.text not in known:
            names = tuple(known)
            self.refuse(
                "value",
                value,
                f"{key} cannot be {value.text}",
                one_of(names, "a value"),
                suggest_value(key, value.text, names),
            )
        return known.get(value.text)


_READERS: Final[Mapping[str, Callable[[_Settings, Name], None]]] = {
    "replay": _Settings.read_replay,
    "seal": _Settings.read_seal,
    "capacity": _Settings.read_capacity,
    "policy": _Settings.read_policy,
    "linger": _Settings.read_linger,
}


def _check_edges(
    context: Context, item: OpenStatement, protocol: Protocol, options: OpenOptions
) -> None:
    """What a setting of the session cannot be, because of what the protocol fixes for an edge."""
    written = {setting.key.text: setting.value.span for setting in item.settings}
    lossy = lossy_labels(protocol)
    known = {(edge.sender, edge.receiver): edge for edge in protocol.edges}
    for pair in sorted({*known, *lossy}):
        edge = known.get(pair) or EdgeSettings(sender=pair[0], receiver=pair[1])
        place = f"the edge {edge.sender} -> {edge.receiver}"
        # `sequence` takes exactly the next number: it cannot hold where one may be missing.
        replay = edge.replay or options.replay or REPLAY_DEFAULT
        if pair in lossy and replay is ReplayMode.SEQUENCE:
            context.error(
                "check.setting.conflict",
                f"replay = sequence cannot hold on {place}, which may lose messages",
                written.get("replay", item.protocol.span),
                expected="nullifier or off for this edge",
                found="sequence" if "replay" in written else "sequence, which is the default",
                fix=f"open with `replay = nullifier`, or add it to the edge in {protocol.name}",
            )
            return
        capacity = edge.capacity or options.capacity or CAPACITY_DEFAULT
        if edge.resize_max is not None and edge.resize_max < capacity:
            default = "" if "capacity" in written else ", which is the default"
            most = count(edge.resize_max, "message")
            context.error(
                "check.setting.conflict",
                f"{place} may hold {most}, but would start with {capacity}",
                written.get("capacity", item.protocol.span),
                expected=f"a capacity from 1 to {edge.resize_max}",
                found=f"{capacity}{default}",
                fix=f"open with `capacity = {edge.resize_max}`, or raise the edge's maximum",
            )
            return


# --- spawn -------------------------------------------------------------------------------


def check_spawn(context: Context, scope: Scope, item: SpawnStatement) -> None:
    parameters = _parameters(context, item.program)
    if parameters is None:
        check_loose_arguments(context, scope, item.arguments)
        return
    name = item.program.text
    if len(parameters) != len(item.arguments):
        context.error(
            "check.program.count",
            f"{name} takes {count(len(parameters), 'argument')}",
            item.program.span,
            expected=f"{name}({', '.join(map(str, parameters))})",
            found=count(len(item.arguments), "argument"),
            fix="give one argument for each parameter of the program",
        )
        check_loose_arguments(context, scope, item.arguments)
        return
    for argument, parameter in zip(item.arguments, parameters, strict=True):
        if isinstance(parameter.type, EndpointType) and is_endpoint(context, scope, argument):
            move_endpoint(context, scope, argument, parameter, f"handed to {name}")
        else:
            expect(
                context,
                scope,
                argument,
                parameter.type,
                code="check.type.argument",
                role=f"the argument {parameter.name} of {name}",
            )


def _parameters(context: Context, name: Name) -> tuple[Field, ...] | None:
    """The parameters of a program that may be spawned, or None after an error."""
    symbols = context.symbols
    if name.text == MAIN:
        context.error(
            "check.program.main",
            "main cannot be spawned: a run starts it once",
            name.span,
            expected="another program",
            found=MAIN,
            fix="move what should run again to a program of its own",
        )
        return None
    if name.text in symbols.programs:
        return symbols.programs[name.text]
    if name.text not in symbols.broken:
        known = tuple(program for program in symbols.programs if program != MAIN)
        fix = did_you_mean(name.text, known) or f"declare it: `program {name.text}(…):`"
        if name.text in symbols.effects:
            fix = f"{name.text} is an effect: ask for it with `call`"
        context.error(
            "check.program.unknown",
            f"there is no program {name.text}",
            name.span,
            expected=one_of(known, "a program of this file"),
            found=name.text,
            fix=fix,
        )
    return None
