"""Values as Data Prep turns one into another."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from local.aep_platform.data_prep.dates import iso
from local.aep_platform.data_prep.errors import EvaluationFailed

# Adobe, "Handling data formats", section on booleans.
_TRUE: Final = frozenset({"y", "yes", "Y", "YES", "on", "ON", "true", "TRUE"})
_FALSE: Final = frozenset({"n", "N", "no", "NO", "off", "OFF", "false", "FALSE"})
_INTEGER = re.compile(r"[+-]?\d+")
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def text_of(value: Any) -> str:
    """A scalar as text.

    Raises:
        EvaluationFailed: it is an object, an array or null.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, int | float):
        return str(value)
    raise EvaluationFailed(f"{kind_of(value)} is no text")


def integer_of(value: Any) -> int:
    """A number or numeric text as a whole number.

    Raises:
        EvaluationFailed: it is neither, or has a fraction.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    raise EvaluationFailed(f"{kind_of(value)} is no integer")


def number_of(value: Any) -> int | float:
    """A number or numeric text as a number.

    Raises:
        EvaluationFailed: it is neither.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return int(value) if _INTEGER.fullmatch(value) else float(value)
    raise EvaluationFailed(f"{kind_of(value)} is no number")


def boolean_of(value: Any) -> bool:
    """A boolean, or one of the words that Adobe lists.

    Raises:
        EvaluationFailed: it is neither.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _TRUE | _FALSE:
        return value in _TRUE
    raise EvaluationFailed(f"{kind_of(value)} is no boolean")


def kind_of(value: Any) -> str:
    """What a value is, without the value: it may be somebody's data."""
    if value is None:
        return "null"
    for kind, name in ((bool, "a boolean"), (str, "a text"), (dict, "an object"), (list, "a list")):
        if isinstance(value, kind):
            return name
    return "a date" if isinstance(value, datetime) else "a number"
