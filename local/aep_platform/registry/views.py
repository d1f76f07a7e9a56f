"""A resource as the registry shows it: with all that the server adds to what was sent."""

from __future__ import annotations

from copy import deepcopy
from typing import Any
from urllib.parse import quote

from local.aep_platform.registry.resolve import references, resolve
from local.aep_platform.state import Json, PlatformState, Resource

_TEXTS = {"title", "description", "meta:titleId", "meta:descriptionId"}
_XDM_TYPES = {"date": "date", "date-time": "date-time"}


def short_of(whole: Json) -> Json:
    """As a list shows it for `xed-id`."""
    return {key: whole[key] for key in ("$id", "meta:altId", "version", "title")}


def whole(state: PlatformState, resource: Resource, form: str = "xed") -> Json:
    """As a lookup shows it.

    Args:
        state: where its references lead.
        resource: which.
        form: `xed` as sent; `full` with references followed; `notext` without titles.
    """
    body = deepcopy(resource.body)
    if "full" in form:
        body = {**{k: v for k, v in body.items() if k != "allOf"}, **resolve(state, body)}
        body.pop("definitions", None)
    else:
        for part in body.get("allOf", []):
            part.setdefault("type", "object")
            part.setdefault("meta:xdmType", "object")
    _decorate(body)
    title = body.get("title")
    if "notext" in form:
        body = _without_texts(body)
        body["title"] = title
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


def class_of(state: PlatformState, body: Json) -> str | None:
    """The `$id` of the class among what a schema is composed of."""
    for reference in references(body):
        known = state.standard.get(reference)
        if known is not None and known.kind == "classes":
            return reference
    return None


def extends(state: PlatformState, body: Json) -> list[str]:
    """`meta:extends`: what a schema is composed of, and what its class extends."""
    found: list[str] = []
    for reference in references(body):
        known = state.standard.get(reference)
        inherited = known.body.get("meta:extends", []) if known else []
        found += [r for r in (reference, *inherited) if r not in found]
    return found


def _composition(state: PlatformState, resource: Resource) -> Json:
    if resource.kind != "schemas":
        return {"meta:extensible": True, "meta:abstract": True}
    return {
        "meta:class": class_of(state, resource.body),
        "meta:extends": resource.body.get("meta:extends", []),
        "meta:extensible": False,
        "meta:abstract": False,
        "refs": references(resource.body),
        "meta:sandboxId": f"sandbox-{state.sandbox}",
        "meta:sandboxType": "production" if state.sandbox == "prod" else "development",
    }


def _tenancy(state: PlatformState, resource: Resource) -> Json:
    return {
        "imsOrg": state.ims_org_id,
        "meta:containerId": "tenant",
        "meta:tenantNamespace": f"_{state.tenant}",
        "meta:registryMetadata": {
            "repo:createdDate": resource.created,
            "repo:lastModifiedDate": resource.updated,
            "xdm:createdClientId": "local",
            "xdm:lastModifiedClientId": "local",
            "eTag": f"{resource.id[-16:]}{resource.minor}",
            "meta:globalLibVersion": "1.0",
        },
    }


def _decorate(node: Any) -> None:
    """`meta:xdmType` on every field, as the registry generates it."""
    if isinstance(node, list):
        for inner in node:
            _decorate(inner)
    if not isinstance(node, dict):
        return
    if isinstance(kind := node.get("type"), str):
        node.setdefault("meta:xdmType", _XDM_TYPES.get(str(node.get("format")), kind))
    for key in ("properties", "definitions"):
        for inner in node.get(key, {}).values():
            _decorate(inner)
    for key in ("items", "additionalProperties", "allOf"):
        _decorate(node.get(key))


def _without_texts(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_texts(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    out = {}
    for key, value in node.items():
        if key == "properties":  # a field may be called `title`
            out[key] = {name: _without_texts(inner) for name, inner in value.items()}
        elif key not in _TEXTS:
            out[key] = _without_texts(value)
    return out


def href(kind: str) -> str:
    """Where a list of the other container is."""
    name = "fieldgroups" if kind == "mixins" else kind
    path = quote(f"/data/foundation/schemaregistry/global/{name}")
    return f"https://platform.adobe.io{path}"
