"""A population of random protocols that make sense, with a program for each role.

A protocol is drawn as text, with everything the language has for protocols: multicast, choices,
nested recursion with outer `continue`, `loop at`, `do`, also recursive, families, and statements
after each of them. What does not project, or has a place from which the end cannot be reached, is
thrown away and counted. The programs follow the local types state by state. At a choice of its
own a program goes round for a while and then takes the shortest way to the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from troth.dsl.diag import Diagnostics
from troth.dsl.expand_families import expand_families
from troth.dsl.global_type import EndNode, GlobalType
from troth.dsl.parser import parse
from troth.dsl.protocols import CheckedProtocol, check_protocols
from troth.vm.types import (
    Field,
    ListType,
    LocalType,
    Primitive,
    RecordType,
    StateKind,
    ValueType,
)

ROLES: Final = ("A", "B", "C", "D", "E")
FAMILY: Final = "W"
LABELS: Final = ("a", "b", "c", "d", "e", "send", "close")
FIELDS: Final = (
    *("", "n: int", "s: str", "n: int, ok: bool", "r: {x: float, y: list[int]}", "u: unit"),
)
LINES_MAX: Final = 250
"""Of one program; a protocol that needs more is thrown away."""
ROUNDS_OF_CHOICE: Final = 4


@dataclass(frozen=True, slots=True)
class Conversation:
    """One member of the population: `programs` are the lines of each role's program."""

    protocol: str
    types: Mapping[str, LocalType]
    programs: Mapping[str, tuple[str, ...]]
    main: str

    def script(self, changed: Mapping[str, Sequence[str]] | None = None) -> str:
        """The whole script, with some of the programs replaced."""
        programs = {**self.programs, **(changed or {})}
        texts = ["\n".join(lines) for lines in programs.values()]
        return "\n".join([self.protocol, *texts, self.main, ""])


def conversations(rng: Random, count: int, thrown_away: list[str]) -> Iterator[Conversation]:
    """`count` conversations; the reasons for what was not taken are added to the list."""
    while count > 0:
        drawn = _draw(rng, thrown_away)
        if drawn is not None:
            count -= 1
            yield drawn


def _draw(rng: Random, thrown_away: list[str]) -> Conversation | None:
    protocol = _Protocol(rng).text()
    checked, codes = _check(protocol)
    if checked is None:
        thrown_away.append(codes)
        return None
    if not _always_ends(checked.global_type):
        thrown_away.append("does not end")
        return None
    types = dict(zip(checked.roles, checked.image.local_types, strict=True))
    programs: dict[str, tuple[str, ...]] = {}
    for number, (role, local) in enumerate(types.items()):
        written = _Program(rng, local, checked.name, role, number).lines()
        if len(written) > LINES_MAX:
            thrown_away.append("too long")
            return None
        programs[role] = tuple(written)
    return Conversation(protocol, types, programs, _main(rng, checked))


def _check(text: str) -> tuple[CheckedProtocol | None, str]:
    diagnostics = Diagnostics("population.troth", text)
    parsed = expand_families(parse(text, "population.troth", diagnostics), diagnostics)
    checked = check_protocols(parsed, diagnostics).checked.get("P")
    codes = {item.code for item in diagnostics.ordered()}
    assert codes <= {"project.merge", "protocol.unreachable"}, f"{text}\n{diagnostics.render()}"
    return checked, ", ".join(sorted(codes))


def _always_ends(global_type: GlobalType) -> bool:
    before: list[list[int]] = [[] for _ in global_type.nodes]
    pending: list[int] = []
    for number, node in enumerate(global_type.nodes):
        if isinstance(node, EndNode):
            pending.append(number)
        else:
            for branch in node.branches:
                before[branch.next].append(number)
    found = set(pending)
    while pending:
        for number in before[pending.pop()]:
            if number not in found:
                found.add(number)
                pending.append(number)
    return len(found) == len(global_type.nodes)


def _main(rng: Random, checked: CheckedProtocol) -> str:
    roles = checked.roles
    names = [role.replace("W", "ws") if "[" in role else f"s{n}" for n, role in enumerate(roles)]
    opened = dict.fromkeys(name.partition("[")[0] for name in names)
    settings = [f"capacity = {rng.randint(1, 4)}"]
    settings += rng.choice(([], [], ["replay = nullifier"], ["seal = round"]))
    lines = [f"    open P as {', '.join(opened)} with {', '.join(settings)}"]
    spawned = [f"    spawn run{n}({name}, {rng.randint(0, 9)})" for n, name in enumerate(names)]
    rng.shuffle(spawned)
    return "\n".join(["main:", *lines, *spawned])


# --- protocols ------------------------------------------------------------------------------


@dataclass
class _Protocol:
    """Writes one protocol. `told` is how likely everybody hears of a choice."""

    rng: Random
    roles: tuple[str, ...] = ()
    told: float = 1.0
    left: int = 0
    names: int = 0
    parts: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def text(self) -> str:
        rng = self.rng
        count = rng.choice((2, 2, 3, 3, 4, 5))
        self.roles, header = ROLES[:count], ", ".join(ROLES[:count])
        if rng.random() < 0.3:
            size = rng.randint(2, 4)
            single = ROLES[: rng.randint(1, 2)]
            self.roles = (*single, *(f"{FAMILY}[{index}]" for index in range(size)))
            header = ", ".join((*single, f"{FAMILY}[{size}]"))
        self.told = rng.choice((1.0, 1.0, 0.7))
        self.left = rng.randint(2, 9)
        self.parts = [self._part(number) for number in range(rng.choice((0, 0, 1, 2)))]
        self.lines = [f"protocol P({header}):"]
        for sender, receiver in zip(self.roles, self.roles[1:], strict=False):
            self._line(1, f"{sender} -> {receiver}: start()")
        self._block(1, (), ends=False)
        return "\n".join([*self.parts, *self.lines])

    def _part(self, number: int) -> str:
        """A protocol of two roles that others `do`; perhaps recursive through `do`."""
        name = f"Part{number}"
        again = self.rng.choice((f"do {name}(X, Y)", f"do {name}(Y, X)", "Y -> X: last()"))
        if number and self.rng.random() < 0.5:
            again = "do Part0(Y, X)"  # and Part0 may do itself
        return "\n".join(
            (
                f"protocol {name}(X, Y):",
                "    choice at X:",
                f"        X -> Y: more{number}(n: int)",
                f"        {again}",
                "    or:",
                f"        X -> Y: leave{number}()",
            )
        )

    def _line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def _pair(self) -> tuple[str, str]:
        sender, receiver = self.rng.sample(self.roles, 2)
        return sender, receiver

    def _message(self, depth: int, sender: str, receivers: str, label: str | None = None) -> None:
        label = label or self.rng.choice(LABELS)
        fields = FIELDS[LABELS.index(label) % len(FIELDS)]
        self._line(depth, f"{sender} -> {receivers}: {label}({fields})")

    def _everybody(self, first: str, besides: str) -> str:
        others = [role for role in self.roles if role not in (first, besides)]
        return ", ".join([first, *others]) if self.rng.random() < self.told else first

    def _block(self, depth: int, loops: tuple[str, ...], *, ends: bool) -> None:
        count = self.rng.randint(1, 3)
        back = bool(loops) and not ends and self.rng.random() < 0.5
        for number in range(count):
            self._statement(depth, loops, ends=ends or back or number < count - 1)
        if back:
            self._line(depth, f"continue {self.rng.choice(loops)}")

    def _statement(self, depth: int, loops: tuple[str, ...], *, ends: bool) -> None:
        self.left -= 1
        kinds = ["message"]
        if depth < 5 and self.left > 0:
            kinds += ["choice", "choice", "rec", "loop", "single"]
            kinds += ["do"] if self.parts else []
            kinds += ["foreach"] if FAMILY in self.roles[-1] else []
        match self.rng.choice(kinds):
            case "message":
                sender, receiver = self._pair()
                receivers = "*" if self.rng.random() < 0.2 else receiver
                self._message(depth, sender, receivers)
            case "choice":
                self._choice(depth, loops, ends=ends)
            case "rec":
                self._rec(depth, loops, ends=ends)
            case "loop":
                chooser, receiver = self._pair()
                self._line(depth, f"loop at {chooser}:")
                self._message(depth + 1, chooser, self._everybody(receiver, chooser))
                if self.rng.random() < 0.6:
                    self._block(depth + 1, loops, ends=True)
            case "foreach":
                self._foreach(depth)
            case "single":
                chooser, receiver = self._pair()
                self._line(depth, f"choice at {chooser}:")
                self._message(depth + 1, chooser, receiver)
            case _:
                one, other = self._pair()
                self._line(depth, f"do Part{self.rng.randrange(len(self.parts))}({one}, {other})")

    def _choice(self, depth: int, loops: tuple[str, ...], *, ends: bool) -> None:
        chooser, receiver = self._pair()
        labels = self.rng.sample(LABELS, self.rng.choice((2, 2, 3)))
        for number, label in enumerate(labels):
            self._line(depth, f"choice at {chooser}:" if number == 0 else "or:")
            self._message(depth + 1, chooser, self._everybody(receiver, chooser), label)
            if loops and number and self.rng.random() < 0.6:
                if self.rng.random() < 0.3:
                    self._block(depth + 1, loops, ends=True)
                self._line(depth + 1, f"continue {self.rng.choice(loops)}")
            elif self.rng.random() < 0.5:
                self._block(depth + 1, loops, ends=ends and number == 0)

    def _foreach(self, depth: int) -> None:
        chooser = self.rng.choice(("w", "A"))
        other = "A" if chooser == "w" else "w"
        if self.rng.random() < 0.3:
            self._message(depth, *self.rng.choice(((f"{FAMILY}[*]", "A"), ("A", f"{FAMILY}[*]"))))
        self._line(depth, f"foreach w in {FAMILY}:")
        if self.rng.random() < 0.5:
            self._message(depth + 1, chooser, other)
        else:
            for label, head in (("a", f"choice at {chooser}:"), ("b", "or:")):
                self._line(depth + 1, head)
                self._message(depth + 2, chooser, other, label)

    def _rec(self, depth: int, loops: tuple[str, ...], *, ends: bool) -> None:
        self.names += 1
        name = f"X{self.names}"
        self._line(depth, f"rec {name}:")
        sender, receiver = self._pair()
        self._message(depth + 1, sender, receiver)
        if self.left > 0 and self.rng.random() < 0.6:
            self.left -= 1
            self._choice(depth + 1, (*loops, name), ends=ends)
        else:
            self._block(depth + 1, (*loops, name), ends=ends)


# --- programs -------------------------------------------------------------------------------


@dataclass
class _Program:
    rng: Random
    local: LocalType
    protocol: str
    role: str
    number: int
    written: list[str] = field(default_factory=list)
    bound: int = 0

    def lines(self) -> list[str]:
        self.distance = _distances(self.local)
        self.looping = _in_cycles(self.local)
        self._line(0, f"program run{self.number}(s: {self.protocol}.{self.role}, turn: int):")
        self._line(1, f"let fuel = {self.rng.randint(0, ROUNDS_OF_CHOICE)}")
        self._line(1, "let pick = 0")
        self._state(0, 1, ())
        self._line(1, "close s")
        return self.written

    def _line(self, depth: int, text: str) -> None:
        self.written.append("    " * depth + text)

    def _state(self, number: int, depth: int, around: tuple[int, ...]) -> None:
        """What to do from a state on. `around` are the states whose loops are around."""
        if len(self.written) > LINES_MAX:
            return
        if number in around:
            self._line(depth, f"continue S{number}")
            return
        state = self.local.states[number]
        if state.kind is StateKind.END:
            self._line(depth, f"break S{around[0]}" if around else "pass")
            return
        if number in self.looping:
            self._line(depth, f"loop S{number}:")
            depth, around = depth + 1, (*around, number)
        if state.kind is StateKind.SEND:
            self._send(number, depth, around)
        else:
            self._receive(number, depth, around)

    def _send(self, number: int, depth: int, around: tuple[int, ...]) -> None:
        state = self.local.states[number]
        moves = state.transitions
        if len(moves) > 1:
            shortest = min(range(len(moves)), key=lambda n: (self.distance[moves[n].next], n))
            self._line(depth, "turn = (turn * 5 + 3) % 16")
            self._line(depth, "fuel = fuel - 1")
            self._line(depth, f"pick = turn % {len(moves)}")
            self._line(depth, "if fuel < 0:")
            self._line(depth + 1, f"pick = {shortest}")
        for position, move in enumerate(moves):
            inner = depth
            if len(moves) > 1:
                head = "else:" if position == len(moves) - 1 else f"if pick == {position}:"
                self._line(depth, head if position in (0, len(moves) - 1) else f"el{head}")
                inner = depth + 1
            values = ", ".join(self._value(item.type) for item in move.fields)
            self._line(inner, f"send s.{state.peer} {move.label}({values})")
            self._state(move.next, inner, around)

    def _receive(self, number: int, depth: int, around: tuple[int, ...]) -> None:
        state = self.local.states[number]
        if len(state.transitions) == 1:
            (move,) = state.transitions
            self._line(depth, f"recv s.{state.peer} {move.label}({self._targets(move.fields)})")
            self._state(move.next, depth, around)
            return
        self._line(depth, f"recv s.{state.peer}:")
        for move in state.transitions:
            self._line(depth + 1, f"{move.label}({self._targets(move.fields)}):")
            self._state(move.next, depth + 2, around)

    def _targets(self, fields: tuple[Field, ...]) -> str:
        names = []
        for _ in fields:
            self.bound += 1
            names.append(f"v{self.bound}")
        return ", ".join(names)

    def _value(self, kind: ValueType) -> str:
        if isinstance(kind, ListType):
            return f"[{self._value(kind.item)}]"
        if isinstance(kind, RecordType):
            parts = [f"{item.name}: {self._value(item.type)}" for item in kind.fields]
            return "{" + ", ".join(parts) + "}"
        assert isinstance(kind, Primitive)
        return self.rng.choice(_VALUES[kind])


_VALUES: Final[Mapping[Primitive, tuple[str, ...]]] = {
    Primitive.INT: ("7", "turn", "fuel * 2", "-1"),
    Primitive.STR: ('""', '"x"', "str(turn)"),
    Primitive.BOOL: ("true", "turn > 3"),
    Primitive.FLOAT: ("1.5", "turn / 2"),
    Primitive.UNIT: ("()",),
}


def _distances(local: LocalType) -> list[int]:
    """How many steps each state is away from the end."""
    far = len(local.states) + 1
    distance = [0 if state.kind is StateKind.END else far for state in local.states]
    for _ in local.states:
        for number, state in enumerate(local.states):
            for move in state.transitions:
                distance[number] = min(distance[number], distance[move.next] + 1)
    return distance


def _in_cycles(local: LocalType) -> frozenset[int]:
    found = set()
    for number in range(len(local.states)):
        pending = [move.next for move in local.states[number].transitions]
        seen = set(pending)
        while pending:
            for move in local.states[pending.pop()].transitions:
                if move.next not in seen:
                    seen.add(move.next)
                    pending.append(move.next)
        if number in seen:
            found.add(number)
    return frozenset(found)
