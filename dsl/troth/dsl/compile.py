"""From the text of a script to a program image: parse, check, project, lower.

`check_source` reports everything that is wrong with a script; `compile_source` gives the image
of a script without errors and raises `ScriptErrors` otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from troth.dsl.ast import BundleDecl, ProgramDecl, Script, Span
from troth.dsl.check_program import CheckedPrograms, check_programs
from troth.dsl.check_program_names import check_names
from troth.dsl.check_program_symbols import MAIN
from troth.dsl.diag import Diagnostic, Diagnostics, Severity
from troth.dsl.expand_bundles import expand_bundles
from troth.dsl.expand_families import expand_families
from troth.dsl.lower import Indexes, lower_program
from troth.dsl.names import did_you_mean, one_of
from troth.dsl.parser import parse
from troth.dsl.protocols import check_protocols, local_type_text
from troth.vm.errors import InternalError, Invalid, LimitExceeded, Malformed, Place
from troth.vm.image import Bundle, BundleChild, Image, Protocol
from troth.vm.image_codec import encode_image
from troth.vm.limits import DEFAULT_LIMITS, IMAGE_BYTES_MAX, INSTRUCTIONS_PER_PROGRAM_MAX
from troth.vm.loader import load as load_image
from troth.vm.types import LocalType


class ScriptErrors(Invalid):
    """A script has errors. `diagnostics` holds all of them; the message is their text."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        first = next(item for item in diagnostics.ordered() if item.severity is Severity.ERROR)
        super().__init__(
            "dsl.errors",
            diagnostics.render(),
            place=Place(file=diagnostics.file, line=first.span.line, column=first.span.column),
            advice="Correct the script; `troth check` shows the same errors",
        )
        self.diagnostics = diagnostics

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class LocalView:
    """One role of a protocol: what a participant written in Python holds.

    `image` is that of the whole script; `vm.join` plays the role with it.
    """

    protocol: Protocol
    role: str
    local_type: LocalType
    image: Image


@dataclass(frozen=True, slots=True)
class ProtocolView:
    """A checked protocol of a module."""

    protocol: Protocol
    image: Image

    @property
    def name(self) -> str:
        return self.protocol.name

    @property
    def roles(self) -> tuple[str, ...]:
        return self.protocol.roles

    def role(self, name: str) -> LocalView:
        """The local view of one role; `Invalid` when the protocol does not have it."""
        if name not in self.roles:
            raise Invalid(
                "dsl.role",
                f"the protocol {self.name} has no role {name}",
                expected=one_of(self.roles, "a role"),
                actual=name,
                advice=did_you_mean(name, self.roles) or "Use one of its roles",
            )
        index = self.roles.index(name)
        return LocalView(self.protocol, name, self.protocol.local_types[index], self.image)

    def describe(self, role: str) -> str:
        """The local type of a role as text: what the protocol asks of it, step by step."""
        view = self.role(role)
        return f"{self.name}.{role}\n{local_type_text(view.local_type)}"


@dataclass(frozen=True, slots=True)
class Module:
    """A compiled script. `diagnostics` holds its warnings."""

    image: Image
    diagnostics: Diagnostics

    @property
    def protocol_names(self) -> tuple[str, ...]:
        """In the order of the script."""
        return tuple(protocol.name for protocol in self.image.protocols)

    def protocol(self, name: str) -> ProtocolView:
        """One protocol of the script; `Invalid` when it does not have it."""
        for protocol in self.image.protocols:
            if protocol.name == name:
                return ProtocolView(protocol, self.image)
        raise Invalid(
            "dsl.protocol",
            f"there is no protocol {name} in {self.image.source}",
            expected=one_of(self.protocol_names, "a script that declares a protocol"),
            actual=name,
            advice=did_you_mean(name, self.protocol_names) or "Use one of its protocols",
        )


def check_source(text: str, name: str) -> Diagnostics:
    """Everything that is wrong with a script; `name` is what diagnostics call the file."""
    return _build(text, name)[1]


def compile_source(text: str, name: str) -> Image:
    """The image of a script; `ScriptErrors` when it has errors."""
    return compile_module(text, name).image


def compile_module(text: str, name: str) -> Module:
    """The image of a script with its warnings; `ScriptErrors` when it has errors."""
    image, diagnostics = _build(text, name)
    if image is None:
        raise ScriptErrors(diagnostics)
    return Module(image, diagnostics)


def _build(text: str, name: str) -> tuple[Image | None, Diagnostics]:
    # A file's name may hold anything; what is shown and recorded is safe to print.
    name = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)[:1000]
    diagnostics = Diagnostics(name, text)
    parsed = parse(text, name, diagnostics)
    check_names(parsed.script, diagnostics)
    written = parsed.script
    parsed = expand_families(parsed, diagnostics)
    expanded = expand_bundles(parsed, written, diagnostics)
    parsed = expanded.parsed
    protocols = check_protocols(parsed, diagnostics)
    images = {key: checked.image for key, checked in protocols.checked.items()}
    broken = frozenset(parsed.broken) | protocols.broken
    checked = check_programs(parsed.script, protocols.scope, images, broken, diagnostics)
    if diagnostics.has_errors:
        return None, diagnostics
    image = _lower(parsed.script, images, checked, expanded.bundles, name)
    _check_sizes(parsed.script, image, diagnostics)
    return (None if diagnostics.has_errors else image), diagnostics


def _lower(
    script: Script,
    protocols: dict[str, Protocol],
    checked: CheckedPrograms,
    bundles: tuple[BundleDecl, ...],
    name: str,
) -> Image:
    declared = [item for item in script.declarations if isinstance(item, ProgramDecl)]
    effects = [effect for effect in checked.symbols.effects.values() if effect is not None]
    ordered = [protocols[key] for key in checked.symbols.protocols]
    indexes = Indexes(
        protocols={protocol.name: index for index, protocol in enumerate(ordered)},
        effects={effect.name: index for index, effect in enumerate(effects)},
        programs={item.name.text: index for index, item in enumerate(declared)},
        guards={name: index for index, name in enumerate(checked.symbols.guards)},
        bundles={bundle.name.text: index for index, bundle in enumerate(bundles)},
    )
    programs = tuple(
        lower_program(
            item,
            checked.symbols.programs[item.name.text] or (),
            checked.facts[item.name.text],
            checked.symbols,
            indexes,
        )
        for item in declared
    )
    main, guards = indexes.programs.get(MAIN), checked.symbols.guards
    opened = tuple(_bundle(bundle, indexes) for bundle in bundles)
    return Image(tuple(ordered), tuple(effects), programs, main, name, guards, opened)


def _bundle(declared: BundleDecl, indexes: Indexes) -> Bundle:
    roles = tuple(role.text for role in declared.roles)
    children = tuple(
        BundleChild(
            child.name.text,
            indexes.protocols[child.protocol.text],
            tuple(roles.index(player.text) for player in child.players),
        )
        for child in declared.children
    )
    return Bundle(declared.name.text, roles, children)


def _check_sizes(script: Script, image: Image, diagnostics: Diagnostics) -> None:
    """What only the finished code shows: a script that no machine would load."""
    spans = {
        item.name.text: item.name.span
        for item in script.declarations
        if isinstance(item, ProgramDecl)
    }
    for program in image.programs:
        span = spans[program.name]
        for what, found, most in (
            ("instructions", len(program.code), INSTRUCTIONS_PER_PROGRAM_MAX),
            ("registers", program.register_count, DEFAULT_LIMITS.registers_max),
        ):
            if found > most:
                _report_size(program.name, span, f"{most} {what}", str(found), diagnostics)
    size = len(encode_image(image))
    if size > IMAGE_BYTES_MAX:
        _report_size(
            "the script", _FIRST, f"{IMAGE_BYTES_MAX} bytes of code", str(size), diagnostics
        )
    if not diagnostics.has_errors:
        _check_loads(image, spans, diagnostics)


def _check_loads(image: Image, spans: dict[str, Span], diagnostics: Diagnostics) -> None:
    """The machine checks again what was checked here; only a limit may still stop it."""
    try:
        load_image(image)
    except LimitExceeded as error:
        name = error.place.program or "the script"
        _report_size(
            name, spans.get(name, _FIRST), error.expected or "less", error.message, diagnostics
        )
    except (Invalid, Malformed) as error:
        raise InternalError(f"a checked script gave a bad image: {error}") from error


_FIRST: Final = Span(1, 1, 1, 2)


def _report_size(what: str, span: Span, most: str, found: str, diagnostics: Diagnostics) -> None:
    diagnostics.add(
        Diagnostic(
            code="check.limit.size",
            message=f"{what} is too large",
            span=span,
            expected=most if most.startswith("at most") else f"at most {most}",
            found=found,
            fix="divide it into several programs, or a long list into several",
        )
    )
