"""What a field group or a schema comes to when its references are followed: one JSON Schema."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from local.aep_platform.state import Json, PlatformState, Resource


def find(state: PlatformState, resource_id: str) -> Resource | None:
    """The resource of that `$id` or `meta:altId`, the tenant's or Adobe's."""
    for known in (state.field_groups, state.schemas, state.standard):
        if resource_id in known:
            return known[resource_id]
    for known in (state.field_groups, state.schemas, state.standard):
        for resource in known.values():
            if resource.alt_id == resource_id:
                return resource
    return None


def references(body: Json) -> list[str]:
    """The resources that a body is composed of, in order; not its own definitions."""
    parts = body.get("allOf", [])
    found = [part.get("$ref", "") for part in parts if isinstance(part, dict)]
    return [reference for reference in found if reference and not reference.startswith("#")]


def resolve(state: PlatformState, body: Json) -> Json:
    """The fields of a body with all that it is composed of, as `properties` and `required`."""
    return _resolved(state, body, body)


def _resolved(state: PlatformState, node: Json, document: Json) -> Json:
    """One node; `document` is what `#/...` in it refers to."""
    reference = node.get("$ref")
    if isinstance(reference, str):
        if reference.startswith("#/"):
            return _resolved(state, _at(document, reference), document)
        resource = find(state, reference)
        return _resolved(state, resource.body, resource.body) if resource else {}
    out = {key: deepcopy(value) for key, value in node.items() if key not in _WALKED}
    for part in node.get("allOf", []):
        _merge(out, _resolved(state, part, document))
    if isinstance(node.get("properties"), dict):
        own = {k: _resolved(state, v, document) for k, v in node["properties"].items()}
        _merge(out, {"type": "object", "properties": own})
    for inner in ("items", "additionalProperties"):
        if isinstance(node.get(inner), dict):
            out[inner] = _resolved(state, node[inner], document)
    return out


_WALKED = {"allOf", "properties", "definitions", "items", "additionalProperties", "$ref"}


def _merge(into: Json, other: Json) -> None:
    """Adds a part: properties meet by name, requirements add up, what is there already stays."""
    for key, value in other.items():
        if key == "properties":
            fields = into.setdefault("properties", {})
            for name, inner in value.items():
                if name in fields:
                    _merge(fields[name], inner)
                else:
                    fields[name] = inner
        elif key == "required":
            known = into.setdefault("required", [])
            known.extend(name for name in value if name not in known)
        else:
            into.setdefault(key, value)


def _at(document: Json, pointer: str) -> Json:
    node: Any = document
    for key in pointer.removeprefix("#/").split("/"):
        node = node.get(key, {}) if isinstance(node, dict) else {}
    return node if isinstance(node, dict) else {}


def field_at(resolved: Json, path: str) -> Json | None:
    """The field at a path such as `/_acme/pendo/visitorId`; None where there is none."""
    node: Any = resolved
    for key in path.strip("/").split("/"):
        node = node.get("properties", {}).get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else None
