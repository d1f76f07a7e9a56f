"""The bodies of the schema and its field groups, and whether an existing field group fits.

Everything about the tenant's own fields comes from the mapping table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pendo_aep.aep.mapping import DEFAULT_OPTIONS, Field, FieldType, MappingOptions, own_object
from pendo_aep.event import MAX_EXACT_INTEGER
from pendo_aep.provisioning.field_texts import NO_TEXT, field_texts
from pendo_aep.provisioning.resource import Json

# Adobe: the XDM repository (adobe/xdm). The class has `_id`, `timestamp`, `eventType` and
# `identityMap`.
EXPERIENCE_EVENT: Final = "https://ns.adobe.com/xdm/context/experienceevent"


@dataclass(frozen=True, slots=True)
class StandardGroup:
    """One of Adobe's own field groups.

    Attributes:
        id: its `$id`.
        title: as AEP shows it.
        root: the object that it adds to an event, the first part of its fields' paths.
    """

    id: str
    title: str
    root: str


# Adobe: the XDM repository (adobe/xdm), `components/fieldgroups/experience-event`.
STANDARD_GROUPS: Final = (
    StandardGroup(
        "https://ns.adobe.com/xdm/mixins/experienceevent-survey-response-details",
        "Survey Response Details",
        "surveyResponse",
    ),
    StandardGroup(
        "https://ns.adobe.com/xdm/context/experienceevent-application",
        "Application Details",
        "application",
    ),
    StandardGroup(
        "https://ns.adobe.com/xdm/context/experienceevent-environment-details",
        "Environment Details",
        "environment",
    ),
)


def missing_groups(groups: Sequence[StandardGroup]) -> tuple[StandardGroup, ...]:
    """Returns the standard groups that are not among these."""
    return tuple(group for group in STANDARD_GROUPS if group not in groups)


def usable_fields(fields: Sequence[Field], groups: Sequence[StandardGroup]) -> tuple[Field, ...]:
    """Returns the rows of the mapping table whose field a schema with these groups has."""
    missing = {group.root for group in missing_groups(groups)}
    return tuple(field for field in fields if field.xdm.partition(".")[0] not in missing)


def titles(groups: Sequence[StandardGroup]) -> str:
    """Returns their titles, for a person."""
    return ", ".join(repr(group.title) for group in groups)


def schema_body(
    title: str, field_group_id: str, groups: Sequence[StandardGroup] = STANDARD_GROUPS
) -> Json:
    """Returns the body that creates the schema.

    Args:
        title: of the schema. Adobe: unique among all of the tenant's resources in the registry.
        field_group_id: the `$id` of the tenant's field group.
        groups: Adobe's field groups that the registry has.
    """
    references = (EXPERIENCE_EVENT, *(group.id for group in groups), field_group_id)
    return {
        "title": title,
        "description": "One Pendo event, as pendo-to-aep sends it.",
        "type": "object",
        "allOf": [{"$ref": reference} for reference in references],
    }


# Adobe: "XDM field type constraints". A date is text with a format; an integer without these bounds
# has 32 bits.
_TYPES: Final[dict[FieldType, Json]] = {
    "string": {"type": "string"},
    "json": {"type": "string"},
    "integer": {"type": "integer"},
    "long": {"type": "integer", "minimum": -MAX_EXACT_INTEGER, "maximum": MAX_EXACT_INTEGER},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date-time": {"type": "string", "format": "date-time"},
}
_OWN: Final = "{tenant}."
# Adobe: "Manage enums and suggested values". Without an `enum` beside it, it refuses no value.
SUGGESTED: Final = "meta:enum"


def is_own(xdm: str) -> bool:
    """Returns whether a path of the mapping table is in the tenant's own object."""
    return xdm.startswith(_OWN)


def field_group_body(title: str, tenant_id: str, options: MappingOptions = DEFAULT_OPTIONS) -> Json:
    """Returns the body that creates the tenant's field group; the registry adds the rest.

    Args:
        title: of the group. Adobe: unique among all of the tenant's resources in the registry.
        tenant_id: with or without its leading underscore.
        options: what the mapping depends on.
    """
    properties: Json = {}
    for field in options.fields:
        if is_own(field.xdm):
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
    """Adds a field at its path, with the objects and arrays that contain it."""
    *parents, last = field.xdm.removeprefix(_OWN).split(".")
    for key in parents:
        name = key.removesuffix("[]")
        default: Json = {"type": "object", "properties": {}}
        if name != key:
            default = {"type": "array", "items": default}
        inner = properties.setdefault(name, default)
        properties = inner.get("items", inner)["properties"]
    text = field_texts().get(field.xdm, NO_TEXT)
    properties[last] = {"title": field.title, **_TYPES[field.type]}
    description = f"Pendo property {field.title}" if field.chosen else text.description
    if description:
        properties[last]["description"] = description
    if text.suggested:
        properties[last][SUGGESTED] = dict(text.suggested)


NEW_FIELD: Final = "field "
"""The words before the path of a field that is added."""


@dataclass(frozen=True, slots=True)
class Addition:
    """Something that can be added to a field group, as JSON Patch and in words.

    Attributes:
        operation: one of JSON Patch.
        text: for people.
        of_text: the field whose description or suggested values it changes; else empty.
    """

    operation: Json
    text: str
    of_text: str = ""


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field that differs from ours in a way that cannot be changed: in its type, or another."""

    path: str
    text: str
    is_of_type: bool = False


# What could refuse our values if somebody has added it.
_RESTRICTIONS: Final = (
    *("enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "required"),
)


def compare_fields(
    desired: Json, observed: Json, pointer: str, path: str = ""
) -> Iterator[Addition | FieldConflict]:
    """Yields what must be added to the observed fields, and what conflicts with the desired ones.

    Adobe: "Basics of schema composition", section on evolution: fields may be added, and what
    people read of them may change; nothing may be removed, redefined or narrowed. Fields that are
    not ours are not looked at: the registry adds much, and people may add fields.

    Args:
        desired: a field with `properties` or `items`, as it would be sent.
        observed: the same field as the registry shows it.
        pointer: the JSON pointer to it.
        path: the same for people.
    """
    for key in ("type", "format"):
        if desired.get(key) != observed.get(key):
            is_, must_be = observed.get(key), desired.get(key)
            text = f"{path}: {key} is {is_!r}, but must be {must_be!r}"
            yield FieldConflict(path, text, is_of_type=True)
    for key in _RESTRICTIONS:
        # Adobe shows an integer with the bounds of its width, which do not restrict what has none.
        is_width = desired.get("type") == "integer" and key in {"minimum", "maximum"} - {*desired}
        if observed.get(key) not in (None, [], desired.get(key)) and not is_width:
            restriction = f"{key} {observed[key]!r}"
            text = f"{path}: {restriction} could refuse what pendo-to-aep sends"
            yield FieldConflict(path, text)
    if "title" in desired and desired["title"] != observed.get("title"):
        operation = {"op": "add", "path": f"{pointer}/title", "value": desired["title"]}
        yield Addition(operation, f"title of {path}: {desired['title']!r}")
    yield from _compare_texts(desired, observed, pointer, path)
    if isinstance(desired.get("items"), dict) and isinstance(observed.get("items"), dict):
        inner = f"{pointer}/items"
        yield from compare_fields(desired["items"], observed["items"], inner, f"{path}[]")
    properties = observed.get("properties", {})
    in_lower_case = {name.lower(): name for name in properties}
    for name, field in desired.get("properties", {}).items():
        inner, inner_path = f"{pointer}/properties/{name}", f"{path}.{name}".lstrip(".")
        if name in properties:
            yield from compare_fields(field, properties[name], inner, inner_path)
        elif other := in_lower_case.get(name.lower()):
            # Adobe: "XDM field type constraints", names of custom fields are case-insensitive.
            yield FieldConflict(inner_path, f"{inner_path}: AEP has {other!r}, and ignores case")
        else:
            yield Addition({"op": "add", "path": inner, "value": field}, f"{NEW_FIELD}{inner_path}")


def _compare_texts(desired: Json, observed: Json, pointer: str, path: str) -> Iterator[Addition]:
    """Yields the description and the suggested values that differ; values of others stay."""
    description = desired.get("description", observed.get("description"))
    if description != observed.get("description"):
        operation = {"op": "add", "path": f"{pointer}/description", "value": description}
        yield Addition(operation, f"description of {path}", of_text=path)
    known = observed.get(SUGGESTED) or {}
    suggested = merge_suggested(known, desired.get(SUGGESTED, {}))
    if suggested != known:
        operation = {"op": "add", "path": f"{pointer}/{SUGGESTED}", "value": suggested}
        yield Addition(operation, f"suggested values of {path}", of_text=path)


def merge_suggested(observed: Json, desired: Json) -> Json:
    """Returns the suggested values that a field shall have: ours, and what others have added."""
    return {**observed, **desired}
