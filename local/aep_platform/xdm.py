"""Whether an XDM entity is valid in a schema: types, formats, what is required."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, Final

from local.aep_platform import assumed

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_TYPES: Final = {"string": str, "boolean": bool, "array": list, "object": dict}


def is_date_time(text: str) -> bool:
    """Say whether a text is a date-time of RFC 3339, which is what XDM stores."""
    if not _RFC3339.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text.upper())
    except ValueError:
        return False
    return True


def problems_of(value: Any, field: dict[str, Any], path: str = "#") -> Iterator[str]:
    """What is wrong with a value.

    Args:
        value: the entity, or what stands in it at `path`.
        field: the resolved schema, or its field.
        path: for the messages.
    """
    kind = field.get("type")
    if not _is_of(value, kind):
        yield f"{path}: expected type: {kind}"
    elif kind == "string":
        yield from _in_text(value, field, path)
    elif kind in {"integer", "number"}:
        if not field.get("minimum", value) <= value <= field.get("maximum", value):
            yield f"{path}: out of range"
    elif kind == "array":
        for number, element in enumerate(value):
            if element is not None or not assumed.NULL_IN_ARRAY_IS_VALID:
                yield from problems_of(element, field.get("items", {}), f"{path}/{number}")
    elif kind == "object":
        yield from _in_object(value, field, path)


def _is_of(value: Any, kind: str | None) -> bool:
    if kind in {"integer", "number"}:
        wanted = int if kind == "integer" else int | float
        return isinstance(value, wanted) and not isinstance(value, bool)
    return isinstance(value, _TYPES.get(str(kind), object))


def _in_text(value: str, field: dict[str, Any], path: str) -> Iterator[str]:
    least, most = field.get("minLength", 0), field.get("maxLength")
    if len(value) < least:
        yield f"{path}: expected minLength:{least}, actual {len(value)}"
    if most is not None and len(value) > most:
        yield f"{path}: expected maxLength:{most}, actual {len(value)}"
    if "enum" in field and value not in field["enum"]:
        yield f"{path}: not one of the values of the enum"
    if "pattern" in field and not re.search(field["pattern"], value):
        yield f"{path}: does not match the pattern"
    if value and not _has_format(value, field.get("format")):
        yield f"{path}: not of the format {field['format']}"


def _has_format(value: str, form: str | None) -> bool:
    match form:
        case "date-time":
            return is_date_time(value)
        case "date":
            return _is_date(value)
        case "uri" | "uri-reference":
            return _URI_REFERENCE.fullmatch(value) is not None
        case _:
            return True


def _is_date(value: str) -> bool:
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _in_object(value: dict[str, Any], field: dict[str, Any], path: str) -> Iterator[str]:
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
