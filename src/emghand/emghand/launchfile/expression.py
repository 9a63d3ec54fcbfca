"""`$(eval ...)` without `eval`: literals, comparisons, logic and arithmetic, nothing else."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from emghand.launchfile.context import LaunchError

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_NAMES = {"true": True, "false": False}
_LONGEST = 10_000


def evaluate_expression(text: str) -> str:
    """Value of a Python expression, as text.

    Allowed are literals, lists, comparisons, ``and``, ``or``, ``not``, ``in``, arithmetic and
    conditional expressions.

    Raises
    ------
    LaunchError
        For anything else.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return str(_value(tree.body))
    except (SyntaxError, TypeError, ZeroDivisionError, RecursionError, MemoryError) as error:
        raise LaunchError(f"$(eval {text}): {error}") from error
    except LaunchError as error:
        raise LaunchError(f"$(eval {text}): {error}") from None


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None):
            return node.value
        case ast.Name(id=name) if name in _NAMES:
            return _NAMES[name]
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return [_value(e) for e in elements]
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            return _UNARY[type(op)](_value(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _arithmetic(type(op), _value(left), _value(right))
        case ast.BoolOp(op=op, values=values):
            return _logic(isinstance(op, ast.And), values)
        case ast.Compare(left=left, ops=ops, comparators=others):
            return _comparison(left, ops, others)
        case ast.IfExp(test=test, body=body, orelse=other):
            return _value(body) if _value(test) else _value(other)
    raise LaunchError(f"{ast.unparse(node)} is not allowed there")


def _arithmetic(op: type[ast.operator], left: Any, right: Any) -> Any:
    # A repeated string could fill the memory; % on text is formatting.
    if op in (ast.Mult, ast.Mod) and not all(isinstance(v, (int, float)) for v in (left, right)):
        raise LaunchError("only numbers can be multiplied")
    result = _BINARY[op](left, right)
    if isinstance(result, (str, list)) and len(result) > _LONGEST:
        raise LaunchError("the result is too long")
    return result


def _logic(is_and: bool, values: list[ast.expr]) -> Any:
    result: Any = is_and
    for value in values:
        result = _value(value)
        if bool(result) != is_and:
            return result
    return result


def _comparison(left: ast.expr, ops: list[ast.cmpop], others: list[ast.expr]) -> bool:
    value = _value(left)
    for op, other in zip(ops, others, strict=True):
        if type(op) not in _COMPARE:
            raise LaunchError("this comparison is not allowed there")
        right = _value(other)
        if not _COMPARE[type(op)](value, right):
            return False
        value = right
    return True
