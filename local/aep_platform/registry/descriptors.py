"""The registry's descriptors, as far as identities go (Adobe, "Descriptors endpoint")."""

from __future__ import annotations

from hashlib import sha1
from uuid import uuid4

from local.aep_platform import assumed
from local.aep_platform.call import Answer, Call, Route
from local.aep_platform.permissions import Permission
from local.aep_platform.query import keeps
from local.aep_platform.registry import accept, errors
from local.aep_platform.registry.api import BASE
from local.aep_platform.registry.descriptor_rules import check_descriptor, check_primary_stays
from local.aep_platform.registry.paging import page_of
from local.aep_platform.state import Json


def routes() -> tuple[Route, ...]:
    """Everything under `tenant/descriptors`."""
    path = f"{BASE}/tenant/descriptors"
    view, manage = Permission.VIEW_SCHEMAS, Permission.MANAGE_IDENTITY_METADATA
    return (
        Route("GET", path, _list, view),
        Route("POST", path, _create, manage, changes=True),
        Route("GET", f"{path}/{{id}}", _look_up, view),
        Route("PUT", f"{path}/{{id}}", _replace, manage, changes=True),
        Route("DELETE", f"{path}/{{id}}", _delete, manage, changes=True),
    )


def _list(call: Call) -> Answer:
    form = accept.of_descriptors(call)
    filters = call.query.getall("property", [])
    found = [d for d in call.state.descriptors.values() if keeps(d, filters)]
    if "-v2" in form:
        shown, page = page_of(call, found, "@id")
        return Answer(200, {"results": [_shown(d, form) for d in shown], "_page": page})
    by_type: dict[str, list[object]] = {}
    for descriptor in found:
        by_type.setdefault(descriptor["@type"], []).append(_shown(descriptor, form))
    return Answer(200, by_type)


def _shown(descriptor: Json, form: str) -> object:
    """Adobe, "Descriptors endpoint": its id, its path, or all of it."""
    if form.endswith("-id"):
        return descriptor["@id"]
    if form.endswith("-link"):
        return f"/tenant/descriptors/{descriptor['@id']}"
    return descriptor


def _find(call: Call) -> Json:
    found = call.state.descriptors.get(call.params["id"])
    if found is None:
        raise errors.not_found("descriptors", call.params["id"])
    return found


def _look_up(call: Call) -> Answer:
    return Answer(200, _find(call))


def _create(call: Call) -> Answer:
    body = call.fields("registry")
    check_descriptor(call.state, body)
    descriptor_id = sha1(uuid4().bytes, usedforsecurity=False).hexdigest()  # 40 hex digits
    made = {"@id": descriptor_id, **body, "meta:containerId": "tenant"}
    call.state.descriptors[descriptor_id] = made
    return Answer(201, made)


def _replace(call: Call) -> Answer:
    old, body = _find(call), call.fields("registry")
    check_descriptor(call.state, body, old)
    check_primary_stays(call.state, old)
    call.state.descriptors[old["@id"]] = {
        "@id": old["@id"],
        **body,
        "meta:containerId": "tenant",
    }
    return Answer(assumed.DESCRIPTOR_PUT_STATUS, {"@id": old["@id"]})


def _delete(call: Call) -> Answer:
    old = _find(call)
    check_primary_stays(call.state, old)
    del call.state.descriptors[old["@id"]]
    return Answer(204)
