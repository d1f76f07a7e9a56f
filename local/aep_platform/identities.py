"""Identity namespaces (Adobe's OpenAPI of the Identity Service): made and read, never deleted."""

from __future__ import annotations

import re
from itertools import count

from local.aep_platform import assumed, problems
from local.aep_platform.call import Answer, Call, Route
from local.aep_platform.permissions import Permission
from local.aep_platform.state import Json, PlatformState, now_ms

BASE = "/data/core/idnamespace/identities"
_SERVICE = "idnamespace"
_TYPES = ("Cookie", "Cross_device", "Device", "Email", "Mobile", "Non_people", "Phone")
_CODE = re.compile(r"[A-Za-z0-9]+")
_FIRST_OWN_ID = 10_000_001
_STANDARD = (("Email", "Email", "Email"), ("ECID", "ECID", "Cookie"), ("Phone", "Phone", "Phone"))


def standard_namespaces() -> dict[str, Json]:
    """Some of those that every organisation has, by their code."""
    return {
        code: _namespace(number, {"name": name, "code": code, "idType": kind}, custom=False)
        for number, (code, name, kind) in enumerate(_STANDARD, start=4)
    }


def routes() -> tuple[Route, ...]:
    """Everything under `identities`; Adobe has no DELETE."""
    view, manage = Permission.VIEW_IDENTITY_NAMESPACES, Permission.MANAGE_IDENTITY_NAMESPACES
    return (
        Route("GET", BASE, _list, view),
        Route("POST", BASE, _create, manage, changes=True),
        Route("GET", f"{BASE}/{{id}}", _look_up, view),
        Route("PUT", f"{BASE}/{{id}}", _update, manage, changes=True),
    )


def _namespace(number: int, body: Json, *, custom: bool) -> Json:
    now = now_ms()
    return {
        "updateTime": now,
        "code": body["code"],
        "status": "ACTIVE",
        "description": body.get("description", ""),
        "id": number,
        "createTime": now,
        "idType": body["idType"],
        "name": body["name"],
        "custom": custom,
    }


def _list(call: Call) -> Answer:
    return Answer(200, list(call.state.namespaces.values()))


def _find(call: Call) -> Json:
    for namespace in call.state.namespaces.values():
        if str(namespace["id"]) == call.params["id"]:
            return namespace
    raise problems.service(_SERVICE, 404, f"No namespace {call.params['id']}")


def _look_up(call: Call) -> Answer:
    return Answer(200, _find(call))


def _create(call: Call) -> Answer:
    body = call.fields(_SERVICE)
    _check(body)
    for namespace in call.state.namespaces.values():
        if namespace["code"] == body["code"]:
            raise problems.namespace(
                409,
                "NAMESPACE_CODE_CONFLICT",
                "Namespace code already exists. Please use a different code",
                "INTEGRATION_CODE_EXISTS",
            )
    _check_name(call.state, body["name"])
    taken = {namespace["id"] for namespace in call.state.namespaces.values()}
    number = next(n for n in count(_FIRST_OWN_ID) if n not in taken)
    made = _namespace(number, body, custom=True)
    call.state.namespaces[made["code"]] = made
    return Answer(200, made)


def _update(call: Call) -> Answer:
    namespace, body = _find(call), call.fields(_SERVICE)
    _check(body)
    if (body["code"], body["idType"].lower()) != (namespace["code"], namespace["idType"].lower()):
        raise _invalid("The code and the type of a namespace cannot change")
    if not namespace["custom"]:
        raise _invalid("A standard namespace cannot change")
    if body["name"] != namespace["name"]:
        _check_name(call.state, body["name"])
    namespace.update(
        name=body["name"], description=body.get("description", ""), updateTime=now_ms()
    )
    return Answer(200, namespace)


def _check(body: Json) -> None:
    for name in ("name", "code", "idType"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise _invalid(f"Please provide a valid value of {name}.")
    if not _CODE.fullmatch(body["code"]):
        raise _invalid("Please provide a valid value of code: letters and digits only")
    if body["idType"].lower() not in {name.lower() for name in _TYPES}:
        known = ", ".join(name.upper() for name in _TYPES)
        raise _invalid(f"Please provide a valid value of idType. Valid values are: [{known}]")


def _check_name(state: PlatformState, name: str) -> None:
    if any(namespace["name"] == name for namespace in state.namespaces.values()):
        raise problems.namespace(
            assumed.NAMESPACE_NAME_TAKEN_STATUS,
            "NAMESPACE_NAME_CONFLICT",
            "Namespace name already exists. Please use a different name",
            "NAMESPACE_NAME_EXISTS",
        )


def _invalid(description: str) -> problems.Refused:
    return problems.namespace(400, "Namespace validation", description, "INVALID_REQUEST_PARAMS")
