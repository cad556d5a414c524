"""The `edge A -> B: key = value, …` lines of a protocol.

A setting that cannot hold is refused here and not discovered at run time. What depends on which
messages may be lost is in `check_lossy`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from troth.dsl.ast import EdgeDecl, Name, Setting, Span
from troth.dsl.diag import Diagnostic
from troth.dsl.names import did_you_mean, one_of
from troth.dsl.report import Report
from troth.vm.image import EdgeSettings
from troth.vm.instructions import BufferMode, PayloadForm, Policy, ReplayMode
from troth.vm.limits import DEFAULT_LIMITS

LOSSY: Final = "lossy"
ROTATE_MAX: Final = DEFAULT_LIMITS.generation_messages_max
CAPACITY_MAX: Final = DEFAULT_LIMITS.buffer_capacity_max


@dataclass(frozen=True, slots=True)
class Resize:
    """`policy = resize{n}`: grow up to n messages, then block."""

    most: int


SettingValue: TypeAlias = ReplayMode | BufferMode | PayloadForm | Policy | Resize | int


@dataclass(frozen=True, slots=True)
class EdgeSetting:
    """One setting of one edge, as its protocol's own roles name it."""

    sender: str
    receiver: str
    key: str
    value: SettingValue
    span: Span


def _one_of(*values: ReplayMode | BufferMode | PayloadForm) -> Callable[[str], SettingValue | None]:
    by_text = {value.value: value for value in values}
    return by_text.get


def _capacity(text: str) -> int | None:
    # At most six digits are converted: the largest capacity has five.
    if not re.fullmatch(r"[0-9]{1,6}", text, re.ASCII):
        return None
    number = int(text)
    return number if 1 <= number <= CAPACITY_MAX else None


def _rotate(text: str) -> int | None:
    if not re.fullmatch(r"[0-9]{1,6}", text, re.ASCII):
        return None
    number = int(text)
    return number if 1 <= number <= ROTATE_MAX else None


def _policy(text: str) -> SettingValue | None:
    match = re.fullmatch(r"resize\s*\{\s*([0-9]{1,6})\s*\}", text, re.ASCII)
    if match is not None:
        most = _capacity(match.group(1))
        return None if most is None else Resize(most)
    plain = {Policy.BLOCK.value: Policy.BLOCK, "drop": Policy.DROP, "error": Policy.ERROR}
    return plain.get(text)


REPLAY_MODES: Final[Mapping[str, ReplayMode]] = {
    mode.value: mode for mode in (ReplayMode.SEQUENCE, ReplayMode.NULLIFIER, ReplayMode.OFF)
}


@dataclass(frozen=True, slots=True)
class _Key:
    read: Callable[[str], SettingValue | None]
    expected: str
    names: tuple[str, ...]


_KEYS: Final[Mapping[str, _Key]] = {
    "replay": _Key(REPLAY_MODES.get, "sequence, nullifier or off", tuple(REPLAY_MODES)),
    "buffer": _Key(
        _one_of(*BufferMode), "fifo or latest", (BufferMode.FIFO.value, BufferMode.LATEST.value)
    ),
    "capacity": _Key(_capacity, f"a number of messages from 1 to {CAPACITY_MAX}", ("64",)),
    "policy": _Key(
        _policy,
        f"block, error, drop, or resize{{n}} with n from 1 to {CAPACITY_MAX}",
        (Policy.BLOCK.value, Policy.ERROR.value, Policy.DROP.value),
    ),
    "rotate": _Key(_rotate, f"a number of messages from 1 to {ROTATE_MAX}", ("4096",)),
    "payload": _Key(
        _one_of(*PayloadForm),
        "inline or digest",
        (PayloadForm.INLINE.value, PayloadForm.DIGEST.value),
    ),
}


def suggest_value(key: str, value: str, names: tuple[str, ...]) -> str:
    """The fix for a value that a setting cannot have; `names` are those it can, the usual first.

    It never advises to turn protection off: whoever wants that has to write it unasked.
    """
    safe = tuple(name for name in names if name != ReplayMode.OFF.value)
    return did_you_mean(value, safe) or f"write `{key} = {safe[0]}`, or leave it out"


def check_edges(
    declarations: tuple[EdgeDecl, ...], roles: tuple[str, ...], report: Report
) -> tuple[EdgeSetting, ...]:
    """The settings of a protocol's edges that are sound by themselves."""
    settings: list[EdgeSetting] = []
    first: dict[tuple[str, str], Span] = {}
    for edge in declarations:
        pair = (edge.sender.text, edge.receiver.text)
        known = [_check_role(role, roles, report) for role in (edge.sender, edge.receiver)]
        if pair[0] == pair[1]:
            report.add(_self_edge(edge))
        elif pair in first:
            report.add(_edge_twice(edge, first[pair]))
        elif all(known):
            own = _read_settings(edge, report)
            _check_combination(edge, {item.key: item for item in own}, report)
            settings.extend(own)
        first.setdefault(pair, edge.span)
    return tuple(settings)


def edge_values(settings: Iterable[EdgeSetting]) -> tuple[EdgeSettings, ...]:
    """The image's form: one value for each edge, sorted."""
    by_edge: dict[tuple[str, str], dict[str, SettingValue]] = {}
    for item in settings:
        by_edge.setdefault((item.sender, item.receiver), {})[item.key] = item.value
    return tuple(_edge_value(pair, by_edge[pair]) for pair in sorted(by_edge))


def _edge_value(pair: tuple[str, str], values: Mapping[str, SettingValue]) -> EdgeSettings:
    replay, buffer, payload = values.get("replay"), values.get("buffer"), values.get("payload")
    capacity, policy = values.get("capacity"), values.get("policy")
    rotate = values.get("rotate")
    resize = policy if isinstance(policy, Resize) else None
    return EdgeSettings(
        sender=pair[0],
        receiver=pair[1],
        replay=replay if isinstance(replay, ReplayMode) else None,
        buffer=buffer if isinstance(buffer, BufferMode) else None,
        capacity=capacity if isinstance(capacity, int) else None,
        policy=Policy.RESIZE if resize else policy if isinstance(policy, Policy) else None,
        resize_max=resize.most if resize else None,
        payload=payload if isinstance(payload, PayloadForm) else None,
        rotate=rotate if isinstance(rotate, int) else None,
    )


def _check_role(role: Name, roles: tuple[str, ...], report: Report) -> bool:
    if role.text in roles:
        return True
    report.add(
        Diagnostic(
            code="protocol.role.unknown",
            message=f"there is no role {role.text} in this protocol",
            span=role.span,
            expected=one_of(roles, "a protocol with roles: `protocol P(A, B):`"),
            found=role.text,
            fix=did_you_mean(role.text, roles) or "name one of the protocol's roles",
        )
    )
    return False


def _read_settings(edge: EdgeDecl, report: Report) -> list[EdgeSetting]:
    read: dict[str, EdgeSetting] = {}
    first: dict[str, Span] = {}
    for setting in edge.settings:
        key = setting.key.text
        if key in first:
            report.add(_setting_twice(setting, first[key]))
            continue
        first[key] = setting.key.span
        known = _KEYS.get(key)
        if known is None:
            report.add(_unknown_key(setting))
            continue
        value = known.read(setting.value.text)
        if value is None:
            report.add(_bad_value(setting, known))
            continue
        read[key] = EdgeSetting(edge.sender.text, edge.receiver.text, key, value, setting.span)
    return list(read.values())


def _check_combination(edge: EdgeDecl, settings: Mapping[str, EdgeSetting], report: Report) -> None:
    values = {key: item.value for key, item in settings.items()}
    latest = values.get("buffer") is BufferMode.LATEST
    if latest and values.get("replay") is ReplayMode.SEQUENCE:
        report.add(_sequence_needs_fifo(edge, settings["buffer"].span))
    if latest and isinstance(values.get("policy"), Resize):
        report.add(_latest_does_not_grow(settings["policy"].span))
    if (
        "rotate" in values
        and values.get("replay", ReplayMode.NULLIFIER) is not ReplayMode.NULLIFIER
    ):
        report.add(_needs_nullifier(settings["rotate"].span))
    capacity, policy = values.get("capacity"), values.get("policy")
    if isinstance(policy, Resize) and isinstance(capacity, int) and policy.most < capacity:
        report.add(
            Diagnostic(
                code="protocol.edge.combination",
                message="the buffer would have to shrink",
                span=settings["policy"].span,
                expected=f"resize{{n}} with n of at least the capacity, {capacity}",
                found=f"resize{{{policy.most}}}",
                fix="raise n, or lower the capacity the buffer starts with",
            )
        )


def _sequence_needs_fifo(edge: EdgeDecl, span: Span) -> Diagnostic:
    return Diagnostic(
        code="protocol.edge.combination",
        message="replay = sequence cannot hold where messages overwrite each other",
        span=span,
        expected="a first-in first-out buffer with replay = sequence",
        found=f"buffer = latest on {edge.sender.text} -> {edge.receiver.text}",
        fix="remove buffer = latest",
    )


def _needs_nullifier(span: Span) -> Diagnostic:
    return Diagnostic(
        code="protocol.edge.combination",
        message="only an edge with replay = nullifier has generations",
        span=span,
        expected="replay = nullifier with rotate",
        found="another replay mode",
        fix="write replay = nullifier, or leave out rotate",
    )


def _latest_does_not_grow(span: Span) -> Diagnostic:
    return Diagnostic(
        code="protocol.edge.combination",
        message="a buffer that overwrites messages does not grow",
        span=span,
        expected="policy = block, error or drop with buffer = latest",
        found="policy = resize",
        fix="leave out the policy, or buffer = latest",
    )


def _self_edge(edge: EdgeDecl) -> Diagnostic:
    return Diagnostic(
        code="protocol.edge.self",
        message=f"there is no edge from {edge.sender.text} to itself",
        span=edge.receiver.span,
        expected="two different roles",
        found=f"{edge.sender.text} -> {edge.receiver.text}",
        fix="name the role that receives on this edge",
    )


def _edge_twice(edge: EdgeDecl, first: Span) -> Diagnostic:
    return Diagnostic(
        code="protocol.edge.duplicate",
        message=f"the edge {edge.sender.text} -> {edge.receiver.text} is set twice",
        span=edge.span,
        related=((first, "the first is here"),),
        fix="write all settings of one edge on one line",
    )


def _setting_twice(setting: Setting, first: Span) -> Diagnostic:
    return Diagnostic(
        code="protocol.edge.setting.duplicate",
        message=f"{setting.key.text} is set twice for this edge",
        span=setting.key.span,
        related=((first, "the first is here"),),
        fix="keep one of the two",
    )


def _lossy(span: Span) -> Diagnostic:
    return Diagnostic(
        code="protocol.edge.lossy",
        message=f"`{LOSSY}` is no setting of an edge: it is said of a message",
        span=span,
        expected="a setting",
        found=f"`{LOSSY}`",
        fix=f"write it behind the message that may be lost: `A -> B: m() {LOSSY}`",
    )


def _unknown_key(setting: Setting) -> Diagnostic:
    if setting.key.text == LOSSY:
        return _lossy(setting.key.span)
    return Diagnostic(
        code="protocol.edge.setting.unknown",
        message=f"an edge has no setting {setting.key.text}",
        span=setting.key.span,
        expected=one_of(tuple(_KEYS), "a setting"),
        found=setting.key.text,
        fix=did_you_mean(setting.key.text, tuple(_KEYS)) or "use one of these settings",
    )


def _bad_value(setting: Setting, known: _Key) -> Diagnostic:
    if setting.value.text == LOSSY:
        return _lossy(setting.value.span)
    return Diagnostic(
        code="protocol.edge.setting.value",
        message=f"{setting.key.text} cannot be {setting.value.text}",
        span=setting.value.span,
        expected=known.expected,
        found=setting.value.text,
        fix=suggest_value(setting.key.text, setting.value.text, known.names),
    )
