"""The field group and the schema in the Schema Registry (Adobe: "Schema Registry API guide")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypeAlias
from urllib.parse import quote

from pendo_aep.aep.mapping import MappingOptions, own_object
from pendo_aep.provisioning.client import Client, Operation
from pendo_aep.provisioning.errors import Conflict, NameTaken, Permission, RequestRejected
from pendo_aep.provisioning.resource import FOR_PROFILE, Json, Kind, Observed, Resolved, Resource
from pendo_aep.provisioning.schema import (
    EXPERIENCE_EVENT,
    NEW_FIELD,
    STANDARD_GROUPS,
    Addition,
    FieldConflict,
    StandardGroup,
    compare_fields,
    field_group_body,
    schema_body,
)

_Collection: TypeAlias = Literal["fieldgroups", "schemas"]

_BASE: Final = "/data/foundation/schemaregistry"
# Adobe: calls other than look-ups and lists are shown without an Accept header.
_ANY: Final = "*/*"
_LIST: Final = "application/vnd.adobe.xed-id+json"
# With the raw `allOf`; a major version means its latest minor one.
_LOOKUP: Final = "application/vnd.adobe.xed+json; version=1"
# Far more than any tenant has: it ends a list that would never end.
_MAX_PAGES: Final = 100
_TAGS: Final = "meta:immutableTags"
_UNION: Final = "union"


async def tenant_id(client: Client) -> str:
    """Returns the tenant's id, without an underscore."""
    operation = Operation(
        "read the tenant id", "GET", f"{_BASE}/stats", Permission.VIEW_SCHEMAS, _ANY
    )
    return str((await client.read(operation))["tenantId"])


async def find_standard_groups(client: Client) -> tuple[StandardGroup, ...]:
    """Returns the groups that the registry has. What is not licensed may be missing."""
    return tuple([group for group in STANDARD_GROUPS if await _has_group(client, group)])


async def _has_group(client: Client, group: StandardGroup) -> bool:
    operation = Operation(
        f"look for Adobe's field group {group.id}",
        "GET",
        f"{_BASE}/global/fieldgroups/{quote(group.id, safe='')}",
        Permission.VIEW_SCHEMAS,
        _LOOKUP,
    )
    try:
        await client.read(operation)
    except RequestRejected as rejected:
        if rejected.status != 404:
            raise
        return False
    return True


@dataclass(frozen=True, slots=True)
class _RegistryResource(Resource):
    """A resource of the tenant's. Its title is unique among those of every collection."""

    collection: ClassVar[_Collection]
    other_collection: ClassVar[_Collection]

    async def find(self) -> list[str]:
        """Returns the `$id`s of the resources with the title.

        Raises:
            NameTaken: a resource of the other collection has the title.
        """
        found = await self._find_in(self.collection)
        if not found and (taken := await self._find_in(self.other_collection)):
            raise NameTaken(
                f"the title {self.name!r} is taken by another resource of the Schema Registry, "
                f"{taken[0]}, and titles are unique: choose another --name"
            )
        return found

    async def read(self, resource_id: str) -> Observed:
        """Reads it as it was sent, with what the registry adds."""
        operation = self._operation("read", resource_id, "GET", Permission.VIEW_SCHEMAS, _LOOKUP)
        return Observed(resource_id, await self.client.read(operation))

    async def delete(self, observed: Observed) -> None:
        """Deletes it."""
        operation = self._operation("delete", observed.id, "DELETE", Permission.MANAGE_SCHEMAS)
        await self.client.write(operation)

    async def _find_in(self, collection: _Collection) -> list[str]:
        path = f"{_BASE}/tenant/{collection}"
        operation = Operation(f"list {collection}", "GET", path, Permission.VIEW_SCHEMAS, _LIST)
        query = [("property", f"title=={self.name}"), ("orderby", "title")]
        found: list[str] = []
        start: list[tuple[str, str]] = []
        for _ in range(_MAX_PAGES):
            answer = await self.client.read(operation, [*query, *start])
            # Compared again: Adobe does not say how its filter compares.
            found += [str(x["$id"]) for x in answer["results"] if x.get("title") == self.name]
            following = answer.get("_page", {}).get("next")
            if following is None:
                break
            start = [("start", str(following))]
        return list(dict.fromkeys(found))

    async def _create(self, body: Json) -> str:
        action, path = f"create the {self.kind} {self.name!r}", f"{_BASE}/tenant/{self.collection}"
        operation = Operation(action, "POST", path, Permission.MANAGE_SCHEMAS, _ANY)
        return str((await self.client.write(operation, body))["$id"])

    async def _patch(self, observed: Observed, patch: list[Json]) -> None:
        operation = self._operation("change", observed.id, "PATCH", Permission.MANAGE_SCHEMAS)
        await self.client.write(operation, patch)

    def _operation(
        self, verb: str, resource_id: str, method: str, needs: Permission, accept: str = _ANY
    ) -> Operation:
        path = f"{_BASE}/tenant/{self.collection}/{quote(resource_id, safe='')}"
        return Operation(f"{verb} the {self.kind} {resource_id}", method, path, needs, accept)

    def _conflict(self, observed: Observed, reason: str) -> Conflict:
        return Conflict(
            f"the {self.kind} {self.name!r} ({observed.id}) has another shape: {reason}: choose "
            "another --name, or change it by hand in AEP, under Schemas"
        )


@dataclass(frozen=True, slots=True)
class FieldGroup(_RegistryResource):
    """The field group of the tenant's `pendo` object, as the mapping table has it."""

    kind: ClassVar[Kind] = Kind.FIELD_GROUP
    collection: ClassVar[_Collection] = "fieldgroups"
    other_collection: ClassVar[_Collection] = "schemas"
    tenant_id: str
    options: MappingOptions

    def new_types(self, changes: Sequence[str]) -> list[str]:
        """Returns the fields of `AEP_FIELDS` that are new, each with its type.

        Args:
            changes: what `compare` returned; nothing for a group that does not exist.
        """
        tops = tuple(f"{change.removeprefix(NEW_FIELD)}." for change in changes)
        return [
            f"{self._path(field.place)}: {field.type}"
            for field in self.options.chosen
            if not changes or f"{self._path(field.place)}.".startswith(tops)
        ]

    def _path(self, place: Sequence[str]) -> str:
        return ".".join((own_object(self.tenant_id), "pendo", *place))

    def compare(self, observed: Observed, resolved: Resolved) -> tuple[str, ...]:  # noqa: ARG002
        """Returns the missing fields, and one line for all texts that differ.

        Raises:
            Conflict: a field has another type, or could refuse our values.
        """
        additions = self._additions(observed)
        texts = {one.of_text for one in additions if one.of_text}
        lines = [one.text for one in additions if not one.of_text]
        if texts:
            fields = f"{len(texts)} field{'s' if len(texts) > 1 else ''}"
            lines.append(f"descriptions and suggested values of {fields}")
        return tuple(lines)

    async def create(self, resolved: Resolved) -> str:  # noqa: ARG002
        """Creates it."""
        return await self._create(self._body())

    async def update(self, observed: Observed, resolved: Resolved) -> None:  # noqa: ARG002
        """Adds the missing fields and texts."""
        await self._patch(observed, [one.operation for one in self._additions(observed)])

    def _body(self) -> Json:
        return field_group_body(self.name, self.tenant_id, self.options)

    def _additions(self, observed: Observed) -> list[Addition]:
        desired = self._body()["definitions"]["customFields"]
        fields = observed.body.get("definitions", {}).get("customFields")
        problems: list[str] = []
        additions: list[Addition] = []
        if EXPERIENCE_EVENT not in observed.body.get("meta:intendedToExtend", []):
            problems.append(f"it is not for the class {EXPERIENCE_EVENT}")
        if fields is None:
            problems.append("its fields are not under definitions.customFields")
        for found in compare_fields(desired, fields or desired, "/definitions/customFields"):
            if isinstance(found, FieldConflict):
                advice = self._advice(found.path) if found.is_of_type else ""
                problems.append(found.text + advice)
            else:
                additions.append(found)
        if problems:
            raise self._conflict(observed, "; ".join(problems))
        return additions

    def _advice(self, path: str) -> str:
        """Returns what to do about a field of `AEP_FIELDS`; nothing about another.

        Adobe: "Basics of schema composition", a field's type cannot change.
        """
        own = [
            field.name
            for field in self.options.chosen
            if f"{self._path(field.place)}.".startswith(f"{path}.")
            and path.startswith(f"{self._path(field.home)}.")
        ]
        if not own:
            return ""
        return (
            f" (AEP never changes a field's type: give {', '.join(own)} its former type back in "
            "AEP_FIELDS, or leave it out)"
        )


@dataclass(frozen=True, slots=True)
class Schema(_RegistryResource):
    """An ExperienceEvent with our field group and Adobe's.

    It has no identity descriptor: every ExperienceEvent has `identityMap`, in which the event
    itself names its visitor. Adobe: Profile accepts that in place of a primary identity field.
    """

    kind: ClassVar[Kind] = Kind.SCHEMA
    collection: ClassVar[_Collection] = "schemas"
    other_collection: ClassVar[_Collection] = "fieldgroups"
    is_profile: bool
    groups: tuple[StandardGroup, ...]

    def compare(self, observed: Observed, resolved: Resolved) -> tuple[str, ...]:
        """Returns the missing field groups, and Profile if it is missing.

        Raises:
            Conflict: it is of another class.
        """
        if EXPERIENCE_EVENT not in references(observed):
            raise self._conflict(observed, f"its class is not {EXPERIENCE_EVENT}")
        missing = self._missing(observed, resolved)
        groups = [f"field group {reference or 'of ours'}" for reference in missing]
        return (*groups, *([FOR_PROFILE] if self._lacks_profile(observed) else []))

    async def create(self, resolved: Resolved) -> str:
        """Creates it. For Profile, it is updated afterwards."""
        return await self._create(self._body(resolved))

    async def update(self, observed: Observed, resolved: Resolved) -> None:
        """Adds what is missing. Adobe: a field group goes into both `meta:extends` and `allOf`."""
        patch: list[Json] = []
        for reference in self._missing(observed, resolved):
            patch += [
                {"op": "add", "path": "/meta:extends/-", "value": reference},
                {"op": "add", "path": "/allOf/-", "value": {"$ref": reference}},
            ]
        if self._lacks_profile(observed):
            tags = [*observed.body.get(_TAGS, []), _UNION]
            patch.append({"op": "add", "path": f"/{_TAGS}", "value": tags})
        await self._patch(observed, patch)

    def _body(self, resolved: Resolved) -> Json:
        return schema_body(self.name, resolved[Kind.FIELD_GROUP].id, self.groups)

    def _missing(self, observed: Observed, resolved: Resolved) -> list[str]:
        desired = Observed("", self._body(resolved))
        return [ref for ref in references(desired) if ref not in references(observed)]

    def _lacks_profile(self, observed: Observed) -> bool:
        return self.is_profile and not in_profile(observed)


def in_profile(schema: Observed) -> bool:
    """Returns whether it is enabled for Profile. Adobe: it stays so, and cannot be deleted."""
    return _UNION in schema.body.get(_TAGS, [])


def references(schema: Observed) -> list[str]:
    """Returns the class and the field groups that it is composed of."""
    return [str(part.get("$ref", "")) for part in schema.body.get("allOf", [])]
