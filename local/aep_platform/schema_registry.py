"""The Schema Registry's operations: field groups, schemas, and Adobe's own field groups.

Not simulated, because `aep` does not call them: PUT, classes and data types of the tenant's own,
and lists of the `global` container. Descriptors have their own module.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from local.aep_platform import (
    assumed,
    errors,
    relationships,
    schema_resources,
    schema_rules,
)
from local.aep_platform.call import Call, InvalidPatch, Permission, Route, apply_json_patch
from local.aep_platform.state import Json, Kind, PlatformState, Resource, now_ms
from local.http_server import JsonResponse

BASE = "/data/foundation/schemaregistry"
_SERVICE = "registry"
_UNION_ERROR = "Union descriptor validation error"
_ADDED_BY_SERVER = ("$id", "meta:altId", "version")
_MAX_LIST = 300  # Adobe: a list without paging ends here
_MAX_LIMIT = 500
# Lists are asked for without a version, lookups with one; a major version means the latest minor.
_LIST = re.compile(r"application/vnd\.adobe\.(?P<form>xed|xed-id)\+json")
_LOOKUP = re.compile(
    r"application/vnd\.adobe\.(?P<form>xed(-full)?)\+json; *version=(?P<version>\d+(\.\d+)?)"
)


def routes() -> tuple[Route, ...]:
    """The operations of the registry."""
    view, manage = Permission.VIEW_SCHEMAS, Permission.MANAGE_SCHEMAS
    found = [
        Route("GET", f"{BASE}/stats", _stats, view),
        Route("GET", f"{BASE}/global/fieldgroups/{{id}}", _look_up_standard, view),
    ]
    kinds: tuple[tuple[str, Kind], ...] = (("fieldgroups", "mixins"), ("schemas", "schemas"))
    for name, kind in kinds:
        path, one = f"{BASE}/tenant/{name}", f"{BASE}/tenant/{name}/{{id}}"
        found += [
            Route("GET", path, partial(_list, kind=kind), view),
            Route("POST", path, partial(_create, kind=kind), manage, changes=True),
            Route("GET", one, partial(_look_up, kind=kind), view),
            Route("PATCH", one, partial(_patch, kind=kind), manage, changes=True),
            Route("DELETE", one, partial(_delete, kind=kind), manage, changes=True),
        ]
    return tuple(found)


def _resources(state: PlatformState, kind: Kind) -> dict[str, Resource]:
    return state.field_groups if kind == "mixins" else state.schemas


def _find(call: Call, kind: Kind) -> Resource:
    wanted = call.params["id"]
    for resource in _resources(call.state, kind).values():
        if wanted in (resource.id, resource.alt_id):
            return resource
    raise errors.not_found(kind, wanted)


def _stats(call: Call) -> JsonResponse:
    """Adobe shows counts and recent resources, too."""
    return JsonResponse(200, {"imsOrg": call.state.ims_org_id, "tenantId": call.state.tenant})


def _list(call: Call, kind: Kind) -> JsonResponse:
    accept = call.headers.get("Accept", "")
    form = _LIST.fullmatch(accept)
    if form is None:
        example = "application/vnd.adobe.{xed|xdm}+json"
        raise errors.invalid_accept("XDM-1006-400", accept, example)
    resources = _resources(call.state, kind).values()
    shown = [schema_resources.shown(call.state, resource) for resource in resources]
    results, page = _page(call, [item for item in shown if call.matches(item)])
    if form["form"] == "xed-id":
        results = [{k: r[k] for k in ("$id", "meta:altId", "version", "title")} for r in results]
    links: Json = {"next": None}
    if (following := page["next"]) is not None:
        query = f"orderby={page['orderby']}&start={quote(following)}"
        links["next"] = {"href": f"{call.path}?{query}"}
    return JsonResponse(200, {"results": results, "_page": page, "_links": links})


def _page(call: Call, items: Sequence[Json]) -> tuple[Sequence[Json], Json]:
    """Returns the items of the page that a call asks for, and its `_page`.

    `start` is the last `next`. Adobe: `limit` is a hint, so what is equal in the order stays
    together on one page.

    Raises:
        ApiError: the limit is no number from 0 to 500, or a page is asked for without an order.
    """
    order = call.query.get("orderby")
    if order is None:
        if "limit" in call.query or "start" in call.query:
            raise errors.malformed(assumed.PAGE_WITHOUT_ORDER)
        shown = items[:_MAX_LIST]
        return shown, {"orderby": None, "next": None, "count": len(shown)}
    by_key = sorted(((str(item.get(order, "")), item) for item in items), key=lambda pair: pair[0])
    rest = [pair for pair in by_key if pair[0] >= call.query.get("start", "")]
    limit = call.query.get("limit", str(_MAX_LIST))
    if not limit.isdecimal() or int(limit) > _MAX_LIMIT:
        raise errors.malformed(f"limit '{limit}' is not a number from 0 to {_MAX_LIMIT}")
    end = int(limit)
    while 0 < end < len(rest) and rest[end - 1][0] == rest[end][0]:
        end += 1
    following = rest[end][0] if end < len(rest) else None
    found = [item for _, item in rest[:end]]
    return found, {"orderby": order, "next": following, "count": len(found)}


def _look_up(call: Call, kind: Kind) -> JsonResponse:
    return _lookup_response(call, _find(call, kind))


def _look_up_standard(call: Call) -> JsonResponse:
    found = call.state.standard.get(call.params["id"])
    if found is None or found.kind != "mixins":
        raise errors.not_found("mixins", call.params["id"])
    return _lookup_response(call, found)


def _lookup_response(call: Call, resource: Resource) -> JsonResponse:
    accept = call.headers.get("Accept", "")
    form = _LOOKUP.fullmatch(accept)
    if form is None:
        example = "application/vnd.adobe.{xed|xdm}+json; version=1 (Version should be specified)"
        raise errors.invalid_accept("XDM-1007-400", accept, example)
    if form["version"].partition(".")[0] != "1":
        detail = f"{accept} is not available for this resource"
        raise errors.registry(assumed.NOT_ACCEPTABLE_CODE, "Not acceptable", detail)
    is_full = form["form"] == "xed-full"
    return JsonResponse(200, schema_resources.shown(call.state, resource, is_full=is_full))


def _check(state: PlatformState, kind: Kind, body: Json, own_id: str | None = None) -> None:
    schema_rules.check_title(state, body, own_id)
    if kind == "mixins":
        schema_rules.check_field_group(state, body)
    else:
        schema_rules.check_schema(state, body)


def _create(call: Call, kind: Kind) -> JsonResponse:
    state, body = call.state, call.fields(_SERVICE)
    _check(state, kind, body)
    kept = {key: value for key, value in body.items() if key not in _ADDED_BY_SERVER}
    if kind == "schemas":
        kept["meta:extends"] = schema_resources.extends(state, kept)
    resource = Resource(
        id=f"https://ns.adobe.com/{state.tenant}/{kind}/{uuid4().hex}",
        kind=kind,
        body=kept,
        tenant=state.tenant,
    )
    _resources(state, kind)[resource.id] = resource
    return JsonResponse(201, schema_resources.shown(state, resource))


def _patch(call: Call, kind: Kind) -> JsonResponse:
    state, resource = call.state, _find(call, kind)
    try:
        body = apply_json_patch(resource.body, call.json(_SERVICE))
    except InvalidPatch as invalid:
        raise errors.malformed(str(invalid)) from None
    if kind == "schemas" and assumed.EXTENDS_MUST_MATCH:
        schema_rules.check_extends(state, body)
    _check(state, kind, body, resource.id)
    if kind == "schemas":
        _check_union(state, resource, body)
    schema_rules.check_evolution(state, resource, body)
    resource.body = body
    resource.minor += 1
    resource.updated = now_ms()
    return JsonResponse(200, schema_resources.shown(state, resource))


def _check_union(state: PlatformState, schema: Resource, body: Json) -> None:
    tags: Any = body.get("meta:immutableTags", [])
    was = "union" in schema.body.get("meta:immutableTags", [])
    if was and "union" not in tags:
        detail = f"The schema {schema.id} is part of a union and cannot be taken out of it"
        raise errors.registry("XDM-1526-400", _UNION_ERROR, detail)
    fields = schema_resources.resolve(state, body).get("properties", {})
    has_identity = "identityMap" in fields or relationships.primary_identity(state, schema.id)
    if "union" in tags and not was and not has_identity:
        detail = (
            f"The schema {schema.id} has neither an identityMap nor a primary identity descriptor"
        )
        raise errors.registry("XDM-1528-400", _UNION_ERROR, detail)


def _delete(call: Call, kind: Kind) -> JsonResponse:
    state, resource = call.state, _find(call, kind)
    if kind == "schemas" and schema_rules.is_fixed(state, resource):
        raise errors.in_use(f"The schema {resource.id} is used by a dataset or by Profile")
    if kind == "mixins" and (found := schema_rules.users(state, resource)):
        raise errors.in_use(f"The field group {resource.id} is used by {found[0].id}")
    if assumed.DESCRIPTORS_GO_WITH_THEIR_SOURCE:
        for key, one in list(state.descriptors.items()):
            if one["xdm:sourceSchema"] == resource.id:
                del state.descriptors[key]
    del _resources(state, kind)[resource.id]
    return JsonResponse(204)
