"""What the registry refuses: invalid field groups and schemas, and changes that break one in use.

Adobe, "Basics of schema composition".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from local.aep_platform import assumed, errors
from local.aep_platform.schema_resources import extends, find, references, resolve
from local.aep_platform.state import Json, PlatformState, Resource

# Adobe, "Define XDM fields in the API".
_NAME = re.compile(r"[A-Za-z0-9-][A-Za-z0-9_-]*")
_TYPES = {"string", "number", "integer", "boolean", "array", "object"}
_FORMATS = {"string": {"date", "date-time", "uri", "uri-reference"}}
_LOWER_BOUNDS = ("minLength", "minimum", "minItems")
_UPPER_BOUNDS = ("maxLength", "maximum", "maxItems")


def check_title(state: PlatformState, body: Json, own_id: str | None = None) -> None:
    """Checks that a title is unique across all types of resources of a tenant.

    Raises:
        ApiError: there is none, or it is taken.
    """
    title = body.get("title")
    if not isinstance(title, str) or not title:
        raise errors.malformed("'title' is required")
    for resource in (*state.field_groups.values(), *state.schemas.values()):
        if resource.title == title and resource.id != own_id:
            detail = (
                f"Object titles must be unique. An object {resource.id} already exists with the "
                "same title"
            )
            raise errors.registry("XDM-1521-400", "Title not unique", detail)


def check_field_group(state: PlatformState, body: Json) -> None:
    """Checks that a field group extends a class, and adds fields to the tenant's own object only.

    Raises:
        ApiError: it does not.
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
            detail = f"The field '{name}' must be defined under '{own}'"
            raise errors.registry("XDM-1020-400", "Namespace validation error", detail)
    if own not in resolved.get("properties", {}):
        raise errors.malformed(f"a field group must define fields under '{own}'")
    for path, field in _fields(resolved["properties"][own].get("properties", {}), f"/{own}"):
        _check_field(path, field)


def check_schema(state: PlatformState, body: Json) -> None:
    """Checks that a schema is one class, and field groups that are made for it.

    Raises:
        ApiError: it is not, or something of it does not exist.
    """
    _check_parts(state, body)
    found = [resource for ref in references(body) if (resource := find(state, ref)) is not None]
    classes = [resource.id for resource in found if resource.kind == "classes"]
    if len(classes) != 1:
        raise errors.malformed(f"a schema must have exactly one class, this one has {len(classes)}")
    for resource in found:
        # The XDM repository has groups such as IdentityMap that name no class: they fit any.
        targets = resource.body.get("meta:intendedToExtend", [])
        if resource.kind != "classes" and targets and classes[0] not in targets:
            raise errors.malformed(
                f"The field group {resource.id} is not intended for {classes[0]}"
            )


def check_extends(state: PlatformState, body: Json) -> None:
    """Checks that `meta:extends` and `allOf` name the same.

    Raises:
        ApiError: they do not.
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
        raise errors.invalid_field(
            f"{path}: a name has letters, digits, hyphens and underscores, and does not start "
            "with an underscore"
        )
    kind = field.get("type") if isinstance(field, dict) else None
    if kind not in _TYPES:
        raise errors.invalid_field(f"{path}: the type '{kind}' is not one of {sorted(_TYPES)}")
    if (form := field.get("format")) is not None and form not in _FORMATS.get(kind, ()):
        raise errors.invalid_field(f"{path}: the format '{form}' is not one of a {kind}")
    if kind == "array" and not isinstance(field.get("items"), dict):
        raise errors.invalid_field(f"{path}: an array needs 'items'")
    if kind == "object" and not field.get("properties"):
        values = field.get("additionalProperties")
        if not isinstance(values, dict) or values.get("type") not in {"string", "integer"}:
            raise errors.invalid_field(
                f"{path}: an object needs 'properties', a map 'additionalProperties' of a type"
            )


def is_fixed(state: PlatformState, schema: Resource) -> bool:
    """Returns whether a schema is used by a dataset or is part of a union."""
    return "union" in schema.body.get("meta:immutableTags", []) or any(
        dataset.schema_id == schema.id for dataset in state.datasets.values()
    )


def users(state: PlatformState, field_group: Resource) -> list[Resource]:
    """Returns the schemas that a field group is part of."""
    return [
        schema
        for schema in state.schemas.values()
        if any(find(state, ref) is field_group for ref in references(schema.body))
    ]


def check_evolution(state: PlatformState, old: Resource, new: Json) -> None:
    """Checks that a change of a fixed schema, or of a field group in one, only adds.

    Raises:
        ApiError: something is removed, renamed, redefined or narrowed.
    """
    schemas = [old] if old.kind == "schemas" else users(state, old)
    if not any(is_fixed(state, schema) for schema in schemas):
        return
    for reason in _breaks(resolve(state, old.body), resolve(state, new), ""):
        detail = f"The change is not allowed, as the schema is in use: {reason}"
        raise errors.registry(assumed.BREAKING_CHANGE_CODE, "Breaking change", detail)


def _breaks(old: Json, new: Json, path: str) -> Iterator[str]:
    for key in ("type", "format", "pattern"):
        if old.get(key) != new.get(key):
            yield f"{path or '/'}: {key} changes"
    for key in (*_LOWER_BOUNDS, *_UPPER_BOUNDS):
        if _is_narrower(key, old.get(key), new.get(key)):
            yield f"{path or '/'}: {key} is narrowed"
    if "enum" in new and ("enum" not in old or not set(old["enum"]) <= set(new["enum"])):
        yield f"{path or '/'}: values are removed"
    for name, field in old.get("properties", {}).items():
        kept = new.get("properties", {}).get(name)
        if kept is None:
            yield f"{path}/{name}: is removed"
        else:
            yield from _breaks(field, kept, f"{path}/{name}")
    for inner in ("items", "additionalProperties"):
        if isinstance(old.get(inner), dict):
            yield from _breaks(old[inner], new.get(inner) or {}, path)


def _is_narrower(key: str, old: float | None, new: float | None) -> bool:
    if new is None or new == old:
        return False
    if old is None:
        return True
    return new > old if key in _LOWER_BOUNDS else new < old
