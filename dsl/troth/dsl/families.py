"""Role families: protocols that are written once for any number of alike roles.

`protocol Farm(Hub, Worker[N])` is a template. A session has a size, so every size that something
opens, or that a `do` asks for, makes a protocol of its own with the roles `Worker[0]`, `Worker[1]`
and so on: it is that protocol which is checked, projected and put into the image. A family whose
size stands in the first line makes one protocol, under the written name.

What is written for all members is repeated here for each of them, in the order of their numbers;
nothing after this stage knows about families. `family_programs` does the same for programs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from troth.dsl.ast import (
    Choice,
    Do,
    EdgeDecl,
    EndpointOf,
    ForEachRole,
    Interaction,
    LoopAt,
    Message,
    Name,
    ProtocolDecl,
    Rec,
    Span,
    TypeExpr,
)
from troth.dsl.build_nodes import number
from troth.dsl.diag import Diagnostic
from troth.dsl.names import did_you_mean, one_of
from troth.dsl.report import Report
from troth.vm.limits import DEFAULT_LIMITS, NAME_BYTES_MAX

FAMILY_SIZE_MAX: Final = 64
"""Members of one family."""

COPIES_MAX: Final = 20_000
"""Steps and statements that all families of a script may be repeated into."""

SIZE_DEFAULT: Final = 2
"""The size at which a protocol is checked that nothing opens."""

ALL: Final = "*"

Member = tuple[str, int]
"""A family and the number of one of its roles."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A protocol made from a template; `families` maps each family to its size."""

    base: str
    sizes: tuple[int, ...]
    declaration: ProtocolDecl
    families: Mapping[str, int]


@dataclass(slots=True)
class Templates:
    """The protocols of a script by the name they are written with, and what was made of them.

    `copies_left` bounds the repetition; a script that needs more is refused once.
    """

    report: Report
    declared: dict[str, ProtocolDecl] = field(default_factory=dict)
    made: dict[str, Instance] = field(default_factory=dict)
    copies_left: int = COPIES_MAX
    refused: set[str] = field(default_factory=set)

    def parameters(self, name: str) -> tuple[str, ...]:
        """The sizes that a protocol leaves open, in the order they are named."""
        declaration = self.declared.get(name)
        sizes = () if declaration is None else declaration.sizes
        return tuple(dict.fromkeys(size.text for _, size in sizes if not is_number(size.text)))

    def instance(self, name: str, sizes: Mapping[str, int]) -> Instance:
        """The protocol `name` at these sizes; those that are missing have the default."""
        chosen = tuple(sizes.get(key, SIZE_DEFAULT) for key in self.parameters(name))
        made = f"{name}[{','.join(map(str, chosen))}]" if chosen else name
        if made not in self.made:
            template = self.declared[name]
            known = dict(zip(self.parameters(name), chosen, strict=True))
            families = {
                family: number(size.text) if is_number(size.text) else known[size.text]
                for family, size in template.sizes
            }
            if not self._fits(template, families):
                families = {}
            roles = tuple(_members(template.roles, families))
            header = replace(template, name=replace(template.name, text=made), roles=roles)
            self.made[made] = Instance(name, chosen, header, families)
            if name in self.refused:
                return self.made[made]
            # In two steps, because a body may `do` its own protocol.
            body = _Body(self, families)
            failed_before, self.report.failed = self.report.failed, False
            declaration = replace(
                header,
                edges=tuple(body.edges(template.edges)),
                body=body.sequence(template.body, {}),
                sizes=(),
            )
            self.made[made] = replace(self.made[made], declaration=declaration)
            if self.report.failed:
                self.refused.add(name)
            self.report.failed |= failed_before
        return self.made[made]

    def _fits(self, template: ProtocolDecl, families: Mapping[str, int]) -> bool:
        """Whether a session may have so many roles; reports and refuses when it may not."""
        count = len(template.roles) - len(families) + sum(families.values())
        most = DEFAULT_LIMITS.roles_max
        if not families or count <= most:
            return True
        self.refused.add(template.name.text)
        self.report.add(
            Diagnostic(
                code="protocol.roles.count",
                message=f"the protocol {template.name.text} has the wrong number of roles",
                span=template.name.span,
                expected=f"between 2 and {most} roles",
                found=str(count),
                fix="choose smaller families, or fewer of them",
            )
        )
        return False

    def spend(self, count: int, span: Span) -> bool:
        """Whether `count` more steps may be made; reports the first that may not."""
        were_left = self.copies_left >= 0
        self.copies_left -= count
        if were_left and self.copies_left < 0:
            self.report.add(
                Diagnostic(
                    code="protocol.family.too_large",
                    message="this is repeated too often",
                    span=span,
                    expected=f"at most {COPIES_MAX} steps once every family is written out",
                    fix="choose smaller families, or repeat less inside of `foreach`",
                )
            )
        return self.copies_left >= 0


def is_number(text: str) -> bool:
    return text[:1].isdigit()


def check_sizes(declaration: ProtocolDecl, report: Report) -> bool:
    """Whether the sizes in a protocol's first line can be sizes."""
    sound = True
    for family, size in declaration.sizes:
        if not is_number(size.text) or (
            len(size.text) < 12 and 1 <= number(size.text) <= FAMILY_SIZE_MAX
        ):
            continue
        sound = False
        report.add(size_error(size, f"the family {family} cannot have this size"))
    return sound


def size_error(size: Name, message: str) -> Diagnostic:
    return Diagnostic(
        code="protocol.family.size",
        message=message,
        span=size.span,
        expected=f"a number of roles from 1 to {FAMILY_SIZE_MAX}, or a name for it",
        found=size.text,
        fix="write a number, or a name such as N: then `open … with N = 4` says how many",
    )


def _members(roles: tuple[Name, ...], families: Mapping[str, int]) -> Iterator[Name]:
    for role in roles:
        if role.text in families:
            for index in range(families[role.text]):
                yield replace(role, text=f"{role.text}[{index}]")
        else:
            yield role


@dataclass(slots=True)
class _Body:
    """Writes out the body of one instance. `bound` maps each `foreach` name to its member."""

    templates: Templates
    families: Mapping[str, int]

    def sequence(
        self, items: tuple[Interaction, ...], bound: Mapping[str, Member]
    ) -> tuple[Interaction, ...]:
        written: list[Interaction] = []
        for item in items:
            # What no family repeats is bounded by the size of the script.
            if not self.families or self.templates.spend(1, item.span):
                written.extend(self._item(item, bound))
        return tuple(written)

    def _item(self, item: Interaction, bound: Mapping[str, Member]) -> list[Interaction]:
        match item:
            case Message():
                return self._message(item, bound)
            case Choice():
                branches = tuple(self.sequence(branch, bound) for branch in item.branches)
                crashed = None if item.crashed is None else self.role(item.crashed, bound)
                chooser = self.role(item.chooser, bound)
                return [replace(item, chooser=chooser, branches=branches, crashed=crashed)]
            case Rec():
                return [replace(item, body=self.sequence(item.body, bound))]
            case LoopAt():
                chooser = self.role(item.chooser, bound)
                return [replace(item, chooser=chooser, body=self.sequence(item.body, bound))]
            case Do():
                return [self._do(item, bound)]
            case ForEachRole():
                return self._foreach(item, bound)
            case _:
                return [item]

    def _message(self, item: Message, bound: Mapping[str, Member]) -> list[Interaction]:
        for entry in item.fields:
            check_endpoint(entry.type, self.templates)
        messages: list[Interaction] = []
        for sender in self.roles(item.sender, bound):
            receivers = tuple(
                receiver
                for written in item.receivers
                for receiver in self.roles(written, bound)
                # To all of its own family means to all others.
                if receiver.text != sender.text or not _is_all(written)
            )
            if receivers:
                messages.append(replace(item, sender=sender, receivers=receivers))
        copies = len(messages) * len(receivers) if messages else 0
        if self.families and not self.templates.spend(copies, item.span):
            return []
        return messages or [replace(item, sender=self.role(item.sender, bound))]

    def _foreach(self, item: ForEachRole, bound: Mapping[str, Member]) -> list[Interaction]:
        size = self.families.get(item.family.text)
        if size is None:
            self._unknown_family(item.family, item.family.text)
            return []
        written: list[Interaction] = []
        for index in range(size):
            inner = {**bound, item.variable.text: (item.family.text, index)}
            written.extend(self.sequence(item.body, inner))
        return written

    def _do(self, item: Do, bound: Mapping[str, Member]) -> Do:
        roles = tuple(role for written in item.roles for role in self.roles(written, bound))
        name = item.protocol
        parameters = self.templates.parameters(name.text)
        if parameters and name.text not in self.templates.refused:
            sizes = self._sizes_of(name.text, parameters, item, len(roles))
            name = replace(
                name, text=self.templates.instance(name.text, sizes).declaration.name.text
            )
        return replace(item, protocol=name, roles=roles)

    def _sizes_of(
        self, name: str, parameters: tuple[str, ...], item: Do, count: int
    ) -> dict[str, int]:
        """What the sizes of the protocol used must be for these roles.

        `Worker[*]` in the place of a family says its size; with one size left open the number of
        roles says it too. Where neither does, the number of roles will be found wrong.
        """
        template = self.templates.declared[name]
        open_sizes = {family: size.text for family, size in template.sizes}
        found: dict[str, int] = {}
        if len(template.roles) == len(item.roles):
            for role, written in zip(template.roles, item.roles, strict=True):
                size = self.families.get(written.text.partition("[")[0])
                if role.text in open_sizes and _is_all(written) and size is not None:
                    found.setdefault(open_sizes[role.text], size)
        if len(parameters) == 1 and not found:
            open_families = sum(size == parameters[0] for size in open_sizes.values())
            fixed = len(template.roles) - len(template.sizes)
            fixed += sum(number(size) for size in open_sizes.values() if is_number(size))
            found[parameters[0]] = max(1, min((count - fixed) // open_families, FAMILY_SIZE_MAX))
        return found

    def edges(self, edges: tuple[EdgeDecl, ...]) -> Iterator[EdgeDecl]:
        for edge in edges:
            senders, receivers = self.roles(edge.sender, {}), self.roles(edge.receiver, {})
            if self.families and not self.templates.spend(len(senders) * len(receivers), edge.span):
                return
            for sender in senders:
                for receiver in receivers:
                    several = _is_all(edge.sender) or _is_all(edge.receiver)
                    if sender.text != receiver.text or not several:
                        yield replace(edge, sender=sender, receiver=receiver)

    # --- roles ---------------------------------------------------------------------------

    def roles(self, name: Name, bound: Mapping[str, Member]) -> list[Name]:
        """The roles that a name stands for: all of a family for `Worker[*]`, else one."""
        if not _is_all(name):
            return [self.role(name, bound)]
        family = name.text.partition("[")[0]
        size = self.families.get(family)
        if size is None:
            self._unknown_family(name, family)
            return []
        return [replace(name, text=f"{family}[{index}]") for index in range(size)]

    def role(self, name: Name, bound: Mapping[str, Member]) -> Name:
        text, bracket, rest = name.text.partition("[")
        if not bracket:
            member = bound.get(text)
            return name if member is None else replace(name, text=f"{member[0]}[{member[1]}]")
        index = rest[:-1]
        if text not in self.families:
            self._unknown_family(name, text)
        elif index in bound:
            index = str(bound[index][1])
        elif not is_number(index):
            self.templates.report.add(unknown_index(name, index, tuple(bound)))
        return replace(name, text=f"{text}[{index}]")

    def _unknown_family(self, name: Name, family: str) -> None:
        known = tuple(self.families)
        self.templates.report.add(
            Diagnostic(
                code="protocol.family.unknown",
                message=f"{family} is not a family of roles",
                span=name.span,
                expected=one_of(known, "a family in the protocol's first line: `Worker[N]`"),
                found=family,
                fix=did_you_mean(family, known) or f"make it one in the first line: `{family}[N]`",
            )
        )


def unknown_index(name: Name, index: str, bound: tuple[str, ...]) -> Diagnostic:
    family = name.text.partition("[")[0]
    return Diagnostic(
        code="protocol.family.index",
        message=f"{index} is not the number of a member",
        span=name.span,
        expected=one_of(bound, "a number, or the name of a `foreach` around this"),
        found=name.text,
        fix=f"put it inside of `foreach {index} in {family}:`, or write a number"
        if index != ALL
        else f"name one member: `{family}[0]`",
    )


def _is_all(name: Name) -> bool:
    return name.text.endswith(f"[{ALL}]")


def check_endpoint(kind: TypeExpr, templates: Templates) -> None:
    """A message can carry an endpoint only of a protocol whose sizes are known."""
    if isinstance(kind, EndpointOf) and templates.parameters(kind.protocol.text):
        name = kind.protocol.text
        templates.report.add(
            Diagnostic(
                code="type.family",
                message=f"the size of {name} is not known here",
                span=kind.span,
                expected="an endpoint of a protocol whose families have their size",
                found=f"{name}, which is opened at any size",
                fix=f"write the size in the first line of {name}, or hand it on by `spawn`",
            )
        )


def check_member_name(name: Name, report: Report) -> None:
    """With its number a name is longer than it was written."""
    if len(name.text) + 2 + len(str(FAMILY_SIZE_MAX)) > NAME_BYTES_MAX:
        report.add(
            Diagnostic(
                code="check.limit.name",
                message="this name is too long for a family",
                span=name.span,
                expected=f"at most {NAME_BYTES_MAX} bytes with the number of a member",
                found=f"{len(name.text)} bytes",
                fix="choose a shorter name",
            )
        )
