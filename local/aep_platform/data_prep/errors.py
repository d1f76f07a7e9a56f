"""What can be wrong with an expression, before and while it is evaluated."""

from __future__ import annotations


class ExpressionWrong(Exception):
    """It is no expression, or names a function that does not exist; the text says where."""


class EvaluationFailed(Exception):
    """It cannot be evaluated for this data, or its value does not fit; the text says why."""
