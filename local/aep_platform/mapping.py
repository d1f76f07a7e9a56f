"""Applies a mapping set: makes an XDM entity of source data, and says which mappings failed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from local.aep_platform import assumed, expressions
from local.aep_platform.expressions import (
    EvaluationFailed,
    InvalidExpression,
    Node,
    Path,
    Reference,
    evaluate,
    kind_of,
    parse,
    parse_path,
    text_of,
)
from local.aep_platform.validation import is_date, is_date_time

SourceType: TypeAlias = Literal["ATTRIBUTE", "EXPRESSION", "STATIC"]

# Adobe, "Handling data formats", section on booleans.
_TRUE = frozenset({"y", "yes", "Y", "YES", "on", "ON", "true", "TRUE"})
_FALSE = frozenset({"n", "N", "no", "NO", "off", "OFF", "false", "FALSE"})
_INTEGER = re.compile(r"[+-]?\d+")
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Mapping:
    """One mapping of a set, checked against the target schema.

    Attributes:
        source: as it was written.
        destination: as it was written.
        value: where the value comes from.
        path: where it goes.
        field: of the schema, at the end of the path.
    """

    source: str
    destination: str
    value: Node
    path: Path
    field: dict[str, Any]


@dataclass(frozen=True, slots=True)
class MappingError:
    """A mapping that failed, and why."""

    mapping: Mapping
    reason: str


def compile_mapping(
    source_type: SourceType, source: str, destination: str, schema: dict[str, Any]
) -> Mapping:
    """Parses a mapping and checks it against the schema.

    Args:
        source_type: what `source` is: a path, an expression, a constant.
        source: where the value comes from.
        destination: a path in the schema.
        schema: the target schema, resolved.

    Raises:
        InvalidExpression: the source cannot be parsed, or the schema has no such field.
    """
    value: Node
    if source_type == "ATTRIBUTE":
        value = Reference(parse_path(source))
    elif source_type == "EXPRESSION":
        value = parse(source)
    else:
        value = expressions.Literal(source)
    # An XDM path, whose names need no wrapping: Adobe asks for that in source fields only.
    path = tuple(destination.split("."))
    return Mapping(source, destination, value, path, _field(schema, path, destination))


def apply_mappings(
    mappings: Sequence[Mapping], document: Any
) -> tuple[dict[str, Any], list[MappingError]]:
    """Returns the entity that the mappings make of a record; one that fails omits its field."""
    row: dict[str, Any] = {}
    errors: list[MappingError] = []
    for mapping in mappings:
        try:
            value = convert(evaluate(mapping.value, document), mapping.field)
        except EvaluationFailed as failed:
            errors.append(MappingError(mapping, str(failed)))
            continue
        if value is not None:
            *parents, last = mapping.path
            holder = row
            for name in parents:
                holder = holder.setdefault(name, {})
            holder[last] = value
    return row, errors


def _field(schema: dict[str, Any], path: Path, text: str) -> dict[str, Any]:
    field = schema
    for name in path:
        inner = field.get("properties", {}).get(name)
        if inner is None and "properties" not in field and not assumed.MAP_ENTRY_REFUSED:
            inner = field.get("additionalProperties")
        if inner is None:
            raise InvalidExpression(f"the schema has no field {text}")
        field = inner
    return field


def convert(value: Any, field: dict[str, Any]) -> Any:
    """Returns a value in the type of a field; null stays null.

    Of an object the children of the same name are copied (Adobe, "Data Prep"), others are not.

    Raises:
        EvaluationFailed: it cannot be converted to that type.
    """
    if value is None:
        return None
    match field.get("type"):
        case "string":
            return _to_text(value, field.get("format"))
        case "integer":
            return _to_integer(value)
        case "number":
            return _to_number(value)
        case "boolean":
            return _to_boolean(value)
        case "array":
            if not isinstance(value, list):
                raise EvaluationFailed(f"{kind_of(value)} is no array")
            return [convert(element, field.get("items", {})) for element in value]
        case "object":
            return _to_object(value, field)
        case _:
            return value


def _to_text(value: Any, form: str | None) -> str:
    text = text_of(value)
    # Adobe does not show how a date is stored that is RFC 3339 already: as it came. Adobe takes
    # other forms, too ("Handling data formats", section on dates); these are not simulated.
    is_valid = {"date-time": is_date_time, "date": is_date}.get(str(form))
    if is_valid is not None and not is_valid(text):
        raise EvaluationFailed(f"the text is no {form} of RFC 3339")
    return text


def _to_integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    raise EvaluationFailed(f"{kind_of(value)} is no integer")


def _to_number(value: Any) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return int(value) if _INTEGER.fullmatch(value) else float(value)
    raise EvaluationFailed(f"{kind_of(value)} is no number")


def _to_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _TRUE | _FALSE:
        return value in _TRUE
    raise EvaluationFailed(f"{kind_of(value)} is no boolean")


def _to_object(value: Any, field: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise EvaluationFailed(f"{kind_of(value)} is no object")
    present = {key: one for key, one in value.items() if one is not None}
    known, inner = field.get("properties"), field.get("additionalProperties")
    if known is None and isinstance(inner, dict):
        return {key: convert(one, inner) for key, one in present.items()}
    known = known or {}
    return {key: convert(one, known[key]) for key, one in present.items() if key in known}
