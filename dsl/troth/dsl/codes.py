"""All diagnostic codes of the language, each with its cause and what to do about it.

A code is stable: tools and tests may rely on it. Rows are sorted into sections by the pass that
reports them; a row is `Code(code, title, cause, fix)`, with `cause` and `fix` one sentence each,
written so that a newcomer who never saw the code can act on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from troth.dsl.code_rows_protocol import PROTOCOL_ROWS


@dataclass(frozen=True, slots=True)
class Code:
    code: str
    title: str
    cause: str
    fix: str


CODES: Final[tuple[Code, ...]] = (
    # --- parse: reading the text ---------------------------------------------------------
    Code(
        "parse.syntax",
        "Not the language",
        "At this place the grammar allows something else.",
        "Write what `expected` names.",
    ),
    Code(
        "parse.unsupported",
        "Not in this version",
        "The construct belongs to the language but this version cannot run it yet.",
        "Leave it out, or express it with the constructs that exist.",
    ),
    # --- type, protocol, project: types, protocols, what each role sees of them --------------
    *(Code(*row) for row in PROTOCOL_ROWS),
    # --- check: programs against the local types of their endpoints ------------------------
    Code(
        "check.name.duplicate",
        "Declared twice",
        "Two declarations of a file have the same name.",
        "Rename or remove one of the two.",
    ),
    Code(
        "check.limit.nesting",
        "Nested too deeply",
        "Blocks or expressions lie within each other beyond the limit.",
        "Name an inner part with `let`, or move statements to a program of their own.",
    ),
    Code(
        "check.limit.size",
        "Too large",
        "A program needs more instructions, registers or variables than a machine has.",
        "Divide it into several programs.",
    ),
    Code(
        "check.statement.unreachable",
        "Unreachable statement",
        "Every path ends before this statement.",
        "Remove it, or move it before the statement that ends the path.",
    ),
    Code(
        "check.variable.unknown",
        "Unknown variable",
        "The name was not bound by let, recv, for or a parameter.",
        "Bind it first: `let x = …`.",
    ),
    Code(
        "check.variable.unassigned",
        "Maybe without a value",
        "The variable is bound on some paths to this place and not on all.",
        "Bind it on every path, for instance before the if or the loop.",
    ),
    Code(
        "check.variable.redefined",
        "Second let",
        "A variable of this name exists on this path.",
        "Assign it without let: `x = …`.",
    ),
    Code(
        "check.variable.type",
        "A variable changes its type",
        "The first binding fixed another type.",
        "Use a variable with another name.",
    ),
    Code(
        "check.variable.duplicate",
        "Bound twice at once",
        "One message or one open would bind the same name twice.",
        "Give every position its own name.",
    ),
    Code(
        "check.type.condition",
        "Not a condition",
        "The condition of an if or a while is not a bool.",
        "Compare the value, as in `x != 0`.",
    ),
    Code(
        "check.type.operator",
        "Operator and values do not fit",
        "The operator does not take values of these types.",
        "Convert one side, for instance with `str(…)`.",
    ),
    Code(
        "check.type.argument",
        "Argument of another type",
        "An effect or a program declares another type for this parameter.",
        "Give a value of the declared type.",
    ),
    Code(
        "check.type.reason",
        "A reason is text",
        "The reason of a fail or a cancel is not a str.",
        "Write a text, or convert the value with `str(…)`.",
    ),
    Code(
        "check.type.range",
        "A bound is an int",
        "A bound of range() is not an int.",
        "Give an int.",
    ),
    Code(
        "check.type.list",
        "Items of one list differ",
        "The items of a list do not have one type, or an empty list has none.",
        "Make the items alike, or start the list with a first item.",
    ),
    Code(
        "check.type.field",
        "No such field",
        "The record does not have this field, has it twice, or the value is not a record.",
        "Use a field that the record has.",
    ),
    Code(
        "check.number.range",
        "Number too large",
        "The number does not fit into 64 bits.",
        "Use a smaller number.",
    ),
    Code(
        "check.effect.unknown",
        "Unknown effect",
        "`call` names an effect that the file does not declare.",
        "Declare it: `effect name(…) -> type`.",
    ),
    Code(
        "check.effect.count",
        "Wrong number of arguments",
        "The call gives more or fewer arguments than the effect has parameters.",
        "Give one argument for each parameter.",
    ),
    Code(
        "check.program.unknown",
        "Unknown program",
        "`spawn` names a program that the file does not declare.",
        "Declare it: `program name(…):`.",
    ),
    Code(
        "check.program.count",
        "Wrong number of arguments",
        "The spawn gives more or fewer arguments than the program has parameters.",
        "Give one argument for each parameter.",
    ),
    Code(
        "check.program.main",
        "main cannot be spawned",
        "A run starts main once.",
        "Move what should run again to a program of its own.",
    ),
    Code(
        "check.protocol.unknown",
        "Unknown protocol",
        "`open` names a protocol that the file does not declare.",
        "Declare the protocol.",
    ),
    Code(
        "check.open.count",
        "Wrong number of endpoints",
        "`open` binds one name for each role of the protocol.",
        "Give one name for each role, in the order of the roles.",
    ),
    Code(
        "check.setting.unknown",
        "Unknown setting",
        "A session has no setting of this name.",
        "Use one of the settings that are expected.",
    ),
    Code(
        "check.setting.duplicate",
        "Set twice",
        "One open sets the same setting twice.",
        "Keep one of the two.",
    ),
    Code(
        "check.setting.value",
        "Not a value of this setting",
        "The setting cannot be what is written.",
        "Use one of the expected values.",
    ),
    Code(
        "check.setting.unsupported",
        "Not in this version",
        "The setting belongs to the language but this version cannot honour it yet.",
        "Leave it out, or use the expected value.",
    ),
    Code(
        "check.setting.conflict",
        "Settings exclude each other",
        "A setting of the session cannot hold together with the protocol or its edges.",
        "Choose one of the expected values.",
    ),
    Code(
        "check.endpoint.unknown",
        "Unknown endpoint",
        "The program has no endpoint of this name.",
        "Add a parameter such as `s: Protocol.Role`, or open a session.",
    ),
    Code(
        "check.endpoint.not_endpoint",
        "Not an endpoint",
        "The variable holds a value, and only endpoints send, receive, close and cancel.",
        "Name one of the program's endpoints.",
    ),
    Code(
        "check.endpoint.as_value",
        "An endpoint is not a value",
        "Endpoints cannot be printed, compared, computed with or kept in lists.",
        "Hand it on with a send or a spawn, or use it where it is.",
    ),
    Code(
        "check.endpoint.type",
        "Endpoint of another type",
        "The message or program takes an endpoint of another protocol or role.",
        "Hand on an endpoint of the expected type.",
    ),
    Code(
        "check.endpoint.moved",
        "Used after it was handed on",
        "An endpoint has one owner; this one was sent or spawned away.",
        "Use it before it is handed on.",
    ),
    Code(
        "check.endpoint.closed",
        "Used after its end",
        "The endpoint was closed or cancelled before.",
        "Remove this use, or close later.",
    ),
    Code(
        "check.endpoint.overwritten",
        "Endpoint overwritten",
        "The name still holds an endpoint that is not finished.",
        "Use another name, or finish the endpoint first.",
    ),
    Code(
        "check.endpoint.not_fresh",
        "Handed on after use",
        "Only an endpoint on which nothing was sent or received can be handed on.",
        "Hand it on first, and let the receiver do the whole conversation.",
    ),
    Code(
        "check.endpoint.unfinished",
        "Endpoint not finished",
        "The program ends while its protocol expects more, or without a close.",
        "Go on with what is expected, then `close` it, or leave early with `cancel`.",
    ),
    Code(
        "check.endpoint.join",
        "Paths do not agree",
        "After an if, a recv or a loop the endpoint would be at different points of its protocol.",
        "Bring it to the same point on every path.",
    ),
    Code(
        "check.endpoint.loop",
        "Another type at the loop's head",
        "When the loop goes round, the endpoint is not where it was when the loop began.",
        "Bring it back there, leave with `break`, or let the protocol repeat.",
    ),
    Code(
        "check.close.early",
        "Closed too early",
        "The protocol expects more of this endpoint.",
        'Finish the conversation, or leave early with `cancel s "reason"`.',
    ),
    Code(
        "check.peer.unknown",
        "Unknown partner",
        "The endpoint's protocol has no such role, or it is the endpoint's own.",
        "Name another role of the protocol.",
    ),
    Code(
        "check.peer.wrong",
        "Another partner's turn",
        "The protocol expects a message to or from another role here.",
        "Name the expected role, or change the order.",
    ),
    Code(
        "check.direction.send",
        "Sends where it has to receive",
        "The protocol expects the endpoint to receive next.",
        "Receive what is expected first.",
    ),
    Code(
        "check.direction.recv",
        "Receives where it has to send",
        "The protocol expects the endpoint to send next.",
        "Send what is expected first.",
    ),
    Code(
        "check.direction.end",
        "The session is finished",
        "The protocol expects nothing more of this endpoint.",
        "Remove the statement and close the endpoint, or extend the protocol.",
    ),
    Code(
        "check.label.wrong",
        "Another label is expected",
        "The protocol does not offer this label at this point.",
        "Use one of the expected labels.",
    ),
    Code(
        "check.payload.count",
        "Wrong number of fields",
        "The message carries more or fewer fields.",
        "Give one for each field of the message.",
    ),
    Code(
        "check.payload.type",
        "Field of another type",
        "The protocol declares another type for this field.",
        "Give a value of the declared type.",
    ),
    Code(
        "check.branch.missing",
        "Branch missing",
        "The other side may choose a label that is not handled here.",
        "Add a branch for each label that is expected.",
    ),
    Code(
        "check.branch.surplus",
        "Branch too many",
        "The other side cannot send this label here.",
        "Remove the branch, or add it to the protocol.",
    ),
    Code(
        "check.branch.duplicate",
        "Branch handled twice",
        "Two branches of one recv have the same label.",
        "Remove one of the two.",
    ),
    Code(
        "check.loop.outside",
        "No loop around it",
        "break and continue need a loop around them.",
        "Remove it, or put a loop around it.",
    ),
    Code(
        "check.loop.unknown",
        "No loop of this name",
        "None of the loops around has this name.",
        "Use the name of a loop around it.",
    ),
    Code(
        "check.loop.duplicate",
        "Loop name taken",
        "A loop around this one has the same name.",
        "Rename one of the two.",
    ),
)


def lookup(code: str) -> Code | None:
    """The row of `code`, or None when there is none."""
    return next((row for row in CODES if row.code == code), None)
