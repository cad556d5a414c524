"""The types of expressions.

`type_of` gives None where an error was reported, now or earlier; whoever receives None stays
silent, so that one mistake gives one diagnostic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from troth.dsl.ast import (
    Binary,
    Builtin,
    CallEffect,
    Expression,
    FieldOf,
    Index,
    ListLiteral,
    Literal,
    Name,
    RecordLiteral,
    Span,
    Unary,
    Variable,
)
from troth.dsl.check_program_context import Context
from troth.dsl.check_program_speculate import refuse
from troth.dsl.check_program_words import a_or_an
from troth.dsl.names import did_you_mean, one_of
from troth.dsl.plural import count
from troth.dsl.scope import Scope
from troth.vm.instructions import Operator
from troth.vm.limits import NESTING_DEPTH_MAX
from troth.vm.operator_types import result_type
from troth.vm.types import Field, ListType, Primitive, RecordType, ValueType
from troth.vm.value_types import TYPE_NODES_MAX, is_small
from troth.vm.values import INT_MAX, INT_MIN

BINARY_OPERATORS: Final[Mapping[str, Operator]] = {
    "+": Operator.ADD,
    "-": Operator.SUB,
    "*": Operator.MUL,
    "/": Operator.DIV,
    "//": Operator.FLOORDIV,
    "%": Operator.MOD,
    "==": Operator.EQ,
    "!=": Operator.NE,
    "<": Operator.LT,
    "<=": Operator.LE,
    ">": Operator.GT,
    ">=": Operator.GE,
}
BUILTINS: Final[Mapping[str, Operator]] = {"str": Operator.STR, "len": Operator.LEN}

_SHOWN_INT_MAX: Final = 1e15

_LITERAL_TYPES: Final[Mapping[type, Primitive]] = {
    type(None): Primitive.UNIT,
    bool: Primitive.BOOL,
    int: Primitive.INT,
    float: Primitive.FLOAT,
    str: Primitive.STR,
    bytes: Primitive.BYTES,
}


def type_of(
    context: Context,
    scope: Scope,
    expression: Expression,
    expected: ValueType | None = None,
    depth: int = 0,
) -> ValueType | None:
    """The type of an expression; `expected` gives an empty list its type, and checks nothing."""
    if not context.deeper(depth, expression.span):
        return None
    match expression:
        case Literal():
            return _literal(context, expression.value, expression.span)
        case Variable():
            return context.read(scope, expression.name)
        case Unary():
            return _unary(context, scope, expression, depth)
        case Binary():
            return _binary(context, scope, expression, expected, depth)
        case Builtin():
            return _builtin(context, scope, expression, depth)
        case ListLiteral():
            return _list(context, scope, expression, expected, depth)
        case RecordLiteral():
            return _record(context, scope, expression, expected, depth)
        case Index():
            return _index(context, scope, expression, depth)
        case FieldOf():
            return _field(context, scope, expression, depth)
        case CallEffect():
            return call_type(context, scope, expression)


def expect(
    context: Context,
    scope: Scope,
    expression: Expression,
    expected: ValueType,
    *,
    code: str,
    role: str,
    fix: str | None = None,
) -> None:
    """Reports an expression whose type is not `expected`; `role` says what it is for."""
    found = type_of(context, scope, expression, expected)
    if isinstance(expression, Variable) and context.settle_list(expression.name.text, expected):
        return
    if found is not None and found != expected:
        context.error(
            code,
            f"{role} is {a_or_an(expected)}, not {a_or_an(found)}",
            expression.span,
            expected=str(expected),
            found=str(found),
            fix=fix or conversion(found, expected, expression),
        )


def conversion(found: ValueType, expected: ValueType, expression: Expression) -> str:
    """How an expression of one type may become one of another."""
    if expected == Primitive.STR:
        return "convert it with `str(…)`"
    if expected == Primitive.FLOAT and found == Primitive.INT:
        return "write it as a float, such as `1.0`, or multiply it by `1.0`"
    if expected == Primitive.INT and found == Primitive.FLOAT:
        return _whole_number(expression)
    if expected == Primitive.BOOL:
        return "compare it, as in `x != 0`"
    return f"give {a_or_an(expected)} here"


def _whole_number(expression: Expression) -> str:
    """What to write for an expression that is a float and should be an int."""
    match expression:
        case Binary(operator="/"):
            return "use `//` for a division that stays an int"
        case Unary(operator="-", operand=Literal(value=float() as value)):
            return _without_fraction(-value)
        case Literal(value=float() as value):
            return _without_fraction(value)
        case _:
            return "give an int here; nothing turns a float into one"


def _without_fraction(value: float) -> str:
    if value.is_integer() and abs(value) <= _SHOWN_INT_MAX:
        return f"write a whole number: `{int(value)}`"
    return "write a whole number, such as `1`"


def call_type(context: Context, scope: Scope, call: CallEffect) -> ValueType | None:
    """Checks the arguments of an effect's call; gives the type of its result."""
    symbols, name = context.symbols, call.effect.text
    if name not in symbols.effects:
        if name not in symbols.broken:
            _report_unknown_effect(context, call.effect)
        types_of(context, scope, call.arguments)
        return None
    effect = symbols.effects[name]
    if effect is None:
        types_of(context, scope, call.arguments)
        return None
    if context.speculations and not effect.revertible:
        refuse(context, call.span, f"the effect {name}")
    _check_arguments(context, scope, call, effect.parameters)
    return effect.result


def types_of(context: Context, scope: Scope, expressions: tuple[Expression, ...]) -> None:
    """Checks expressions whose place is already known to be wrong."""
    for expression in expressions:
        type_of(context, scope, expression)


def _check_arguments(
    context: Context, scope: Scope, call: CallEffect, parameters: tuple[Field, ...]
) -> None:
    if len(call.arguments) != len(parameters):
        context.error(
            "check.effect.count",
            f"{call.effect.text} takes {count(len(parameters), 'argument')}",
            call.effect.span,
            expected=f"{call.effect.text}({', '.join(map(str, parameters))})",
            found=count(len(call.arguments), "argument"),
            fix="give one argument for each parameter of the effect",
        )
        types_of(context, scope, call.arguments)
        return
    for argument, parameter in zip(call.arguments, parameters, strict=True):
        expect(
            context,
            scope,
            argument,
            parameter.type,
            code="check.type.argument",
            role=f"the argument {parameter.name}",
        )


def _report_unknown_effect(context: Context, name: Name) -> None:
    known = tuple(context.symbols.effects)
    fix = did_you_mean(name.text, known) or f"declare it: `effect {name.text}(…) -> …`"
    if name.text in context.symbols.programs:
        fix = f"{name.text} is a program: start it with `spawn`"
    context.error(
        "check.effect.unknown",
        f"there is no effect {name.text}",
        name.span,
        expected=one_of(known, "a declared effect"),
        found=name.text,
        fix=fix,
    )


# --- literals ----------------------------------------------------------------------------


def _literal(
    context: Context, value: None | bool | int | float | str | bytes, span: Span
) -> ValueType:
    kind = _LITERAL_TYPES[type(value)]
    if kind is Primitive.INT and isinstance(value, int) and not INT_MIN <= value <= INT_MAX:
        context.error(
            "check.number.range",
            "this number does not fit into an int",
            span,
            expected=f"{INT_MIN} to {INT_MAX}",
            found="a number of more than 64 bits",
            fix="use a smaller number, or a float",
        )
    elif isinstance(value, float) and not math.isfinite(value):
        context.error(
            "check.number.range",
            "this number does not fit into a float",
            span,
            expected="a finite number",
            found="a number beyond 1.8e308",
            fix="use a smaller number",
        )
    return kind


def is_negative_literal(expression: Unary) -> bool:
    """`-9223372036854775808` is one literal: its digits alone would not fit."""
    operand = expression.operand
    return (
        expression.operator == "-"
        and isinstance(operand, Literal)
        and isinstance(operand.value, int)
        and not isinstance(operand.value, bool)
    )


# --- operators ---------------------------------------------------------------------------


def _unary(context: Context, scope: Scope, expression: Unary, depth: int) -> ValueType | None:
    if is_negative_literal(expression) and isinstance(expression.operand, Literal):
        value = expression.operand.value
        return _literal(context, -value if isinstance(value, int) else value, expression.span)
    operand = type_of(context, scope, expression.operand, None, depth + 1)
    if operand is None:
        return None
    operator = Operator.NEG if expression.operator == "-" else Operator.NOT
    return _apply(context, operator, (operand,), expression.operator, expression.span)


def _binary(
    context: Context,
    scope: Scope,
    expression: Binary,
    expected: ValueType | None,
    depth: int,
) -> ValueType | None:
    # An empty list takes the type of what it is compared with or added to.
    if is_empty_list(expression.left):
        right = type_of(context, scope, expression.right, expected, depth + 1)
        left = type_of(context, scope, expression.left, right, depth + 1)
    else:
        left = type_of(context, scope, expression.left, None, depth + 1)
        right = type_of(context, scope, expression.right, left, depth + 1)
    symbol = expression.operator
    if symbol in ("and", "or"):
        for kind, side in ((left, expression.left), (right, expression.right)):
            if kind not in (None, Primitive.BOOL):
                _report_operator(context, symbol, (kind,), side.span, "a bool on both sides")
        return Primitive.BOOL
    if left is None or right is None:
        return Primitive.BOOL if symbol in ("==", "!=", "<", "<=", ">", ">=") else None
    return _apply(context, BINARY_OPERATORS[symbol], (left, right), symbol, expression.span)


def _builtin(context: Context, scope: Scope, expression: Builtin, depth: int) -> ValueType | None:
    argument = type_of(context, scope, expression.argument, None, depth + 1)
    symbol = expression.function.text
    if argument is None:
        return Primitive.STR if symbol == "str" else Primitive.INT
    return _apply(context, BUILTINS[symbol], (argument,), f"{symbol}()", expression.span)


def _index(context: Context, scope: Scope, expression: Index, depth: int) -> ValueType | None:
    collection = type_of(context, scope, expression.collection, None, depth + 1)
    index = type_of(context, scope, expression.index, None, depth + 1)
    if collection is None or index is None:
        return None
    return _apply(context, Operator.INDEX, (collection, index), "[…]", expression.span)


def _apply(
    context: Context,
    operator: Operator,
    arguments: tuple[ValueType, ...],
    symbol: str,
    span: Span,
) -> ValueType | None:
    result = result_type(operator, arguments)
    if result is None:
        _report_operator(context, symbol, arguments, span, _EXPECTED[operator])
    return result


_NUMBERS: Final = "two numbers"
_ORDERED: Final = "two values of one type that has an order: numbers, str or bytes"
_SAME: Final = "two values of the same type, or two numbers"
_EXPECTED: Final[Mapping[Operator, str]] = {
    Operator.ADD: "two numbers, or two str, bytes or lists of the same type",
    Operator.SUB: _NUMBERS,
    Operator.MUL: _NUMBERS,
    Operator.DIV: _NUMBERS,
    Operator.FLOORDIV: _NUMBERS,
    Operator.MOD: _NUMBERS,
    Operator.EQ: _SAME,
    Operator.NE: _SAME,
    Operator.LT: _ORDERED,
    Operator.LE: _ORDERED,
    Operator.GT: _ORDERED,
    Operator.GE: _ORDERED,
    Operator.NEG: "a number",
    Operator.NOT: "a bool",
    Operator.STR: "a value that can be shown",
    Operator.LEN: "a str, bytes, a blob or a list",
    Operator.INDEX: "a str, bytes or list, and an int in the brackets",
}


def _report_operator(
    context: Context,
    symbol: str,
    arguments: tuple[ValueType | None, ...],
    span: Span,
    expected: str,
) -> None:
    found = " and ".join(a_or_an(kind) for kind in arguments if kind is not None)
    text_and_other = symbol == "+" and Primitive.STR in arguments
    fix = "convert the other side with `str(…)`" if text_and_other else f"give it {expected}"
    context.error(
        "check.type.operator",
        f"`{symbol}` does not take {found}",
        span,
        expected=expected,
        found=found,
        fix=fix,
    )


# --- lists and records -------------------------------------------------------------------


def _list(
    context: Context,
    scope: Scope,
    expression: ListLiteral,
    expected: ValueType | None,
    depth: int,
) -> ValueType | None:
    if not expression.items:
        if isinstance(expected, ListType):
            return expected
        context.error(
            "check.type.list",
            "the type of this empty list is not known",
            expression.span,
            expected="an item, or a statement after it that says what is in the list",
            found="[]",
            fix="write `let items = []` and add to it, `items = items + [x]`, "
            "or start with a first item",
        )
        return None
    wanted = expected.item if isinstance(expected, ListType) else None
    item: ValueType | None = None
    # An empty list among the items has the type of the others, also of those after it.
    ordered = sorted(expression.items, key=is_empty_list)
    for part in ordered:
        kind = type_of(context, scope, part, item or wanted, depth + 1)
        if kind is None:
            return None
        if item is not None and kind != item:
            context.error(
                "check.type.list",
                "the items of a list have one type",
                part.span,
                expected=str(item),
                found=str(kind),
                fix=_one_type(kind, item),
                related=((ordered[0].span, f"this is {a_or_an(item)}"),),
            )
            return None
        item = kind
    return None if item is None else _small(context, ListType(item), expression.span)


def is_empty_list(expression: Expression) -> bool:
    """Whether an expression is `[]`, which alone does not say what is in the list."""
    return isinstance(expression, ListLiteral) and not expression.items


def _one_type(kind: ValueType, item: ValueType) -> str:
    if {kind, item} == {Primitive.INT, Primitive.FLOAT}:
        return "give all items one type: write whole numbers as floats too, such as `1.0`"
    if Primitive.STR in (kind, item):
        return "give all items one type: `str(…)` makes a str of any value"
    return "give all items one type; a record holds values of several: `{a: 1, b: true}`"


def _small(context: Context, kind: ValueType, span: Span) -> ValueType | None:
    """The type of a value is bounded, whatever built it."""
    if is_small(kind):
        return kind
    context.error(
        "check.limit.nesting",
        "this value is nested too deeply, or has too many parts",
        span,
        expected=f"at most {NESTING_DEPTH_MAX} levels and {TYPE_NODES_MAX} parts",
        found="more",
        fix="make the value flatter",
    )
    return None


def _record(
    context: Context,
    scope: Scope,
    expression: RecordLiteral,
    expected: ValueType | None,
    depth: int,
) -> ValueType | None:
    wanted = (
        {field.name: field.type for field in expected.fields}
        if isinstance(expected, RecordType)
        else {}
    )
    fields: dict[str, ValueType] = {}
    complete = True
    seen: dict[str, Span] = {}
    for name, part in expression.fields:
        kind = type_of(context, scope, part, wanted.get(name.text), depth + 1)
        if name.text in seen:
            complete = False
            context.error(
                "check.type.field",
                f"the field {name.text} is given twice",
                name.span,
                expected="each field once",
                found=f"a second {name.text}",
                fix="remove one of the two",
                related=((seen[name.text], "the first is here"),),
            )
        seen[name.text] = name.span
        if kind is None:
            complete = False
        else:
            fields[name.text] = kind
    if not complete:
        return None
    record = RecordType(tuple(Field(name, fields[name]) for name in sorted(fields)))
    return _small(context, record, expression.span)


def _field(context: Context, scope: Scope, expression: FieldOf, depth: int) -> ValueType | None:
    record = type_of(context, scope, expression.record, None, depth + 1)
    if record is None:
        return None
    name = expression.field.text
    result = result_type(Operator.FIELD, (record,), (name,))
    if result is not None:
        return result
    known = tuple(field.name for field in record.fields) if isinstance(record, RecordType) else ()
    context.error(
        "check.type.field",
        f"there is no field {name} in {a_or_an(record)}",
        expression.field.span,
        expected=one_of(known, "a record that has this field"),
        found=name,
        fix=did_you_mean(name, known) or "use a field that the record has",
    )
    return None
