"""Who uses which protocol: in which order to check them, and which are only parts of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from troth.dsl.ast import (
    Choice,
    Do,
    EndpointOf,
    Interaction,
    LoopAt,
    OpenStatement,
    ProtocolDecl,
    Rec,
    Script,
)


def used_first(declared: Mapping[str, ProtocolDecl]) -> list[str]:
    """All names, each after those it uses by `do` where there is no cycle."""
    order: dict[str, None] = {}
    entered: set[str] = set()
    for root in declared:
        pending = [(root, False)]
        while pending:
            name, leaving = pending.pop()
            if leaving:
                order[name] = None
            elif name not in entered:
                entered.add(name)
                pending.append((name, True))
                used = _used_by(declared[name].body)
                pending.extend((other, False) for other in used if other in declared)
    return list(order)


def _used_by(body: tuple[Interaction, ...]) -> list[str]:
    used: list[str] = []
    pending: list[Interaction] = list(body)
    while pending:
        item = pending.pop()
        if isinstance(item, Do):
            used.append(item.protocol.text)
        elif isinstance(item, Rec | LoopAt):
            pending.extend(item.body)
        elif isinstance(item, Choice):
            pending.extend(inner for branch in item.branches for inner in branch)
    return list(dict.fromkeys(used))


def parts_only(script: Script, declared: Mapping[str, ProtocolDecl]) -> frozenset[str]:
    """The protocols that others use by `do` and that nothing opens or holds an endpoint of.

    Such a part is checked where it is used: by itself it may be incomplete, for example because
    a role learns only from what follows which branch was taken.
    """
    used = {
        other
        for name, declaration in declared.items()
        for other in _used_by(declaration.body)
        if other != name
    }
    named: set[str] = set()
    pending: list[object] = list(script.declarations)
    while pending:
        item = pending.pop()
        if isinstance(item, OpenStatement | EndpointOf):
            named.add(item.protocol.text)
        if isinstance(item, tuple):
            pending.extend(item)
        elif is_dataclass(item):
            pending.extend(getattr(item, field.name) for field in fields(item))
    parts = used & set(declared) - named
    return frozenset(parts & _reached(declared, set(declared) - parts))


def _reached(declared: Mapping[str, ProtocolDecl], roots: set[str]) -> set[str]:
    """What the roots use, directly or not. Parts that only use each other are not reached."""
    found = set(roots)
    pending = sorted(roots)
    while pending:
        for other in _used_by(declared[pending.pop()].body):
            if other in declared and other not in found:
                found.add(other)
                pending.append(other)
    return found
