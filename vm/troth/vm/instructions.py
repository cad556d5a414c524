"""The instruction set, as values.

Registers, programs, protocols and effects are named by index; jump targets are instruction
indices of the same program. The peer and edge of a communication come from the endpoint in the
register, never from the coroutine. See `docs/reference/instructions.md` for the meaning of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from troth.vm.values import Value

HOLE: Final = -1
"""In `Spawn.arguments`: an endpoint parameter that a following `Transfer` fills."""


class ReplayMode(StrEnum):
    OFF = "off"
    SEQUENCE = "sequence"
    NULLIFIER = "nullifier"


class Seal(StrEnum):
    MESSAGE = "message"
    ROUND = "round"


class Policy(StrEnum):
    """Backpressure of a full buffer."""

    BLOCK = "block"
    DROP = "drop"
    ERROR = "error"
    RESIZE = "resize"


class BufferMode(StrEnum):
    FIFO = "fifo"
    LATEST = "latest"


class PayloadForm(StrEnum):
    """How payloads of an edge enter the artifact."""

    INLINE = "inline"
    DIGEST = "digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOptions:
    """Session defaults given at `open`; `None` leaves the machine's default."""

    replay: ReplayMode | None = None
    seal: Seal | None = None
    capacity: int | None = None
    policy: Policy | None = None
    linger_ns: int | None = None


class Operator(StrEnum):
    """Operators of `Op`, with the arity each takes.

    `PRINT` emits one line, `FAIL` faults with its text: they are operators so that the
    instruction families stay those of the design.
    """

    ADD = "add"
    SUB = "sub"
    MUL = "mul"
    DIV = "div"
    FLOORDIV = "floordiv"
    MOD = "mod"
    NEG = "neg"
    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    NOT = "not"
    STR = "str"
    LEN = "len"
    LIST = "list"
    INDEX = "index"
    RECORD = "record"
    FIELD = "field"
    PRINT = "print"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Open:
    """`targets[i]` receives the endpoint of the protocol's role i."""

    protocol: int
    targets: tuple[int, ...]
    options: OpenOptions
    handlers: tuple[tuple[str, str, str], ...] = ()
    """(sender role, receiver role, handler name); edges not named use the local buffer."""


@dataclass(frozen=True, slots=True)
class OpenBundle:
    """Opens all sessions of a bundle, or none of them.

    `targets` receive the endpoints of its children, one after the other, each in the order of its
    protocol's roles.
    """

    bundle: int
    targets: tuple[int, ...]
    options: OpenOptions


@dataclass(frozen=True, slots=True)
class Send:
    """Sends the only label of the endpoint's current send state."""

    endpoint: int
    peer: str
    label: str
    arguments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Select:
    """Sends one of several labels: the selection and the message are one act."""

    endpoint: int
    peer: str
    label: str
    arguments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Recv:
    """Receives the only label of the endpoint's current receive state."""

    endpoint: int
    peer: str
    label: str
    targets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Case:
    label: str
    targets: tuple[int, ...]
    target: int


@dataclass(frozen=True, slots=True)
class Branch:
    """Receives one of several labels and jumps; `cases` are sorted by label and complete."""

    endpoint: int
    peer: str
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Close:
    endpoint: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """`reason` is a register that holds a str."""

    endpoint: int
    reason: int


@dataclass(frozen=True, slots=True)
class Invoke:
    effect: int
    arguments: tuple[int, ...]
    target: int


@dataclass(frozen=True, slots=True)
class Acquire:
    """Takes a guard of the image, by its index, or waits for it in line."""

    guard: int


@dataclass(frozen=True, slots=True)
class Release:
    guard: int


@dataclass(frozen=True, slots=True)
class Fork:
    """Begins to speculate; `target` is where the program goes on after an `Abort`."""

    target: int


@dataclass(frozen=True, slots=True)
class Join:
    """Does what the innermost speculation held back."""


@dataclass(frozen=True, slots=True)
class Abort:
    """Takes back what the innermost speculation did, and goes on at its `target`."""


@dataclass(frozen=True, slots=True)
class Timer:
    """Starts the clock of a timed choice; `target` is where the program goes on when it runs out.

    That can happen wherever the program waits for a message or an effect, or yields, until the
    endpoint has sent the choice.
    """

    endpoint: int
    target: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """Moves an endpoint into the open parameter `parameter` of a spawned coroutine.

    `coroutine` is a register that `Spawn` wrote; the endpoint must be in its initial type.
    """

    endpoint: int
    coroutine: int
    parameter: int


@dataclass(frozen=True, slots=True)
class Set:
    target: int
    value: Value


@dataclass(frozen=True, slots=True)
class Move:
    """Copies a value; an endpoint is moved and leaves its register unset."""

    target: int
    source: int


@dataclass(frozen=True, slots=True)
class Op:
    """`names` holds field names: one for FIELD, one per argument for RECORD, else empty."""

    operator: Operator
    target: int
    arguments: tuple[int, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Jump:
    target: int


@dataclass(frozen=True, slots=True)
class JumpIf:
    """Jumps when the bool in `condition` is true, else goes on."""

    condition: int
    target: int


@dataclass(frozen=True, slots=True)
class Spawn:
    """Starts `program`; writes the child's coroutine handle to `target`.

    Arguments are copied (values) or moved (endpoints); `HOLE` leaves an endpoint parameter to
    a later `Transfer`, and the child stays blocked until every hole is filled.
    """

    target: int
    program: int
    arguments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Yield:
    pass


@dataclass(frozen=True, slots=True)
class Halt:
    pass


Instruction: TypeAlias = (
    Open
    | OpenBundle
    | Send
    | Select
    | Recv
    | Branch
    | Close
    | Cancel
    | Invoke
    | Acquire
    | Release
    | Fork
    | Join
    | Abort
    | Timer
    | Transfer
    | Set
    | Move
    | Op
    | Jump
    | JumpIf
    | Spawn
    | Yield
    | Halt
)
