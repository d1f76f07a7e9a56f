"""What the registry refuses in an identity descriptor (Adobe, "Descriptors API appendix")."""

from __future__ import annotations

from local.aep_platform import assumed
from local.aep_platform.registry import errors
from local.aep_platform.registry.resolve import field_at, resolve
from local.aep_platform.state import Json, PlatformState, Resource

IDENTITY = "xdm:descriptorIdentity"


def check_descriptor(state: PlatformState, body: Json, old: Json | None = None) -> None:
    """A descriptor marks a text of a schema as an identity of a namespace, once.

    Args:
        state: where the schema, the namespace and the other descriptors are.
        body: as sent.
        old: what it replaces.

    Raises:
        Refused: it does not.
    """
    if body.get("@type") != IDENTITY:
        raise errors.wrong_descriptor(f"'@type' must be {IDENTITY}: others are not simulated")
    schema = state.schemas.get(str(body.get("xdm:sourceSchema")))
    if schema is None:
        raise errors.not_found("schemas", str(body.get("xdm:sourceSchema")))
    if body.get("xdm:sourceVersion") != 1:
        raise errors.wrong_descriptor("'xdm:sourceVersion' must be 1")
    _check_path(state, schema, body.get("xdm:sourceProperty"))
    _check_namespace(state, body)
    for other in state.descriptors.values():
        if other is not old and other["xdm:sourceSchema"] == schema.id:
            _check_beside(other, body)


def check_primary_stays(state: PlatformState, descriptor: Json) -> None:
    """A primary identity stays as it is once the schema is in use by Profile.

    Adobe, "Basics of schema composition": not to be changed "on a schema that is enabled for
    Profile and has ingested data".

    Raises:
        Refused: it is one, and it would change.
    """
    schema_id = descriptor["xdm:sourceSchema"]
    schema = state.schemas.get(schema_id)
    tags = schema.body.get("meta:immutableTags", []) if schema else []
    has_data = any(d.rows for d in state.datasets.values() if d.schema_id == schema_id)
    if descriptor.get("xdm:isPrimary") and "union" in tags and has_data:
        raise errors.breaking("The primary identity of a schema in use by Profile cannot change")


def _check_path(state: PlatformState, schema: Resource, path: object) -> None:
    if not isinstance(path, str) or not path.startswith("/") or path.endswith("/"):
        raise errors.wrong_descriptor("'xdm:sourceProperty' starts with / and ends without")
    found = field_at(resolve(state, schema.body), path)
    if found is None:
        raise errors.wrong_descriptor(f"the schema has no field {path}")
    if found.get("type") != "string":
        raise errors.wrong_descriptor(f"{path} is no string")


def _check_namespace(state: PlatformState, body: Json) -> None:
    value, kind = body.get("xdm:namespace"), body.get("xdm:property")
    known = {
        "xdm:code": set(state.namespaces),
        "xdm:id": {namespace["id"] for namespace in state.namespaces.values()},
    }.get(str(kind))
    if known is None:
        raise errors.wrong_descriptor("'xdm:property' must be xdm:code or xdm:id")
    if value not in known:
        raise errors.wrong_descriptor(f"the identity namespace {value} does not exist")


def _check_beside(other: Json, body: Json) -> None:
    if body.get("xdm:isPrimary") and other.get("xdm:isPrimary"):
        raise errors.wrong_descriptor("the schema has a primary identity already")
    is_same = other["xdm:sourceProperty"] == body["xdm:sourceProperty"]
    if assumed.DUPLICATE_DESCRIPTOR_REFUSED and is_same:
        raise errors.wrong_descriptor(f"{body['xdm:sourceProperty']} has a descriptor already")
