"""A mapping set at work: source data in, an XDM entity and what went wrong out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from local.aep_platform import assumed
from local.aep_platform.data_prep.conversion import convert
from local.aep_platform.data_prep.errors import EvaluationFailed, ExpressionWrong
from local.aep_platform.data_prep.evaluator import evaluate
from local.aep_platform.data_prep.nodes import Literal as Constant
from local.aep_platform.data_prep.nodes import Node, Reference
from local.aep_platform.data_prep.parser import parse
from local.aep_platform.data_prep.paths import Each, Path, Step, parse_path, write

SourceType: TypeAlias = Literal["ATTRIBUTE", "EXPRESSION", "STATIC"]


@dataclass(frozen=True, slots=True)
class Mapping:
    """One line of a mapping set, checked against the target schema.

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
    """A mapping that gave nothing, and why."""

    mapping: Mapping
    reason: str


def compile_mapping(
    source_type: SourceType, source: str, destination: str, schema: dict[str, Any]
) -> Mapping:
    """A line of a mapping set, ready to be applied.

    Args:
        source_type: what `source` is: a path, an expression, a constant.
        source: where the value comes from.
        destination: a path in the schema.
        schema: the target schema, resolved.

    Raises:
        ExpressionWrong: the source cannot be read, or the schema has no such field.
    """
    value: Node
    if source_type == "ATTRIBUTE":
        value = Reference(parse_path(source))
    elif source_type == "EXPRESSION":
        value = parse(source)
    else:
        value = Constant(source)
    path = parse_path(destination)
    return Mapping(source, destination, value, path, _field(schema, path, destination))


def apply_mappings(
    mappings: Sequence[Mapping], document: Any
) -> tuple[dict[str, Any], list[MappingError]]:
    """The entity that the mappings make of a record; one that fails leaves its field out."""
    row: dict[str, Any] = {}
    errors: list[MappingError] = []
    for mapping in mappings:
        try:
            value = _converted(evaluate(mapping.value, document), mapping)
        except EvaluationFailed as failed:
            errors.append(MappingError(mapping, str(failed)))
            continue
        if value is not None:
            write(row, mapping.path, value)
    return row, errors


def _converted(value: Any, mapping: Mapping) -> Any:
    wildcards = mapping.path.count(Each.ELEMENT)
    return _each(value, wildcards, mapping.field)


def _each(value: Any, depth: int, field: dict[str, Any]) -> Any:
    """Converts what stands that deep in lists."""
    if value is None or not depth:
        return convert(value, field)
    if not isinstance(value, list):
        raise EvaluationFailed("the destination has [*], the value is no array")
    return [_each(element, depth - 1, field) for element in value]


def _field(schema: dict[str, Any], path: Path, text: str) -> dict[str, Any]:
    field: Any = schema
    for step in path:
        field = _below(field, step)
        if field is None:
            raise ExpressionWrong(f"the schema has no field {text}")
    return dict(field)


def _below(field: dict[str, Any], step: Step) -> dict[str, Any] | None:
    found: dict[str, Any] | None
    if not isinstance(step, str):
        found = field.get("items")
        return found
    found = field.get("properties", {}).get(step)
    if found is None and "properties" not in field and not assumed.MAP_ENTRY_REFUSED:
        found = field.get("additionalProperties")
    return found
