"""A value as the field of the target schema wants it."""

from __future__ import annotations

from typing import Any

from local.aep_platform.data_prep.dates import iso, parse_date
from local.aep_platform.data_prep.errors import EvaluationFailed
from local.aep_platform.data_prep.values import boolean_of, integer_of, kind_of, number_of, text_of
from local.aep_platform.xdm import is_date_time


def convert(value: Any, field: dict[str, Any]) -> Any:
    """A value in the type of a field; null stays null.

    Of an object the children of the same name are copied (Adobe, "Data Prep"), others are not.

    Raises:
        EvaluationFailed: it cannot be turned into that type.
    """
    if value is None:
        return None
    match field.get("type"):
        case "string":
            return _text(value, str(field.get("format", "")))
        case "integer":
            return integer_of(value)
        case "number":
            return number_of(value)
        case "boolean":
            return boolean_of(value)
        case "array":
            return _list(value, field.get("items", {}))
        case "object":
            return _object(value, field)
        case _:
            return value


def _text(value: Any, form: str) -> str:
    text = text_of(value)
    # Adobe does not show how a date is stored that is RFC 3339 already: as it came.
    if form == "date-time" and not is_date_time(text):
        return iso(parse_date(text))
    if form == "date":
        return f"{parse_date(text):%Y-%m-%d}"
    return text


def _list(value: Any, items: dict[str, Any]) -> list[Any]:
    if not isinstance(value, list):
        raise EvaluationFailed(f"{kind_of(value)} is no array")
    return [convert(element, items) for element in value]


def _object(value: Any, field: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise EvaluationFailed(f"{kind_of(value)} is no object")
    inner = field.get("additionalProperties")
    if "properties" not in field and isinstance(inner, dict):
        return {key: convert(one, inner) for key, one in value.items() if one is not None}
    known = field.get("properties", {})
    return {
        key: convert(one, known[key])
        for key, one in value.items()
        if key in known and one is not None
    }
