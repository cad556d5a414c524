"""The pipeline of protocols: from the declarations of a script to checked, projected types.

First every declaration is checked by itself, then each is expanded and projected on every role.
A protocol comes after those it uses by `do`, so that a mistake is reported where it was made and
under the names it was made with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol as Interface

from troth.dsl.ast import ProtocolDecl, Script
from troth.dsl.budget import Budget
from troth.dsl.check_edges import EdgeSetting, edge_values
from troth.dsl.check_lossy import check_local_types, check_messages, check_settings
from troth.dsl.check_protocol import ProtocolFacts, check_declaration
from troth.dsl.diag import Diagnostic, Diagnostics
from troth.dsl.expand import InheritedSetting, expand
from troth.dsl.explain import explain, explain_size
from troth.dsl.global_type import GlobalType
from troth.dsl.project import TooManyStates, Unprojectable, project
from troth.dsl.protocol_uses import parts_only, used_first
from troth.dsl.report import Report
from troth.dsl.resolve_types import TypeScope, build_type_scope
from troth.vm.automata import minimise
from troth.vm.errors import LimitExceeded
from troth.vm.image import Protocol
from troth.vm.local_text import format_state, format_term, to_term
from troth.vm.types import LocalType


class ParsedScript(Interface):
    """What the parser gives: `broken` are names whose declaration it could not read."""

    @property
    def script(self) -> Script: ...

    @property
    def broken(self) -> Collection[str]: ...


@dataclass(frozen=True, slots=True)
class CheckedProtocol:
    """A protocol that passed every check; `image` is what goes into the program image."""

    name: str
    roles: tuple[str, ...]
    global_type: GlobalType
    image: Protocol

    def local_type(self, role: str) -> LocalType:
        """The canonical automaton of `role`; KeyError for a role the protocol does not have."""
        if role not in self.roles:
            raise KeyError(role)
        return self.image.local_types[self.roles.index(role)]


@dataclass(frozen=True, slots=True)
class Protocols:
    """`broken` are the names of protocols that cannot be used, because the parser or a check
    refused them: whoever meets one stays silent about it. It also has protocols that are only
    parts of others (see `protocol_uses`) and have no projection of their own.
    `scope` resolves the types of the rest of the script.
    """

    checked: Mapping[str, CheckedProtocol]
    broken: frozenset[str]
    scope: TypeScope


def check_protocols(
    parsed: ParsedScript, diagnostics: Diagnostics, *, budget: Budget | None = None
) -> Protocols:
    """Checks and projects every protocol of a script; all errors in one pass.

    `budget` bounds the work; without one it is the usual one.
    """
    budget = Budget() if budget is None else budget
    scope = build_type_scope(parsed.script, diagnostics, broken=parsed.broken)
    common = Report(diagnostics)
    declared, duplicated = _declared(parsed.script, common)
    facts: dict[str, ProtocolFacts] = {}
    for name, declaration in declared.items():
        facts[name] = check_declaration(declaration, declared, scope, common.fresh(name))
    parts = parts_only(parsed.script, declared)
    checked: dict[str, CheckedProtocol] = {}
    for name in used_first(declared):
        report = common.fresh(name)
        protocol = _check_one(facts[name], facts, report, budget, is_part=name in parts)
        if protocol is not None and name not in duplicated:
            checked[name] = protocol
    in_order = {name: checked[name] for name in declared if name in checked}
    broken = frozenset(parsed.broken) | frozenset(declared) - frozenset(checked)
    return Protocols(in_order, broken, scope)


def _check_one(
    facts: ProtocolFacts,
    all_facts: Mapping[str, ProtocolFacts],
    report: Report,
    budget: Budget,
    *,
    is_part: bool,
) -> CheckedProtocol | None:
    if budget.is_spent:
        return None
    report.failed = not facts.sound
    expansion = expand(facts, all_facts, report, budget)
    if expansion.global_type is None:
        facts.sound = False  # whoever uses it fails silently
        return None
    settings = _effective_settings(facts, expansion.inherited, report)
    _check_use(facts, expansion.global_type, report)
    check_messages(expansion.global_type, report)
    check_settings(expansion.global_type, settings, report)
    local_types = _project_all(facts, expansion.global_type, report, budget, is_part=is_part)
    if report.failed or len(local_types) < len(facts.roles):
        return None
    name = facts.declaration.name.text
    image = Protocol(name, facts.roles, local_types, edge_values(settings))
    return CheckedProtocol(name, facts.roles, expansion.global_type, image)


def _project_all(
    facts: ProtocolFacts,
    global_type: GlobalType,
    report: Report,
    budget: Budget,
    *,
    is_part: bool,
) -> tuple[LocalType, ...]:
    """One local type for each role that has one."""
    name = facts.declaration.name
    local_types: dict[str, LocalType] = {}
    for role in facts.roles:
        projection = project(global_type, role, budget)
        if isinstance(projection, TooManyStates):
            report.add(explain_size(projection, name.text, name.span))
            facts.sound = False  # whoever uses it fails silently
            break
        if not isinstance(projection, Unprojectable):
            local_types[role] = minimise(projection)
        elif not is_part:  # a part need not stand by itself: where it is used it is projected too
            report.add(explain(projection, global_type, name.text), per_role=True)
    check_local_types(global_type, local_types, report)
    return tuple(local_types.values())


def _check_use(facts: ProtocolFacts, global_type: GlobalType, report: Report) -> None:
    name = facts.declaration.name.text
    participants = global_type.participants()
    for role in facts.declaration.roles:
        if role.text not in participants:
            report.add(
                Diagnostic(
                    code="protocol.role.unused",
                    message=f"the role {role.text} of {name} neither sends nor receives anything",
                    span=role.span,
                    expected=f"a message from or to {role.text}",
                    found="none",
                    fix=f"remove {role.text} from the roles, or give it a message",
                )
            )
    edges = global_type.directed_edges()
    for edge in facts.declaration.edges:
        pair = (edge.sender.text, edge.receiver.text)
        if pair not in edges and set(pair) <= participants:
            report.add(
                Diagnostic(
                    code="protocol.edge.unused",
                    message=f"{name} sends nothing from {pair[0]} to {pair[1]}",
                    span=edge.span,
                    expected="one of " + ", ".join(f"{a} -> {b}" for a, b in sorted(edges)[:8]),
                    found=f"{pair[0]} -> {pair[1]}",
                    fix="remove these settings, or turn the edge round",
                )
            )


def _effective_settings(
    facts: ProtocolFacts, inherited: Iterable[InheritedSetting], report: Report
) -> list[EdgeSetting]:
    """The protocol's own settings, then those of protocols it uses, the nearest first."""
    chosen = {(item.sender, item.receiver, item.key): (0, item) for item in facts.edges}
    for candidate in sorted(inherited, key=lambda item: item.distance):
        setting = candidate.setting
        key = (setting.sender, setting.receiver, setting.key)
        distance, known = chosen.setdefault(key, (candidate.distance, setting))
        if distance == candidate.distance and known.value != setting.value:
            edge = f"{setting.sender} -> {setting.receiver}"
            report.add(
                Diagnostic(
                    code="protocol.edge.conflict",
                    message=f"two protocols used here set {setting.key} of {edge} differently",
                    span=candidate.span,
                    related=((known.span, "set here"), (setting.span, "and here")),
                    fix=f"decide it in {facts.declaration.name.text} with an `edge {edge}:` line",
                )
            )
    return [setting for _, setting in chosen.values()]


def _declared(script: Script, report: Report) -> tuple[dict[str, ProtocolDecl], set[str]]:
    declared: dict[str, ProtocolDecl] = {}
    duplicated: set[str] = set()
    for item in script.declarations:
        if not isinstance(item, ProtocolDecl):
            continue
        first = declared.setdefault(item.name.text, item)
        if first is not item:
            duplicated.add(item.name.text)
            report.add(
                Diagnostic(
                    code="protocol.duplicate",
                    message=f"the protocol {item.name.text} is declared twice",
                    span=item.name.span,
                    related=((first.name.span, "first declared here"),),
                    fix="rename or remove one of the two",
                )
            )
    return declared, duplicated


def project_text(checked: CheckedProtocol, role: str) -> str:
    """The local type of a role as `local_type_text`.

    KeyError for a role the protocol does not have.
    """
    return local_type_text(checked.local_type(role))


def local_type_text(local: LocalType) -> str:
    """A local type for people; as numbered states where a term would be too long."""
    try:
        return format_term(to_term(local))
    except LimitExceeded:
        return "\n".join(format_state(local, state) for state in range(len(local.states)))
