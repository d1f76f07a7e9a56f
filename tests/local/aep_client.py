"""A client of the AEP stand-in, and how its tests run it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from local.aep import AepServer

FLOW = {"x-adobe-flow-id": "flow-1"}


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer of the stand-in."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body, parsed."""
        parsed: dict[str, Any] = orjson.loads(self.body)
        return parsed


class AepClient:
    """Sends requests to the stand-in."""

    def __init__(self, aep: AepServer, session: aiohttp.ClientSession) -> None:
        self._aep = aep
        self._session = session

    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> Answered:
        """POST bytes; `{inlet}` in the path stands for the inlet's id."""
        url = self._aep.url + path.replace("{inlet}", self._aep.inlet)
        async with self._session.post(url, data=body, headers=headers) as response:
            return Answered(response.status, response.headers, await response.read())

    async def batch(
        self, messages: Sequence[object], headers: Mapping[str, str] | None = None
    ) -> Answered:
        """POST a batch with a flow id."""
        body = orjson.dumps({"messages": messages})
        return await self.post("/collection/batch/{inlet}", body, FLOW | dict(headers or {}))

    async def single(self, message: object, headers: Mapping[str, str] | None = None) -> Answered:
        """POST one message with a flow id."""
        body = orjson.dumps(message)
        return await self.post("/collection/{inlet}", body, FLOW | dict(headers or {}))

    async def token(self, **form: str) -> Answered:
        """Ask for a token; the form starts as the right one."""
        right = {
            "grant_type": "client_credentials",
            "client_id": self._aep.client_id,
            "client_secret": self._aep.client_secret,
            "scope": "openid,AdobeID",
        }
        url = f"{self._aep.url}/ims/token/v3"
        async with self._session.post(url, data=right | form) as response:
            return Answered(response.status, response.headers, await response.read())


@asynccontextmanager
async def running(aep: AepServer | None = None) -> AsyncIterator[tuple[AepServer, AepClient]]:
    """Runs a stand-in, for ten seconds at most, and a client of it."""
    async with (
        asyncio.timeout(10),
        aep or AepServer() as server,
        aiohttp.ClientSession() as session,
    ):
        yield server, AepClient(server, session)


def raw(*ids: str) -> list[object]:
    """Returns raw messages with these IDs."""
    return [{"id": event_id, "type": "nps.submitted"} for event_id in ids]
