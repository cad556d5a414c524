"""Expressions to instructions. Every expression was checked; nothing can be wrong here."""

from __future__ import annotations

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
    RecordLiteral,
    Unary,
    Variable,
)
from troth.dsl.check_expression import BINARY_OPERATORS, BUILTINS, is_negative_literal
from troth.dsl.lower_code import Code
from troth.vm.instructions import Move, Operator
from troth.vm.types import ListType, Primitive, RecordType, ValueType
from troth.vm.values import Blob, Record, Value

# Values are totally ordered within a type (floats are finite), so a comparison can be turned
# round instead of being negated.
OPPOSITES: Final[Mapping[str, str]] = {
    "==": "!=",
    "!=": "==",
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
}


def lower_operand(code: Code, expression: Expression) -> int:
    """A register that holds the value: the variable itself, or a temporary."""
    if isinstance(expression, Variable):
        return code.registers[expression.name.text]
    target = code.temporary()
    lower_into(code, expression, target)
    return target


def lower_into(code: Code, expression: Expression, target: int) -> None:
    """Computes a value into a register, which is written last: operands may read it."""
    mark = code.mark()
    match expression:
        case Literal(value=value):
            code.constant(target, _plain(value))
        case Variable(name=name):
            source = code.registers[name.text]
            if source != target:
                code.emit(Move(target, source))
        case Unary():
            _lower_unary(code, expression, target)
        case Binary(operator="and" | "or"):
            _lower_short_circuit(code, expression, target)
        case Binary(operator=symbol, left=left, right=right):
            _lower_operator(code, BINARY_OPERATORS[symbol], (left, right), target)
        case Builtin(function=function, argument=argument):
            _lower_operator(code, BUILTINS[function.text], (argument,), target)
        case ListLiteral(items=items):
            _lower_operator(code, Operator.LIST, items, target)
        case RecordLiteral(fields=fields):
            ordered = sorted(fields, key=lambda item: item[0].text)
            registers = {name.text: lower_operand(code, part) for name, part in fields}
            names = tuple(name.text for name, _ in ordered)
            code.operate(Operator.RECORD, target, *(registers[name] for name in names), names=names)
        case Index(collection=collection, index=index):
            _lower_operator(code, Operator.INDEX, (collection, index), target)
        case FieldOf(record=record, field=field):
            _lower_operator(code, Operator.FIELD, (record,), target, names=(field.text,))
        case CallEffect():
            raise AssertionError("an effect's call is a statement's whole right side")
    code.release(mark)


def _plain(value: Value) -> Value:
    # -0.0 is stored as 0.0, so that a value has one encoding.
    return value + 0.0 if isinstance(value, float) else value


def _lower_operator(
    code: Code,
    operator: Operator,
    operands: tuple[Expression, ...],
    target: int,
    names: tuple[str, ...] = (),
) -> None:
    registers = [lower_operand(code, operand) for operand in operands]
    code.operate(operator, target, *registers, names=names)


def _lower_unary(code: Code, expression: Unary, target: int) -> None:
    operand = expression.operand
    if is_negative_literal(expression) and isinstance(operand, Literal):
        if isinstance(operand.value, int):
            code.constant(target, -operand.value)
        return
    operator = Operator.NEG if expression.operator == "-" else Operator.NOT
    _lower_operator(code, operator, (operand,), target)


def _lower_short_circuit(code: Code, expression: Binary, target: int) -> None:
    """`and`/`or`: the right side is computed only when it decides.

    In a temporary, because the right side may read the target.
    """
    result = code.temporary()
    end = code.label()
    decide = code.label()
    lower_into(code, expression.left, result)
    if expression.operator == "or":
        code.jump_if(result, end)
    else:
        code.jump_if(result, decide)
        code.jump(end)
    code.place(decide)
    lower_into(code, expression.right, result)
    code.place(end)
    code.emit(Move(target, result))


def has_empty_list(expression: Expression) -> bool:
    """Whether `[]` is written somewhere in a value."""
    match expression:
        case ListLiteral(items=items):
            return not items or any(has_empty_list(item) for item in items)
        case RecordLiteral(fields=fields):
            return any(has_empty_list(part) for _, part in fields)
        case Binary(left=left, right=right):
            return has_empty_list(left) or has_empty_list(right)
        case Index(collection=part) | FieldOf(record=part):
            return has_empty_list(part)
        case _:
            return False


def declare_type(code: Code, target: int, kind: ValueType) -> None:
    """Makes a register's type known where an empty list would leave it open.

    No instruction gives an empty list a type: it is a list of nothing until it meets another.
    So it meets one here, on a path that is never taken.
    """
    mark = code.mark()
    known = code.label()
    always = code.temporary()
    code.constant(always, True)
    code.jump_if(always, known)
    code.constant(target, sample(kind))
    code.place(known)
    code.release(mark)


_SAMPLES: Final[Mapping[Primitive, Value]] = {
    Primitive.UNIT: None,
    Primitive.INT: 0,
    Primitive.FLOAT: 0.0,
    Primitive.BOOL: False,
    Primitive.STR: "",
    Primitive.BYTES: b"",
    Primitive.BLOB: Blob(0, bytes(32)),
}


def sample(kind: ValueType) -> Value:
    """Some value of a type, whose own type is exactly that: no list in it is empty."""
    if isinstance(kind, Primitive):
        return _SAMPLES[kind]
    if isinstance(kind, ListType):
        return (sample(kind.item),)
    if isinstance(kind, RecordType):
        return Record(tuple((field.name, sample(field.type)) for field in kind.fields))
    raise AssertionError("an endpoint is not a value")


def jump_unless(code: Code, condition: Expression, label: int) -> None:
    """Jumps to the label when the condition is false, else goes on."""
    match condition:
        case Unary(operator="not", operand=operand):
            jump_when(code, operand, label)
        case Binary(operator="and", left=left, right=right):
            jump_unless(code, left, label)
            jump_unless(code, right, label)
        case Binary(operator="or", left=left, right=right):
            hold = code.label()
            jump_when(code, left, hold)
            jump_unless(code, right, label)
            code.place(hold)
        case Binary(operator=symbol, left=left, right=right) if symbol in OPPOSITES:
            _jump_compared(code, OPPOSITES[symbol], left, right, label)
        case _:
            mark = code.mark()
            value = lower_operand(code, condition)
            negated = code.temporary()
            code.operate(Operator.NOT, negated, value)
            code.jump_if(negated, label)
            code.release(mark)


def jump_when(code: Code, condition: Expression, label: int) -> None:
    """Jumps to the label when the condition is true, else goes on."""
    match condition:
        case Unary(operator="not", operand=operand):
            jump_unless(code, operand, label)
        case Binary(operator="or", left=left, right=right):
            jump_when(code, left, label)
            jump_when(code, right, label)
        case Binary(operator="and", left=left, right=right):
            skip = code.label()
            jump_unless(code, left, skip)
            jump_when(code, right, label)
            code.place(skip)
        case Binary(operator=symbol, left=left, right=right) if symbol in OPPOSITES:
            _jump_compared(code, symbol, left, right, label)
        case _:
            mark = code.mark()
            code.jump_if(lower_operand(code, condition), label)
            code.release(mark)


def _jump_compared(
    code: Code, symbol: str, left: Expression, right: Expression, label: int
) -> None:
    mark = code.mark()
    target = code.temporary()
    _lower_operator(code, BINARY_OPERATORS[symbol], (left, right), target)
    code.jump_if(target, label)
    code.release(mark)
