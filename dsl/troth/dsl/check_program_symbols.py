"""The names a program may use: protocols, effects and programs of the file.

Built once for a script. A declaration that was refused maps to None: whoever uses it is left
alone, so that its error is reported once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from troth.dsl.ast import (
    BundleDecl,
    EffectDecl,
    GuardDecl,
    Name,
    ProgramDecl,
    ProtocolDecl,
    Script,
    TypeDecl,
)
from troth.dsl.diag import Diagnostic, Diagnostics
from troth.dsl.resolve_types import TypeScope, resolve_fields, resolve_type
from troth.vm.image import Effect, Protocol
from troth.vm.types import EndpointType, Field, LocalType

MAIN = "main"


@dataclass(frozen=True, slots=True)
class Symbols:
    """`programs` maps to the parameters; `broken` are names whose declaration is not there."""

    protocols: Mapping[str, Protocol | None]
    effects: Mapping[str, Effect | None]
    programs: Mapping[str, tuple[Field, ...] | None]
    broken: Collection[str]
    guards: tuple[str, ...] = ()

    def local_type(self, endpoint: EndpointType) -> LocalType | None:
        """The automaton of an endpoint's role, or None when its protocol was refused."""
        protocol = self.protocols.get(endpoint.protocol)
        if protocol is None or endpoint.role not in protocol.roles:
            return None
        return protocol.local_types[protocol.roles.index(endpoint.role)]


def build_symbols(
    script: Script,
    types: TypeScope,
    protocols: Mapping[str, Protocol],
    broken: Collection[str],
    diagnostics: Diagnostics,
) -> Symbols:
    """Resolves the signatures of all effects and programs of a script."""
    _refuse_duplicates(script, diagnostics)
    known: dict[str, Protocol | None] = {}
    effects: dict[str, Effect | None] = {}
    programs: dict[str, tuple[Field, ...] | None] = {}
    for item in script.declarations:
        name = item.name.text
        if isinstance(item, ProtocolDecl):
            known.setdefault(name, protocols.get(name))
        elif isinstance(item, EffectDecl) and name not in effects:
            effects[name] = _effect(item, types, diagnostics)
        elif isinstance(item, ProgramDecl) and name not in programs:
            programs[name] = resolve_fields(item.parameters, types, diagnostics)
    guards = [item.name.text for item in script.declarations if isinstance(item, GuardDecl)]
    return Symbols(known, effects, programs, broken, tuple(dict.fromkeys(guards)))


def _effect(item: EffectDecl, types: TypeScope, diagnostics: Diagnostics) -> Effect | None:
    parameters = resolve_fields(item.parameters, types, diagnostics, endpoints=False)
    result = resolve_type(item.result, types, diagnostics, endpoints=False)
    if parameters is None or result is None:
        return None
    return Effect(item.name.text, parameters, result, item.revertible)


KIND_NAMES = {
    ProtocolDecl: "protocol",
    BundleDecl: "bundle",
    EffectDecl: "effect",
    TypeDecl: "type",
    GuardDecl: "guard",
    ProgramDecl: "program",
}


def _refuse_duplicates(script: Script, diagnostics: Diagnostics) -> None:
    """One file, one meaning for each name; two of a kind among protocols and types are
    reported where those are resolved."""
    first: dict[str, tuple[str, Name]] = {}
    for item in script.declarations:
        kind, name = KIND_NAMES[type(item)], item.name
        if name.text not in first:
            first[name.text] = (kind, name)
            continue
        earlier_kind, earlier = first[name.text]
        if kind == earlier_kind and kind in ("protocol", "type"):
            continue
        again = "twice" if kind == earlier_kind else f"as {_one(earlier_kind)} and as {_one(kind)}"
        diagnostics.add(
            Diagnostic(
                code="check.name.duplicate",
                message=f"{name.text} is declared {again}",
                span=name.span,
                expected="one declaration for each name of a file",
                found=f"a second declaration of {name.text}",
                fix="rename or remove one of the two",
                related=((earlier.span, "first declared here"),),
            )
        )


def _one(kind: str) -> str:
    return f"an {kind}" if kind == "effect" else f"a {kind}"
