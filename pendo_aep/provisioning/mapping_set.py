"""The mapping set that makes XDM of raw events, in Data Prep (Adobe's OpenAPI).

One set for events of every type, as the mapping table has it. Each change makes a new version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import quote

from pendo_aep.aep.format import SCHEMA_CONTENT_TYPE
from pendo_aep.aep.mapping import (
    ANONYMOUS_PREFIX,
    AUTHENTICATED_STATE,
    CHOSEN,
    DEFAULT_OPTIONS,
    EMAIL_PATTERN,
    MAX_IDENTITY_CHARACTERS,
    Field,
    MappingOptions,
    own_object,
)
from pendo_aep.chosen_fields import ChosenField
from pendo_aep.provisioning import flow_service
from pendo_aep.provisioning.client import Client, Operation, Query
from pendo_aep.provisioning.errors import Permission
from pendo_aep.provisioning.resource import Json, Kind, Observed, Resolved, Resource
from pendo_aep.provisioning.schema import STANDARD_GROUPS, StandardGroup, usable_fields
from pendo_aep.settings import ANONYMOUS_NAMESPACE

_PATH: Final = "/data/foundation/conversion/mappingSets"
# More sets of one name than anybody has. Adobe does not say whether `start` counts pages or sets.
_PAGE_SIZE: Final = "100"


def mapping_set_body(
    name: str,
    schema_id: str,
    tenant_id: str,
    options: MappingOptions = DEFAULT_OPTIONS,
    groups: Sequence[StandardGroup] = STANDARD_GROUPS,
) -> Json:
    """Returns the body that creates the mapping set.

    Args:
        name: of the set.
        schema_id: the `$id` of the schema of the events.
        tenant_id: with or without its leading underscore.
        options: what the mapping depends on.
        groups: Adobe's field groups that the schema has.
    """
    return {
        "name": name,
        "outputSchema": {"schemaRef": {"id": schema_id, "contentType": SCHEMA_CONTENT_TYPE}},
        "mappings": mappings(tenant_id, options, groups),
    }


def mappings(
    tenant_id: str,
    options: MappingOptions = DEFAULT_OPTIONS,
    groups: Sequence[StandardGroup] = STANDARD_GROUPS,
) -> list[Json]:
    """Returns the mappings in the order of the table; for the arguments see `mapping_set_body`.

    An array is mapped as a whole: in the normalised event it has the shape that it has in XDM.
    Adobe: "Array to array", children of the same name are copied; it does not say what `[*]` makes
    of an element that has no such child.
    """
    rows: dict[str, list[Field]] = {}
    for field in usable_fields(options.fields, groups):
        rows.setdefault(_whole(field.xdm), []).append(field)
    tenant = own_object(tenant_id)
    return [_mapping(fields, path.format(tenant=tenant), options) for path, fields in rows.items()]


def _mapping(fields: Sequence[Field], path: str, options: MappingOptions) -> Json:
    field = fields[0]
    source_type, source = "ATTRIBUTE", _whole(field.raw)
    if field.type == "identity":
        source_type, source = "EXPRESSION", _identity_map(source, options)
    elif field.prefix:
        # Adobe does not say what `concat` makes of null; `pendoEvent` is never missing.
        source_type, source = "EXPRESSION", f'concat("{field.prefix}", {source})'
    elif field.chosen:
        source = _chosen_source(field.chosen)
    elif field.only and not field.added:  # what is added is added for these events only
        source_type, source = "EXPRESSION", _only(field.only, source)
    return {
        "sourceType": source_type,
        "source": source,
        "destination": path,
        "name": ", ".join(field.title for field in fields),
    }


def _whole(path: str) -> str:
    return path.partition("[]")[0]


def _chosen_source(field: ChosenField) -> str:
    """Returns the path of a chosen field in a raw event.

    Adobe: "Data Prep mapping functions", a name that is no identifier, a reserved word or a
    function must be wrapped. All of these words but one are in lower case.
    """
    names = (f"${{{name}}}" if _must_wrap(name) else name for name in field.names)
    return ".".join((CHOSEN, *field.home, *names))


def _must_wrap(name: str) -> bool:
    return not name.isidentifier() or name == name.lower() or name == "equalsIgnoreCase"


def _identity_map(source: str, options: MappingOptions) -> str:
    """Returns the identities of a visitor as `MappingOptions.identity_map` does; none: nothing.

    Adobe: the LAVA source's tutorial has the same expression of one identity, but for the
    conditions; it shows no destination inside of a map, so the map is assigned as a whole.
    `is_empty` is documented for objects and arrays only ("Data Prep mapping functions").
    """
    text = f'coalesce({source}, "")'  # Adobe does not say what functions of text make of null
    own = _identity(source, is_primary=True)
    visitor = f'"{options.identity_namespace}", {own}'
    found = f"to_map({visitor})"
    if options.email_namespace:
        address = _identity(f"lower({text})", is_primary=False)
        both = f'to_map({visitor}, "{options.email_namespace}", {address})'
        found = f"iif({_matches(text, EMAIL_PATTERN)}, {both}, {found})"
    if options.anonymous_visitors != "same":
        is_separate = options.anonymous_visitors == "separate"
        anonymous = f'to_map("{ANONYMOUS_NAMESPACE}", {own})' if is_separate else "nullify()"
        found = f"iif({_matches(text, f'{ANONYMOUS_PREFIX}.*')}, {anonymous}, {found})"
    fits = _matches(text, f".{{1,{MAX_IDENTITY_CHARACTERS}}}")
    return f"iif({fits}, {found}, nullify())"


def _identity(value: str, *, is_primary: bool) -> str:
    primary = "true" if is_primary else "false"
    state = f'"authenticatedState", "{AUTHENTICATED_STATE}"'
    return f'to_array(false, to_object("id", {value}, "primary", {primary}, {state}))'


def _only(types: tuple[str, ...], source: str) -> str:
    """Returns the source for events of some types, nothing for others."""
    # Adobe does not say how often a backslash must be doubled.
    either = "|".join(one.replace(".", "[.]") for one in types)
    return f"iif({_matches('type', f'({either})')}, {source}, nullify())"


def _matches(text: str, pattern: str) -> str:
    """Returns whether all of a text matches; `.` is any character, also a line break.

    Adobe does not say whether all of the text must match, or whether a part is enough: this means
    the same in both.
    """
    return f'matches_regex({text}, "(?s)^{pattern}$")'


async def preview(client: Client, record: Json, body: Json) -> Any:
    """Returns what a mapping set would make of one record: `data` and `errors`.

    Its schema must exist, the set need not; nothing is stored. Adobe's OpenAPI shows one object as
    the answer, its guide ("Mapping sets endpoint") a list.
    """
    action, path = "try the mapping set", f"{_PATH}/preview"
    operation = Operation(action, "POST", path, Permission.MANAGE_SOURCES)
    answer = await client.read(operation, body={"data": [record], "mappingSet": body})
    return answer[0] if isinstance(answer, list) and len(answer) == 1 else answer


@dataclass(frozen=True, slots=True)
class MappingSet(Resource):
    """The mapping set of a dataflow.

    Attributes:
        tenant_id: of the tenant's own object.
        options: what the mapping depends on.
        groups: Adobe's field groups that the schema has.
        flow: the name of the dataflow that uses the set.
    """

    kind: ClassVar[Kind] = Kind.MAPPING_SET
    tenant_id: str
    options: MappingOptions
    groups: tuple[StandardGroup, ...]
    flow: str

    async def find(self) -> list[str]:
        """Returns the set that the dataflow uses; without a dataflow, those with the name.

        Adobe's OpenAPI prints a dataflow with the id of its mapping set, but a list of mapping
        sets without their names, so those are read one by one.
        """
        used_id, _ = await self._used_by_flow()
        if used_id:
            return [used_id]
        found: list[str] = []
        for one in await self._list():
            named = one if "name" in one else await self._read(str(one["id"]))
            if named.get("name") == self.name:
                found.append(str(one["id"]))
        return list(dict.fromkeys(found))

    async def read(self, resource_id: str) -> Observed:
        """Reads the latest version.

        Adobe's OpenAPI: this call reads version 0 unless told which, and the list of mapping sets
        says which version there is. The list may not have the set, which anybody may rename; then
        it is the version that the dataflow uses.
        """
        used_id, used_version = await self._used_by_flow()
        versions = [used_version] if used_id == resource_id else []
        listed = [one for one in await self._list() if one["id"] == resource_id]
        versions += [int(one["version"]) for one in listed if "version" in one]
        query = [("version", str(max(versions, default=0)))]
        return Observed(resource_id, await self._read(resource_id, query))

    def compare(self, observed: Observed, resolved: Resolved) -> tuple[str, ...]:
        """Returns the destinations that are mapped differently.

        A set whose schema no longer exists is changed to fit the new one: AEP may refuse to delete
        a set, so that it outlives a `destroy`.
        """
        desired = self._body(resolved)
        differing = _sources(desired) ^ _sources(observed.body)
        changes = [f"mapping of {to}" for to in sorted({to for to, _ in differing})]
        if _schema_id(observed.body) != _schema_id(desired):
            changes.append("its schema")
        return tuple(changes)

    async def create(self, resolved: Resolved) -> str:
        """Creates it, in version 0."""
        action = f"create the mapping set {self.name!r}"
        operation = Operation(action, "POST", _PATH, Permission.MANAGE_SOURCES)
        return str((await self.client.write(operation, self._body(resolved)))["id"])

    async def update(self, observed: Observed, resolved: Resolved) -> Observed:
        """Adds a version. The dataflow keeps its own until it is updated, which comes later.

        Adobe: the answer to a PUT names the new version, and has the whole set.
        """
        body = self._body(resolved)
        operation = _operation("change", observed.id, "PUT", Permission.MANAGE_SOURCES)
        answer: Json = await self.client.write(operation, body)
        return Observed(observed.id, {**body, **answer})

    async def delete(self, observed: Observed) -> None:
        """Deletes it. Adobe's OpenAPI does not have this call, so it may well be refused."""
        operation = _operation("delete", observed.id, "DELETE", Permission.MANAGE_SOURCES)
        await self.client.write(operation)

    def _body(self, resolved: Resolved) -> Json:
        return mapping_set_body(
            self.name,
            resolved[Kind.SCHEMA].id,
            self.tenant_id,
            self.options,
            self.groups,
        )

    async def _list(self) -> list[Json]:
        operation = Operation("list mapping sets", "GET", _PATH, Permission.VIEW_SOURCES)
        query = [("name", self.name), ("limit", _PAGE_SIZE), ("start", "0")]
        listed: list[Json] = (await self.client.read(operation, query))["data"]
        return listed

    async def _read(self, set_id: str, query: Query = ()) -> Json:
        operation = _operation("read", set_id, "GET", Permission.VIEW_SOURCES)
        answer: Json = await self.client.read(operation, query)
        return answer

    async def _used_by_flow(self) -> tuple[str, int]:
        """Returns the id and the version of the set that the dataflow of our name uses.

        The id is empty if there is no such dataflow, or several, or it uses no set.
        """
        flows = await flow_service.find(self.client, Kind.FLOW, self.flow)
        if len(flows) != 1:
            return "", 0
        flow = await flow_service.read(self.client, Kind.FLOW, flows[0])
        for transformation in flow.get("transformations") or []:
            params = transformation.get("params", {})
            if params.get("mappingId"):
                # Adobe's "Update dataflows" shows the version as text.
                return str(params["mappingId"]), int(params.get("mappingVersion") or 0)
        return "", 0


def _operation(verb: str, set_id: str, method: str, needs: Permission) -> Operation:
    return Operation(
        f"{verb} the mapping set {set_id}", method, f"{_PATH}/{quote(set_id, safe='')}", needs
    )


def _sources(body: Json) -> set[tuple[str, str]]:
    """Returns the destination and the source of each mapping.

    Nothing else: Adobe rewrites the type, adds much, and keeps both of its own notations.
    """
    return {
        (
            str(mapping.get("destination") or mapping.get("destinationXdmPath")),
            str(mapping.get("source") or mapping.get("sourceAttribute")),
        )
        for mapping in body.get("mappings", [])
    }


def _schema_id(body: Json) -> str:
    schema = body.get("outputSchema", {}).get("schemaRef", {})
    return str(schema.get("id") or body.get("xdmSchema", ""))
