"""Data Prep's mapping sets (Adobe's OpenAPI): each change makes a new version of a set."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from pendo_aep.platform.client import Client, Operation
from pendo_aep.platform.part import Json
from pendo_aep.platform.permission import Permission

_PATH: Final = "/data/foundation/conversion/mappingSets"
# More sets of one name than anybody has. Adobe does not say whether `start` counts pages or sets.
_PAGE: Final = "100"


async def find(client: Client, name: str) -> list[str]:
    """The ids of the mapping sets with that name."""
    operation = Operation("list mapping sets", "GET", _PATH, Permission.VIEW_SOURCES)
    query = [("name", name), ("limit", _PAGE), ("start", "0")]
    answer = await client.read(operation, query)
    return [str(one["id"]) for one in answer["data"] if one.get("name") == name]


async def read(client: Client, set_id: str) -> Json:
    """The latest version of a mapping set."""
    operation = _one(set_id, "read", "GET", Permission.VIEW_SOURCES)
    answer: Json = await client.read(operation)
    return answer


async def create(client: Client, body: Json) -> str:
    """Makes a mapping set, of version 0, and answers its id."""
    operation = Operation(
        f"create the mapping set {body['name']!r}", "POST", _PATH, Permission.MANAGE_SOURCES
    )
    return str((await client.change(operation, body))["id"])


async def replace(client: Client, set_id: str, body: Json) -> None:
    """Adds a version; a dataflow keeps the one that it has."""
    await client.change(_one(set_id, "change", "PUT", Permission.MANAGE_SOURCES), body)


async def delete(client: Client, set_id: str) -> None:
    """Ends a mapping set. Adobe's OpenAPI does not have this call, so it may well be refused."""
    await client.change(_one(set_id, "delete", "DELETE", Permission.MANAGE_SOURCES))


def _one(set_id: str, verb: str, method: str, needs: Permission) -> Operation:
    path = f"{_PATH}/{quote(set_id, safe='')}"
    return Operation(f"{verb} the mapping set {set_id}", method, path, needs)
