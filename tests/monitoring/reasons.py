"""The reasons for which a message goes back to Pub/Sub, as the code gives them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from local.functions import PROJECT

# What carries a reason as its argument, and what answers one.
_CARRIERS = frozenset({"Retry", "NoAnswer", "TokenUnavailable"})
_ANSWERS = "_why"
_LINE = "message returned"


def reasons_to_hand_back() -> set[str]:
    """Each of them once; none is there that the functions could not log as `message returned`."""
    return {
        reason
        for source in (PROJECT / "pendo_aep").rglob("*.py")
        for node in ast.walk(ast.parse(source.read_text("utf-8")))
        for reason in _reasons(node)
    }


def _reasons(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef) and node.name == _ANSWERS:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Return) and inner.value is not None:
                yield from _texts(inner.value)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id in _CARRIERS:
            for argument in node.args:
                yield from _texts(argument)
        elif _LINE in [text for argument in node.args for text in _texts(argument)]:
            for keyword in node.keywords:
                if keyword.arg == "reason":
                    yield from _texts(keyword.value)


def _texts(node: ast.AST) -> Iterator[str]:
    """The texts that an expression may come to; what it compares is none of them."""
    if isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield node.value
