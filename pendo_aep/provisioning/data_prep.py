"""Data Prep's mapping sets (Adobe's OpenAPI): each change makes a new version of a set."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from pendo_aep.provisioning.client import Client, Operation
from pendo_aep.provisioning.part import Json
from pendo_aep.provisioning.permission import Permission

_PATH: Final = "/data/foundation/conversion/mappingSets"
# More sets of one name than anybody has. Adobe does not say whether `start` counts pages or sets.
_PAGE: Final = "100"


async def find(client: Client, name: str) -> list[str]:
    """Returns the ids of the mapping sets with that name.

    Adobe's OpenAPI prints a list whose entries have no name; those are asked for it one by one.
    """
    found: list[str] = []
    for one in await _list(client, name):
        named = one if "name" in one else await _read(client, str(one["id"]), [])
        if named.get("name") == name:
            found.append(str(one["id"]))
    return list(dict.fromkeys(found))


async def read(client: Client, set_id: str, name: str, known_version: int = 0) -> Json:
    """Reads the latest version of a mapping set.

    Adobe's OpenAPI: this call reads version 0 unless told which, and the list of mapping sets says
    which version there is.

    Args:
        client: to ask with.
        set_id: of the mapping set.
        name: the name under which it is listed.
        known_version: the one that its dataflow uses. The list may not have the set, which anybody
            may rename.
    """
    listed = await _list(client, name)
    versions = [int(one["version"]) for one in listed if one["id"] == set_id and "version" in one]
    version = max(known_version, *versions, 0)
    return await _read(client, set_id, [("version", str(version))])


async def _list(client: Client, name: str) -> list[Json]:
    operation = Operation("list mapping sets", "GET", _PATH, Permission.VIEW_SOURCES)
    query = [("name", name), ("limit", _PAGE), ("start", "0")]
    listed: list[Json] = (await client.read(operation, query))["data"]
    return listed


async def _read(client: Client, set_id: str, query: list[tuple[str, str]]) -> Json:
    operation = _one(set_id, "read", "GET", Permission.VIEW_SOURCES)
    answer: Json = await client.read(operation, query)
    return answer


async def create(client: Client, body: Json) -> str:
    """Makes a mapping set, of version 0, and answers its id."""
    operation = Operation(
        f"create the mapping set {body['name']!r}", "POST", _PATH, Permission.MANAGE_SOURCES
    )
    return str((await client.change(operation, body))["id"])


async def replace(client: Client, set_id: str, body: Json) -> Json:
    """Adds a version, and returns it; a dataflow keeps the one that it has.

    Adobe: the answer to a PUT names the new version, and has the whole set.
    """
    answer: Json = await client.change(
        _one(set_id, "change", "PUT", Permission.MANAGE_SOURCES), body
    )
    return {**body, **answer}


async def preview(client: Client, record: Json, body: Json) -> Any:
    """Returns what a mapping set would make of one record: `data` and `errors`.

    Its schema must exist, the set need not; nothing is stored. Adobe's OpenAPI shows one object as
    the answer, its guide ("Mapping sets endpoint") a list.
    """
    operation = Operation(
        "try the mapping set", "POST", f"{_PATH}/preview", Permission.MANAGE_SOURCES
    )
    request = {"data": [record], "mappingSet": body}
    answer = await client.read(operation, body=request)
    return answer[0] if isinstance(answer, list) and len(answer) == 1 else answer


async def delete(client: Client, set_id: str) -> None:
    """Ends a mapping set. Adobe's OpenAPI does not have this call, so it may well be refused."""
    await client.change(_one(set_id, "delete", "DELETE", Permission.MANAGE_SOURCES))


def _one(set_id: str, verb: str, method: str, needs: Permission) -> Operation:
    path = f"{_PATH}/{quote(set_id, safe='')}"
    return Operation(f"{verb} the mapping set {set_id}", method, path, needs)
