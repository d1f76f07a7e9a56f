"""The Schema Registry (Adobe: "Schema Registry API guide"): field groups and schemas."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias
from urllib.parse import quote

from pendo_aep.provisioning.client import Client, Operation
from pendo_aep.provisioning.errors import Refused
from pendo_aep.provisioning.part import Json
from pendo_aep.provisioning.permission import Permission

Resource: TypeAlias = Literal["fieldgroups", "schemas"]

_BASE: Final = "/data/foundation/schemaregistry"
# Adobe: calls other than look-ups and lists are shown without an Accept header.
_ANY: Final = "*/*"
_LIST: Final = "application/vnd.adobe.xed-id+json"
# With the raw `allOf`; a major version means its latest minor one.
_LOOKUP: Final = "application/vnd.adobe.xed+json; version=1"
_NAMES: Final[dict[Resource, str]] = {"fieldgroups": "field group", "schemas": "schema"}
# Far more than any tenant has: an end for a list that would have none.
_MAX_PAGES: Final = 100
_NOT_FOUND: Final = 404


async def tenant_id(client: Client) -> str:
    """The tenant's id, without an underscore."""
    operation = Operation(
        "read the tenant id", "GET", f"{_BASE}/stats", Permission.VIEW_SCHEMAS, _ANY
    )
    return str((await client.read(operation))["tenantId"])


async def find(client: Client, resource: Resource, title: str) -> list[str]:
    """The `$id`s of the tenant's resources with that title."""
    operation = Operation(
        f"list {resource}", "GET", f"{_BASE}/tenant/{resource}", Permission.VIEW_SCHEMAS, _LIST
    )
    query = [("property", f"title=={title}"), ("orderby", "title")]
    found: list[str] = []
    start: list[tuple[str, str]] = []
    for _ in range(_MAX_PAGES):
        answer = await client.read(operation, [*query, *start])
        # Exactly: Adobe does not say how its filter compares.
        found += [str(one["$id"]) for one in answer["results"] if one.get("title") == title]
        following = answer.get("_page", {}).get("next")
        if following is None:
            break
        start = [("start", str(following))]
    return list(dict.fromkeys(found))


async def read(client: Client, resource: Resource, resource_id: str) -> Json:
    """One resource, as it was sent and with what the registry adds."""
    operation = _one(resource, resource_id, "read", "GET", Permission.VIEW_SCHEMAS, _LOOKUP)
    answer: Json = await client.read(operation)
    return answer


async def has_standard(client: Client, group_id: str) -> bool:
    """Whether the registry has a field group of Adobe's own, in the container `global`."""
    operation = Operation(
        f"look for Adobe's field group {group_id}",
        "GET",
        f"{_BASE}/global/fieldgroups/{quote(group_id, safe='')}",
        Permission.VIEW_SCHEMAS,
        _LOOKUP,
    )
    try:
        await client.read(operation)
    except Refused as refused:
        if refused.status != _NOT_FOUND:
            raise
        return False
    return True


async def create(client: Client, resource: Resource, body: Json) -> str:
    """Makes a resource, and answers its `$id`."""
    operation = Operation(
        f"create the {_NAMES[resource]} {body['title']!r}",
        "POST",
        f"{_BASE}/tenant/{resource}",
        Permission.MANAGE_SCHEMAS,
        _ANY,
    )
    return str((await client.change(operation, body))["$id"])


async def patch(
    client: Client, resource: Resource, resource_id: str, operations: list[Json]
) -> None:
    """Changes a resource by JSON Patch."""
    operation = _one(resource, resource_id, "change", "PATCH", Permission.MANAGE_SCHEMAS)
    await client.change(operation, operations)


async def delete(client: Client, resource: Resource, resource_id: str) -> None:
    """Ends a resource."""
    await client.change(_one(resource, resource_id, "delete", "DELETE", Permission.MANAGE_SCHEMAS))


def _one(
    resource: Resource,
    resource_id: str,
    verb: str,
    method: str,
    needs: Permission,
    accept: str = _ANY,
) -> Operation:
    path = f"{_BASE}/tenant/{resource}/{quote(resource_id, safe='')}"
    return Operation(f"{verb} the {_NAMES[resource]} {resource_id}", method, path, needs, accept)
