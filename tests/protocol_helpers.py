"""Small helpers for tests of protocols: a script in, checked protocols and codes out."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

from troth.dsl.ast import ProtocolDecl
from troth.dsl.budget import Budget
from troth.dsl.check_protocol import check_declaration
from troth.dsl.diag import Diagnostic, Diagnostics
from troth.dsl.expand import expand
from troth.dsl.global_type import GlobalType
from troth.dsl.parser import parse
from troth.dsl.protocols import CheckedProtocol, Protocols, check_protocols, project_text
from troth.dsl.report import Report
from troth.dsl.resolve_types import build_type_scope


@dataclass(frozen=True)
class Outcome:
    protocols: Protocols
    diagnostics: Diagnostics

    @property
    def codes(self) -> list[str]:
        """The codes of all diagnostics, by place in the file."""
        return [item.code for item in self.diagnostics.ordered()]

    def only(self, code: str) -> Diagnostic:
        """The one diagnostic there is, which must have this code."""
        assert self.codes == [code], self.diagnostics.render()
        return self.diagnostics.found[0]

    def text(self, role: str, protocol: str = "P") -> list[str]:
        """The lines of a role's local type, without indentation."""
        assert not self.diagnostics.found, self.diagnostics.render()
        lines = project_text(self.protocols.checked[protocol], role).split("\n")
        return [line.strip() for line in lines]


def check(script: str, budget: Budget | None = None) -> Outcome:
    """Parses and checks the protocols of a script; a syntax error is a mistake of the test."""
    source = dedent(script)
    diagnostics = Diagnostics("test.troth", source)
    parsed = parse(source, "test.troth", diagnostics)
    assert not diagnostics.found, diagnostics.render()
    return Outcome(check_protocols(parsed, diagnostics, budget=budget), diagnostics)


def sound(script: str, protocol: str = "P") -> CheckedProtocol:
    """The protocol of a script without any mistake."""
    outcome = check(script)
    assert not outcome.diagnostics.found, outcome.diagnostics.render()
    return outcome.protocols.checked[protocol]


def global_type_of(script: str, protocol: str = "P") -> GlobalType:
    """The global type of a protocol that need not project; it must be sound otherwise."""
    source = dedent(script)
    diagnostics = Diagnostics("test.troth", source)
    parsed = parse(source, "test.troth", diagnostics).script
    declared = {
        item.name.text: item for item in parsed.declarations if isinstance(item, ProtocolDecl)
    }
    scope = build_type_scope(parsed, diagnostics)
    report = Report(diagnostics)
    facts = {
        name: check_declaration(item, declared, scope, report) for name, item in declared.items()
    }
    expansion = expand(facts[protocol], facts, report, Budget())
    assert expansion.global_type is not None, diagnostics.render()
    return expansion.global_type
