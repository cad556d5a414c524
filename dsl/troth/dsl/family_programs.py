"""Programs over role families: written once, made for every size and member that needs one.

`program worker(s: Farm.Worker[i])` is a template for all workers, and `i` is the number of the
one that it runs for; `program hub(s: Farm.Hub)` is one for all sizes of `Farm`. A `spawn` asks for
the program that fits the endpoints it hands over. What nothing spawns is made for every member of
every session that is opened, so that it is checked too.

`foreach` is written out: over `s.Worker` the name stands for the role, over the endpoints that
`open` gave to a family for the endpoint. Copies of a statement have spans of their own, because
later stages know statements by their spans.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from itertools import product
from typing import Final, TypeVar, cast, get_args

from troth.dsl.ast import (
    Assign,
    Break,
    ContinueLoop,
    EndpointOf,
    Expression,
    FieldDecl,
    ForEach,
    ForRange,
    Index,
    Let,
    Literal,
    Loop,
    Name,
    OpenStatement,
    ProgramDecl,
    Setting,
    Span,
    SpawnStatement,
    Statement,
    Variable,
    While,
)
from troth.dsl.build_nodes import number
from troth.dsl.diag import Diagnostic
from troth.dsl.families import (
    COPIES_MAX,
    FAMILY_SIZE_MAX,
    Instance,
    Templates,
    is_number,
    unknown_index,
)
from troth.dsl.names import did_you_mean, one_of
from troth.vm.limits import PROGRAMS_MAX

_STATEMENTS: Final = get_args(Statement)
_LOOPS: Final = (Loop, While, ForRange)
_Node = TypeVar("_Node")

Endpoint = tuple[str, str]
"""The protocol as it was made, and the role."""


@dataclass(frozen=True, slots=True)
class _Fit:
    """What a program template stands for: its sizes by protocol, its numbers by name."""

    protocols: tuple[tuple[str, str], ...] = ()
    indexes: tuple[tuple[str, int], ...] = ()

    def name(self, base: str, *, full: bool) -> str:
        sizes = [made.partition("[")[2][:-1] for _, made in self.protocols if "[" in made]
        indexes = [str(index) for _, index in self.indexes]
        parts = [*sizes, *indexes] if full else indexes
        return f"{base}[{','.join(parts)}]" if parts else base


@dataclass(slots=True)
class Programs:
    """All programs of a script by name, and what was made of the templates among them."""

    templates: Templates
    declared: dict[str, ProgramDecl] = field(default_factory=dict)
    made: dict[str, dict[_Fit, ProgramDecl | None]] = field(default_factory=dict)
    pending: list[tuple[str, _Fit]] = field(default_factory=list)
    copies: int = 0

    def next_copy(self) -> int:
        self.copies += 1
        return self.copies

    def is_template(self, name: str) -> bool:
        declaration = self.declared.get(name)
        return declaration is not None and any(
            self._is_open(parameter) for parameter in declaration.parameters
        )

    def _is_open(self, parameter: FieldDecl) -> bool:
        kind = parameter.type
        if not isinstance(kind, EndpointOf):
            return False
        return bool(self.templates.parameters(kind.protocol.text)) or index_of(kind) is not None

    def is_refused(self, name: str) -> bool:
        """Whether a program is over a protocol that was refused, so that nothing can be said."""
        declaration = self.declared.get(name)
        return declaration is not None and any(
            isinstance(parameter.type, EndpointOf)
            and parameter.type.protocol.text in self.templates.refused
            for parameter in declaration.parameters
        )

    def request(self, name: str, fit: _Fit) -> str:
        """The name of the program that fits; it is made when nobody asked for it before."""
        made = self.made.setdefault(name, {})
        if fit not in made:
            made[fit] = None
            if sum(map(len, self.made.values())) <= PROGRAMS_MAX:
                self.pending.append((name, fit))
            else:
                self.templates.spend(COPIES_MAX + 1, self.declared[name].name.span)
        return fit.name(name, full=True)

    def plain(self, name: str) -> ProgramDecl | None:
        """A program that is no template, written out; None for a template."""
        if self.is_template(name):
            return None
        return self.make(name, _Fit())

    def make_all(self) -> None:
        """Makes all that was asked for, and of the other templates everything there can be."""
        self._make_pending()
        for name in self.declared:
            if self.is_template(name) and name not in self.made and not self.is_refused(name):
                for fit in self.every_fit(name):
                    if self.templates.copies_left < 0:
                        return
                    self.request(name, fit)
                self._make_pending()

    def _make_pending(self) -> None:
        while self.pending and self.templates.copies_left >= 0:
            name, fit = self.pending.pop(0)
            self.made[name][fit] = self.make(name, fit)

    def all_made(self, name: str) -> list[ProgramDecl]:
        made = self.made.get(name, {})
        ordered = sorted(made, key=lambda fit: fit.name(name, full=True))
        return [program for fit in ordered if (program := made[fit]) is not None]

    def names(self) -> dict[str, str]:
        """The short name for each long one, where the numbers alone tell the programs apart."""
        short: dict[str, str] = {}
        for name, made in self.made.items():
            shortest = {fit.name(name, full=False) for fit in made}
            if len(shortest) == len(made):
                short |= {fit.name(name, full=True): fit.name(name, full=False) for fit in made}
        return short

    def fit(self, name: str, endpoints: Sequence[Endpoint | None]) -> _Fit | None:
        """What the template must stand for to take these endpoints; None when it cannot."""
        protocols: dict[str, str] = {}
        indexes: dict[str, int] = {}
        for parameter, endpoint in zip(self.declared[name].parameters, endpoints, strict=False):
            kind = parameter.type
            if not isinstance(kind, EndpointOf) or not self._is_open(parameter):
                continue
            if endpoint is None or endpoint[0].partition("[")[0] != kind.protocol.text:
                return None
            if protocols.setdefault(kind.protocol.text, endpoint[0]) != endpoint[0]:
                return None
            index = index_of(kind)
            family, bracket, rest = endpoint[1].partition("[")
            if index is None:
                continue
            if not bracket or family != kind.role.text.partition("[")[0]:
                return None
            if indexes.setdefault(index, number(rest[:-1])) != number(rest[:-1]):
                return None
        return _Fit(tuple(protocols.items()), tuple(indexes.items()))

    def every_fit(self, name: str) -> Iterator[_Fit]:
        """All that a template can stand for in the sessions of this script."""
        kinds = [
            parameter.type
            for parameter in self.declared[name].parameters
            if isinstance(parameter.type, EndpointOf) and self._is_open(parameter)
        ]
        bases = dict.fromkeys(kind.protocol.text for kind in kinds)
        if any(base not in self.templates.declared for base in bases):
            # One of them, so that the types of its parameters are looked at.
            names = dict.fromkeys(index for kind in kinds if (index := index_of(kind)) is not None)
            yield _Fit((), tuple((index, 0) for index in names))
            return
        made = [
            [item for item in self.templates.made.values() if item.base == base]
            or [self.templates.instance(base, {})]
            for base in bases
        ]
        for chosen in product(*made):
            instances = dict(zip(bases, chosen, strict=True))
            sizes: dict[str, int] = {}
            for kind in kinds:
                index = index_of(kind)
                if index is not None:
                    family = kind.role.text.partition("[")[0]
                    size = instances[kind.protocol.text].families.get(family, 1)
                    sizes[index] = min(size, sizes.get(index, size))
            protocols = tuple(
                (base, item.declaration.name.text) for base, item in instances.items()
            )
            for indexes in product(*map(range, sizes.values())):
                yield _Fit(protocols, tuple(zip(sizes, indexes, strict=True)))

    def make(self, name: str, fit: _Fit) -> ProgramDecl:
        """The program `name` for what `fit` says."""
        declaration = self.declared[name]
        is_first = all(item is None for item in self.made.get(name, {}).values())
        writer = _Writer(self, 0 if is_first else self.next_copy(), dict(fit.indexes))
        made = dict(fit.protocols)
        parameters = tuple(writer.parameter(item, made) for item in declaration.parameters)
        known = tuple(
            Let(
                writer.node(Name(index, declaration.name.span)),
                Literal(value, writer.node(declaration.name.span)),
                writer.node(declaration.name.span),
            )
            for index, value in fit.indexes
        )
        return replace(
            declaration,
            name=writer.node(replace(declaration.name, text=fit.name(name, full=True))),
            parameters=parameters,
            body=(*known, *writer.block(declaration.body)),
        )


def index_of(kind: EndpointOf) -> str | None:
    """The name in the brackets of `Farm.Worker[i]`."""
    index = kind.role.text.partition("[")[2][:-1]
    return index if index and not is_number(index) else None


@dataclass(slots=True)
class _Writer:
    """Writes out the statements of one program.

    `copy` marks the spans of this copy. `roles` maps each `foreach` name over roles to its
    member, `variables` each one over endpoints to its variable; `numbers` are the names that
    stand for the number of a member.
    """

    programs: Programs
    copy: int
    numbers: dict[str, int]
    roles: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    families: dict[str, int] = field(default_factory=dict)
    again: bool = False
    unknown: set[str] = field(default_factory=set)
    """Names of endpoints of protocols that are not there: silence about them."""
    is_loose: bool = False
    """Whether a `break` or `continue` here would mean the `foreach`."""

    def parameter(self, item: FieldDecl, made: Mapping[str, str]) -> FieldDecl:
        kind = item.type
        if not isinstance(kind, EndpointOf):
            return self.node(item)
        protocol = made.get(kind.protocol.text, kind.protocol.text)
        role = self._role(kind.role)
        self.endpoints[item.name.text] = (protocol, role.text)
        endpoint = EndpointOf(replace(kind.protocol, text=protocol), role, kind.span)
        return self.node(replace(item, type=endpoint))

    # --- statements ----------------------------------------------------------------------

    def block(self, items: tuple[Statement, ...]) -> tuple[Statement, ...]:
        written: list[Statement] = []
        for item in items:
            if not self.copy or self.programs.templates.spend(1, item.span):
                written.extend(self._statement(item))
        return tuple(written)

    def _statement(self, item: Statement) -> Sequence[Statement]:
        match item:
            case ForEach():
                return self._foreach(item)
            case OpenStatement():
                return [self.node(self._open(item))]
            case SpawnStatement():
                return [self._spawn(item)]
            case Let() if self.again:
                # The first copy bound the variable; its type is fixed there.
                return [self._assign(item)]
            case Break() | ContinueLoop() if item.name is None and self.is_loose:
                self._report_loose(item)
                return []
            case _ if isinstance(item, _LOOPS):
                inner = self._inside(is_loose=False)
                return [inner.node(item)]
            case _:
                return [self.node(item)]

    def _assign(self, item: Let) -> Assign:
        return Assign(self.node(item.name), self.node(item.value), self.node(item.span))

    def _inside(self, *, is_loose: bool) -> _Writer:
        """A writer for a block in here: what it learns about endpoints is known to all."""
        return replace(self, is_loose=is_loose)

    def _foreach(self, item: ForEach) -> Sequence[Statement]:
        members = self._members(item)
        written: list[Statement] = []
        for index, member in enumerate(members):
            # The first copy in a program that is not a copy itself keeps its spans.
            copy = self.copy if index == 0 else self.programs.next_copy()
            inner = replace(self, copy=copy, again=self.again or index > 0, is_loose=True)
            name = item.variable.text
            if item.family is None:
                inner.variables = {**self.variables, name: member}
            else:
                inner.roles = {**self.roles, name: member}
                inner.numbers = {**self.numbers, name: index}
            written.extend(inner.block(item.body))
        return written

    def _members(self, item: ForEach) -> list[str]:
        source = item.source.text
        if source in self.unknown:
            return []
        if item.family is None:
            if source in self.families:
                return [f"{source}[{index}]" for index in range(self.families[source])]
            known = tuple(self.families)
        else:
            families = self._families_of(self.variables.get(source, source))
            size = families.get(item.family.text)
            if size is not None:
                return [f"{item.family.text}[{index}]" for index in range(size)]
            known = tuple(f"{source}.{family}" for family in families)
        self._report_source(item, known)
        return []

    def _families_of(self, variable: str) -> Mapping[str, int]:
        endpoint = self.endpoints.get(variable)
        instance = None if endpoint is None else self.programs.templates.made.get(endpoint[0])
        return {} if instance is None else instance.families

    def _open(self, item: OpenStatement) -> OpenStatement:
        templates = self.programs.templates
        name = item.protocol.text
        if name not in templates.declared or name in templates.refused:
            self.unknown.update(target.text for target in item.targets)
            return item
        sizes, settings = self._sizes(item)
        instance = templates.instance(name, sizes)
        targets = item.targets
        roles = templates.declared[name].roles
        count = len(instance.declaration.roles)
        if instance.families and not templates.spend(count, item.span):
            return item
        if len(targets) == len(roles):
            targets = tuple(self._targets(item, instance))
            for target, role in zip(targets, instance.declaration.roles, strict=True):
                self.endpoints[target.text] = (instance.declaration.name.text, role.text)
        protocol = replace(item.protocol, text=instance.declaration.name.text)
        return replace(item, protocol=protocol, targets=targets, settings=settings)

    def _targets(self, item: OpenStatement, instance: Instance) -> Iterator[Name]:
        template = self.programs.templates.declared[instance.base]
        for target, role in zip(item.targets, template.roles, strict=True):
            size = instance.families.get(role.text)
            if size is None:
                yield target
                continue
            self.families[target.text] = size
            for index in range(size):
                yield replace(target, text=f"{target.text}[{index}]")

    def _sizes(self, item: OpenStatement) -> tuple[dict[str, int], tuple[Setting, ...]]:
        """The sizes that an `open` gives, and the settings that are left for the session."""
        parameters = self.programs.templates.parameters(item.protocol.text)
        sizes: dict[str, int] = {}
        rest: list[Setting] = []
        for setting in item.settings:
            key, value = setting.key.text, setting.value.text
            if key not in parameters or key in sizes:
                rest.append(setting)
                continue
            size = number(value) if value.isdecimal() and len(value) < 12 else 0
            if not 1 <= size <= FAMILY_SIZE_MAX:
                self._report_size(item, setting.value, key, value)
            sizes[key] = min(max(size, 1), FAMILY_SIZE_MAX)
        for key in parameters:
            if key not in sizes:
                self._report_size(item, item.protocol, key, f"no setting {key}")
                sizes[key] = 1
        return sizes, tuple(rest)

    def _spawn(self, item: SpawnStatement) -> SpawnStatement:
        written = self.node(item)
        name = item.program.text
        if not self.programs.is_template(name) or self.programs.is_refused(name):
            return written
        given = [
            self.endpoints.get(argument.name.text) if isinstance(argument, Variable) else None
            for argument in written.arguments
        ]
        fit = self.programs.fit(name, given)
        if fit is None:
            # No program fits: the check of the arguments says why, against any of them.
            fit = next(iter(self.programs.every_fit(name)), None)
        if fit is None:
            return written
        program = replace(written.program, text=self.programs.request(name, fit))
        return replace(written, program=program)

    # --- anything else -------------------------------------------------------------------

    def node(self, item: _Node) -> _Node:
        """A copy of any part of the tree, with what the names of `foreach` stand for."""
        return cast(_Node, self._copy(item))

    def _copy(self, item: object) -> object:
        match item:
            case Span():
                return replace(item, copy=self.copy) if self.copy else item
            case tuple():
                if item and isinstance(item[0], _STATEMENTS):
                    return self.block(item)
                return tuple(self._copy(part) for part in item)
            case Variable():
                return self._variable(item)
            case Index():
                return self._index(item)
            case _ if is_dataclass(item) and not isinstance(item, type):
                return self._fields(item)
            case _:
                return item

    def _fields(self, item: object) -> object:
        changed: dict[str, object] = {}
        for entry in fields(cast("Name", item)):
            value = getattr(item, entry.name)
            if entry.name == "endpoint" and isinstance(value, Name):
                value = self._endpoint(value)
            elif entry.name == "peer" and isinstance(value, Name):
                value = self._role(value)
            changed[entry.name] = self._copy(value)
        return replace(cast("Name", item), **changed)  # type: ignore[arg-type]  # its own fields

    def _variable(self, item: Variable) -> Expression:
        name = item.name.text
        span = self.node(item.span)
        if name in self.variables:
            return Variable(self.node(replace(item.name, text=self.variables[name])), span)
        if name in self.roles:
            return Literal(self.numbers[name], span)
        return Variable(self.node(item.name), span)

    def _index(self, item: Index) -> Expression:
        inner = item.collection
        if isinstance(inner, Variable) and inner.name.text in self.families:
            index = self.node(item.index)
            value = index.value if isinstance(index, Literal) else None
            if isinstance(index, Variable):
                value = self.numbers.get(index.name.text)
            if type(value) is int:
                name = replace(inner.name, text=f"{inner.name.text}[{value}]")
                return Variable(self.node(name), self.node(item.span))
        return replace(
            item,
            collection=self.node(item.collection),
            index=self.node(item.index),
            span=self.node(item.span),
        )

    def _endpoint(self, name: Name) -> Name:
        if name.text in self.variables:
            return replace(name, text=self.variables[name.text])
        return self._numbered(name)

    def _role(self, name: Name) -> Name:
        if name.text in self.roles:
            return replace(name, text=self.roles[name.text])
        return self._numbered(name)

    def _numbered(self, name: Name) -> Name:
        """`Worker[i]` with the number that `i` stands for."""
        text, bracket, rest = name.text.partition("[")
        index = rest[:-1]
        if not bracket or is_number(index):
            return name
        if index not in self.numbers:
            self.programs.templates.report.add(unknown_index(name, index, tuple(self.numbers)))
            return name
        return replace(name, text=f"{text}[{self.numbers[index]}]")

    # --- words ---------------------------------------------------------------------------

    def _report_size(self, item: OpenStatement, place: Name, key: str, found: str) -> None:
        name = item.protocol.text
        self.programs.templates.report.add(
            Diagnostic(
                code="check.family.size",
                message=f"{name} is opened without a size for {key}",
                span=place.span,
                expected=f"`{key} = ` and a number from 1 to {FAMILY_SIZE_MAX}",
                found=found,
                fix=f"write `open {name} as … with {key} = 4`",
            )
        )

    def _report_source(self, item: ForEach, known: tuple[str, ...]) -> None:
        written = item.source.text + ("" if item.family is None else f".{item.family.text}")
        self.programs.templates.report.add(
            Diagnostic(
                code="check.family.unknown",
                message=f"{written} is not a family",
                span=item.source.span,
                expected=one_of(
                    known, "the endpoints of a family from `open`, or a family of roles: s.Worker"
                ),
                found=written,
                fix=did_you_mean(written, known)
                or "`for i in range(len(items)):` goes through a list",
            )
        )

    def _report_loose(self, item: Break | ContinueLoop) -> None:
        word = "break" if isinstance(item, Break) else "continue"
        self.programs.templates.report.add(
            Diagnostic(
                code="check.family.leave",
                message=f"`{word}` cannot leave a `foreach`: every member has its turn",
                span=item.span,
                expected=f"`{word}` in a loop inside of the `foreach`, or with a loop's name",
                found=word,
                fix="name the loop around the `foreach`: `loop outer:` and `" + word + " outer`",
            )
        )
