"""Schema evolution: what may still change once data can be in a schema.

Adobe, "Basics of schema composition", section on evolution: only what is additive.
"""

from __future__ import annotations

from collections.abc import Iterator

from local.aep_platform.registry import errors
from local.aep_platform.registry.resolve import find, references, resolve
from local.aep_platform.state import Json, PlatformState, Resource

_LOWER_BOUNDS = ("minLength", "minimum", "minItems")
_UPPER_BOUNDS = ("maxLength", "maximum", "maxItems")


def is_fixed(state: PlatformState, schema: Resource) -> bool:
    """Say whether a schema is used by a dataset or is part of a union."""
    return "union" in schema.body.get("meta:immutableTags", []) or any(
        dataset.schema_id == schema.id for dataset in state.datasets.values()
    )


def users(state: PlatformState, field_group: Resource) -> list[Resource]:
    """The schemas that a field group is part of."""
    return [
        schema
        for schema in state.schemas.values()
        if any(find(state, ref) is field_group for ref in references(schema.body))
    ]


def check_evolution(state: PlatformState, old: Resource, new: Json) -> None:
    """What replaces a fixed schema, or a field group in one, must keep all that was there.

    Raises:
        Refused: something is removed, renamed, redefined or narrowed.
    """
    schemas = [old] if old.kind == "schemas" else users(state, old)
    if not any(is_fixed(state, schema) for schema in schemas):
        return
    for reason in _breaks(resolve(state, old.body), resolve(state, new), ""):
        raise errors.breaking(f"The change is not allowed, as the schema is in use: {reason}")


def _breaks(old: Json, new: Json, path: str) -> Iterator[str]:
    for key in ("type", "format", "pattern"):
        if old.get(key) != new.get(key):
            yield f"{path or '/'}: {key} changes"
    for key in (*_LOWER_BOUNDS, *_UPPER_BOUNDS):
        if _is_narrower(key, old.get(key), new.get(key)):
            yield f"{path or '/'}: {key} is narrowed"
    if "enum" in new and ("enum" not in old or not set(old["enum"]) <= set(new["enum"])):
        yield f"{path or '/'}: values are taken away"
    for name, field in old.get("properties", {}).items():
        there = new.get("properties", {}).get(name)
        if there is None:
            yield f"{path}/{name}: is removed"
        else:
            yield from _breaks(field, there, f"{path}/{name}")
    for inner in ("items", "additionalProperties"):
        if isinstance(old.get(inner), dict):
            yield from _breaks(old[inner], new.get(inner) or {}, path)


def _is_narrower(key: str, old: float | None, new: float | None) -> bool:
    if new is None or new == old:
        return False
    if old is None:
        return True
    return new > old if key in _LOWER_BOUNDS else new < old
