"""The stage that writes out bundles: programs with them in, programs without them out.

`d: Desktop.Host` stands for one endpoint of each session of the bundle in which `Host` plays,
and `d.video` is one of them: a variable with a dot in its name, which nobody else can write.
Nothing after this stage knows about bundles but `open`, which opens them as one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Final, TypeVar, cast, get_args

from troth.dsl.ast import (
    Assign,
    BundleDecl,
    CancelStatement,
    CloseStatement,
    Declaration,
    EndpointOf,
    Expression,
    FieldDecl,
    FieldOf,
    Let,
    Name,
    OpenStatement,
    ProgramDecl,
    ProtocolDecl,
    Script,
    Span,
    SpawnStatement,
    Statement,
    Variable,
)
from troth.dsl.bundles import check_bundles
from troth.dsl.diag import Diagnostic, Diagnostics
from troth.dsl.names import did_you_mean, one_of
from troth.dsl.parser import Parsed
from troth.dsl.report import Report

_STATEMENTS: Final = get_args(Statement)
_Node = TypeVar("_Node")
_FIRST_COPY: Final = 1_000_000
"""Above the numbers that copies for the members of families have."""


@dataclass(frozen=True, slots=True)
class _End:
    """A variable that stands for the endpoints of a bundle, by the names of its sessions."""

    bundle: str
    role: str
    sessions: Mapping[str, EndpointOf]

    def names(self, variable: str) -> tuple[str, ...]:
        return tuple(f"{variable}.{child}" for child in self.sessions)


@dataclass(frozen=True, slots=True)
class ExpandedBundles:
    """`bundles` are those that can be opened, in the order of the script."""

    parsed: Parsed
    bundles: tuple[BundleDecl, ...]


def expand_bundles(parsed: Parsed, script: Script, diagnostics: Diagnostics) -> ExpandedBundles:
    """Checks the bundles and writes them out; `script` is what was there before families were.

    Programs over a bundle that was refused are `broken` afterwards: nothing can be said of them.
    """
    report = Report(diagnostics)
    bundles = check_bundles(parsed, script, report)
    declared = {
        item.name.text for item in parsed.script.declarations if isinstance(item, BundleDecl)
    }
    if not declared:
        return ExpandedBundles(parsed, ())
    protocols = {
        item.name.text: item
        for item in parsed.script.declarations
        if isinstance(item, ProtocolDecl)
    }
    writer = _Writer(report, bundles, protocols, frozenset(declared))
    written: list[Declaration] = []
    refused: set[str] = set()
    for item in parsed.script.declarations:
        if not isinstance(item, ProgramDecl):
            _check_types(item, declared, report)
            written.append(item)
            continue
        program = writer.program(item)
        if program is None:
            refused.add(item.name.text)
        else:
            written.append(program)
    broken = parsed.broken | declared | refused
    expanded = Parsed(replace(parsed.script, declarations=tuple(written)), frozenset(broken))
    return ExpandedBundles(expanded, tuple(bundles.values()))


def _check_types(item: object, declared: set[str], report: Report) -> None:
    """A bundle is no type of a value: what a message carries is one endpoint."""
    pending = [item]
    while pending:
        part = pending.pop()
        if isinstance(part, EndpointOf) and part.protocol.text in declared:
            report.add(
                Diagnostic(
                    code="check.bundle.whole",
                    message=f"{part.protocol.text} is a bundle, and only a program takes all of it",
                    span=part.span,
                    expected="an endpoint of one session",
                    found=f"{part.protocol.text}.{part.role.text}",
                    fix="carry the endpoint of one of its sessions: `Protocol.Role`",
                )
            )
        elif isinstance(part, tuple):
            pending.extend(part)
        elif is_dataclass(part):
            pending.extend(getattr(part, entry.name) for entry in fields(part))


@dataclass(slots=True)
class _Writer:
    """Writes out the programs of a script; `ends` belongs to the program at hand."""

    report: Report
    bundles: Mapping[str, BundleDecl]
    protocols: Mapping[str, ProtocolDecl]
    declared: frozenset[str]
    copies: int = _FIRST_COPY
    ends: dict[str, _End] = field(default_factory=dict)
    copy: int = 0

    def program(self, item: ProgramDecl) -> ProgramDecl | None:
        """None for a program over a bundle that was refused, or with a mistake about one."""
        self.ends = {}
        named = {
            part.protocol.text: part
            for part in _parts(item)
            if isinstance(part, EndpointOf | OpenStatement) and part.protocol.text in self.declared
        }
        if not named:
            return item
        if any(name not in self.bundles for name in named):
            return None
        failed_before, self.report.failed = self.report.failed, False
        parameters = tuple(part for one in item.parameters for part in self._parameter(one))
        for part in _parts(item.body):
            if isinstance(part, OpenStatement) and part.protocol.text in self.bundles:
                self._learn(part)
        body = self._block(item.body)
        failed = self.report.failed
        self.report.failed = failed or failed_before
        return None if failed else replace(item, parameters=parameters, body=body)

    # --- what stands for a bundle -----------------------------------------------------------

    def _end(self, bundle: BundleDecl, role: str) -> _End:
        sessions = {}
        for child in bundle.children:
            protocol = self.protocols[child.protocol.text]
            for own, player in zip(protocol.roles, child.players, strict=True):
                if player.text == role:
                    name = replace(child.protocol, text=protocol.name.text)
                    sessions[child.name.text] = EndpointOf(name, own, own.span)
        return _End(bundle.name.text, role, sessions)

    def _parameter(self, item: FieldDecl) -> Sequence[FieldDecl]:
        kind = item.type
        if not isinstance(kind, EndpointOf) or kind.protocol.text not in self.bundles:
            return (item,)
        bundle = self.bundles[kind.protocol.text]
        roles = tuple(role.text for role in bundle.roles)
        if kind.role.text not in roles:
            self._refuse(
                "check.bundle.child",
                f"the bundle {bundle.name.text} has no role {kind.role.text}",
                kind.role.span,
                one_of(roles, "a role"),
                kind.role.text,
                did_you_mean(kind.role.text, roles) or "use one of its roles",
            )
            return ()
        end = self._end(bundle, kind.role.text)
        self.ends[item.name.text] = end
        return [
            replace(
                item,
                name=replace(item.name, text=f"{item.name.text}.{child}"),
                type=replace(endpoint, span=kind.span),
            )
            for child, endpoint in end.sessions.items()
        ]

    def _learn(self, item: OpenStatement) -> None:
        bundle = self.bundles[item.protocol.text]
        if len(item.targets) != len(bundle.roles):
            self._refuse(
                "check.open.count",
                f"{bundle.name.text} takes a name for each of its roles",
                item.protocol.span,
                f"a name for each of {', '.join(role.text for role in bundle.roles)}",
                f"{len(item.targets)} of them",
                "give one name for each role, in the order of the roles",
            )
            return
        for target, role in zip(item.targets, bundle.roles, strict=True):
            known = self.ends.get(target.text)
            if known is not None and (known.bundle, known.role) != (bundle.name.text, role.text):
                self._refuse_whole(target, f"{target.text} stands for another role of a bundle")
            self.ends[target.text] = self._end(bundle, role.text)

    # --- statements -------------------------------------------------------------------------

    def _block(self, items: tuple[Statement, ...]) -> tuple[Statement, ...]:
        return tuple(written for item in items for written in self._statement(item))

    def _statement(self, item: Statement) -> Iterator[Statement]:
        match item:
            case OpenStatement() if item.protocol.text in self.bundles:
                yield self._open(item)
            case CloseStatement() | CancelStatement() if item.endpoint.text in self.ends:
                yield from self._for_all(item)
            case SpawnStatement():
                arguments = tuple(part for one in item.arguments for part in self._given(one))
                yield replace(item, arguments=arguments)
            case Let() | Assign() if item.name.text in self.ends:
                self._refuse_whole(item.name, f"{item.name.text} stands for a bundle")
            case _:
                yield self._node(item)

    def _open(self, item: OpenStatement) -> OpenStatement:
        """One name for every endpoint, session by session, as the instruction has them."""
        bundle = self.bundles[item.protocol.text]
        if len(item.targets) != len(bundle.roles):
            return item
        named = {role.text: name for role, name in zip(bundle.roles, item.targets, strict=True)}
        targets = [
            replace(named[player.text], text=f"{named[player.text].text}.{child.name.text}")
            for child in bundle.children
            for player in child.players
        ]
        return replace(item, targets=tuple(targets), bundle=bundle)

    def _for_all(self, item: CloseStatement | CancelStatement) -> Iterator[Statement]:
        name = item.endpoint
        for text in self.ends[name.text].names(name.text):
            # Later stages know statements by their spans.
            self.copies += 1
            inner = replace(self, copy=self.copies)
            endpoint = replace(name, text=text)
            written = cast(CloseStatement, inner._fields(replace(item, endpoint=endpoint)))
            yield replace(written, shared=True)

    def _given(self, item: Expression) -> Iterator[Expression]:
        """An argument of a `spawn`; a bundle is handed over as a whole."""
        if not isinstance(item, Variable) or item.name.text not in self.ends:
            yield self._node(item)
            return
        for text in self.ends[item.name.text].names(item.name.text):
            yield replace(item, name=replace(item.name, text=text))

    # --- anything else ----------------------------------------------------------------------

    def _node(self, item: _Node) -> _Node:
        return cast(_Node, self._copy(item))

    def _copy(self, item: object) -> object:
        match item:
            case Span():
                return replace(item, copy=self.copy) if self.copy else item
            case tuple():
                if item and isinstance(item[0], _STATEMENTS):
                    return self._block(item)
                return tuple(self._copy(part) for part in item)
            case Variable() if item.name.text in self.ends:
                self._refuse_whole(item.name, f"{item.name.text} stands for a bundle")
                return item
            case FieldOf(record=Variable() as record) if record.name.text in self.ends:
                name = replace(record.name, text=f"{record.name.text}.{item.field.text}")
                self._check_child(name)
                return Variable(self._node(replace(name, span=item.span)), self._node(item.span))
            case _ if is_dataclass(item) and not isinstance(item, type):
                return self._fields(item)
            case _:
                return item

    def _fields(self, item: object) -> object:
        changed: dict[str, object] = {}
        for entry in fields(cast("Name", item)):
            value = getattr(item, entry.name)
            if entry.name == "endpoint" and isinstance(value, Name):
                self._check_endpoint(value)
            changed[entry.name] = self._copy(value)
        return replace(cast("Name", item), **changed)  # type: ignore[arg-type]  # its own fields

    def _check_endpoint(self, name: Name) -> None:
        if name.text in self.ends:
            self._refuse_whole(name, f"{name.text} stands for a bundle")
        elif name.text.partition(".")[0] in self.ends:
            self._check_child(name)

    def _check_child(self, name: Name) -> None:
        variable, _, child = name.text.partition(".")
        end = self.ends[variable]
        if child not in end.sessions:
            known = tuple(end.sessions)
            self._refuse(
                "check.bundle.child",
                f"{end.role} of {end.bundle} has no session {child}",
                name.span,
                one_of(end.names(variable), "a session"),
                name.text,
                did_you_mean(child, known) or "use a session in which the role plays",
            )

    # --- words ------------------------------------------------------------------------------

    def _refuse_whole(self, name: Name, message: str) -> None:
        known = self.ends[name.text].names(name.text)
        self._refuse(
            "check.bundle.whole",
            f"{message}, and one of its sessions is meant here",
            name.span,
            one_of(known, "a session"),
            name.text,
            "name one session; a whole bundle can be spawned with, closed and cancelled",
        )

    def _refuse(
        self, code: str, message: str, span: Span, expected: str, found: str, fix: str
    ) -> None:
        self.report.add(
            Diagnostic(
                code=code, message=message, span=span, expected=expected, found=found, fix=fix
            )
        )


def _parts(item: object) -> Iterator[object]:
    """Everything inside of a part of the tree."""
    pending = [item]
    while pending:
        part = pending.pop()
        yield part
        if isinstance(part, tuple):
            pending.extend(reversed(part))
        elif is_dataclass(part) and not isinstance(part, type):
            pending.extend(getattr(part, entry.name) for entry in reversed(fields(part)))
