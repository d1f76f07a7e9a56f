"""The mapping set that makes XDM of raw events: one for events of every type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from pendo_aep.aep.format import SCHEMA_CONTENT_TYPE
from pendo_aep.aep.mapping import (
    AUTHENTICATED_STATE,
    FIELDS,
    MAX_IDENTITY_CHARACTERS,
    Field,
    own_object,
)
from pendo_aep.provisioning.standard_groups import STANDARD_GROUPS, StandardGroup, usable_fields

Json: TypeAlias = dict[str, Any]


def mapping_set(
    name: str,
    schema_id: str,
    tenant_id: str,
    identity_namespace: str,
    groups: Sequence[StandardGroup] = STANDARD_GROUPS,
) -> Json:
    """The body that creates the mapping set.

    Args:
        name: of the set.
        schema_id: the `$id` of the schema that the events get.
        tenant_id: with or without its leading underscore.
        identity_namespace: the code of the namespace of visitors.
        groups: of Adobe's field groups, those that the schema has.
    """
    return {
        "name": name,
        "outputSchema": {"schemaRef": {"id": schema_id, "contentType": SCHEMA_CONTENT_TYPE}},
        "mappings": mappings(tenant_id, identity_namespace, groups),
    }


def mappings(
    tenant_id: str,
    identity_namespace: str,
    groups: Sequence[StandardGroup] = STANDARD_GROUPS,
) -> list[Json]:
    """The mappings of the table, in its order; the arguments are those of `mapping_set`.

    An array is mapped as a whole: it is in the normalised event what it is in XDM. Adobe: "Array to
    array", children of the same name are copied; of `[*]` it does not say what becomes of an
    element that has no such child.
    """
    rows: dict[str, list[Field]] = {}
    for field in usable_fields(FIELDS, groups):
        rows.setdefault(_whole(field.xdm), []).append(field)
    tenant = own_object(tenant_id)
    return [
        _mapping(fields, place.format(tenant=tenant, namespace=identity_namespace))
        for place, fields in rows.items()
    ]


def _mapping(fields: Sequence[Field], place: str) -> Json:
    field = fields[0]
    source_type, source, destination = "ATTRIBUTE", _whole(field.raw), place
    if field.type == "identity":
        # Adobe shows no destination inside of a map: it is made, and put in its place as a whole.
        destination, _, namespace = place.rpartition(".")
        source_type, source = "EXPRESSION", _identity(source, namespace)
    elif field.only:
        source_type, source = "EXPRESSION", _only(field.only, source)
    return {
        "sourceType": source_type,
        "source": source,
        "destination": destination,
        "name": ", ".join(field.title for field in fields),
    }


def _whole(path: str) -> str:
    return path.partition("[]")[0]


def _identity(source: str, namespace: str) -> str:
    """`identityMap` with one identity; nothing for a visitor id that is missing or too long.

    Adobe: the LAVA source's tutorial has the same expression, but for the condition. `is_empty`
    is documented for objects and arrays only ("Data Prep mapping functions").
    """
    state = f'"authenticatedState", "{AUTHENTICATED_STATE}"'
    identity = f'to_object("id", {source}, "primary", true, {state})'
    identities = f'to_map("{namespace}", to_array(false, {identity}))'
    # `coalesce`: Adobe does not say what a missing id is to `matches_regex`.
    fits = f'matches_regex(coalesce({source}, ""), "(?s)^.{{1,{MAX_IDENTITY_CHARACTERS}}}$")'
    return f"iif({fits}, {identities}, nullify())"


def _only(beginnings: tuple[str, ...], source: str) -> str:
    """The source for events of some types, nothing for others."""
    # Of a backslash, Adobe does not say how often it must be doubled. Nor does it say whether all
    # of the text must match, or some of it would do: this means the same in both.
    either = "|".join(beginning.replace(".", "[.]") for beginning in beginnings)
    return f'iif(matches_regex(type, "^({either}).*$"), {source}, nullify())'
