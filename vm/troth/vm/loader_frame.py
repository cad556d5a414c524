"""The loader's view of a program between two instructions, and the rules for touching it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, NoReturn

from troth.vm.errors import Invalid, Place
from troth.vm.image import Image, Program
from troth.vm.limits import Limits
from troth.vm.loaded import ProtocolTables
from troth.vm.loader_cells import Cell, EndpointCell, HandleCell, has_holes
from troth.vm.local_types import format_state
from troth.vm.types import EndpointType, Field, ValueType
from troth.vm.value_types import accepts


@dataclass(frozen=True, slots=True)
class ImageView:
    """What programs refer to. `protocol_index` finds a protocol by name."""

    image: Image
    protocols: tuple[ProtocolTables, ...]
    protocol_index: dict[str, int]
    limits: Limits

    def cell_of(self, kind: ValueType) -> Cell:
        """What a register holds after it got a value, or a new endpoint, of this type."""
        if not isinstance(kind, EndpointType):
            return kind
        protocol = self.protocol_index[kind.protocol]
        role = self.protocols[protocol].role_index[kind.role]
        return EndpointCell(protocol, role, 0, True)

    def describe(self, cell: Cell) -> str:
        if cell is None:
            return "nothing"
        if isinstance(cell, EndpointCell):
            tables = self.protocols[cell.protocol]
            local = tables.protocol.local_types[cell.role]
            role = tables.protocol.roles[cell.role]
            return f"{tables.protocol.name}.{role} at {format_state(local, cell.state)}"
        if isinstance(cell, HandleCell):
            name = self.image.programs[cell.program].name
            return f"a handle of {name} that waits for {len(cell.holes)} endpoints"
        return f"a value of type {cell}"


class RunningClock(NamedTuple):
    """The clock of a timed choice: of the endpoint in `register`, which is in state `late` at
    `target`, where the program goes on when the clock runs out.
    """

    register: int
    target: int
    late: int


class Path(NamedTuple):
    """What is known besides the registers; all paths that meet must agree on it.

    Attributes:
        held: the guards that the program holds.
        forks: the speculations that it has begun and not ended.
        clock: the clock that it has started, until the choice is made.
    """

    held: frozenset[int] = frozenset()
    forks: int = 0
    clock: RunningClock | None = None


FIRST_PATH: Final = Path()


class Frame:
    """The registers before the instruction at `pc`; every method refuses what is not allowed."""

    __slots__ = ("cells", "path", "pc", "program", "view")

    def __init__(
        self,
        view: ImageView,
        program: Program,
        cells: list[Cell],
        pc: int,
        path: Path = FIRST_PATH,
    ) -> None:
        self.view = view
        self.program = program
        self.cells = cells
        self.pc = pc
        self.path = path

    def refuse(
        self, code: str, message: str, expected: str | None = None, actual: str | None = None
    ) -> NoReturn:
        lines = self.program.lines
        raise Invalid(
            code,
            message,
            place=Place(
                program=self.program.name,
                pc=self.pc,
                line=(lines[self.pc] or None) if self.pc < len(lines) else None,
            ),
            expected=expected,
            actual=actual,
        )

    # --- reading ---------------------------------------------------------------------------

    def value(self, register: int) -> ValueType:
        """The type of the value in the register."""
        cell = self._set(register)
        if isinstance(cell, EndpointCell | HandleCell):
            self._refuse_kind(register, "a value", cell)
        return cell

    def endpoint(self, register: int) -> EndpointCell:
        cell = self._set(register)
        if not isinstance(cell, EndpointCell):
            self._refuse_kind(register, "an endpoint", cell)
        return cell

    def handle(self, register: int) -> HandleCell:
        cell = self._set(register)
        if not isinstance(cell, HandleCell):
            self._refuse_kind(register, "a coroutine handle", cell)
        return cell

    def require(self, register: int, kind: ValueType) -> None:
        """The register holds a value of the type."""
        actual = self.value(register)
        if not accepts(kind, actual):
            self.refuse(
                "image.register.type",
                f"Register {register} holds another type",
                str(kind),
                str(actual),
            )

    def _set(self, register: int) -> ValueType | EndpointCell | HandleCell:
        cell = self.cells[register]
        if cell is None:
            self.refuse(
                "image.register.unset",
                f"Register {register} holds nothing, or not the same on every path",
                "a register that was written before",
            )
        return cell

    def _refuse_kind(self, register: int, expected: str, cell: Cell) -> NoReturn:
        self.refuse(
            "image.register.type",
            f"Register {register} cannot be used here",
            expected,
            self.view.describe(cell),
        )

    # --- speculation -----------------------------------------------------------------------

    def require_settled(self, what: str) -> None:
        """Refuses what cannot be taken back within a speculation."""
        if self.path.forks:
            self.refuse(
                "image.speculation.refused",
                f"What cannot be taken back is done within a speculation: {what}",
                "sends, receives, computing, join or abort",
                what,
            )

    # --- guards ----------------------------------------------------------------------------

    def names_of(self, guards: frozenset[int]) -> str:
        """The names of guards, in words."""
        names = [self.view.image.guards[guard] for guard in sorted(guards)]
        return ", ".join(names) or "no guard"

    # --- writing ---------------------------------------------------------------------------

    def write(self, register: int, cell: Cell) -> None:
        """Overwrites a register; an endpoint in it would be lost, so there may be none."""
        old = self.cells[register]
        if isinstance(old, EndpointCell):
            self.refuse(
                "image.endpoint.lost",
                f"Register {register} holds an endpoint and is overwritten",
                "the endpoint to be closed, cancelled or moved before",
                self.view.describe(old),
            )
        if has_holes(old):
            self.refuse_holes(register, old)
        self.cells[register] = cell

    def refuse_holes(self, register: int, cell: Cell) -> NoReturn:
        self.refuse(
            "image.spawn.unfilled",
            f"Register {register} loses the handle of a child that waits for endpoints",
            "a transfer into every open parameter",
            self.view.describe(cell),
        )

    def take_initial(self, register: int, kind: EndpointType) -> None:
        """Takes a never used endpoint of the role out of the register."""
        self.require_settled("handing over an endpoint")
        cell = self.endpoint(register)
        if self.view.cell_of(kind) != cell:
            self.refuse(
                "image.endpoint.initial",
                f"Register {register} does not hold such an endpoint, never used before",
                f"{kind} in its initial type",
                self.view.describe(cell) + ("" if cell.fresh else ", used before"),
            )
        self.cells[register] = None

    # --- lists of registers ----------------------------------------------------------------

    def require_count(self, what: str, expected: int, actual: int) -> None:
        if expected != actual:
            self.refuse("image.arity", f"The number of {what} is wrong", str(expected), str(actual))

    def give(self, fields: tuple[Field, ...], arguments: tuple[int, ...]) -> None:
        """Values are copied out of the registers, endpoints are taken out of them."""
        self.require_count("arguments", len(fields), len(arguments))
        for field, register in zip(fields, arguments, strict=True):
            if isinstance(field.type, EndpointType):
                self.take_initial(register, field.type)
            else:
                self.require(register, field.type)

    def receive(self, fields: tuple[Field, ...], targets: tuple[int, ...]) -> None:
        self.require_count("targets", len(fields), len(targets))
        for field, register in zip(fields, targets, strict=True):
            if isinstance(field.type, EndpointType):
                self.require_settled("receiving an endpoint")
            self.write(register, self.view.cell_of(field.type))
