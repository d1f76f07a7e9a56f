"""The field group of the tenant's own fields, as the Schema Registry takes it."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from pendo_aep.aep.mapping import FIELDS, Field, FieldType, own_object
from pendo_aep.provisioning.schema import EXPERIENCE_EVENT

Json: TypeAlias = dict[str, Any]

# Adobe: "Define XDM fields in the API". A date is text with a format.
_TYPES: Final[dict[FieldType, Json]] = {
    "string": {"type": "string"},
    "json": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "date-time": {"type": "string", "format": "date-time"},
}
_OWN: Final = "{tenant}."


def field_group(title: str, tenant_id: str) -> Json:
    """The body that creates the group: no more than what is ours, the registry adds the rest.

    Args:
        title: of the group; Adobe: unique among all that the tenant has in the registry.
        tenant_id: with or without its leading underscore.
    """
    properties: Json = {}
    for field in FIELDS:
        if field.xdm.startswith(_OWN):
            _add(properties, field)
    own = {own_object(tenant_id): {"type": "object", "properties": properties}}
    return {
        "title": title,
        "description": "Pendo's events, as pendo-to-aep normalises them.",
        "type": "object",
        "meta:intendedToExtend": [EXPERIENCE_EVENT],
        "definitions": {"customFields": {"type": "object", "properties": own}},
        "allOf": [{"$ref": "#/definitions/customFields"}],
    }


def _add(properties: Json, field: Field) -> None:
    """Puts a field where its path says; objects and arrays on the way are made."""
    *way, last = field.xdm.removeprefix(_OWN).split(".")
    for key in way:
        name = key.removesuffix("[]")
        default: Json = {"type": "object", "properties": {}}
        if name != key:
            default = {"type": "array", "items": default}
        inner = properties.setdefault(name, default)
        properties = inner.get("items", inner)["properties"]
    properties[last] = {"title": field.title, **_TYPES[field.type]}
