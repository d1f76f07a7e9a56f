"""A client of the platform's stand-in, and what it makes there: bodies and ids, by name.

`bodies.json` has a valid body of each kind; `{schema}` in it, in a path or in a table stands for
the id of the schema that was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

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

_BODIES: dict[str, Any] = orjson.loads(Path(__file__).with_name("bodies.json").read_bytes())
_BASES = {
    "registry": REGISTRY,
    "namespaces": NAMESPACES,
    "catalog": CATALOG,
    "flows": FLOWS,
    "conversion": CONVERSION,
}
PATHS = {
    "namespace": NAMESPACES,
    "fieldgroup": f"{REGISTRY}/tenant/fieldgroups",
    "schema": f"{REGISTRY}/tenant/schemas",
    "dataset": f"{CATALOG}/dataSets",
    "source": f"{FLOWS}/sourceConnections",
    "target": f"{FLOWS}/targetConnections",
    "mappingset": f"{CONVERSION}/mappingSets",
    "flow": f"{FLOWS}/flows",
    "base": f"{FLOWS}/connections",
    "http_source": f"{FLOWS}/sourceConnections",
    "http_flow": f"{FLOWS}/flows",
    "xdm_flow": f"{FLOWS}/flows",
}
PENDO_SOURCE = (
    "namespace",
    "fieldgroup",
    "schema",
    "dataset",
    "source",
    "target",
    "mappingset",
    "flow",
)

# A raw event, and the XDM that the mapping set of `bodies.json` makes of it.
EVENT: dict[str, Any] = {
    "id": "e-1",
    "type": "poll.submitted",
    "occurredAt": "2024-05-06T07:08:09.123Z",
    "visitorId": "v-1",
    "guide": {"id": "g-1", "name": "Welcome"},
    "answers": [{"pollId": "p-1", "value": "yes"}, {"pollId": "p-2", "value": "no"}],
    "surveyQuestions": ["p-1", "p-2"],
}
ROW: dict[str, Any] = {
    "_id": "e-1",
    "timestamp": "2024-05-06T07:08:09.123Z",
    "eventType": "poll.submitted",
    "producedBy": "pendo",
    "identityMap": {
        "PendoVisitor": [{"id": "v-1", "primary": True, "authenticatedState": "ambiguous"}]
    },
    "surveyResponse": {"surveyID": "g-1", "surveyQuestions": ["p-1", "p-2"]},
    "_acme": {
        "pendo": {
            "visitorId": "v-1",
            "guideName": "Welcome",
            "answers": [{"pollId": "p-1", "value": "yes"}, {"pollId": "p-2", "value": "no"}],
        }
    },
}


@dataclass(frozen=True, slots=True)
class Answered:
    """What the stand-in answered; `body` is parsed, None where it is empty."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class PlatformClient:
    """Calls the APIs with a credential that may do everything.

    Attributes:
        ids: of what it has made, by kind.
        etags: of what it has made, by kind.
    """

    platform: PlatformServer
    aep: AepServer
    session: aiohttp.ClientSession
    token: str
    ids: dict[str, str] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answered:
        """Makes one call.

        Args:
            method: in capitals.
            path: encoded, with its query.
            body: sent as JSON; bytes as they are; None for none.
            headers: added to the valid ones or instead of them; None takes one away.
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
        """Returns the body of a GET that succeeds."""
        answered = await self.call("GET", path, headers=headers)
        assert answered.status == 200, answered
        return answered.body

    def body(self, kind: str, **changes: Any) -> dict[str, Any]:
        """Returns a valid body of a kind, with other values for some keys."""
        body: dict[str, Any] = self.filled(_BODIES[kind])
        return body | changes

    def filled(self, value: Any) -> Any:
        """Returns a value of a table with ids and base paths in the place of their names."""
        text = orjson.dumps(value).decode()
        for name, known in self.ids.items():
            text = text.replace(f"{{{name}}}", known)
            text = text.replace(f"{{{name}:quoted}}", quote(known, ""))
        for name, known in _BASES.items():
            text = text.replace(f"{{{name}}}", known)
        for name, known in self.etags.items():
            text = text.replace(f"{{{name}:etag}}", orjson.dumps(known).decode()[1:-1])
        return orjson.loads(text)

    async def post(self, kind: str, **changes: Any) -> Answered:
        """Posts a body of a kind."""
        return await self.call("POST", PATHS[kind], self.body(kind, **changes))

    async def make(self, *kinds: str, **changes: Any) -> None:
        """Makes one of each kind in turn, all with the same changes."""
        for kind in kinds:
            answered = await self.post(kind, **changes)
            assert answered.status in {200, 201}, answered
            body = answered.body
            if isinstance(body, list):  # of Catalog
                self.ids[kind] = str(body[0]).rpartition("/")[2]
            else:
                self.ids[kind] = str(body.get("$id") or body["id"])
                self.etags[kind] = str(body.get("etag", ""))

    def path(self, kind: str) -> str:
        """Returns the path of what was made of a kind."""
        return f"{PATHS[kind]}/{quote(self.ids[kind], '')}"

    async def patch(
        self, kind: str, *operations: dict[str, Any], headers: dict[str, str] | None = None
    ) -> Answered:
        """Patches what was made of a kind by JSON Patch."""
        return await self.call("PATCH", self.path(kind), list(operations), headers)

    async def inlet(self, kind: str = "flow") -> str:
        """Returns the streaming endpoint of a flow of the Pendo source, or a base connection."""
        (item,) = (await self.get(self.path(kind)))["items"]
        params = item["options"] if kind == "flow" else item["auth"]["params"]
        return str(params["inletUrl"])

    async def send(
        self, inlet: str, messages: list[Any], headers: Mapping[str, str] | None = None
    ) -> Answered:
        """Posts a batch to an inlet's URL."""
        url = inlet.replace("/collection/", "/collection/batch/")
        body = orjson.dumps({"messages": messages})
        async with self.session.post(url, data=body, headers=headers) as response:
            return Answered(response.status, response.headers, await response.json())

    async def send_to_flow(self, *events: Any) -> Answered:
        """Posts a batch to the flow of the Pendo source."""
        return await self.send(
            await self.inlet(), list(events), {"x-adobe-flow-id": self.ids["flow"]}
        )

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What the dataset holds."""
        return self.platform.state.datasets[self.ids["dataset"]].rows


async def connect(
    platform: PlatformServer, aep: AepServer, session: aiohttp.ClientSession
) -> PlatformClient:
    """Returns a client with a token."""
    form = {
        "grant_type": "client_credentials",
        "client_id": aep.client_id,
        "client_secret": aep.client_secret,
        "scope": "openid",
    }
    async with session.post(f"{aep.url}/ims/token/v3", data=form) as response:
        return PlatformClient(platform, aep, session, (await response.json())["access_token"])
