"""The pipeline of protocols: from the declarations of a script to checked, projected types."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol as Interface

from troth.dsl.ast import Script
from troth.dsl.diag import Diagnostics
from troth.dsl.global_type import GlobalType
from troth.dsl.resolve_types import TypeScope
from troth.vm.image import Protocol
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
    """`broken` are the names of protocols that were refused, by the parser or here: whoever uses
    one stays silent about it. `scope` resolves the types of the rest of the script.
    """

    checked: Mapping[str, CheckedProtocol]
    broken: frozenset[str]
    scope: TypeScope


def check_protocols(parsed: ParsedScript, diagnostics: Diagnostics) -> Protocols:
    """Checks and projects every protocol of a script; all errors in one pass."""
    raise NotImplementedError
