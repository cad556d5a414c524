"""Random protocols, as source text, for property tests.

What is drawn is well-formed: it passes every check but, perhaps, projection. How often the roles
that do not take part in a choice are told about it is drawn too, so that both protocols that
project and protocols that do not come up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import strategies as st

ROLES = ("A", "B", "C", "D")
FIELDS = ("", "n: int", "s: str", "n: int, items: list[{x: float, y: bool}]")
LABELS = ("a", "b", "c", "d", "e")


@dataclass
class _Writer:
    """Writes one protocol. `draw` is hypothesis's."""

    draw: st.DrawFn
    roles: tuple[str, ...]
    statements_left: int
    told: bool
    clocks: bool
    loops: int = 0
    lines: list[str] = field(default_factory=list)
    edges: set[tuple[str, str]] = field(default_factory=set)

    def block(self, depth: int, variables: tuple[str, ...], *, ends: bool) -> None:
        """Statements of one block, after at least one message of each loop around it.

        `ends` says that something follows, so not every way through may `continue`.
        """
        count = self.draw(st.integers(1, 3))
        back = bool(variables) and not ends and self.draw(st.booleans())
        for number in range(count):
            last = number == count - 1
            self.statement(depth, variables, ends=ends or back or not last)
        if back:
            self.write(depth, f"continue {self.draw(st.sampled_from(variables))}")

    def statement(self, depth: int, variables: tuple[str, ...], *, ends: bool) -> None:
        self.statements_left -= 1
        kinds = ["message"]
        if depth < 5 and self.statements_left > 0:
            kinds += ["choice", "choice", "rec", "loop", "lossy"] + ["timed"] * self.clocks
        match self.draw(st.sampled_from(kinds)):
            case "message":
                sender, receiver = self.pair()
                self.message(depth, sender, receiver, self.draw(st.sampled_from(LABELS)))
            case "choice":
                self.choice(depth, variables, ends=ends)
            case "timed":
                self.choice(depth, variables, ends=ends, timed=True)
            case "lossy":
                self.lossy(depth)
            case "rec":
                self.rec(depth, variables, ends=ends)
            case _:
                self.loop(depth, variables)

    def choice(
        self, depth: int, variables: tuple[str, ...], *, ends: bool, timed: bool = False
    ) -> None:
        chooser, receiver = self.pair()
        labels = self.draw(st.lists(st.sampled_from(LABELS), min_size=2, max_size=3, unique=True))
        echo = self.echo(chooser, receiver)
        for number, label in enumerate(labels):
            self.write(depth, self.head(chooser, number, len(labels), timed=timed))
            self.opening(depth + 1, chooser, receiver, label)
            if echo is not None:
                turned = self.draw(st.integers(0, 5)) == 0
                sender, hearer = reversed(echo) if turned else echo
                self.message(depth + 1, sender, hearer, self.draw(st.sampled_from(LABELS[:2])))
            if self.draw(st.booleans()):
                self.block(depth + 1, variables, ends=ends and number == 0)
            elif variables and number and self.draw(st.booleans()):
                self.write(depth + 1, f"continue {self.draw(st.sampled_from(variables))}")

    def head(self, chooser: str, number: int, count: int, *, timed: bool) -> str:
        if number == 0:
            within = f" within {self.draw(st.integers(1, 3))}s" if timed else ""
            return f"choice at {chooser}{within}:"
        return "timeout:" if timed and number == count - 1 else "or:"

    def lossy(self, depth: int) -> None:
        """A loop of its own; its label is used nowhere else."""
        self.loops += 1
        sender, receiver = self.pair()
        self.edges.add((sender, receiver))
        self.write(depth, f"rec X{self.loops}:")
        self.write(depth + 1, f"choice at {sender}:")
        self.write(depth + 2, f"{sender} -> {receiver}: frame{self.loops}(n: int) lossy")
        self.write(depth + 2, f"continue X{self.loops}")
        self.write(depth + 1, "or:")
        self.opening(depth + 2, sender, receiver, self.draw(st.sampled_from(LABELS)))

    def echo(self, chooser: str, receiver: str) -> tuple[str, str] | None:
        """A message every branch goes on with, from or to somebody who may not know the branch:
        where merging is decided.
        """
        others = [role for role in self.roles if role not in (chooser, receiver)]
        if not others or self.draw(st.booleans()):
            return None
        other = self.draw(st.sampled_from(others))
        return self.draw(st.sampled_from([(receiver, other), (other, receiver)]))

    def rec(self, depth: int, variables: tuple[str, ...], *, ends: bool) -> None:
        self.loops += 1
        name = f"X{self.loops}"
        self.write(depth, f"rec {name}:")
        sender, receiver = self.pair()
        self.message(depth + 1, sender, receiver, self.draw(st.sampled_from(LABELS)))
        self.block(depth + 1, (*variables, name), ends=ends)

    def loop(self, depth: int, variables: tuple[str, ...]) -> None:
        chooser, receiver = self.pair()
        self.write(depth, f"loop at {chooser}:")
        self.opening(depth + 1, chooser, receiver, self.draw(st.sampled_from(LABELS)))
        if self.draw(st.booleans()):
            self.block(depth + 1, variables, ends=True)

    def opening(self, depth: int, chooser: str, receiver: str, label: str) -> None:
        """The first message of a branch, and perhaps the same to everybody else."""
        told = self.told or self.draw(st.booleans())
        others = [role for role in self.roles if role not in (chooser, receiver)]
        receivers = ", ".join([receiver, *others]) if told else receiver
        self.message(depth, chooser, receivers, label)

    def message(self, depth: int, sender: str, receivers: str, label: str) -> None:
        # Mostly the same fields for a label, so that receives often merge.
        other = self.draw(st.integers(0, 9)) == 0
        fields = FIELDS[(LABELS.index(label) + other) % len(FIELDS)]
        self.write(depth, f"{sender} -> {receivers}: {label}({fields})")

    def pair(self) -> tuple[str, str]:
        sender = self.draw(st.sampled_from(self.roles))
        others = [role for role in self.roles if role != sender]
        return sender, self.draw(st.sampled_from(others))

    def write(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)


@st.composite
def protocols(
    draw: st.DrawFn, *, roles_max: int = 4, statements_max: int = 8, clocks: bool = True
) -> str:
    """The source of a protocol `P` in which every role takes part."""
    roles = ROLES[: draw(st.integers(2, roles_max))]
    writer = _Writer(draw, roles, statements_max, told=draw(st.booleans()), clocks=clocks)
    writer.write(0, f"protocol P({', '.join(roles)}):")
    # One message round at the start: no role is unused.
    for sender, receiver in pairwise(roles):
        writer.write(1, f"{sender} -> {receiver}: start()")
    writer.block(1, (), ends=False)
    edges = [f"    edge {a} -> {b}: replay = nullifier" for a, b in sorted(writer.edges)]
    return "\n".join([writer.lines[0], *edges, *writer.lines[1:]]) + "\n"
