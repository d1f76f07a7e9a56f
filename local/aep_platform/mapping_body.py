"""The body of a mapping set in its two notations, and as it is read back.

Adobe's OpenAPI of Data Prep has `source`, `destination`, `sourceType` and `outputSchema`; its
tutorials for sources have `sourceAttribute` (or `sourceExpression`), `destinationXdmPath` and
`xdmSchema`, and one of them mixes the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args
from uuid import uuid4

from local.aep_platform import assumed
from local.aep_platform.data_prep.errors import ExpressionWrong
from local.aep_platform.data_prep.mapping import SourceType
from local.aep_platform.state import Json

# As it is sent, and as it was read back.
_TYPES: dict[str, SourceType] = {
    **{name: name for name in get_args(SourceType)},
    **{kept: sent for sent, kept in assumed.STORED_TYPES.items()},
}


@dataclass(frozen=True, slots=True)
class Line:
    """One mapping, whatever its notation."""

    source_type: SourceType
    source: str
    destination: str
    extra: Json


def lines(body: Json) -> list[Line]:
    """The mappings of a body.

    Raises:
        ExpressionWrong: one of them has no source or no destination.
    """
    found = body.get("mappings")
    if not isinstance(found, list) or not found:
        raise ExpressionWrong("'mappings' is required")
    return [_line(one, number) for number, one in enumerate(found)]


def reference(body: Json) -> str:
    """The id of the schema that a body names.

    Raises:
        ExpressionWrong: it names none.
    """
    output: Any = body.get("outputSchema", {})
    schema = output.get("schemaRef", {}) if isinstance(output, dict) else {}
    if isinstance(schema, dict) and schema.get("id"):
        if not str(schema.get("contentType", "")).startswith("application/vnd.adobe.xed"):
            raise ExpressionWrong("'outputSchema.schemaRef.contentType' is required")
        return str(schema["id"])
    if body.get("xdmSchema"):
        return str(body["xdmSchema"])
    raise ExpressionWrong("'outputSchema.schemaRef.id' or 'xdmSchema' is required")


def stored(line: Line) -> Json:
    """A mapping as it is read back: in both notations, with a type that the server writes."""
    return {
        "id": uuid4().hex,
        "version": 0,
        "identity": False,
        "primaryIdentity": False,
        "matchScore": 0.0,
        "functionVersion": 0,
        **line.extra,
        "sourceType": assumed.STORED_TYPES[line.source_type],
        "source": line.source,
        "destination": line.destination,
        "sourceAttribute": line.source,
        "destinationXdmPath": line.destination,
    }


def _line(one: Any, number: int) -> Line:
    if not isinstance(one, dict):
        raise ExpressionWrong(f"mapping {number} is no object")
    expression = one.get("sourceExpression")
    source = _first(one.get("source"), expression, one.get("sourceAttribute"))
    destination = _first(one.get("destination"), one.get("destinationXdmPath"))
    if source is None or destination is None:
        raise ExpressionWrong(f"mapping {number} has no source or no destination")
    kind = one.get("sourceType") or ("EXPRESSION" if expression else "ATTRIBUTE")
    source_type = _TYPES.get(str(kind))
    if source_type is None:
        raise ExpressionWrong(f"mapping {number}: the sourceType {kind} is not known")
    extra = {key: one[key] for key in ("name", "description", "identity") if key in one}
    return Line(source_type, source, destination, extra)


def _first(*values: Any) -> str | None:
    return next((value for value in values if isinstance(value, str) and value), None)
