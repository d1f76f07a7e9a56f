"""What AEP must have for the choices of a person: the parts, in the order of their making."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from pendo_aep.provisioning.choices import Choices
from pendo_aep.provisioning.client import Client
from pendo_aep.provisioning.connection_part import ConnectionPart
from pendo_aep.provisioning.dataset_part import DatasetPart
from pendo_aep.provisioning.errors import Conflict
from pendo_aep.provisioning.flow_part import FlowPart
from pendo_aep.provisioning.mapping_part import MappingPart
from pendo_aep.provisioning.namespace_part import NamespacePart
from pendo_aep.provisioning.part import Kind, Part
from pendo_aep.provisioning.schema_parts import FieldGroupPart, SchemaPart
from pendo_aep.provisioning.specs import SPECS, FlowSpec
from pendo_aep.provisioning.standard_groups import (
    STANDARD_GROUPS,
    StandardGroup,
    find_groups,
    missing_groups,
    titles,
)

# After the base name. Adobe: no two resources of the registry may have the same title.
_SUFFIXES: Final = {
    Kind.FIELD_GROUP: " Fields",
    Kind.CONNECTION: " Connection",
    Kind.SOURCE: " Source",
    Kind.TARGET: " Target",
    Kind.MAPPING_SET: " Mapping",
}


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whose events they are.

    Attributes:
        id: the tenant's.
        identity_namespace: the code of the namespace of visitors.
        groups: Adobe's field groups that its schema registry has.
    """

    id: str
    identity_namespace: str
    groups: tuple[StandardGroup, ...] = STANDARD_GROUPS


async def with_groups_found(client: Client, tenant: Tenant, choices: Choices) -> Tenant:
    """Returns the tenant with those of Adobe's field groups that its registry has.

    Raises:
        Conflict: one is missing, and `deliver` would send its fields all the same.
    """
    found = replace(tenant, groups=await find_groups(client))
    missing = missing_groups(found.groups)
    if missing and choices.format == "xdm":
        raise Conflict(
            f"the Schema Registry has no field group {titles(missing)} of Adobe's, whose fields "
            "deliver sends in the format xdm: choose --format raw, which does without them"
        )
    return found


def name_of(kind: Kind, name: str) -> str:
    """The name of a part, from the base name."""
    return name + _SUFFIXES.get(kind, "")


def wanted_parts(client: Client, tenant: Tenant, choices: Choices) -> tuple[Part, ...]:
    """The parts, each after those that it refers to."""
    spec = SPECS[choices.source, choices.format]
    return tuple(
        part
        for part in _all_parts(client, tenant, choices, spec)
        if (part.kind is not Kind.CONNECTION or spec.has_base)
        and (part.kind is not Kind.MAPPING_SET or spec.maps)
    )


def possible_parts(client: Client, tenant: Tenant, name: str) -> tuple[Part, ...]:
    """The parts that any choices could have made under a name."""
    choices = Choices(name=name)
    return _all_parts(client, tenant, choices, SPECS[choices.source, choices.format])


def _all_parts(
    client: Client, tenant: Tenant, choices: Choices, spec: FlowSpec
) -> tuple[Part, ...]:
    def named(kind: Kind) -> str:
        return name_of(kind, choices.name)

    return (
        NamespacePart(client, tenant.identity_namespace),
        FieldGroupPart(client, named(Kind.FIELD_GROUP), tenant.id),
        SchemaPart(client, named(Kind.SCHEMA), choices.profile, tenant.groups),
        DatasetPart(client, named(Kind.DATASET), choices.profile),
        ConnectionPart(
            client, Kind.CONNECTION, named(Kind.CONNECTION), spec, choices.authenticated
        ),
        ConnectionPart(client, Kind.SOURCE, named(Kind.SOURCE), spec),
        ConnectionPart(client, Kind.TARGET, named(Kind.TARGET), spec),
        MappingPart(
            client,
            named(Kind.MAPPING_SET),
            tenant.id,
            tenant.identity_namespace,
            tenant.groups,
            named(Kind.FLOW),
        ),
        FlowPart(client, named(Kind.FLOW), spec),
    )
