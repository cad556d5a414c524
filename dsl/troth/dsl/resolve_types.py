"""From the types a script writes to the types of the machine.

`build_type_scope` resolves every `type` declaration once; `resolve_type` then resolves a type
written in a message, a parameter or an effect. Both add diagnostics and give None for what does
not resolve, and both stay silent about a name whose own declaration was refused already.

Aliases may share parts, so a few lines can spell a type of astronomical size: the depth and
the size of every type are bounded here, before anything walks it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from troth.dsl.ast import (
    EndpointOf,
    FieldDecl,
    ListOf,
    NamedType,
    ProtocolDecl,
    RecordOf,
    Script,
    Span,
    TypeDecl,
    TypeExpr,
)
from troth.dsl.diag import Diagnostic, Diagnostics
from troth.dsl.names import did_you_mean, one_of
from troth.vm.types import EndpointType, Field, ListType, Primitive, RecordType, ValueType

TYPE_DEPTH_MAX: Final = 16
TYPE_SIZE_MAX: Final = 1_000

PRIMITIVES: Final = tuple(primitive.value for primitive in Primitive)


@dataclass(frozen=True, slots=True)
class SizedType:
    """A resolved type with its nesting depth and the number of its parts."""

    type: ValueType
    depth: int
    size: int


@dataclass(frozen=True, slots=True)
class TypeScope:
    """What a type may refer to.

    `aliases` maps each `type` declaration to its type, or to None when it was refused;
    `roles` maps each protocol to its roles; `broken` are names the parser could not read.
    """

    aliases: Mapping[str, SizedType | None]
    roles: Mapping[str, tuple[str, ...]]
    broken: Collection[str]


def build_type_scope(
    script: Script, diagnostics: Diagnostics, *, broken: Collection[str] = ()
) -> TypeScope:
    """Resolves the `type` declarations of a script; reports what is wrong with them."""
    roles = {
        item.name.text: tuple(role.text for role in item.roles)
        for item in script.declarations
        if isinstance(item, ProtocolDecl)
    }
    declared = _declared(script, diagnostics)
    aliases: dict[str, SizedType | None] = {}
    scope = TypeScope(aliases, roles, broken)
    for declaration in _in_order(declared, aliases, diagnostics):
        name = declaration.name.text
        aliases[name] = _resolve(declaration.type, scope, diagnostics)
    return scope


def resolve_type(
    expression: TypeExpr,
    scope: TypeScope,
    diagnostics: Diagnostics,
    *,
    endpoints: bool = True,
) -> ValueType | None:
    """The type that `expression` means, or None after a diagnostic (or an earlier one).

    `endpoints` says whether the place may hold an endpoint: a field of a message and a
    parameter of a program may, a parameter or result of an effect may not.
    """
    sized = _resolve(expression, scope, diagnostics)
    if sized is None:
        return None
    if isinstance(sized.type, EndpointType) and not endpoints:
        _refuse_endpoint(expression.span, str(sized.type), diagnostics)
        return None
    return sized.type


def resolve_fields(
    fields: tuple[FieldDecl, ...],
    scope: TypeScope,
    diagnostics: Diagnostics,
    *,
    endpoints: bool = True,
) -> tuple[Field, ...] | None:
    """The fields in the order written, or None when one of them is refused."""
    resolved: list[Field] = []
    complete = _names_are_distinct(fields, diagnostics)
    for field in fields:
        kind = resolve_type(field.type, scope, diagnostics, endpoints=endpoints)
        if kind is None:
            complete = False
        else:
            resolved.append(Field(field.name.text, kind))
    return tuple(resolved) if complete else None


# --- declarations ------------------------------------------------------------------------


def _declared(script: Script, diagnostics: Diagnostics) -> dict[str, TypeDecl]:
    declared: dict[str, TypeDecl] = {}
    for item in script.declarations:
        if not isinstance(item, TypeDecl):
            continue
        name = item.name.text
        if name in PRIMITIVES or name == "list":
            diagnostics.add(
                Diagnostic(
                    code="type.reserved",
                    message=f"{name} is a built-in type",
                    span=item.name.span,
                    fix="give this type another name",
                )
            )
        elif name in declared:
            diagnostics.add(
                Diagnostic(
                    code="type.duplicate",
                    message=f"the type {name} is declared twice",
                    span=item.name.span,
                    related=((declared[name].name.span, "first declared here"),),
                    fix="rename or remove one of the two",
                )
            )
        else:
            declared[name] = item
    return declared


def _in_order(
    declared: Mapping[str, TypeDecl],
    aliases: dict[str, SizedType | None],
    diagnostics: Diagnostics,
) -> list[TypeDecl]:
    """The declarations with those they use first; those on a cycle become None in `aliases`.

    Iterative, because a chain of aliases may be as long as the file.
    """
    order: list[TypeDecl] = []
    finished: set[str] = set()
    for root in declared:
        path: dict[str, None] = {}
        pending: list[tuple[str, bool]] = [(root, False)]
        while pending:
            name, leaving = pending.pop()
            if leaving:
                path.popitem()
                finished.add(name)
                if name not in aliases:
                    order.append(declared[name])
            elif name in path:
                above = list(path)
                cycle = above[above.index(name) :]
                _refuse_cycle(cycle, declared, diagnostics)
                aliases.update(dict.fromkeys(cycle))
            elif name not in finished:
                path[name] = None
                pending.append((name, True))
                used = _names_in(declared[name].type)
                pending.extend((other, False) for other in reversed(used) if other in declared)
    return order


def _refuse_cycle(
    cycle: list[str], declared: Mapping[str, TypeDecl], diagnostics: Diagnostics
) -> None:
    first = declared[cycle[0]]
    diagnostics.add(
        Diagnostic(
            code="type.recursive",
            message=f"the type {cycle[0]} contains itself",
            span=first.name.span,
            found=" -> ".join([*cycle, cycle[0]]),
            fix="a value has a finite type; use a list, or send the parts as messages of a loop",
        )
    )


def _names_in(expression: TypeExpr) -> list[str]:
    names: list[str] = []
    pending: list[TypeExpr] = [expression]
    while pending:
        item = pending.pop()
        if isinstance(item, NamedType):
            names.append(item.name.text)
        elif isinstance(item, ListOf):
            pending.append(item.item)
        elif isinstance(item, RecordOf):
            pending.extend(field.type for field in item.fields)
    return list(dict.fromkeys(names))


# --- one type ----------------------------------------------------------------------------


def _resolve(
    expression: TypeExpr, scope: TypeScope, diagnostics: Diagnostics, depth: int = 1
) -> SizedType | None:
    if depth > TYPE_DEPTH_MAX:
        _refuse_size(expression.span, diagnostics)
        return None
    if isinstance(expression, NamedType):
        return _resolve_name(expression, scope, diagnostics)
    if isinstance(expression, EndpointOf):
        return _resolve_endpoint(expression, scope, diagnostics)
    if isinstance(expression, ListOf):
        item = _resolve_inner(expression.item, scope, diagnostics, depth)
        if item is None:
            return None
        return _bounded(ListType(item.type), (item,), expression.span, diagnostics)
    return _resolve_record(expression, scope, diagnostics, depth)


def _resolve_record(
    expression: RecordOf, scope: TypeScope, diagnostics: Diagnostics, depth: int
) -> SizedType | None:
    complete = _names_are_distinct(expression.fields, diagnostics)
    fields: list[Field] = []
    parts: list[SizedType] = []
    for field in expression.fields:
        part = _resolve_inner(field.type, scope, diagnostics, depth)
        if part is None:
            complete = False
        else:
            parts.append(part)
            fields.append(Field(field.name.text, part.type))
    if not complete:
        return None
    # Code points order strings as their UTF-8 bytes do, which is the order on the wire.
    record = RecordType(tuple(sorted(fields, key=lambda field: field.name)))
    return _bounded(record, tuple(parts), expression.span, diagnostics)


def _resolve_inner(
    expression: TypeExpr, scope: TypeScope, diagnostics: Diagnostics, depth: int
) -> SizedType | None:
    part = _resolve(expression, scope, diagnostics, depth + 1)
    if part is not None and isinstance(part.type, EndpointType):
        _refuse_endpoint(expression.span, str(part.type), diagnostics)
        return None
    return part


def _bounded(
    kind: ValueType, parts: tuple[SizedType, ...], span: Span, diagnostics: Diagnostics
) -> SizedType | None:
    depth = 1 + max((part.depth for part in parts), default=0)
    size = 1 + sum(part.size for part in parts)
    if depth > TYPE_DEPTH_MAX or size > TYPE_SIZE_MAX:
        _refuse_size(span, diagnostics)
        return None
    return SizedType(kind, depth, size)


def _resolve_name(
    expression: NamedType, scope: TypeScope, diagnostics: Diagnostics
) -> SizedType | None:
    name = expression.name.text
    if name in PRIMITIVES:
        return SizedType(Primitive(name), 1, 1)
    if name in scope.aliases:
        return scope.aliases[name]
    if name in scope.broken:
        return None
    known = (*PRIMITIVES, *scope.aliases)
    fix = did_you_mean(name, known) or f"declare it with `type {name} = …`"
    if name == "list":
        fix = "say what is in the list: `list[int]`, or another type in the brackets"
    elif name in scope.roles:
        role = next(iter(scope.roles[name]), "Role")
        fix = f"an endpoint type names a role too: write {name}.{role}"
    diagnostics.add(
        Diagnostic(
            code="type.unknown",
            message=f"there is no type {name}",
            span=expression.span,
            expected=one_of(known, "a type"),
            found=name,
            fix=fix,
        )
    )
    return None


def _resolve_endpoint(
    expression: EndpointOf, scope: TypeScope, diagnostics: Diagnostics
) -> SizedType | None:
    protocol, role = expression.protocol.text, expression.role.text
    roles = scope.roles.get(protocol)
    if roles is None:
        if protocol not in scope.broken:
            diagnostics.add(
                Diagnostic(
                    code="type.protocol.unknown",
                    message=f"there is no protocol {protocol}",
                    span=expression.protocol.span,
                    expected="the name of a protocol of this file",
                    found=protocol,
                    fix=did_you_mean(protocol, tuple(scope.roles)) or "declare the protocol",
                )
            )
        return None
    if role not in roles:
        diagnostics.add(
            Diagnostic(
                code="type.role.unknown",
                message=f"the protocol {protocol} has no role {role}",
                span=expression.role.span,
                expected=one_of(roles, f"roles of {protocol}: `protocol {protocol}(A, B):`"),
                found=role,
                fix=did_you_mean(role, roles) or "use one of its roles",
            )
        )
        return None
    return SizedType(EndpointType(protocol, role), 1, 1)


def _names_are_distinct(fields: tuple[FieldDecl, ...], diagnostics: Diagnostics) -> bool:
    first: dict[str, Span] = {}
    distinct = True
    for field in fields:
        name = field.name.text
        if name in first:
            distinct = False
            diagnostics.add(
                Diagnostic(
                    code="type.field.duplicate",
                    message=f"there are two fields called {name}",
                    span=field.name.span,
                    related=((first[name], "the first is here"),),
                    fix="give each field its own name",
                )
            )
        first.setdefault(name, field.name.span)
    return distinct


def _refuse_endpoint(span: Span, found: str, diagnostics: Diagnostics) -> None:
    diagnostics.add(
        Diagnostic(
            code="type.endpoint.nested",
            message="an endpoint cannot be part of a value",
            span=span,
            expected="a type of data: " + ", ".join(PRIMITIVES) + ", list[…] or a record",
            found=f"the endpoint type {found}",
            fix="send an endpoint as a field of a message, or pass it as a program's parameter",
        )
    )


def _refuse_size(span: Span, diagnostics: Diagnostics) -> None:
    diagnostics.add(
        Diagnostic(
            code="type.too_large",
            message="this type is too large",
            span=span,
            expected=f"at most {TYPE_DEPTH_MAX} levels and {TYPE_SIZE_MAX} parts",
            fix="send the data in smaller messages",
        )
    )
