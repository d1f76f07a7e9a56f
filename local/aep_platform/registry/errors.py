"""The registry's refusals."""

from __future__ import annotations

from local.aep_platform import assumed, problems
from local.aep_platform.problems import Refused

_NAMES = {
    "classes": "class",
    "mixins": "field group",
    "schemas": "schema",
    "datatypes": "data type",
    "descriptors": "descriptor",
}


def not_found(kind: str, resource_id: str) -> Refused:
    """There is no such resource."""
    detail = f"The requested {_NAMES[kind]} resource {resource_id} with version 1 is not found."
    return problems.registry(assumed.NOT_FOUND_CODES[kind], "Resource not found", detail)


def malformed(detail: str) -> Refused:
    """The body is not what it should be."""
    return problems.registry(assumed.MALFORMED_CODE, "Invalid resource", detail)


def not_in_namespace(detail: str) -> Refused:
    """A custom field stands outside the tenant's object."""
    return problems.registry("XDM-1020-400", "Namespace validation error", detail)


def wrong_field(detail: str) -> Refused:
    """A field has a name or a type that XDM does not have."""
    return problems.registry(assumed.FIELD_CODE, "Field validation error", detail)


def title_taken(resource_id: str) -> Refused:
    """Another resource of the tenant, of whatever type, has the title."""
    detail = (
        f"Object titles must be unique. An object {resource_id} already exists with the same title"
    )
    return problems.registry("XDM-1521-400", "Title not unique", detail)


def breaking(detail: str) -> Refused:
    """Schema evolution allows only additions once data can be in it."""
    return problems.registry(assumed.BREAKING_CHANGE_CODE, "Breaking change", detail)


def in_use(detail: str) -> Refused:
    """Something else is made of it."""
    return problems.registry(assumed.IN_USE_CODE, "Resource in use", detail)


def wrong_descriptor(detail: str) -> Refused:
    """A descriptor breaks one of its rules."""
    return problems.registry(assumed.DESCRIPTOR_CODE, "Descriptor validation error", detail)


def no_identity(schema_id: str) -> Refused:
    """A schema needs an identity before it can be part of a union."""
    detail = f"The schema {schema_id} has neither an identityMap nor a primary identity descriptor"
    return problems.registry("XDM-1528-400", "Union descriptor validation error", detail)


def union_stays(schema_id: str) -> Refused:
    """The union tag cannot be taken away."""
    detail = f"The schema {schema_id} is part of a union and cannot be taken out of it"
    return problems.registry("XDM-1526-400", "Union descriptor validation error", detail)


def wrong_accept(code: str, accept: str, example: str) -> Refused:
    """The Accept header is not one of those that the operation knows."""
    detail = (
        f"The supplied Accept header is not valid: {accept} - "
        f"A valid Accept value should look like {example}"
    )
    return problems.registry(code, "Accept header invalid", detail)


def not_acceptable(accept: str) -> Refused:
    """The version that was asked for does not exist."""
    detail = f"{accept} is not available for this resource"
    return problems.registry(assumed.NOT_ACCEPTABLE_CODE, "Not acceptable", detail)
