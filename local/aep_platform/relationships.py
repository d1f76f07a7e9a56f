"""Descriptors with which one schema refers to another: identities, references, relationships.

Adobe: "Descriptors endpoint", and "Define a relationship between two schemas using the Schema
Registry API". What a refusal says is not printed.
"""

from __future__ import annotations

from local.aep_platform import errors, schema_resources
from local.aep_platform.state import Json, PlatformState, Resource

IDENTITY = "xdm:descriptorIdentity"
REFERENCE = "xdm:descriptorReferenceIdentity"
ONE_TO_ONE = "xdm:descriptorOneToOne"


def primary_identity(state: PlatformState, schema_id: str) -> Json | None:
    """Returns the descriptor of a schema's primary identity."""
    for one in state.descriptors.values():
        is_primary = one["@type"] == IDENTITY and one.get("xdm:isPrimary") is True
        if is_primary and one["xdm:sourceSchema"] == schema_id:
            return one
    return None


def check_identity(state: PlatformState, body: Json, own_id: str | None) -> None:
    """Checks an identity: a namespace by its code or number, and one primary for each schema.

    Raises:
        ApiError: it is not so.
    """
    if _namespace_code(state, body) is None:
        raise errors.malformed(f"there is no namespace {body.get('xdm:namespace')}")
    primary = primary_identity(state, str(body["xdm:sourceSchema"]))
    if body.get("xdm:isPrimary") is True and primary is not None and primary["@id"] != own_id:
        raise errors.malformed(f"the schema has a primary identity: {primary['@id']}")


def check_reference(state: PlatformState, body: Json, field: Json) -> None:
    """Checks a reference identity: a text, and the code of a namespace.

    Raises:
        ApiError: it is not so.
    """
    _check_text(field)
    if body.get("xdm:identityNamespace") not in state.namespaces:
        raise errors.malformed(f"there is no namespace {body.get('xdm:identityNamespace')}")


def check_one_to_one(state: PlatformState, body: Json, field: Json) -> None:
    """Checks a relationship: both schemas in Profile, and a reference to the primary identity.

    Raises:
        ApiError: it is not so.
    """
    _check_text(field)
    source = schema_resources.find(state, str(body["xdm:sourceSchema"]))
    target = schema_resources.find(state, str(body.get("xdm:destinationSchema")))
    if target is None or target.kind != "schemas":
        raise errors.not_found("schemas", str(body.get("xdm:destinationSchema")))
    if not (_in_profile(source) and _in_profile(target)):
        raise errors.malformed("both schemas of a relationship must be enabled for Profile")
    primary = primary_identity(state, target.id)
    if primary is None:
        raise errors.malformed(f"the schema {target.id} has no primary identity")
    key = primary["xdm:sourceProperty"]
    if body.get("xdm:destinationProperty", key) != key or body.get("xdm:destinationVersion") != 1:
        raise errors.malformed(f"the destination must be {key} of the version 1")
    same = ("xdm:sourceSchema", "xdm:sourceProperty")
    references = [
        one["xdm:identityNamespace"]
        for one in state.descriptors.values()
        if one["@type"] == REFERENCE and all(one[name] == body[name] for name in same)
    ]
    if references != [namespace := _namespace_code(state, primary)]:
        raise errors.malformed(f"the field needs a reference identity of {namespace}")


def _namespace_code(state: PlatformState, identity: Json) -> str | None:
    """Adobe: `xdm:property` says whether `xdm:namespace` is a code or a number."""
    key = str(identity.get("xdm:property", "")).removeprefix("xdm:")
    for code, one in state.namespaces.items():
        if key in ("id", "code") and str(one[key]) == str(identity.get("xdm:namespace")):
            return code
    return None


def _check_text(field: Json) -> None:
    if field.get("type") != "string":
        raise errors.malformed("the field of a relationship must be of the type string")


def _in_profile(schema: Resource | None) -> bool:
    return schema is not None and "union" in schema.body.get("meta:immutableTags", [])
