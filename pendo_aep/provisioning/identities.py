"""Identity namespaces (Adobe's OpenAPI of the Identity Service); there is no way to delete one."""

from __future__ import annotations

from typing import Final

from pendo_aep.provisioning.client import Client, Operation
from pendo_aep.provisioning.part import Json
from pendo_aep.provisioning.permission import Permission

_PATH: Final = "/data/core/idnamespace/identities"


async def namespaces(client: Client) -> list[Json]:
    """All of them, Adobe's own too: the list knows no filter."""
    operation = Operation("list identity namespaces", "GET", _PATH, Permission.VIEW_NAMESPACES)
    answer: list[Json] = await client.read(operation)
    return answer


async def create(client: Client, body: Json) -> str:
    """Makes one, and answers its id."""
    operation = Operation(
        f"create the identity namespace {body['code']}",
        "POST",
        _PATH,
        Permission.MANAGE_NAMESPACES,
    )
    return str((await client.change(operation, body))["id"])
