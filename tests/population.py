"""A population of random protocols that make sense, with a program for each role.

Protocols are drawn as text (`population_protocols`), and the programs follow the local types
(`population_programs`). What does not project, or has a place from which the end cannot be
reached, is thrown away and counted. Some members are bundles of several sessions: each role
starts a program for each of them, or goes through one after the other by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from population_programs import BodyWriter, TooLongError
from population_protocols import ProtocolWriter
from troth.dsl.diag import Diagnostics
from troth.dsl.expand_families import expand_families
from troth.dsl.global_type import EndNode, GlobalType
from troth.dsl.parser import parse
from troth.dsl.protocols import CheckedProtocol, check_protocols
from troth.vm.types import LocalType

BUNDLE: Final = "Both"
BUNDLE_ROLES: Final = ("K", "L", "M", "N", "O", "Q")
REFUSED: Final = frozenset({"project.merge", "protocol.unreachable", "protocol.message.lossy"})
"""Why a drawn protocol may be refused: what is told to whom is drawn without a thought."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One member of the population.

    Attributes:
        protocol: all that is declared besides programs: protocols, and perhaps a bundle.
        types: the local types, by protocol and role.
        programs: the lines of each program, by its name.
        main: the lines of main.
    """

    protocol: str
    types: Mapping[tuple[str, str], LocalType]
    programs: Mapping[str, tuple[str, ...]]
    main: str

    @property
    def roles(self) -> list[str]:
        return sorted({role for _, role in self.types})

    def script(self, changed: Mapping[str, Sequence[str]] | None = None) -> str:
        """The whole script, with some of the programs replaced."""
        programs = {**self.programs, **(changed or {})}
        texts = ["\n".join(lines) for lines in programs.values()]
        return "\n".join([self.protocol, *texts, self.main, ""])


def conversations(
    rng: Random, count: int, thrown_away: list[str], *, calm: bool = False
) -> Iterator[Conversation]:
    """`count` conversations; the reasons for what was not taken are added to the list.

    Calm ones have neither clocks nor losses: the order of turns makes no difference to them.
    """
    while count > 0:
        try:
            drawn = _draw(rng, calm=calm)
        except _ThrownAwayError as reason:
            thrown_away.append(str(reason))
        except TooLongError:
            thrown_away.append("too long")
        else:
            count -= 1
            yield drawn


class _ThrownAwayError(Exception):
    """What was drawn is not what the population is made of."""


@dataclass(frozen=True, slots=True)
class Projected:
    """A protocol with what its roles do; `size` is that of its family, where it is left open."""

    text: str
    name: str
    types: Mapping[str, LocalType]
    size: int


def _draw(rng: Random, *, calm: bool) -> Conversation:
    if rng.random() < 0.25:
        return _bundle(rng, calm=calm)
    return conversation(rng, _protocol(rng, "P", calm=calm, families=True))


def conversation(rng: Random, drawn: Projected) -> Conversation:
    """One session, with a program for each role."""
    programs = {
        f"run{n}": _program(rng, drawn, role, f"run{n}") for n, role in enumerate(drawn.types)
    }
    return Conversation(
        drawn.text,
        {(drawn.name, role): local for role, local in drawn.types.items()},
        programs,
        _main(rng, drawn),
    )


def _protocol(rng: Random, name: str, *, calm: bool, families: bool) -> Projected:
    writer = ProtocolWriter(rng, name=name, families=families, calm=calm)
    text = writer.text()
    return projected(text, name, writer.roles, writer.size)


def projected(text: str, name: str, roles: Sequence[str] = (), size: int = 0) -> Projected:
    checked = _check(text, name, roles, size)
    if not _always_ends(checked.global_type):
        raise _ThrownAwayError("does not end")
    types = dict(zip(checked.roles, checked.image.local_types, strict=True))
    return Projected(text, name, types, size)


def _check(text: str, name: str, roles: Sequence[str], size: int) -> CheckedProtocol:
    """The protocol, if it can be used; where it leaves its size open it is opened with this one."""
    whole = f"{text}\n"
    if size:
        whole += f"main:\n    open {name} as {_opened(roles)} with N = {size}\n"
    diagnostics = Diagnostics("population.troth", whole)
    parsed = expand_families(parse(whole, "population.troth", diagnostics), diagnostics)
    checked = check_protocols(parsed, diagnostics).checked.get(f"{name}[{size}]" if size else name)
    codes = {item.code for item in diagnostics.ordered()}
    assert codes <= REFUSED, f"{whole}\n{diagnostics.render()}"
    if checked is None:
        raise _ThrownAwayError(", ".join(sorted(codes)))
    return checked


def _always_ends(global_type: GlobalType) -> bool:
    """Whether the end can be reached from everywhere without any clock that runs out."""
    before: list[list[int]] = [[] for _ in global_type.nodes]
    pending: list[int] = []
    for number, node in enumerate(global_type.nodes):
        if isinstance(node, EndNode):
            pending.append(number)
        else:
            for branch in node.branches:
                if not branch.late:
                    before[branch.next].append(number)
    found = set(pending)
    while pending:
        for number in before[pending.pop()]:
            if number not in found:
                found.add(number)
                pending.append(number)
    return len(found) == len(global_type.nodes)


def _program(rng: Random, drawn: Projected, role: str, name: str) -> tuple[str, ...]:
    head = f"program {name}(s: {drawn.name}.{role}, turn: int):"
    body = BodyWriter(rng, drawn.types[role], "s").lines()
    return (head, *body, "    close s")


def _settings(rng: Random) -> str:
    settings = [f"capacity = {rng.randint(1, 4)}"]
    settings += rng.choice(([], [], ["replay = nullifier"], ["seal = round"]))
    return ", ".join(settings)


def _names(roles: Sequence[str]) -> list[str]:
    """What main calls the endpoints: `s0`, `s1`, `ws[0]`, `ws[1]`."""
    return [role.replace("W", "ws") if "[" in role else f"s{n}" for n, role in enumerate(roles)]


def _opened(roles: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(name.partition("[")[0] for name in _names(roles)))


def _main(rng: Random, drawn: Projected) -> str:
    roles = list(drawn.types)
    settings = _settings(rng) + f", N = {drawn.size}" * bool(drawn.size)
    spawned = [
        f"    spawn run{n}({name}, {rng.randint(0, 9)})" for n, name in enumerate(_names(roles))
    ]
    rng.shuffle(spawned)
    return "\n".join(
        ["main:", f"    open {drawn.name} as {_opened(roles)} with {settings}", *spawned]
    )


# --- bundles --------------------------------------------------------------------------------


def _bundle(rng: Random, *, calm: bool) -> Conversation:
    parts = [
        _protocol(rng, f"P{number}", calm=calm, families=False)
        for number in range(rng.choice((2, 2, 3)))
    ]
    return bundle(rng, parts)


def bundle(rng: Random, parts: Sequence[Projected]) -> Conversation:
    """These sessions between the same roles, which have other names in each."""
    count = max(len(part.types) for part in parts)
    roles = BUNDLE_ROLES[: rng.randint(count, len(BUNDLE_ROLES))]
    players = [rng.sample(roles, len(part.types)) for part in parts]
    roles = tuple(role for role in roles if any(role in some for some in players))
    programs: dict[str, tuple[str, ...]] = {}
    for role in roles:
        playing = [
            (f"c{number}", part, list(part.types)[some.index(role)])
            for number, (part, some) in enumerate(zip(parts, players, strict=True))
            if role in some
        ]
        programs |= _bundle_role(rng, role, playing)
    declared = [
        f"bundle {BUNDLE}({', '.join(roles)}):",
        *(
            f"    c{number}: {part.name}({', '.join(some)})"
            for number, (part, some) in enumerate(zip(parts, players, strict=True))
        ),
    ]
    spawned = [f"    spawn all_{role}(e{role}, {rng.randint(0, 9)})" for role in roles]
    rng.shuffle(spawned)
    names = ", ".join(f"e{role}" for role in roles)
    opened = f"    open {BUNDLE} as {names} with {_settings(rng)}"
    return Conversation(
        "\n".join([*(part.text for part in parts), *declared]),
        {(part.name, role): local for part in parts for role, local in part.types.items()},
        programs,
        "\n".join(["main:", opened, *spawned]),
    )


def _bundle_role(
    rng: Random, role: str, playing: Sequence[tuple[str, Projected, str]]
) -> dict[str, tuple[str, ...]]:
    """The programs of one role.

    It talks in one session after the other, which are in the same order for everybody, or has a
    program for each, or for each but the last.
    """
    here = rng.choice((0, 1, len(playing)))
    apart = playing[: len(playing) - here]
    programs = {
        f"run_{role}_{child}": _program(rng, drawn, part, f"run_{role}_{child}")
        for child, drawn, part in apart
    }
    lines = [f"program all_{role}(d: {BUNDLE}.{role}, turn: int):"]
    lines += [f"    spawn run_{role}_{child}(d.{child}, turn)" for child, _, _ in apart]
    for child, drawn, part in playing[len(apart) :]:
        lines += BodyWriter(rng, drawn.types[part], f"d.{child}", child).lines()
    if here:
        lines.append("    close d")
    return {**programs, f"all_{role}": tuple(lines)}
