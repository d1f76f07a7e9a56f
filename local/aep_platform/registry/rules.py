"""What the registry refuses in a field group or a schema (Adobe, "Schema composition basics")."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from local.aep_platform.registry import errors
from local.aep_platform.registry.resolve import find, references, resolve
from local.aep_platform.registry.views import extends
from local.aep_platform.state import Json, PlatformState, Resource

# Adobe, "Define XDM fields in the API".
_NAME = re.compile(r"[A-Za-z0-9-][A-Za-z0-9_-]*")
_TYPES = {"string", "number", "integer", "boolean", "array", "object"}
_FORMATS = {"string": {"date", "date-time", "uri", "uri-reference"}}


def check_title(state: PlatformState, body: Json, own_id: str | None = None) -> None:
    """Titles are unique across all types of resources of a tenant.

    Raises:
        Refused: there is none, or it is taken.
    """
    title = body.get("title")
    if not isinstance(title, str) or not title:
        raise errors.malformed("'title' is required")
    for resource in (*state.field_groups.values(), *state.schemas.values()):
        if resource.title == title and resource.id != own_id:
            raise errors.title_taken(resource.id)


def check_field_group(state: PlatformState, body: Json) -> None:
    """A field group extends a class, and adds fields of the tenant's own object only.

    Raises:
        Refused: it does not.
    """
    targets = body.get("meta:intendedToExtend")
    if not isinstance(targets, list) or not targets:
        raise errors.malformed("'meta:intendedToExtend' is required")
    for target in targets:
        if find(state, str(target)) is None:
            raise errors.not_found("classes", str(target))
    _check_parts(state, body)
    resolved = resolve(state, body)
    own = f"_{state.tenant}"
    for name in resolved.get("properties", {}):
        if name != own:
            raise errors.not_in_namespace(f"The field '{name}' must be defined under '{own}'")
    if own not in resolved.get("properties", {}):
        raise errors.malformed(f"a field group must define fields under '{own}'")
    for path, field in _fields(resolved["properties"][own].get("properties", {}), f"/{own}"):
        _check_field(path, field)


def check_schema(state: PlatformState, body: Json) -> None:
    """A schema is one class, and field groups that are made for it.

    Raises:
        Refused: it is not, or something of it does not exist.
    """
    _check_parts(state, body)
    found = [resource for ref in references(body) if (resource := find(state, ref)) is not None]
    classes = [resource.id for resource in found if resource.kind == "classes"]
    if len(classes) != 1:
        raise errors.malformed(f"a schema must have exactly one class, this one has {len(classes)}")
    for resource in found:
        if resource.kind != "classes" and not _fits(resource, classes[0]):
            raise errors.malformed(
                f"The field group {resource.id} is not intended for {classes[0]}"
            )


def _fits(field_group: Resource, class_id: str) -> bool:
    # The XDM repository has groups such as IdentityMap that name no class: they fit any.
    targets = field_group.body.get("meta:intendedToExtend", [])
    return not targets or class_id in targets


def check_extends(state: PlatformState, body: Json) -> None:
    """`meta:extends` and `allOf` say the same.

    Raises:
        Refused: one names what the other does not.
    """
    if set(body.get("meta:extends", [])) != set(extends(state, body)):
        raise errors.malformed("'meta:extends' and 'allOf' differ")


def _check_parts(state: PlatformState, body: Json) -> None:
    if body.get("type") != "object":
        raise errors.malformed("'type' must be 'object'")
    parts = body.get("allOf")
    if not isinstance(parts, list) or not parts:
        raise errors.malformed("'allOf' is required")
    for part in parts:
        if not isinstance(part, dict) or not isinstance(part.get("$ref"), str):
            raise errors.malformed("each of 'allOf' must be an object with '$ref'")
    for reference in references(body):
        if find(state, reference) is None:
            raise errors.not_found("mixins" if "/mixins/" in reference else "classes", reference)


def _fields(properties: Json, path: str) -> Iterator[tuple[str, Any]]:
    for name, field in properties.items():
        here = f"{path}/{name}"
        yield here, field
        inner = field.get("items", field) if isinstance(field, dict) else {}
        yield from _fields(inner.get("properties", {}), here)


def _check_field(path: str, field: Any) -> None:
    name = path.rsplit("/", 1)[1]
    if not _NAME.fullmatch(name):
        raise errors.wrong_field(
            f"{path}: a name has letters, digits, hyphens and underscores, and none of these first"
        )
    kind = field.get("type") if isinstance(field, dict) else None
    if kind not in _TYPES:
        raise errors.wrong_field(f"{path}: the type '{kind}' is not one of {sorted(_TYPES)}")
    if (form := field.get("format")) is not None and form not in _FORMATS.get(kind, ()):
        raise errors.wrong_field(f"{path}: the format '{form}' is not one of a {kind}")
    if kind == "array" and not isinstance(field.get("items"), dict):
        raise errors.wrong_field(f"{path}: an array needs 'items'")
    if kind == "object" and not field.get("properties"):
        values = field.get("additionalProperties")
        if not isinstance(values, dict) or values.get("type") not in {"string", "integer"}:
            raise errors.wrong_field(
                f"{path}: an object needs 'properties', a map 'additionalProperties' of a type"
            )
