"""Validates an XDM entity against the schema of its dataset: what AEP does after it has answered.

By hand, because JSON Schema in a library differs from XDM in what decides here: XDM takes no field
that the schema lacks and no 7.0 for an integer. The texts are those of the library in Java that AEP
uses, as far as public tools show them; that of a pattern shows the value, which may be somebody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, Final

from local.aep.messages import wrong_in_entity
from local.aep_platform import assumed

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_NAMES: Final = {
    "string": "String",
    "boolean": "Boolean",
    "array": "JSONArray",
    "object": "JSONObject",
    "integer": "Integer",
    "number": "Number",
}
_TYPES: Final = {"string": str, "boolean": bool, "array": list, "object": dict}


def problems_of(value: Any, field: dict[str, Any], path: str = "#") -> Iterator[str]:
    """Yields what is wrong with a value.

    Args:
        value: the entity, or what is in it at `path`.
        field: the resolved schema, or its field.
        path: for the texts.
    """
    kind = field.get("type")
    if not _has_type(value, kind):  # Adobe: null is not accepted "for any ingested field"
        expected = _NAMES.get(str(kind), kind)
        yield f"{path}: expected type: {expected}, found: {_found(value)}"
    elif kind == "string":
        yield from _problems_of_text(value, field, path)
    elif kind in {"integer", "number"}:
        if not field.get("minimum", value) <= value <= field.get("maximum", value):
            yield f"{path}: out of range"
    elif kind == "array":
        for number, element in enumerate(value):
            yield from problems_of(element, field.get("items", {}), f"{path}/{number}")
    elif kind == "object":
        yield from _problems_of_object(value, field, path)


def problems_of_event(row: dict[str, Any], schema: dict[str, Any], now: datetime) -> list[str]:
    """Returns what is wrong with an event: by its schema, else by what holds for every event.

    Args:
        row: the entity.
        schema: resolved.
        now: no event can be later.
    """
    problems = list(problems_of(row, schema))
    # An inlet for XDM has checked the second before it answered; one for raw data could not.
    if not problems and "timestamp" in row:
        reason = wrong_in_entity(row, now)
        problems = [] if reason is None else [reason]
    return problems


def is_date_time(text: str) -> bool:
    """Returns whether a text is a date-time of RFC 3339, which is what XDM stores."""
    if not _RFC3339.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text.upper())
    except ValueError:
        return False
    return True


def is_date(text: str) -> bool:
    """Returns whether a text is a date of RFC 3339."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_uri_reference(text: str) -> bool:
    return _URI_REFERENCE.fullmatch(text) is not None


_FORMATS: Final = {
    "date-time": is_date_time,
    "date": is_date,
    "uri": _is_uri_reference,
    "uri-reference": _is_uri_reference,
}


def _has_type(value: Any, kind: str | None) -> bool:
    if kind in {"integer", "number"}:
        wanted = int if kind == "integer" else int | float
        return isinstance(value, wanted) and not isinstance(value, bool)
    return isinstance(value, _TYPES.get(str(kind), object))


def _found(value: Any) -> str:
    """Names the type of a value as the library in Java does."""
    for kind, name in (
        (bool, "Boolean"),
        (str, "String"),
        (list, "JSONArray"),
        (dict, "JSONObject"),
        (int, "Integer"),
        (float, "Double"),
    ):
        if isinstance(value, kind):
            return name
    return "Null"


def _problems_of_text(value: str, field: dict[str, Any], path: str) -> Iterator[str]:
    least, most = field.get("minLength", 0), field.get("maxLength")
    if len(value) < least:
        yield f"{path}: expected minLength:{least}, actual {len(value)}"
    if most is not None and len(value) > most:
        yield f"{path}: expected maxLength:{most}, actual {len(value)}"
    if "enum" in field and value not in field["enum"]:
        yield f"{path}: not one of the values of the enum"
    if "pattern" in field and not re.search(field["pattern"], value):
        yield f"{path}: string [{value}] does not match pattern {field['pattern']}"
    has_format = _FORMATS.get(str(field.get("format")))
    if value and has_format is not None and not has_format(value):
        yield f"{path}: not of the format {field['format']}"


def _problems_of_object(value: dict[str, Any], field: dict[str, Any], path: str) -> Iterator[str]:
    for name in field.get("required", []):
        if name not in value:
            yield f"{path}: required key [{name}] not found"
    fields, others = field.get("properties", {}), field.get("additionalProperties")
    for name, inner in value.items():
        if name in fields:
            yield from problems_of(inner, fields[name], f"{path}/{name}")
        elif isinstance(others, dict) and not fields:
            yield from problems_of(inner, others, f"{path}/{name}")
        elif assumed.UNKNOWN_FIELD_IS_INVALID:
            yield f"{path}: extraneous key [{name}] is not permitted"
