"""Random scripts that are right: a protocol of two roles and a program for each of them.

The protocol is drawn as a tree; the programs follow it step by step, with statements in between
that compute, branch, loop, and hold other sessions. So every script must be accepted, and what
is accepted must load.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, TypeAlias

TYPES: Final = ("int", "str", "bool", "float", "list[int]", "{a: int, b: str}")
DEPTH_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class End:
    pass


@dataclass(frozen=True, slots=True)
class Choice:
    """A message is a choice with one branch: (label, types of the fields, what follows)."""

    sender: int
    branches: tuple[tuple[str, tuple[str, ...], Global], ...]


@dataclass(frozen=True, slots=True)
class Rec:
    name: str
    body: Global


@dataclass(frozen=True, slots=True)
class Again:
    name: str


Global: TypeAlias = End | Choice | Rec | Again

ROLES: Final = ("Left", "Right")


def draw_protocol(rng: Random) -> Global:
    return _choice(rng, (), 0)


def _draw(rng: Random, loops: tuple[str, ...], depth: int, guarded: tuple[str, ...]) -> Global:
    if depth >= DEPTH_MAX or rng.random() < 0.2:
        return Again(rng.choice(guarded)) if guarded and rng.random() < 0.7 else End()
    if rng.random() < 0.25:
        name = f"X{len(loops)}"
        return Rec(name, _choice(rng, (*loops, name), depth + 1))
    return _choice(rng, loops, depth)


def _choice(rng: Random, loops: tuple[str, ...], depth: int) -> Choice:
    labels = rng.sample(("one", "two", "three", "cancel", "recv"), rng.choice((1, 1, 2, 3)))
    branches = []
    for label in labels:
        types = tuple(rng.choice(TYPES) for _ in range(rng.randrange(3)))
        branches.append((label, types, _draw(rng, loops, depth + 1, loops)))
    return Choice(rng.randrange(2), tuple(branches))


# --- text of the protocol --------------------------------------------------------------------


def protocol_text(item: Global) -> str:
    return f"protocol Main(Left, Right):\n{_steps(item, 1)}"


def _steps(item: Global, depth: int) -> str:
    blank = "    " * depth
    if isinstance(item, End):
        return ""
    if isinstance(item, Again):
        return f"{blank}continue {item.name}\n"
    if isinstance(item, Rec):
        return f"{blank}rec {item.name}:\n{_steps(item.body, depth + 1)}"
    sender, receiver = ROLES[item.sender], ROLES[1 - item.sender]
    single = len(item.branches) == 1
    text = ""
    for place, (label, types, rest) in enumerate(item.branches):
        inner = depth if single else depth + 1
        fields = ", ".join(f"f{number}: {kind}" for number, kind in enumerate(types))
        if not single:
            text += f"{blank}or:\n" if place else f"{blank}choice at {sender}:\n"
        text += f"{'    ' * inner}{sender} -> {receiver}: {label}({fields})\n"
        text += _steps(rest, inner)
    return text


# --- text of a program -----------------------------------------------------------------------

SIDE: Final = """
effect look(n: int) -> str

protocol Side(A, B):
    A -> B: ask(n: int)
    B -> A: answer(text: str)

protocol Carry(From, To):
    From -> To: take(side: Side.B, n: int)

program side(s: Side.B, extra: int):
    recv s.A ask(n)
    send s.A answer(str(n + extra))
    close s

program taker(c: Carry.To):
    recv c.From take(inner, n)
    close c
    spawn side(inner, n)

"""


@dataclass(slots=True)
class Writer:
    """`known` are the variables that have a value on every path to here, by type."""

    rng: Random
    role: int
    lines: list[str] = field(default_factory=list)
    known: dict[str, list[str]] = field(default_factory=dict)
    loops: list[str] = field(default_factory=list)
    names: int = 0

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def name(self) -> str:
        self.names += 1
        return f"v{self.names}"

    def bound(self, kind: str, name: str) -> None:
        self.known.setdefault(kind, []).append(name)

    def block(self, write: Callable[[], None]) -> None:
        """What is bound inside need not be bound after it."""
        before = {kind: list(names) for kind, names in self.known.items()}
        write()
        self.known = before


def program_text(rng: Random, item: Global, role: int) -> str:
    writer = Writer(rng, role)
    writer.line(0, f"program run{ROLES[role]}(s: Main.{ROLES[role]}, n: int):")
    writer.bound("int", "n")
    _follow(writer, item, 1)
    writer.line(1, "close s")
    return "\n".join(writer.lines) + "\n"


def script_text(rng: Random) -> str:
    item = draw_protocol(rng)
    programs = "\n".join(program_text(rng, item, role) for role in (0, 1))
    main = "\nmain:\n    open Main as l, r\n    spawn runLeft(l, 1)\n    spawn runRight(r, 2)\n"
    return protocol_text(item) + SIDE + programs + main


def _follow(writer: Writer, item: Global, depth: int) -> None:
    if isinstance(item, End):
        if writer.loops:
            writer.line(depth, f"break {writer.loops[0]}")
        else:
            writer.line(depth, "pass")
    elif isinstance(item, Again):
        writer.line(depth, f"continue {item.name}")
    elif isinstance(item, Rec):
        writer.line(depth, f"loop {item.name}:")
        writer.loops.append(item.name)
        body = item.body
        writer.block(lambda: _follow(writer, body, depth + 1))
        writer.loops.pop()
    elif item.sender == writer.role:
        _noise(writer, depth)
        _send(writer, item, depth)
    else:
        _noise(writer, depth)
        _receive(writer, item, depth)


def _send(writer: Writer, item: Choice, depth: int) -> None:
    peer = ROLES[1 - writer.role]
    for place, (label, types, rest) in enumerate(item.branches):
        inner = depth
        if len(item.branches) > 1:
            inner = depth + 1
            last = place + 1 == len(item.branches)
            head = "else:" if last else f"{'elif' if place else 'if'} {value(writer, 'bool')}:"
            writer.line(depth, head)

        def write(
            label: str = label,
            types: tuple[str, ...] = types,
            rest: Global = rest,
            inner: int = inner,
        ) -> None:
            arguments = ", ".join(value(writer, kind) for kind in types)
            writer.line(inner, f"send s.{peer} {label}({arguments})")
            _follow(writer, rest, inner)

        writer.block(write)


def _receive(writer: Writer, item: Choice, depth: int) -> None:
    peer = ROLES[1 - writer.role]
    single = len(item.branches) == 1 and writer.rng.random() < 0.7
    if not single:
        writer.line(depth, f"recv s.{peer}:")
    branches = list(item.branches)
    writer.rng.shuffle(branches)
    for label, types, rest in branches:

        def write(label: str = label, types: tuple[str, ...] = types, rest: Global = rest) -> None:
            targets = [_target(writer, kind) for kind in types]
            bound = ", ".join(targets)
            head = f"recv s.{peer} {label}({bound})" if single else f"{label}({bound}):"
            inner = depth if single else depth + 2
            writer.line(depth if single else depth + 1, head)
            _follow(writer, rest, inner)

        writer.block(write)


def _target(writer: Writer, kind: str) -> str:
    name = writer.name()
    writer.bound(kind, name)
    return name


# --- statements in between -------------------------------------------------------------------


def _noise(writer: Writer, depth: int, level: int = 0) -> None:
    statements: Sequence[Callable[[Writer, int, int], None]] = (
        *(_let, _assign, _print, _effect, _side_session),
        *((_if, _for, _while) if level < 2 else ()),
    )
    for _ in range(writer.rng.choice((0, 0, 1, 2))):
        writer.rng.choice(statements)(writer, depth, level)


def _let(writer: Writer, depth: int, _level: int) -> None:
    kind = writer.rng.choice(TYPES)
    text = value(writer, kind, empty=False)
    name = writer.name()
    writer.line(depth, f"let {name} = {text}")
    writer.bound(kind, name)


def _assign(writer: Writer, depth: int, _level: int) -> None:
    kind = writer.rng.choice(TYPES)
    names = [name for name in writer.known.get(kind, []) if name != "n"]
    if names:
        writer.line(depth, f"{writer.rng.choice(names)} = {value(writer, kind)}")


def _print(writer: Writer, depth: int, _level: int) -> None:
    writer.line(depth, f"print {value(writer, writer.rng.choice(TYPES), empty=False)}")


def _effect(writer: Writer, depth: int, _level: int) -> None:
    name = writer.name()
    writer.line(depth, f"let {name} = call look({value(writer, 'int')})")
    writer.bound("str", name)


def _side_session(writer: Writer, depth: int, _level: int) -> None:
    """Opens a session, hands one end on, by a spawn or by a message, and holds the other."""
    name = writer.name()
    mine, theirs = f"{name}a", f"{name}b"
    writer.line(depth, f"open Side as {mine}, {theirs} with replay = nullifier")
    if writer.rng.random() < 0.5:
        writer.line(depth, f"spawn side({theirs}, {value(writer, 'int')})")
    else:
        writer.line(depth, f"open Carry as {name}c, {name}d")
        writer.line(depth, f"spawn taker({name}d)")
        writer.line(depth, f"send {name}c.To take({theirs}, {value(writer, 'int')})")
        writer.line(depth, f"close {name}c")
    if writer.rng.random() < 0.5:
        writer.line(depth, f'cancel {mine} "enough"')
    else:
        writer.line(depth, f"send {mine}.B ask({value(writer, 'int')})")
        writer.line(depth, f"recv {mine}.B answer({name}t)")
        writer.bound("str", f"{name}t")
        writer.line(depth, f"close {mine}")


def _body(writer: Writer, depth: int, level: int) -> None:
    def write() -> None:
        _noise(writer, depth, level + 1)
        writer.line(depth, writer.rng.choice(("pass", "yield")))

    writer.block(write)


def _if(writer: Writer, depth: int, level: int) -> None:
    writer.line(depth, f"if {value(writer, 'bool')}:")
    _body(writer, depth + 1, level)
    if writer.rng.random() < 0.5:
        writer.line(depth, "else:")
        _body(writer, depth + 1, level)


def _for(writer: Writer, depth: int, level: int) -> None:
    name = writer.name()
    writer.line(depth, f"for {name} in range({value(writer, 'int')}, {value(writer, 'int')}):")
    _body(writer, depth + 1, level)


def _while(writer: Writer, depth: int, level: int) -> None:
    writer.line(depth, f"while {value(writer, 'bool')}:")
    _body(writer, depth + 1, level)
    if writer.rng.random() < 0.5:
        writer.line(depth + 1, writer.rng.choice(("break", "continue", 'fail "no"')))


# --- expressions -----------------------------------------------------------------------------


def value(writer: Writer, kind: str, depth: int = 0, *, empty: bool = True) -> str:
    """An expression of the type; `empty` says whether `[]` may stand here."""
    rng = writer.rng
    names = writer.known.get(kind, [])
    if names and rng.random() < 0.5:
        return rng.choice(names)
    if depth > 2 or rng.random() < 0.4:
        return _literal(rng, kind, empty)

    def sub(of: str) -> str:
        return value(writer, of, depth + 1, empty=False)

    if kind == "int":
        return rng.choice(
            (
                f"({sub('int')} {rng.choice('+-*')} {sub('int')})",
                f"len({sub('str')})",
                f"{sub('list[int]')}[0]",
                f"(-{sub('int')})",
            )
        )
    if kind == "str":
        return rng.choice((f"({sub('str')} + {sub('str')})", f"str({sub(rng.choice(TYPES))})"))
    if kind == "bool":
        same = rng.choice(TYPES)
        return rng.choice(
            (
                f"({sub('int')} {rng.choice(('<', '<=', '>', '>=', '==', '!='))} {sub('float')})",
                f"({sub(same)} {rng.choice(('==', '!='))} {sub(same)})",
                f"({sub('bool')} {rng.choice(('and', 'or'))} {sub('bool')})",
                f"(not {sub('bool')})",
            )
        )
    if kind == "float":
        return f"({sub('float')} {rng.choice('+-*/')} {sub('int')})"
    if kind == "list[int]":
        return f"({sub('list[int]')} + [{sub('int')}])"
    return f"{{b: {sub('str')}, a: {sub('int')}}}"


def _literal(rng: Random, kind: str, empty: bool) -> str:
    if kind == "list[int]":
        return rng.choice(("[]", "[1]", "[1, 2]")) if empty else "[1, 2]"
    return {
        "int": rng.choice(("0", "7", "-3")),
        "str": rng.choice(('""', '"x"')),
        "bool": rng.choice(("true", "false")),
        "float": "1.5",
        "{a: int, b: str}": '{a: 1, b: "b"}',
    }[kind]
