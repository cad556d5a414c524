"""The stage that writes out role families: a script with them in, one without them out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Protocol as Interface
from typing import cast

from troth.dsl.ast import (
    Declaration,
    EffectDecl,
    Name,
    ProgramDecl,
    ProtocolDecl,
    Script,
    SpawnStatement,
    TypeDecl,
)
from troth.dsl.diag import Diagnostics
from troth.dsl.families import Templates, check_endpoint, check_member_name, check_sizes
from troth.dsl.family_programs import Programs
from troth.dsl.parser import Parsed
from troth.dsl.report import Report


class ParsedScript(Interface):
    """What the parser gives: `broken` are names whose declaration it could not read."""

    @property
    def script(self) -> Script: ...

    @property
    def broken(self) -> Collection[str]: ...


def expand_families(parsed: ParsedScript, diagnostics: Diagnostics) -> Parsed:
    """The script with every family written out; reports what is wrong with their use.

    The names that only stood for templates are `broken` afterwards, as if they could not be read:
    what still refers to one was refused here.
    """
    declarations = parsed.script.declarations
    templates = _read_templates(declarations, Report(diagnostics))
    programs = Programs(templates)
    for item in declarations:
        if isinstance(item, ProgramDecl):
            programs.declared.setdefault(item.name.text, item)
        elif isinstance(item, TypeDecl):
            check_endpoint(item.type, templates)
        elif isinstance(item, EffectDecl):
            for part in item.parameters:
                check_endpoint(part.type, templates)
    for name in templates.declared:
        if name not in templates.refused and not templates.parameters(name):
            templates.instance(name, {})
    plain = {
        name: programs.plain(name) for name in programs.declared if not programs.is_refused(name)
    }
    programs.make_all()
    for name in templates.declared:
        is_made = any(item.base == name for item in templates.made.values())
        if not is_made and name not in templates.refused:
            templates.instance(name, {})
    if templates.copies_left < 0:  # reported; what is left of the script makes no sense
        names = frozenset(item.name.text for item in declarations)
        return Parsed(replace(parsed.script, declarations=()), frozenset(parsed.broken) | names)
    written = tuple(_written(declarations, templates, programs, plain))
    open_names = {name for name in templates.declared if templates.parameters(name)}
    refused = {name for name, item in templates.made.items() if item.base in templates.refused}
    broken = frozenset(parsed.broken) | templates.refused | refused | open_names
    broken |= {name for name in programs.declared if programs.is_refused(name)}
    return Parsed(replace(parsed.script, declarations=written), broken)


def _read_templates(declarations: tuple[Declaration, ...], report: Report) -> Templates:
    templates = Templates(report)
    for item in declarations:
        if isinstance(item, ProtocolDecl) and item.name.text not in templates.declared:
            templates.declared[item.name.text] = item
            if not check_sizes(item, report):
                templates.refused.add(item.name.text)
            if item.sizes:
                for name in (item.name, *item.roles):
                    check_member_name(name, report)
    return templates


def _written(
    declarations: tuple[Declaration, ...],
    templates: Templates,
    programs: Programs,
    plain: Mapping[str, ProgramDecl | None],
) -> Iterator[Declaration]:
    """All declarations in their order, each template replaced by what was made of it."""
    names = programs.names()
    for item in declarations:
        name = item.name.text
        if programs.is_refused(name):
            continue
        if isinstance(item, ProtocolDecl):
            made = [entry for entry in templates.made.values() if entry.base == name]
            if name in templates.refused:
                continue
            if templates.declared[name] is item:
                yield from (
                    entry.declaration for entry in sorted(made, key=lambda entry: entry.sizes)
                )
            else:
                # A second one of the name is refused as such, whatever is in it.
                first = made[0].declaration
                yield replace(first, name=replace(item.name, text=first.name.text))
        elif isinstance(item, ProgramDecl):
            yield from (
                cast(ProgramDecl, _renamed(program, names))
                for program in _programs(item, programs, plain)
            )
        else:
            yield item


def _programs(
    item: ProgramDecl, programs: Programs, plain: Mapping[str, ProgramDecl | None]
) -> list[ProgramDecl]:
    name = item.name.text
    if programs.declared[name] is not item:
        made = programs.all_made(name)
        first = made[0].name.text if made else name
        return [replace(item, name=replace(item.name, text=first))]
    written = plain[name]
    return programs.all_made(name) if written is None else [written]


def _renamed(item: object, names: Mapping[str, str]) -> object:
    """A program with the short names of those that it spawns, and of itself."""
    if isinstance(item, tuple):
        return tuple(_renamed(part, names) for part in item)
    if isinstance(item, SpawnStatement):
        return replace(item, program=_short(item.program, names))
    if isinstance(item, ProgramDecl):
        body = tuple(_renamed(part, names) for part in item.body)
        return replace(item, name=_short(item.name, names), body=body)  # type: ignore[arg-type]
    if not is_dataclass(item) or isinstance(item, type) or not names:
        return item
    parts = {entry.name: getattr(item, entry.name) for entry in fields(item)}
    changed = {key: _renamed(part, names) for key, part in parts.items() if isinstance(part, tuple)}
    return replace(item, **changed) if changed else item


def _short(name: Name, names: Mapping[str, str]) -> Name:
    return replace(name, text=names.get(name.text, name.text))
