"""The value of an expression for one record of source data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import ge, gt, le, lt
from typing import Any, Final

from local.aep_platform.data_prep.errors import EvaluationFailed, ExpressionWrong
from local.aep_platform.data_prep.functions import FUNCTIONS
from local.aep_platform.data_prep.nodes import Apply, Array, Literal, Node, Operation, Reference
from local.aep_platform.data_prep.parser import parse
from local.aep_platform.data_prep.paths import exists, parse_path, read
from local.aep_platform.data_prep.values import kind_of, number_of, text_of

_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {"<": lt, ">": gt, "<=": le, ">=": ge}


def evaluate(expression: str | Node, document: Any) -> Any:
    """The value of an expression.

    Args:
        expression: as text, or parsed.
        document: the source data.

    Raises:
        ExpressionWrong: the text is no expression.
        EvaluationFailed: it has no value for this data.
    """
    node = parse(expression) if isinstance(expression, str) else expression
    return _value(node, document)


def _value(node: Node, document: Any) -> Any:
    match node:
        case Literal(value):
            return value
        case Reference(path):
            return read(document, path)
        case Array(elements):
            return [_value(element, document) for element in elements]
        case Operation("&&" | "||" as sign, (left, right)):
            first = _truth(_value(left, document))
            if first is (sign == "||"):
                return first
            return _truth(_value(right, document))
        case Operation(sign, operands):
            return _operate(sign, [_value(operand, document) for operand in operands])
        case Apply("contains_key", (argument,)):
            return _contains_key(_value(argument, document), document)
        case Apply(name, arguments):
            # All of them first: nothing says that iif leaves out what it does not choose.
            return FUNCTIONS[name].body(*(_value(a, document) for a in arguments))


def _contains_key(path: Any, document: Any) -> bool:
    try:
        return exists(document, parse_path(text_of(path)))
    except ExpressionWrong as wrong:
        raise EvaluationFailed(f"contains_key: {wrong}") from None


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise EvaluationFailed(f"{kind_of(value)} is neither true nor false")


def _operate(sign: str, values: list[Any]) -> Any:
    if len(values) == 1:
        return not _truth(values[0]) if sign == "!" else -number_of(values[0])
    left, right = values
    if sign in {"==", "!="}:
        return (left == right) is (sign == "==")
    if sign in _ORDER:
        return _compare(sign, left, right)
    if sign == "+" and (isinstance(left, str) or isinstance(right, str)):
        return text_of(left) + text_of(right)
    return _calculate(sign, number_of(left), number_of(right))


def _compare(sign: str, left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return _ORDER[sign](left, right)
    if isinstance(left, datetime) and isinstance(right, datetime):
        return _ORDER[sign](left, right)
    return _ORDER[sign](number_of(left), number_of(right))


def _calculate(sign: str, left: float, right: float) -> float:
    if sign == "+":
        return left + right
    if sign == "-":
        return left - right
    if sign == "*":
        return left * right
    if right == 0:
        raise EvaluationFailed("division by zero")
    return left / right if sign == "/" else left % right
