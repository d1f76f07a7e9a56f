"""A client of the AEP stand-in, and how its tests run."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
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


Scenario = Callable[[AepServer, AepClient], Awaitable[None]]


def run(scenario: Scenario, aep: AepServer | None = None) -> None:
    """Runs a scenario against a stand-in with a timeout."""

    async def bounded() -> None:
        async with (
            asyncio.timeout(10),
            aep or AepServer() as server,
            aiohttp.ClientSession() as session,
        ):
            await scenario(server, AepClient(server, session))

    asyncio.run(bounded())


def raw(*ids: str) -> list[object]:
    """Returns raw messages with these IDs."""
    return [{"id": event_id, "type": "nps.submitted"} for event_id in ids]
