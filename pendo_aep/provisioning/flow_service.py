"""Flow Service (Adobe's OpenAPI): connections and dataflows, whose calls are all alike."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias
from urllib.parse import parse_qs, quote, urlsplit

from pendo_aep.provisioning.client import Client, Operation, unexpected
from pendo_aep.provisioning.part import Json
from pendo_aep.provisioning.permission import Permission

Collection: TypeAlias = Literal["connections", "sourceConnections", "targetConnections", "flows"]

_BASE: Final = "/data/foundation/flowservice"
_NAMES: Final[dict[Collection, str]] = {
    "connections": "base connection",
    "sourceConnections": "source connection",
    "targetConnections": "target connection",
    "flows": "dataflow",
}
_PAGE: Final = "100"
# Far more than any sandbox has: an end for a list that would have none.
_MAX_PAGES: Final = 200


async def find(client: Client, collection: Collection, name: str) -> list[str]:
    """The ids of those with that name. Nothing says that it is unique.

    All are listed and compared here: Adobe documents no filter by name, and calls `property` both
    a filter and a choice of columns. A filter that fails unseen would have things made twice.
    """
    operation = Operation(
        f"list {_NAMES[collection]}s", "GET", f"{_BASE}/{collection}", Permission.VIEW_SOURCES
    )
    found: list[str] = []
    query = [("limit", _PAGE)]
    for _ in range(_MAX_PAGES):
        answer = await client.read(operation, query)
        items = answer.get("items") or []
        found += [str(item["id"]) for item in items if item.get("name") == name]
        token = _next(answer)
        if not token or not items:
            return list(dict.fromkeys(found))
        query = [("limit", _PAGE), ("continuationToken", token)]
    raise unexpected(operation.action, f"over {_MAX_PAGES} pages")


def _next(answer: Json) -> str:
    link: Any = (answer.get("_links") or {}).get("next") or {}
    query = parse_qs(urlsplit(str(link.get("href", ""))).query)
    return query.get("continuationToken", [""])[0]


async def read(client: Client, collection: Collection, thing_id: str) -> Json:
    """One of them. Adobe: the answer is a list of one, under `items`."""
    operation = _one(collection, thing_id, "read", "GET", Permission.VIEW_SOURCES)
    items = (await client.read(operation)).get("items") or []
    if len(items) != 1:
        raise unexpected(operation.action, f"{len(items)} items")
    item: Json = items[0]
    return item


async def create(client: Client, collection: Collection, body: Json) -> str:
    """Makes one, and answers its id."""
    operation = Operation(
        f"create the {_NAMES[collection]} {body['name']!r}",
        "POST",
        f"{_BASE}/{collection}",
        Permission.MANAGE_SOURCES,
    )
    return str((await client.change(operation, body))["id"])


async def patch(
    client: Client, collection: Collection, thing: Json, operations: list[Json]
) -> None:
    """Changes one by JSON Patch, if it is still as it was read."""
    operation = _one(collection, thing["id"], "change", "PATCH", Permission.MANAGE_SOURCES)
    await client.change(operation, operations, {"If-Match": str(thing["etag"])})


async def enable(client: Client, flow_id: str) -> None:
    """Has a disabled dataflow take data again."""
    path = f"{_BASE}/flows/{quote(flow_id, safe='')}/action?op=ENABLE"
    await client.change(
        Operation(f"enable the dataflow {flow_id}", "POST", path, Permission.MANAGE_SOURCES)
    )


async def delete(client: Client, collection: Collection, thing_id: str) -> None:
    """Ends one; Adobe: dataflows before their connections."""
    await client.change(_one(collection, thing_id, "delete", "DELETE", Permission.MANAGE_SOURCES))


def _one(
    collection: Collection, thing_id: str, verb: str, method: str, needs: Permission
) -> Operation:
    path = f"{_BASE}/{collection}/{quote(thing_id, safe='')}"
    return Operation(f"{verb} the {_NAMES[collection]} {thing_id}", method, path, needs)
