"""How the APIs refuse: one body for the gateway, and one for each service behind it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from local.aep_platform import assumed
from local.http_server import ApiError


def gateway(error_code: str, message: str) -> ApiError:
    """Adobe, "Platform troubleshooting": the status is the first three digits of the code."""
    return ApiError(int(error_code[:3]), {"error_code": error_code, "message": message})


def service(name: str, status: int, detail: str) -> ApiError:
    """A problem of Catalog, Flow Service or Data Prep, whose error bodies Adobe does not print."""
    return ApiError(
        status,
        {
            "type": assumed.PROBLEM_TYPE.format(service=name, status=status),
            "title": assumed.PROBLEM_TITLES.get(status, "Error"),
            "status": status,
            "detail": detail,
        },
    )


def not_simulated(what: str) -> ApiError:
    """Adobe documents it, `aep` does not use it, and an answer here would be wrong."""
    return service("stand-in", 501, f"the stand-in does not simulate {what}")


def missing_permission(name: str, permission: str) -> ApiError:
    """The role of the credential does not have a permission."""
    detail = assumed.PERMISSION_DETAIL.format(permission=permission)
    return service(name, assumed.PERMISSION_STATUS, detail)


def registry(code: str, title: str, detail: str) -> ApiError:
    """Adobe, "XDM System troubleshooting"; `code` such as `XDM-1521-400` ends in the status."""
    status = int(code[-3:])
    return ApiError(
        status,
        {
            "type": f"http://ns.adobe.com/aep/errors/{code}",
            "title": title,
            "status": status,
            "report": {
                "registryRequestId": str(uuid4()),
                "timestamp": f"{datetime.now(UTC):%m-%d-%Y %H:%M:%S}",
                "detailed-message": detail,
                "sub-errors": [],
            },
            "detail": detail,
        },
    )


_NAMES = {"classes": "class", "mixins": "field group", "schemas": "schema"}


def not_found(kind: str, resource_id: str) -> ApiError:
    """The registry has no such resource."""
    detail = f"The requested {_NAMES[kind]} resource {resource_id} with version 1 is not found."
    return registry(assumed.NOT_FOUND_CODES[kind], "Resource not found", detail)


def malformed(detail: str) -> ApiError:
    """The body is no resource of the registry, or the patch does not fit it."""
    return registry(assumed.MALFORMED_CODE, "Invalid resource", detail)


def invalid_field(detail: str) -> ApiError:
    """A field has a name or a type that XDM does not have."""
    return registry(assumed.FIELD_CODE, "Field validation error", detail)


def in_use(detail: str) -> ApiError:
    """Something else is composed of the resource."""
    return registry(assumed.IN_USE_CODE, "Resource in use", detail)


def invalid_accept(code: str, accept: str, example: str) -> ApiError:
    """The Accept header is not one of those that the operation knows."""
    detail = (
        f"The supplied Accept header is not valid: {accept} - "
        f"A valid Accept value should look like {example}"
    )
    return registry(code, "Accept header invalid", detail)
