"""The registry's operations on field groups and schemas."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from local.aep_platform import assumed
from local.aep_platform.call import Answer, Call, Route
from local.aep_platform.json_patch import PatchWrong, apply_patch
from local.aep_platform.permissions import Permission
from local.aep_platform.query import keeps
from local.aep_platform.registry import accept, errors, rules, views
from local.aep_platform.registry.evolution import check_evolution, is_fixed, users
from local.aep_platform.registry.paging import page_of
from local.aep_platform.registry.resolve import resolve
from local.aep_platform.state import Json, Kind, PlatformState, Resource, now_ms

BASE = "/data/foundation/schemaregistry"
_SERVER_MADE = ("$id", "meta:altId", "version")


def routes() -> tuple[Route, ...]:
    """Everything under the registry but the descriptors."""
    view, manage = Permission.VIEW_SCHEMAS, Permission.MANAGE_SCHEMAS
    found = [Route("GET", f"{BASE}/stats", _stats, view)]
    kinds: tuple[tuple[str, Kind], ...] = (
        ("fieldgroups", "mixins"),
        ("schemas", "schemas"),
        ("classes", "classes"),
    )
    for name, kind in kinds:
        for container in ("global", "tenant"):
            path = f"{BASE}/{container}/{name}"
            is_own = container == "tenant"
            found += [
                Route("GET", path, partial(_list, kind=kind, own=is_own), view),
                Route("GET", f"{path}/{{id}}", partial(_look_up, kind=kind, own=is_own), view),
            ]
        if kind == "classes":  # nothing here makes a class of its own
            continue
        path = f"{BASE}/tenant/{name}"
        found += [
            Route("POST", path, partial(_create, kind=kind), manage, changes=True),
            Route("PUT", f"{path}/{{id}}", partial(_replace, kind=kind), manage, changes=True),
            Route("PATCH", f"{path}/{{id}}", partial(_patch, kind=kind), manage, changes=True),
            Route("DELETE", f"{path}/{{id}}", partial(_delete, kind=kind), manage, changes=True),
        ]
    return tuple(found)


def _resources(state: PlatformState, kind: Kind, *, own: bool) -> dict[str, Resource]:
    if not own:
        return {key: found for key, found in state.standard.items() if found.kind == kind}
    own_by_kind = {"mixins": state.field_groups, "schemas": state.schemas}
    return own_by_kind.get(kind, {})


def _find(call: Call, kind: Kind, *, own: bool = True) -> Resource:
    wanted = call.params["id"]
    for resource in _resources(call.state, kind, own=own).values():
        if wanted in (resource.id, resource.alt_id):
            return resource
    raise errors.not_found(kind, wanted)


def _stats(call: Call) -> Answer:
    state = call.state
    counts = {
        "schemas": len(state.schemas),
        "mixins": len(state.field_groups),
        "datatypes": 0,
        "classes": 0,
        "unions": 0,
    }
    body = {
        "imsOrg": state.ims_org_id,
        "tenantId": state.tenant,
        "counts": counts,
        "recentlyCreatedResources": [],
        "recentlyUpdatedResources": [],
        "classUsage": {},
    }
    return Answer(200, body)


def _list(call: Call, kind: Kind, *, own: bool) -> Answer:
    form = accept.of_list(call)
    filters = call.query.getall("property", [])
    all_of_them = _resources(call.state, kind, own=own).values()
    found = [item for r in all_of_them if keeps(item := views.whole(call.state, r), filters)]
    shown, page = page_of(call, found)
    links: Json = {"next": None}
    if (following := page["next"]) is not None:
        query = f"orderby={page['orderby']}&start={quote(following)}"
        links["next"] = {"href": f"{call.path}?{query}"}
    if own:
        links["global_schemas"] = {"href": views.href(kind)}
    results = [views.short_of(item) for item in shown] if form == "xed-id" else shown
    return Answer(200, {"results": results, "_page": page, "_links": links})


def _look_up(call: Call, kind: Kind, *, own: bool) -> Answer:
    form = accept.of_lookup(call)
    return Answer(200, views.whole(call.state, _find(call, kind, own=own), form))


def _check(state: PlatformState, kind: Kind, body: Json, own_id: str | None = None) -> None:
    rules.check_title(state, body, own_id)
    if kind == "mixins":
        rules.check_field_group(state, body)
    else:
        rules.check_schema(state, body)


def _composed(state: PlatformState, kind: Kind, body: Json) -> Json:
    """What is kept of a body that was sent as a whole."""
    kept = {key: value for key, value in body.items() if key not in _SERVER_MADE}
    if kind == "schemas":
        kept["meta:extends"] = views.extends(state, kept)
    return kept


def _create(call: Call, kind: Kind) -> Answer:
    state, body = call.state, call.fields("registry")
    _check(state, kind, body)
    resource = Resource(
        id=f"https://ns.adobe.com/{state.tenant}/{kind}/{uuid4().hex}",
        kind=kind,
        body=_composed(state, kind, body),
        tenant=state.tenant,
    )
    _resources(state, kind, own=True)[resource.id] = resource
    return Answer(201, views.whole(state, resource))


def _replace(call: Call, kind: Kind) -> Answer:
    resource = _find(call, kind)
    body = _composed(call.state, kind, call.fields("registry"))
    tags = resource.body.get("meta:immutableTags")
    return _change(call, resource, {**body, "meta:immutableTags": tags} if tags else body)


def _patch(call: Call, kind: Kind) -> Answer:
    resource = _find(call, kind)
    try:
        body = apply_patch(resource.body, call.document("registry"))
    except PatchWrong as wrong:
        raise errors.malformed(str(wrong)) from None
    if kind == "schemas" and assumed.EXTENDS_MUST_MATCH:
        rules.check_extends(call.state, body)
    return _change(call, resource, body)


def _change(call: Call, resource: Resource, body: Json) -> Answer:
    state = call.state
    _check(state, resource.kind, body, resource.id)
    if resource.kind == "schemas":
        _check_union(state, resource, body)
    check_evolution(state, resource, body)
    resource.body = body
    resource.minor += 1
    resource.updated = now_ms()
    return Answer(200, views.whole(state, resource))


def _check_union(state: PlatformState, schema: Resource, body: Json) -> None:
    tags: Any = body.get("meta:immutableTags", [])
    was = "union" in schema.body.get("meta:immutableTags", [])
    if was and "union" not in tags:
        raise errors.union_stays(schema.id)
    if "union" in tags and not was and not _has_identity(state, schema, body):
        raise errors.no_identity(schema.id)


def _has_identity(state: PlatformState, schema: Resource, body: Json) -> bool:
    return "identityMap" in resolve(state, body).get("properties", {}) or any(
        descriptor["xdm:sourceSchema"] == schema.id and descriptor.get("xdm:isPrimary")
        for descriptor in state.descriptors.values()
    )


def _delete(call: Call, kind: Kind) -> Answer:
    state, resource = call.state, _find(call, kind)
    if kind == "schemas" and is_fixed(state, resource):
        raise errors.in_use(f"The schema {resource.id} is used by a dataset or by Profile")
    if kind == "mixins" and (found := users(state, resource)):
        raise errors.in_use(f"The field group {resource.id} is used by {found[0].id}")
    del _resources(state, kind, own=True)[resource.id]
    if kind == "schemas":  # its descriptors have nothing to stand on any more
        for key, descriptor in list(state.descriptors.items()):
            if descriptor["xdm:sourceSchema"] == resource.id:
                del state.descriptors[key]
    return Answer(204)
