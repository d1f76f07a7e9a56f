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


def namespace(status: int, title: str, description: str, code: str) -> ApiError:
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


def registry_content_type() -> ApiError:
    """Adobe, an older page of the registry: what it says of a body that is not said to be JSON."""
    return ApiError(
        400,
        {
            "type": "/placeholder/type/uri",
            "status": 400,
            "title": "BadRequestError",
            "detail": "A valid content-type must be specified",
        },
    )


_NAMES = {"classes": "class", "mixins": "field group", "schemas": "schema"}


def not_found(kind: str, resource_id: str) -> ApiError:
    """The registry has no such resource."""
    detail = f"The requested {_NAMES[kind]} resource {resource_id} with version 1 is not found."
    return registry(assumed.NOT_FOUND_CODES[kind], "Resource not found", detail)


def descriptor_not_found(descriptor_id: str) -> ApiError:
    """The registry has no such descriptor."""
    detail = f"The requested descriptor {descriptor_id} is not found."
    return registry(assumed.DESCRIPTOR_NOT_FOUND_CODE, "Resource not found", detail)


def malformed(detail: str) -> ApiError:
    """The body is no resource of the registry, or the patch does not fit it."""
    return registry(assumed.MALFORMED_CODE, "Invalid resource", detail)


def not_in_namespace(detail: str) -> ApiError:
    """A custom field stands outside the tenant's object."""
    return registry("XDM-1020-400", "Namespace validation error", detail)


def invalid_field(detail: str) -> ApiError:
    """A field has a name or a type that XDM does not have."""
    return registry(assumed.FIELD_CODE, "Field validation error", detail)


def title_taken(resource_id: str) -> ApiError:
    """Another resource of the tenant, of whatever type, has the title."""
    detail = (
        f"Object titles must be unique. An object {resource_id} already exists with the same title"
    )
    return registry("XDM-1521-400", "Title not unique", detail)


def breaking(detail: str) -> ApiError:
    """Schema evolution allows only additions once data can be in it."""
    return registry(assumed.BREAKING_CHANGE_CODE, "Breaking change", detail)


def in_use(detail: str) -> ApiError:
    """Something else is composed of the resource."""
    return registry(assumed.IN_USE_CODE, "Resource in use", detail)


def no_identity(schema_id: str) -> ApiError:
    """A schema needs an identity before it can be part of a union."""
    detail = f"The schema {schema_id} has neither an identityMap nor a primary identity descriptor"
    return registry("XDM-1528-400", "Union descriptor validation error", detail)


def union_is_permanent(schema_id: str) -> ApiError:
    """The union tag cannot be removed."""
    detail = f"The schema {schema_id} is part of a union and cannot be taken out of it"
    return registry("XDM-1526-400", "Union descriptor validation error", detail)


def invalid_accept(code: str, accept: str, example: str) -> ApiError:
    """The Accept header is not one of those that the operation knows."""
    detail = (
        f"The supplied Accept header is not valid: {accept} - "
        f"A valid Accept value should look like {example}"
    )
    return registry(code, "Accept header invalid", detail)


def not_acceptable(accept: str) -> ApiError:
    """The version that was asked for does not exist."""
    detail = f"{accept} is not available for this resource"
    return registry(assumed.NOT_ACCEPTABLE_CODE, "Not acceptable", detail)
