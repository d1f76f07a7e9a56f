"""The Schema Registry's descriptors (Adobe: "Descriptors"): friendly names, labels, relationships.

Not simulated, because `aep` does not use them: other types, paging, lists of ids or links, and that
a schema is shown with its friendly names.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from local.aep_platform import assumed, errors, relationships, schema_resources
from local.aep_platform.call import Call, Permission, Route, allows
from local.aep_platform.schema_registry import BASE
from local.aep_platform.state import Json, PlatformState, now_ms
from local.http_server import JsonResponse

_PATH = f"{BASE}/tenant/descriptors"
_ACCEPT = "application/vnd.adobe.xdm+json"
_MAX = 4000  # Adobe: in a sandbox
_LABEL = "xdm:descriptorLabel"
_RELATED = (relationships.IDENTITY, relationships.REFERENCE, relationships.ONE_TO_ONE)
_SIMULATED = (_LABEL, "xdm:alternateDisplayInfo", *_RELATED)
# Adobe: "Data usage labels glossary".
_CORE_LABELS = frozenset(
    {*(f"C{n}" for n in range(1, 13)), "I1", "I2", "S1", "S2", "PSPD", "RHD", "Third-Party"}
)
_ADDED_BY_SERVER = ("@id", "created", "updated", "meta:containerId", "imsOrg")


def routes() -> tuple[Route, ...]:
    """The operations on descriptors."""
    view, manage = Permission.VIEW_SCHEMAS, Permission.MANAGE_SCHEMAS
    one = f"{_PATH}/{{id}}"
    return (
        Route("GET", _PATH, _list, view),
        Route("POST", _PATH, _create, manage, changes=True),
        Route("GET", one, _look_up, view),
        Route("PUT", one, _replace, manage, changes=True),
        Route("DELETE", one, _delete, manage, changes=True),
    )


def _list(call: Call) -> JsonResponse:
    """Adobe: a list for each type that has any."""
    accept = call.headers.get("Accept", "")
    if accept != _ACCEPT:
        raise errors.invalid_accept("XDM-1008-400", accept, _ACCEPT)
    found: dict[str, list[Json]] = {}
    for descriptor in call.state.descriptors.values():
        if call.matches(descriptor):
            found.setdefault(descriptor["@type"], []).append(descriptor)
    return JsonResponse(200, found)


def _look_up(call: Call) -> JsonResponse:
    return JsonResponse(200, _find(call))


def _create(call: Call) -> JsonResponse:
    body = _checked(call)
    if len(call.state.descriptors) >= _MAX:
        raise errors.malformed(f"a sandbox has at most {_MAX} descriptors")
    descriptor = _stored(call.state, body, uuid4().hex)
    call.state.descriptors[descriptor["@id"]] = descriptor
    return JsonResponse(201, descriptor)


def _replace(call: Call) -> JsonResponse:
    """Adobe: it rewrites the descriptor, so that the body has all of it."""
    old = _find(call)
    body = _checked(call, old["@id"])
    _check_label_permission(call, old)
    descriptor = {**_stored(call.state, body, old["@id"]), "created": old["created"]}
    call.state.descriptors[old["@id"]] = descriptor
    return JsonResponse(assumed.DESCRIPTOR_PUT_STATUS, {"@id": old["@id"]})


def _delete(call: Call) -> JsonResponse:
    found = _find(call)
    _check_label_permission(call, found)
    del call.state.descriptors[found["@id"]]
    return JsonResponse(204)


def _find(call: Call) -> Json:
    found = call.state.descriptors.get(call.params["id"])
    if found is None:
        detail = f"The requested descriptor {call.params['id']} is not found."
        raise errors.registry(assumed.DESCRIPTOR_NOT_FOUND_CODE, "Resource not found", detail)
    return found


def _stored(state: PlatformState, body: Json, descriptor_id: str) -> Json:
    kept = {key: value for key, value in body.items() if key not in _ADDED_BY_SERVER}
    now = now_ms()
    added = {"imsOrg": state.ims_org_id, "created": now, "updated": now}
    return {**kept, **added, "meta:containerId": "tenant", "@id": descriptor_id}


def _checked(call: Call, own_id: str | None = None) -> Json:
    """Returns the body, if it is a descriptor of a field that there is.

    Raises:
        ApiError: it is not.
    """
    state, body = call.state, call.fields("registry", "@type", "xdm:sourceSchema")
    kind = body["@type"]
    if kind not in _SIMULATED:
        raise errors.not_simulated(f"descriptors of the type {kind}")
    _check_label_permission(call, body)
    source = schema_resources.find(state, str(body["xdm:sourceSchema"]))
    if source is None:
        raise errors.not_found("schemas", str(body["xdm:sourceSchema"]))
    if body.get("xdm:sourceVersion") != 1:
        raise errors.malformed("'xdm:sourceVersion' must be the major version, 1")
    if kind != _LABEL and source.kind != "schemas":
        raise errors.malformed(f"{kind} is given to a field of a schema")
    field = _field(state, source.body, body.get("xdm:sourceProperty"))
    _check_kind(state, body, field, own_id)
    key = ("@type", "xdm:sourceSchema", "xdm:sourceProperty")
    for one in state.descriptors.values():
        is_same = all(one[name] == body[name] for name in key)
        if assumed.ONE_DESCRIPTOR_FOR_A_FIELD and is_same and one["@id"] != own_id:
            raise errors.malformed(f"the field has a descriptor of the type {kind}: {one['@id']}")
    return body


def _check_kind(state: PlatformState, body: Json, field: Json, own_id: str | None) -> None:
    match body["@type"]:
        case relationships.IDENTITY:
            relationships.check_identity(state, body, own_id)
        case relationships.REFERENCE:
            relationships.check_reference(state, body, field)
        case relationships.ONE_TO_ONE:
            relationships.check_one_to_one(state, body, field)
        case "xdm:alternateDisplayInfo":
            _check_friendly_name(body, field)
        case _:
            _check_labels(body)


def _check_label_permission(call: Call, descriptor: Json) -> None:
    is_checked = descriptor["@type"] == _LABEL and assumed.LABELS_NEED_THEIR_PERMISSION
    if is_checked and not allows(call.permissions, Permission.MANAGE_LABELS):
        raise errors.missing_permission("registry", Permission.MANAGE_LABELS)


def _field(state: PlatformState, source: Json, path: object) -> Json:
    """Returns the field that a `sourceProperty` names. Adobe: how it is written.

    A path with `properties` in it begins with it; further on, a field may have that name.
    """
    if not isinstance(path, str) or not path.startswith("/") or path.endswith("/"):
        raise errors.malformed("'xdm:sourceProperty' begins with '/', and does not end with it")
    steps = path[1:].split("/")
    if steps[0] == "properties":
        raise errors.malformed("'xdm:sourceProperty' does not have 'properties' in it")
    if steps == [f"_{state.tenant}"]:
        raise errors.malformed("the tenant's object cannot have a descriptor, only its leaves")
    node: Any = schema_resources.resolve(state, source)
    for step in steps:
        name = step.removesuffix(assumed.DESCRIPTOR_OF_EACH_ELEMENT)
        node = node.get("properties", {}).get(name)
        if name != step:
            node = (node or {}).get("items")
        if node is None:
            raise errors.malformed(f"there is no field {path}")
    found: Json = node
    return found


def _check_labels(body: Json) -> None:
    labels = body.get("xdm:labels")
    if not isinstance(labels, list) or not labels:
        raise errors.malformed("'xdm:labels' is required")
    for label in labels:
        kind, _, name = str(label).partition("/")
        if kind not in ("core", "custom") or (kind == "core" and name not in _CORE_LABELS):
            raise errors.malformed(f"there is no label {label}")


def _check_friendly_name(body: Json, field: Json) -> None:
    """Adobe: the XDM repository, `alternateDisplayInfo.schema.json`."""
    keys = ("xdm:title", "xdm:description", "meta:enum")
    if not any(key in body for key in keys):
        raise errors.malformed(f"one of {', '.join(keys)} is required")
    for key in keys:
        value = body.get(key, {})
        if not isinstance(value, dict) or not all(isinstance(x, str) for x in value.values()):
            raise errors.malformed(f"'{key}' must be an object of texts")
    if "meta:enum" in body and field.get("type") != "string":
        raise errors.malformed("'meta:enum' is for a field of text")
