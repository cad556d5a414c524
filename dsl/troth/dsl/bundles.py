"""Bundles: sessions that are opened and closed together, between the same principals.

A bundle is a list of protocols with its own roles put in for theirs. Each of its sessions keeps
its own protocol; this stage checks that they fit together.
"""

from __future__ import annotations

from collections.abc import Mapping

from troth.dsl.ast import BundleChildDecl, BundleDecl, Name, ProtocolDecl, Script, Span
from troth.dsl.diag import Diagnostic
from troth.dsl.families import is_number
from troth.dsl.names import did_you_mean, one_of
from troth.dsl.parser import Parsed
from troth.dsl.plural import count
from troth.dsl.report import Report
from troth.vm.limits import BUNDLE_CHILDREN_MAX, DEFAULT_LIMITS


def check_bundles(parsed: Parsed, script: Script, report: Report) -> dict[str, BundleDecl]:
    """The bundles that can be opened, by name; reports what is wrong with the others.

    `script` is what was written: there, families have open sizes.
    """
    protocols = {
        item.name.text: item
        for item in parsed.script.declarations
        if isinstance(item, ProtocolDecl)
    }
    sizeless = {
        item.name.text
        for item in script.declarations
        if isinstance(item, ProtocolDecl) and any(not is_number(s.text) for _, s in item.sizes)
    }
    found: dict[str, BundleDecl] = {}
    for item in parsed.script.declarations:
        if isinstance(item, BundleDecl):
            checker = _Checker(item, protocols, sizeless, parsed.broken, report)
            if checker.check() and item.name.text not in found:
                found[item.name.text] = item
    return found


class _Checker:
    """Judges one bundle."""

    def __init__(
        self,
        bundle: BundleDecl,
        protocols: Mapping[str, ProtocolDecl],
        sizeless: set[str],
        broken: frozenset[str],
        report: Report,
    ) -> None:
        self._bundle = bundle
        self._protocols = protocols
        self._sizeless = sizeless
        self._broken = broken
        self._report = report
        self._sound = True

    def check(self) -> bool:
        """Whether the bundle can be opened."""
        self._check_roles()
        seen: dict[str, Name] = {}
        for child in self._bundle.children:
            first = seen.setdefault(child.name.text, child.name)
            if first is not child.name:
                self._refuse(
                    code="protocol.bundle.session",
                    message=f"two sessions of one bundle are called {child.name.text}",
                    span=child.name.span,
                    expected="another name",
                    found=child.name.text,
                    fix="rename one of the two",
                    related=((first.span, "first named here"),),
                )
            self._check_child(child)
        if len(self._bundle.children) > BUNDLE_CHILDREN_MAX:
            self._refuse(
                code="protocol.bundle.session",
                message=f"{self._bundle.name.text} has too many sessions",
                span=self._bundle.name.span,
                expected=f"at most {BUNDLE_CHILDREN_MAX} sessions",
                found=str(len(self._bundle.children)),
                fix="divide it into several bundles",
            )
        return self._sound

    def _check_roles(self) -> None:
        roles = self._bundle.roles
        name = self._bundle.name.text
        playing = {player.text for child in self._bundle.children for player in child.players}
        seen: set[str] = set()
        for role in roles:
            if "[" in role.text:
                self._refuse_role(role, f"{role.text} is a family, which a bundle cannot have")
            elif role.text in seen:
                self._refuse_role(role, f"{name} has two roles {role.text}")
            elif role.text not in playing:
                self._refuse_role(role, f"the role {role.text} plays in no session of {name}")
            seen.add(role.text)
        if not 2 <= len(roles) <= DEFAULT_LIMITS.roles_max:
            self._refuse_role(
                self._bundle.name, f"{name} has an impossible number of roles: {len(roles)}"
            )

    def _check_child(self, child: BundleChildDecl) -> None:
        roles = tuple(role.text for role in self._bundle.roles)
        seen: set[str] = set()
        for player in child.players:
            if player.text not in roles:
                fix = did_you_mean(player.text, roles) or "use a role of the bundle"
                message = f"{self._bundle.name.text} has no role {player.text}"
                self._refuse_role(player, message, one_of(roles, "a role"), fix)
            elif player.text in seen:
                self._refuse_role(player, f"{player.text} would play two roles of one session")
            seen.add(player.text)
        name = child.protocol.text
        protocol = self._protocols.get(name)
        if name in self._sizeless or protocol is None:
            self._refuse_protocol(child.protocol)
        elif len(protocol.roles) != len(child.players):
            self._refuse(
                code="protocol.bundle.session",
                message=f"{name} has {count(len(protocol.roles), 'role')}",
                span=child.span,
                expected=f"a player for each of {', '.join(role.text for role in protocol.roles)}",
                found=count(len(child.players), "player"),
                fix="give one role of the bundle for each role, in the order of the protocol",
            )

    def _refuse_protocol(self, name: Name) -> None:
        if name.text in self._sizeless:
            self._refuse(
                code="protocol.bundle.protocol",
                message=f"{name.text} leaves the size of a family open",
                span=name.span,
                expected="a protocol whose roles are all known",
                found=name.text,
                fix="give the family a size in the protocol's first line",
            )
        elif name.text in self._broken:
            self._sound = False
        else:
            known = tuple(self._protocols)
            self._refuse(
                code="protocol.bundle.protocol",
                message=f"there is no protocol {name.text}",
                span=name.span,
                expected=one_of(known, "a protocol of this file"),
                found=name.text,
                fix=did_you_mean(name.text, known) or "declare the protocol",
            )

    def _refuse_role(
        self,
        role: Name,
        message: str,
        expected: str = "at least two different roles, each with a session",
        fix: str = "correct the roles of the bundle",
    ) -> None:
        self._refuse(
            code="protocol.bundle.role",
            message=message,
            span=role.span,
            expected=expected,
            found=role.text,
            fix=fix,
        )

    def _refuse(
        self,
        *,
        code: str,
        message: str,
        span: Span,
        expected: str,
        found: str,
        fix: str,
        related: tuple[tuple[Span, str], ...] = (),
    ) -> None:
        self._sound = False
        self._report.add(
            Diagnostic(
                code=code,
                message=message,
                span=span,
                expected=expected,
                found=found,
                fix=fix,
                related=related,
            )
        )
