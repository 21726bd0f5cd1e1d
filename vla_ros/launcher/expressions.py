"""The part of Python that `$(eval ...)` may use: constants, comparisons, and/or/not, arithmetic, lists, `x if c else y`, some calls."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from vla_ros.core.errors import ConfigError

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
}
CALLS: dict[str, Callable[..., Any]] = {function.__name__: function for function in (int, float, str, bool, len, min, max, abs)}
LONGEST = 1000


def evaluate_expression(text: str) -> Any:
    """The value of an expression; raises ConfigError for anything outside the subset or that fails."""
    try:
        if len(text) > LONGEST:
            raise ValueError(f"longer than {LONGEST} characters")
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, TypeError, ValueError, ArithmeticError, KeyError) as error:
        reason = f"'{error.args[0]}' is not available in expressions" if isinstance(error, KeyError) else str(error)
        raise ConfigError(f"$(eval ...) cannot evaluate '{text}': {reason}") from error


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item) for item in items]
        case ast.UnaryOp(op=op, operand=operand):
            return _operator(op)(_value(operand))
        case ast.BinOp(left=left, op=op, right=right):
            return _operator(op)(_value(left), _value(right))
        case ast.BoolOp(op=op, values=values):
            return _and_or(op, values)
        case ast.Compare():
            return _compare(node)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _value(body) if _value(test) else _value(orelse)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return CALLS[name](*map(_value, args))
    raise KeyError(ast.unparse(node))


def _operator(op: ast.AST) -> Callable[..., Any]:
    if type(op) not in OPERATORS:
        raise KeyError(type(op).__name__)
    return OPERATORS[type(op)]


def _and_or(op: ast.boolop, values: list[ast.expr]) -> Any:
    stop_at = isinstance(op, ast.Or)
    for item in values:
        result = _value(item)
        if bool(result) == stop_at:
            break
    return result


def _compare(node: ast.Compare) -> bool:
    left = _value(node.left)
    for op, item in zip(node.ops, node.comparators, strict=True):
        right = _value(item)
        if not _operator(op)(left, right):
            return False
        left = right
    return True
