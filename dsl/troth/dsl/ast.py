"""The syntax tree of a `.troth` file.

Every node carries its `span` (lines and columns from 1, end exclusive), so that a diagnostic
can put its caret under the right characters. `copy` tells the copies of a block apart that was
written once for all members of a role family; 0 is what was written. The tree is what was
written: families are written out in `expand_families`, and the other sugar (`loop at`, multicast,
`do`) is expanded later, in `expand`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, order=True)
class Span:
    line: int
    column: int
    end_line: int
    end_column: int
    copy: int = 0


@dataclass(frozen=True, slots=True)
class Name:
    text: str
    span: Span


# --- types -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NamedType:
    """A primitive or the name of a `type` declaration."""

    name: Name
    span: Span


@dataclass(frozen=True, slots=True)
class ListOf:
    item: TypeExpr
    span: Span


@dataclass(frozen=True, slots=True)
class RecordOf:
    fields: tuple[FieldDecl, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class EndpointOf:
    protocol: Name
    role: Name
    span: Span


@dataclass(frozen=True, slots=True)
class FieldDecl:
    name: Name
    type: TypeExpr
    span: Span


TypeExpr: TypeAlias = NamedType | ListOf | RecordOf | EndpointOf


# --- protocols ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """`receivers` in the order written; `("*",)` alone means every other role.

    A role is written as one name, a member of a family with its brackets: `Worker[0]`.
    `lossy` says that the message may be lost.
    """

    sender: Name
    receivers: tuple[Name, ...]
    label: Name
    fields: tuple[FieldDecl, ...]
    span: Span
    lossy: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    chooser: Name
    branches: tuple[tuple[Interaction, ...], ...]
    span: Span
    branch_spans: tuple[Span, ...]
    """Where each `choice at`/`or`/`timeout`/`on crash` keyword line is."""
    within: Name | None = None
    """How long the chooser has; the last branch is then the one of `timeout:`."""
    crashed: Name | None = None
    """The role behind `on crash`; the branch behind all others is then what follows its crash."""


@dataclass(frozen=True, slots=True)
class Rec:
    variable: Name
    body: tuple[Interaction, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class ContinueRec:
    variable: Name
    span: Span


@dataclass(frozen=True, slots=True)
class LoopAt:
    chooser: Name
    body: tuple[Interaction, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Do:
    protocol: Name
    roles: tuple[Name, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class ForEachRole:
    """`foreach w in Worker:`"""

    variable: Name
    family: Name
    body: tuple[Interaction, ...]
    span: Span


Interaction: TypeAlias = Message | Choice | Rec | ContinueRec | LoopAt | Do | ForEachRole


@dataclass(frozen=True, slots=True)
class EdgeDecl:
    """`edge A -> B: key = value, …`; a setting's value is a name, an int or `resize{n}`."""

    sender: Name
    receiver: Name
    settings: tuple[Setting, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Setting:
    """`value` is the text: a name, digits, a duration such as `5s`, `250ms`, or `resize{8}`."""

    key: Name
    value: Name
    span: Span


@dataclass(frozen=True, slots=True)
class ProtocolDecl:
    """`sizes` are those of the roles that are families, by name; empty once `families` has run."""

    name: Name
    roles: tuple[Name, ...]
    edges: tuple[EdgeDecl, ...]
    body: tuple[Interaction, ...]
    span: Span
    sizes: tuple[tuple[str, Name], ...] = ()


@dataclass(frozen=True, slots=True)
class BundleChildDecl:
    """`name: Protocol(A, B)`: the roles of the bundle that play those of the protocol."""

    name: Name
    protocol: Name
    players: tuple[Name, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class BundleDecl:
    name: Name
    roles: tuple[Name, ...]
    children: tuple[BundleChildDecl, ...]
    span: Span


# --- expressions -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Literal:
    """`()`-unit is None; ints are not range-checked by the parser."""

    value: None | bool | int | float | str | bytes
    span: Span


@dataclass(frozen=True, slots=True)
class Variable:
    name: Name
    span: Span


@dataclass(frozen=True, slots=True)
class Unary:
    """`operator` is "-" or "not"."""

    operator: str
    operand: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Binary:
    """`operator` is one of `+ - * / // % == != < <= > >= and or`."""

    operator: str
    left: Expression
    right: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Builtin:
    """`str(x)` or `len(x)`."""

    function: Name
    argument: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class ListLiteral:
    items: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class RecordLiteral:
    fields: tuple[tuple[Name, Expression], ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Index:
    collection: Expression
    index: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class FieldOf:
    record: Expression
    field: Name
    span: Span


@dataclass(frozen=True, slots=True)
class CallEffect:
    """`call name(args)`; only as the whole right side of `let`/assignment or a statement."""

    effect: Name
    arguments: tuple[Expression, ...]
    span: Span


Expression: TypeAlias = (
    Literal
    | Variable
    | Unary
    | Binary
    | Builtin
    | ListLiteral
    | RecordLiteral
    | Index
    | FieldOf
    | CallEffect
)


# --- statements --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendStatement:
    """`send s.Peer label(args)`"""

    endpoint: Name
    peer: Name
    label: Name
    arguments: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class RecvStatement:
    """`recv s.Peer label(names)`"""

    endpoint: Name
    peer: Name
    label: Name
    targets: tuple[Name, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class RecvCase:
    """`label(names):`, or `on crash:`, whose label is `CRASH`."""

    label: Name
    targets: tuple[Name, ...]
    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class RecvChoice:
    endpoint: Name
    peer: Name
    cases: tuple[RecvCase, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Let:
    name: Name
    value: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Assign:
    name: Name
    value: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class CallStatement:
    call: CallEffect
    span: Span


@dataclass(frozen=True, slots=True)
class If:
    """`arms` are (condition, body) of `if` and each `elif`; `otherwise` is None without else."""

    arms: tuple[tuple[Expression, tuple[Statement, ...]], ...]
    otherwise: tuple[Statement, ...] | None
    span: Span


@dataclass(frozen=True, slots=True)
class While:
    condition: Expression
    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class ForRange:
    """`for i in range(start, stop)`; `start` is None in the one-argument form."""

    variable: Name
    start: Expression | None
    stop: Expression
    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Loop:
    name: Name | None
    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Break:
    name: Name | None
    span: Span


@dataclass(frozen=True, slots=True)
class ContinueLoop:
    name: Name | None
    span: Span


@dataclass(frozen=True, slots=True)
class Pass:
    span: Span


@dataclass(frozen=True, slots=True)
class Print:
    value: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class YieldStatement:
    span: Span


@dataclass(frozen=True, slots=True)
class Fail:
    reason: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class CloseStatement:
    """`shared` says that it stands for all sessions of a bundle: those that are gone stay so."""

    endpoint: Name
    span: Span
    shared: bool = False


@dataclass(frozen=True, slots=True)
class CancelStatement:
    endpoint: Name
    reason: Expression
    span: Span
    shared: bool = False


@dataclass(frozen=True, slots=True)
class SpawnStatement:
    program: Name
    arguments: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class OpenStatement:
    """`open Protocol as a, b with key = value, …`

    Of a bundle `targets` are the endpoints of all its sessions once `expand_bundles` has run, and
    `bundle` its declaration.
    """

    protocol: Name
    targets: tuple[Name, ...]
    settings: tuple[Setting, ...]
    span: Span
    bundle: BundleDecl | None = None


@dataclass(frozen=True, slots=True)
class AcquireStatement:
    guard: Name
    span: Span


@dataclass(frozen=True, slots=True)
class ReleaseStatement:
    guard: Name
    span: Span


@dataclass(frozen=True, slots=True)
class ForEach:
    """`foreach w in s.Worker:` over the roles of a family, `foreach w in ws:`, without `family`,
    over the endpoints that `open` gave to one.
    """

    variable: Name
    source: Name
    family: Name | None
    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Speculate:
    """`otherwise` is what follows a rollback; None without else."""

    body: tuple[Statement, ...]
    otherwise: tuple[Statement, ...] | None
    span: Span


@dataclass(frozen=True, slots=True)
class Within:
    """`within s:` with its `timeout:` block, which is what follows when the clock runs out."""

    endpoint: Name
    body: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Commit:
    span: Span


@dataclass(frozen=True, slots=True)
class Rollback:
    span: Span


Statement: TypeAlias = (
    SendStatement
    | RecvStatement
    | RecvChoice
    | Let
    | Assign
    | CallStatement
    | If
    | While
    | ForRange
    | Loop
    | Break
    | ContinueLoop
    | Pass
    | Print
    | YieldStatement
    | Fail
    | CloseStatement
    | CancelStatement
    | SpawnStatement
    | OpenStatement
    | AcquireStatement
    | ReleaseStatement
    | ForEach
    | Speculate
    | Within
    | Commit
    | Rollback
)


# --- top level ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EffectDecl:
    name: Name
    parameters: tuple[FieldDecl, ...]
    result: TypeExpr
    span: Span
    revertible: bool = False


@dataclass(frozen=True, slots=True)
class TypeDecl:
    name: Name
    type: TypeExpr
    span: Span


@dataclass(frozen=True, slots=True)
class GuardDecl:
    name: Name
    span: Span


@dataclass(frozen=True, slots=True)
class ProgramDecl:
    """`main:` is a program named "main" without parameters."""

    name: Name
    parameters: tuple[FieldDecl, ...]
    body: tuple[Statement, ...]
    span: Span


Declaration: TypeAlias = ProtocolDecl | BundleDecl | EffectDecl | TypeDecl | GuardDecl | ProgramDecl


@dataclass(frozen=True, slots=True)
class Script:
    """A whole file: `name` is the file's base name, `text` its source."""

    name: str
    text: str
    declarations: tuple[Declaration, ...]
