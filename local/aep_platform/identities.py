"""Identity namespaces (Adobe's OpenAPI of the Identity Service): made and listed, never deleted.

Adobe's lookup and PUT are not simulated: `aep` lists all namespaces, and changes none.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import count

from local.aep_platform import assumed
from local.aep_platform.call import Call, Permission, Route
from local.aep_platform.state import Json, now_ms
from local.http_server import ApiError, JsonResponse

BASE = "/data/core/idnamespace/identities"
_SERVICE = "idnamespace"
_TYPES = ("Cookie", "Cross_device", "Device", "Email", "Mobile", "Non_people", "Phone")
_CODE = re.compile(r"[A-Za-z0-9]+")
_FIRST_CUSTOM_ID = 10_000_001
_STANDARD = (("Email", "Email", "Email"), ("ECID", "ECID", "Cookie"), ("Phone", "Phone", "Phone"))


def standard_namespaces() -> dict[str, Json]:
    """Returns some of those that every organisation has, by their code."""
    return {
        code: _namespace(number, {"name": name, "code": code, "idType": kind}, custom=False)
        for number, (code, name, kind) in enumerate(_STANDARD, start=4)
    }


def routes() -> tuple[Route, ...]:
    """The operations on `identities`."""
    view, manage = Permission.VIEW_IDENTITY_NAMESPACES, Permission.MANAGE_IDENTITY_NAMESPACES
    return (
        Route("GET", BASE, _list, view),
        Route("POST", BASE, _create, manage, changes=True),
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


def _list(call: Call) -> JsonResponse:
    return JsonResponse(200, list(call.state.namespaces.values()))


def _create(call: Call) -> JsonResponse:
    body = call.fields(_SERVICE)
    _check(body)
    known = call.state.namespaces
    if body["code"] in known:
        raise _error(
            409,
            "NAMESPACE_CODE_CONFLICT",
            "Namespace code already exists. Please use a different code",
            "INTEGRATION_CODE_EXISTS",
        )
    if any(namespace["name"] == body["name"] for namespace in known.values()):
        raise _error(
            assumed.NAMESPACE_NAME_TAKEN_STATUS,
            "NAMESPACE_NAME_CONFLICT",
            "Namespace name already exists. Please use a different name",
            "NAMESPACE_NAME_EXISTS",
        )
    taken = {namespace["id"] for namespace in known.values()}
    number = next(n for n in count(_FIRST_CUSTOM_ID) if n not in taken)
    made = _namespace(number, body, custom=True)
    known[made["code"]] = made
    return JsonResponse(200, made)


def _check(body: Json) -> None:
    for name in ("name", "code", "idType"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise _invalid(f"Please provide a valid value of {name}.")
    if not _CODE.fullmatch(body["code"]):
        raise _invalid("Please provide a valid value of code: letters and digits only")
    if body["idType"].lower() not in {name.lower() for name in _TYPES}:
        known = ", ".join(name.upper() for name in _TYPES)
        raise _invalid(f"Please provide a valid value of idType. Valid values are: [{known}]")


def _invalid(description: str) -> ApiError:
    return _error(400, "Namespace validation", description, "INVALID_REQUEST_PARAMS")


def _error(status: int, title: str, description: str, code: str) -> ApiError:
    """Adobe's OpenAPI of the Identity Service."""
    return ApiError(
        status,
        {
            "timestamp": datetime.now(UTC).isoformat(),
            "type": "http://ns.adobe.com/adobecloud/problem/namespacevalidation",
            "status": status,
            "description": description,
            "title": title,
            "report": {"code": code},
        },
    )
