"""A client of the platform's stand-in: right headers, unless a test wants other ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from yarl import URL

from local.aep import AepServer
from local.aep_platform import PlatformServer

REGISTRY = "/data/foundation/schemaregistry"
NAMESPACES = "/data/core/idnamespace/identities"
CATALOG = "/data/foundation/catalog"
FLOWS = "/data/foundation/flowservice"
CONVERSION = "/data/foundation/conversion"

LIST = {"Accept": "application/vnd.adobe.xed+json"}
LOOKUP = {"Accept": "application/vnd.adobe.xed+json; version=1"}
FULL = {"Accept": "application/vnd.adobe.xed-full+json; version=1"}
DESCRIPTORS = {"Accept": "application/vnd.adobe.xdm+json"}


@dataclass(frozen=True, slots=True)
class Answered:
    """What the stand-in answered; `body` is parsed, None where it is empty."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class PlatformClient:
    """Calls the APIs with the credential that may do everything."""

    platform: PlatformServer
    aep: AepServer
    session: aiohttp.ClientSession
    token: str

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answered:
        """One call.

        Args:
            method: in capitals.
            path: encoded, with its query.
            body: sent as JSON; bytes as they are; None for none.
            headers: beside the right ones or instead of them; None takes one away.
        """
        sent = {
            "Authorization": f"Bearer {self.token}",
            "x-api-key": self.aep.client_id,
            "x-gw-ims-org-id": self.platform.ims_org_id,
            "x-sandbox-name": "prod",
            "Content-Type": "application/json",
        } | dict(headers or {})
        data = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
        async with self.session.request(
            method,
            URL(f"{self.platform.url}{path}", encoded=True),
            data=data,
            headers={name: value for name, value in sent.items() if value is not None},
            skip_auto_headers=["Content-Type"],
        ) as response:
            text = await response.read()
            return Answered(response.status, response.headers, orjson.loads(text) if text else None)

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        """The body of a GET that succeeds."""
        answered = await self.call("GET", path, headers=headers)
        assert answered.status == 200, answered
        return answered.body

    async def send(
        self, inlet: str, messages: list[Any], headers: Mapping[str, str] | None = None
    ) -> Answered:
        """POST a batch to an inlet's URL."""
        url = inlet.replace("/collection/", "/collection/batch/")
        body = orjson.dumps({"messages": messages})
        async with self.session.post(url, data=body, headers=headers) as response:
            return Answered(response.status, response.headers, await response.json())


async def connect(
    platform: PlatformServer, aep: AepServer, session: aiohttp.ClientSession
) -> PlatformClient:
    """A client with a token."""
    form = {
        "grant_type": "client_credentials",
        "client_id": aep.client_id,
        "client_secret": aep.client_secret,
        "scope": "openid",
    }
    async with session.post(f"{aep.url}/ims/token/v3", data=form) as response:
        return PlatformClient(platform, aep, session, (await response.json())["access_token"])
