"""The field group of the tenant's own fields, and the schema that it is part of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pendo_aep.provisioning import registry
from pendo_aep.provisioning.client import Client
from pendo_aep.provisioning.errors import Conflict, NameTaken
from pendo_aep.provisioning.field_group import field_group
from pendo_aep.provisioning.fields import Addition, Clash, compare_fields
from pendo_aep.provisioning.part import FOR_PROFILE, Existing, Json, Kind, Known
from pendo_aep.provisioning.registry import Resource
from pendo_aep.provisioning.schema import EXPERIENCE_EVENT, schema
from pendo_aep.provisioning.standard_groups import StandardGroup

_WAY_OUT: Final = "choose another --name, or change it by hand in AEP, under Schemas"
_TAGS: Final = "meta:immutableTags"
_UNION: Final = "union"


@dataclass(frozen=True, slots=True)
class FieldGroupPart:
    """The tenant's `pendo` object, as the mapping table has it."""

    client: Client
    name: str
    tenant_id: str
    kind: Kind = Kind.FIELD_GROUP

    async def find(self) -> list[str]:
        """The field groups with the title."""
        return await _find(self.client, "fieldgroups", "schemas", self.name)

    async def read(self, part_id: str) -> Existing:
        """The field group as it was sent, with what the registry adds."""
        return Existing(part_id, await registry.read(self.client, "fieldgroups", part_id))

    def compare(self, existing: Existing, known: Known) -> tuple[str, ...]:  # noqa: ARG002
        """The fields that are missing.

        Raises:
            Conflict: a field is there as something else.
        """
        return tuple(addition.text for addition in self._additions(existing))

    async def create(self, known: Known) -> str:  # noqa: ARG002
        """Makes it."""
        return await registry.create(self.client, "fieldgroups", self._body())

    async def change(self, existing: Existing, known: Known) -> None:  # noqa: ARG002
        """Adds the fields that are missing."""
        operations = [addition.operation for addition in self._additions(existing)]
        await registry.patch(self.client, "fieldgroups", existing.id, operations)

    async def delete(self, existing: Existing) -> None:
        """Ends it."""
        await registry.delete(self.client, "fieldgroups", existing.id)

    def _body(self) -> Json:
        return field_group(self.name, self.tenant_id)

    def _additions(self, existing: Existing) -> list[Addition]:
        wanted = self._body()["definitions"]["customFields"]
        there = existing.body.get("definitions", {}).get("customFields")
        problems: list[str] = []
        additions: list[Addition] = []
        if EXPERIENCE_EVENT not in existing.body.get("meta:intendedToExtend", []):
            problems.append(f"it is not for the class {EXPERIENCE_EVENT}")
        if there is None:
            problems.append("its fields are not under definitions.customFields")
        for found in compare_fields(wanted, there or wanted, "/definitions/customFields"):
            if isinstance(found, Clash):
                problems.append(found.text)
            else:
                additions.append(found)
        if problems:
            raise _another_shape(self.kind, self.name, existing, "; ".join(problems))
        return additions


@dataclass(frozen=True, slots=True)
class SchemaPart:
    """An ExperienceEvent, of our field group and Adobe's.

    No identity descriptor: every ExperienceEvent has `identityMap`, in which the event itself says
    who its visitor is. Adobe: Profile accepts that in place of a primary identity field.
    """

    client: Client
    name: str
    is_profile: bool
    groups: tuple[StandardGroup, ...]
    kind: Kind = Kind.SCHEMA

    async def find(self) -> list[str]:
        """The schemas with the title."""
        return await _find(self.client, "schemas", "fieldgroups", self.name)

    async def read(self, part_id: str) -> Existing:
        """The schema as it was sent, with what the registry adds."""
        return Existing(part_id, await registry.read(self.client, "schemas", part_id))

    def compare(self, existing: Existing, known: Known) -> tuple[str, ...]:
        """The field groups that are missing, and the Profile.

        Raises:
            Conflict: it is of another class.
        """
        if EXPERIENCE_EVENT not in references(existing.body):
            reason = f"its class is not {EXPERIENCE_EVENT}"
            raise _another_shape(self.kind, self.name, existing, reason)
        groups = [f"field group {ref or 'of ours'}" for ref in self._missing(existing, known)]
        return (*groups, *([FOR_PROFILE] if self._lacks_profile(existing) else []))

    async def create(self, known: Known) -> str:
        """Makes it; for Profile it is changed afterwards."""
        return await registry.create(self.client, "schemas", self._body(known))

    async def change(self, existing: Existing, known: Known) -> None:
        """Adds what is missing. Adobe: a field group goes into both `meta:extends` and `allOf`."""
        operations: list[Json] = []
        for reference in self._missing(existing, known):
            operations += [
                {"op": "add", "path": "/meta:extends/-", "value": reference},
                {"op": "add", "path": "/allOf/-", "value": {"$ref": reference}},
            ]
        if self._lacks_profile(existing):
            tags = [*existing.body.get(_TAGS, []), _UNION]
            operations.append({"op": "add", "path": f"/{_TAGS}", "value": tags})
        await registry.patch(self.client, "schemas", existing.id, operations)

    async def delete(self, existing: Existing) -> None:
        """Ends it."""
        await registry.delete(self.client, "schemas", existing.id)

    def _body(self, known: Known) -> Json:
        return schema(self.name, known[Kind.FIELD_GROUP].id, self.groups)

    def _missing(self, existing: Existing, known: Known) -> list[str]:
        there = references(existing.body)
        return [ref for ref in references(self._body(known)) if ref not in there]

    def _lacks_profile(self, existing: Existing) -> bool:
        return self.is_profile and not in_profile(existing.body)


def in_profile(body: Json) -> bool:
    """Whether a schema is part of Profile. Adobe: it stays so, and cannot be deleted."""
    return _UNION in body.get(_TAGS, [])


def references(body: Json) -> list[str]:
    """What a schema is composed of."""
    return [str(part.get("$ref", "")) for part in body.get("allOf", [])]


async def _find(client: Client, resource: Resource, other: Resource, title: str) -> list[str]:
    found = await registry.find(client, resource, title)
    if not found and (taken := await registry.find(client, other, title)):
        raise NameTaken(
            f"the title {title!r} is taken by another resource of the Schema Registry, "
            f"{taken[0]}, and titles are unique: choose another --name"
        )
    return found


def _another_shape(kind: Kind, name: str, existing: Existing, reason: str) -> Conflict:
    return Conflict(f"the {kind} {name!r} ({existing.id}) has another shape: {reason}: {_WAY_OUT}")
