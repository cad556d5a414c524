"""Writes random protocols that make sense, with everything the language has for them.

That is multicast, choices, timed choices, messages that may be lost, nested recursion with outer
`continue`, `loop at`, `do`, also recursive, families, settings of edges, and statements after
each of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Final

ROLES: Final = ("A", "B", "C", "D", "E")
FAMILY: Final = "W"
FAMILY_MAX: Final = 8
LABELS: Final = ("a", "b", "c", "d", "e", "send", "close")
FIELDS: Final = (
    *("", "n: int", "s: str", "n: int, ok: bool", "r: {x: float, y: list[int]}", "u: unit"),
)
CLOCK_MS_MAX: Final = 8
EDGE: Final = ("capacity = 1", "policy = resize{6}", "payload = digest")
COUNTED_EDGE: Final = ("replay = nullifier", "replay = nullifier, rotate = 2", "replay = off")
LOSSY_EDGE: Final = (
    "replay = nullifier, buffer = latest, capacity = 1",
    "replay = nullifier, policy = drop, capacity = 2",
    "replay = off, buffer = latest, capacity = 2",
    "replay = nullifier",
)


@dataclass
class ProtocolWriter:
    """Writes one protocol `name`, and those that it does. `told` is how likely everybody hears
    of a choice; a calm one has neither clocks nor losses.

    Attributes:
        size: of its family when it is opened, where the protocol leaves it open; else 0.
    """

    rng: Random
    name: str = "P"
    families: bool = True
    calm: bool = False
    roles: tuple[str, ...] = ()
    size: int = 0
    told: float = 1.0
    left: int = 0
    names: int = 0
    parts: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    edges: dict[tuple[str, str], str] = field(default_factory=dict)

    def text(self) -> str:
        rng = self.rng
        header = self._header()
        self.told = rng.choice((1.0, 1.0, 0.7))
        self.left = rng.randint(2, 9)
        self.parts = [self._part(number) for number in range(rng.choice((0, 0, 1, 2)))]
        for sender, receiver in zip(self.roles, self.roles[1:], strict=False):
            self._line(1, f"{sender} -> {receiver}: start()")
            if rng.random() < 0.2:
                self.edges[sender, receiver] = rng.choice((*EDGE, *COUNTED_EDGE))
        self._block(1, (), ends=False)
        edges = [f"    edge {a} -> {b}: {said}" for (a, b), said in self.edges.items()]
        return "\n".join([*self.parts, f"protocol {self.name}({header}):", *edges, *self.lines])

    def _header(self) -> str:
        """Chooses the roles, and gives the list of them."""
        rng = self.rng
        self.roles = ROLES[: rng.choice((2, 2, 3, 3, 4, 5))]
        if not self.families or rng.random() >= 0.3:
            return ", ".join(self.roles)
        size = rng.choice((2, 2, 3, 3, 4, 5, 6, 7, FAMILY_MAX))
        single = ROLES[: rng.randint(1, 2)]
        self.roles = (*single, *(f"{FAMILY}[{index}]" for index in range(size)))
        self.size = size if rng.random() < 0.5 else 0
        return ", ".join((*single, f"{FAMILY}[{'N' if self.size else size}]"))

    @property
    def has_family(self) -> bool:
        return FAMILY in self.roles[-1]

    def _part(self, number: int) -> str:
        """A protocol of two roles that others `do`; perhaps recursive through `do`."""
        stem = f"{self.name}Part"
        name = f"{stem}{number}"
        again = self.rng.choice((f"do {name}(X, Y)", f"do {name}(Y, X)", "Y -> X: last()"))
        if number and self.rng.random() < 0.5:
            again = f"do {stem}0(Y, X)"  # and that may do itself
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
            kinds += ["foreach"] if self.has_family else []
            kinds += [] if self.calm else ["timed", "lossy"]
        match self.rng.choice(kinds):
            case "message":
                sender, receiver = self._pair()
                receivers = "*" if self.rng.random() < 0.2 else receiver
                self._message(depth, sender, receivers)
            case "choice":
                self._choice(depth, loops, ends=ends)
            case "timed":
                self._choice(depth, loops, ends=ends, timed=True)
            case "lossy":
                self._lossy(depth)
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
                self._do(depth)

    def _do(self, depth: int) -> None:
        one, other = self._pair()
        number = self.rng.randrange(len(self.parts))
        self._line(depth, f"do {self.name}Part{number}({one}, {other})")

    def _within(self) -> str:
        return f" within {self.rng.randint(1, CLOCK_MS_MAX)}ms"

    def _choice(
        self, depth: int, loops: tuple[str, ...], *, ends: bool, timed: bool = False
    ) -> None:
        """The first branch ends where the choice has to, so a clock never decides about that."""
        chooser, receiver = self._pair()
        labels = self.rng.sample(LABELS, self.rng.choice((2, 2, 3)))
        for number, label in enumerate(labels):
            head = f"choice at {chooser}{self._within() if timed else ''}:"
            if number:
                head = "timeout:" if timed and number == len(labels) - 1 else "or:"
            self._line(depth, head)
            self._message(depth + 1, chooser, self._everybody(receiver, chooser), label)
            if loops and number and self.rng.random() < 0.6:
                if self.rng.random() < 0.3:
                    self._block(depth + 1, loops, ends=True)
                self._line(depth + 1, f"continue {self.rng.choice(loops)}")
            elif self.rng.random() < 0.5:
                self._block(depth + 1, loops, ends=(ends or timed) and number == 0)

    def _lossy(self, depth: int) -> None:
        """A loop of its own; its label is used nowhere else."""
        self.names += 1
        number = self.names
        sender, receiver = self._pair()
        edge = (sender, receiver)
        if edge not in self.edges or "rotate" in self.edges[edge]:
            self.edges[edge] = self.rng.choice(LOSSY_EDGE)
        elif "replay" not in self.edges[edge]:
            self.edges[edge] += ", replay = nullifier"
        self._line(depth, f"rec L{number}:")
        self._line(depth + 1, f"choice at {sender}:")
        self._line(depth + 2, f"{sender} -> {receiver}: frame{number}(n: int) lossy")
        self._line(depth + 2, f"continue L{number}")
        self._line(depth + 1, "or:")
        self._line(depth + 2, f"{sender} -> {self._everybody(receiver, sender)}: over{number}()")

    def _foreach(self, depth: int) -> None:
        chooser = self.rng.choice(("w", "A"))
        other = "A" if chooser == "w" else "w"
        if self.rng.random() < 0.3:
            self._message(depth, *self.rng.choice(((f"{FAMILY}[*]", "A"), ("A", f"{FAMILY}[*]"))))
        self._line(depth, f"foreach w in {FAMILY}:")
        if self.rng.random() < 0.5:
            self._message(depth + 1, chooser, other)
        else:
            timed = not self.calm and self.rng.random() < 0.3
            heads = (
                f"choice at {chooser}{self._within() if timed else ''}:",
                "timeout:" if timed else "or:",
            )
            for label, head in zip("ab", heads, strict=True):
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
            timed = not self.calm and self.rng.random() < 0.3
            self._choice(depth + 1, (*loops, name), ends=ends, timed=timed)
        else:
            self._block(depth + 1, (*loops, name), ends=ends)
