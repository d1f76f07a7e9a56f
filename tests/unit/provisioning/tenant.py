"""A tenant of the stand-in that has our field group and our schema, made over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import aiohttp

from local.aep import AepServer
from local.aep_platform import TENANT, PlatformServer
from pendo_aep.provisioning.field_group import field_group
from pendo_aep.provisioning.schema import schema
from tests.local.aep_platform.client import REGISTRY, PlatformClient, connect

Json: TypeAlias = dict[str, Any]

NAMESPACE = "PendoVisitor"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A client, and what our bodies became."""

    client: PlatformClient
    group: Json
    schema: Json

    async def post(self, path: str, body: Json) -> Any:
        """What the stand-in makes of a body, which it must take."""
        return await _post(self.client, path, body)


@asynccontextmanager
async def tenant() -> AsyncIterator[Tenant]:
    """A tenant of this test's own."""
    async with (
        AepServer() as aep,
        PlatformServer(aep) as platform,
        aiohttp.ClientSession() as session,
    ):
        client = await connect(platform, aep, session)
        path = f"{REGISTRY}/tenant"
        group = await _post(client, f"{path}/fieldgroups", field_group("Pendo Fields", TENANT))
        made = await _post(client, f"{path}/schemas", schema("Pendo Events", group["$id"]))
        yield Tenant(client, group, made)


async def _post(client: PlatformClient, path: str, body: Json) -> Any:
    answered = await client.call("POST", path, body)
    assert answered.status in {200, 201}, answered.body
    return answered.body
