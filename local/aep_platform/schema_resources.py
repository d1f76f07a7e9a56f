"""Resources of the Schema Registry: Adobe's own, what references resolve to, how one is shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from local.aep_platform.state import Json, PlatformState, Resource

_STANDARD = Path(__file__).with_name("standard_resources.json")
_XDM_TYPES = {"date": "date", "date-time": "date-time"}
_COMPOSED = {"allOf", "properties", "definitions", "items", "additionalProperties", "$ref"}


def standard_resources() -> Mapping[str, Resource]:
    """Returns Adobe's own resources in the `global` container, by their `$id`.

    The file has of each what a Pendo event can use: a part of what Adobe publishes in its
    repository of XDM, with the names and types from there.
    """
    return {
        entry["id"]: Resource(id=entry["id"], kind=entry["kind"], body=entry["body"], tenant=None)
        for entry in orjson.loads(_STANDARD.read_bytes())
    }


def find(state: PlatformState, resource_id: str) -> Resource | None:
    """Returns the resource of that `$id` or `meta:altId`, the tenant's or Adobe's."""
    for resource in (
        *state.field_groups.values(),
        *state.schemas.values(),
        *state.standard.values(),
    ):
        if resource_id in (resource.id, resource.alt_id):
            return resource
    return None


def references(body: Json) -> list[str]:
    """Returns the resources that a body is composed of, in order; not its own definitions."""
    parts = body.get("allOf", [])
    found = [part.get("$ref", "") for part in parts if isinstance(part, dict)]
    return [reference for reference in found if reference and not reference.startswith("#")]


def extends(state: PlatformState, body: Json) -> list[str]:
    """Returns `meta:extends`: what a schema is composed of, and what its class extends."""
    found: list[str] = []
    for reference in references(body):
        known = state.standard.get(reference)
        inherited = known.body.get("meta:extends", []) if known else []
        found += [r for r in (reference, *inherited) if r not in found]
    return found


def resolve(state: PlatformState, body: Json) -> Json:
    """Returns a body with its references followed, as one JSON Schema with all its fields.

    Its fields are new, the values of their keywords those of the resources: change neither.
    """
    return _resolved(state, body, body)


def _resolved(state: PlatformState, node: Json, document: Json) -> Json:
    """Resolves one node; `document` is what `#/...` in it refers to."""
    reference = node.get("$ref")
    if isinstance(reference, str):
        if reference.startswith("#/"):
            return _resolved(state, _at(document, reference), document)
        resource = find(state, reference)
        return _resolved(state, resource.body, resource.body) if resource else {}
    out = {key: value for key, value in node.items() if key not in _COMPOSED}
    for part in node.get("allOf", []):
        _merge(out, _resolved(state, part, document))
    if isinstance(node.get("properties"), dict):
        own = {k: _resolved(state, v, document) for k, v in node["properties"].items()}
        _merge(out, {"type": "object", "properties": own})
    for inner in ("items", "additionalProperties"):
        if isinstance(node.get(inner), dict):
            out[inner] = _resolved(state, node[inner], document)
    return out


def _merge(into: Json, other: Json) -> None:
    """Adds a part: properties merge by name, requirements add up, what exists already stays."""
    for key, value in other.items():
        if key == "properties":
            fields = into.setdefault("properties", {})
            for name, inner in value.items():
                if name in fields:
                    _merge(fields[name], inner)
                else:
                    fields[name] = inner
        elif key == "required":
            known = into.get("required", [])
            into["required"] = [*known, *(name for name in value if name not in known)]
        else:
            into.setdefault(key, value)


def _at(document: Json, pointer: str) -> Json:
    node: Any = document
    for key in pointer.removeprefix("#/").split("/"):
        node = node.get(key, {}) if isinstance(node, dict) else {}
    return node if isinstance(node, dict) else {}


def shown(state: PlatformState, resource: Resource, *, is_full: bool = False) -> Json:
    """Returns a resource as the registry shows it, with what the server adds to what was sent.

    Args:
        state: where its references lead.
        resource: which.
        is_full: `xed-full`, with references followed; else `xed`, as sent.
    """
    body = orjson.loads(orjson.dumps(resource.body))
    if is_full:
        body = {**{k: v for k, v in body.items() if k != "allOf"}, **resolve(state, body)}
        body.pop("definitions", None)
    else:
        for part in body.get("allOf", []):
            part.setdefault("type", "object")
            part.setdefault("meta:xdmType", "object")
    _add_xdm_types(body)
    return {
        **body,
        "$id": resource.id,
        "meta:altId": resource.alt_id,
        "version": f"1.{resource.minor}",
        "meta:resourceType": resource.kind,
        "meta:xdmType": "object",
        **_composition(state, resource),
        **(_tenancy(state, resource) if resource.tenant else {"meta:containerId": "global"}),
    }


def _composition(state: PlatformState, resource: Resource) -> Json:
    if resource.kind != "schemas":
        return {}
    refs = references(resource.body)
    known = [state.standard[reference] for reference in refs if reference in state.standard]
    return {
        "meta:class": next((one.id for one in known if one.kind == "classes"), None),
        "meta:extends": resource.body.get("meta:extends", []),
    }


def _tenancy(state: PlatformState, resource: Resource) -> Json:
    return {
        "imsOrg": state.ims_org_id,
        "meta:containerId": "tenant",
        "meta:tenantNamespace": f"_{state.tenant}",
        "meta:registryMetadata": {
            "repo:createdDate": resource.created,
            "repo:lastModifiedDate": resource.updated,
        },
    }


def _add_xdm_types(node: Any) -> None:
    """Adds `meta:xdmType` to every field, as the registry generates it."""
    if isinstance(node, list):
        for inner in node:
            _add_xdm_types(inner)
    if not isinstance(node, dict):
        return
    if isinstance(kind := node.get("type"), str):
        node.setdefault("meta:xdmType", _XDM_TYPES.get(str(node.get("format")), kind))
    for key in ("properties", "definitions"):
        for inner in node.get(key, {}).values():
            _add_xdm_types(inner)
    for key in ("items", "additionalProperties", "allOf"):
        _add_xdm_types(node.get(key))
