"""What a test starts from: things made over HTTP, and names that stand for their ids.

`bodies.json` has a right body of each kind; `{schema}` in it, in a path or in a table stands for
the id of the schema that was made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from tests.local.aep_platform.client import (
    CATALOG,
    CONVERSION,
    FLOWS,
    NAMESPACES,
    REGISTRY,
    Answered,
    PlatformClient,
)

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
    "descriptor": f"{REGISTRY}/tenant/descriptors",
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
UNION = {"op": "add", "path": "/meta:immutableTags", "value": ["union"]}
PENDO = ["namespace", "fieldgroup", "schema", "dataset", "source", "target", "mappingset", "flow"]


@dataclass(frozen=True, slots=True)
class World:
    """A client, and the ids of what it has made, by kind."""

    client: PlatformClient
    ids: dict[str, str] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)

    def body(self, kind: str, **changes: Any) -> dict[str, Any]:
        """A right body of a kind, with other values for some keys."""
        body: dict[str, Any] = self.filled(_BODIES[kind])
        return body | changes

    def filled(self, value: Any) -> Any:
        """A value of a table with ids and base paths in the place of their names."""
        text = orjson.dumps(value).decode()
        for name, known in self.ids.items():
            text = text.replace(f"{{{name}}}", known).replace(
                f"{{{name}:quoted}}", quote(known, "")
            )
        for name, known in (*_BASES.items(), *self.etags.items()):
            text = text.replace(f"{{{name}}}", orjson.dumps(known).decode()[1:-1])
        return orjson.loads(text)

    async def post(self, kind: str, **changes: Any) -> Answered:
        """POST a body of a kind."""
        return await self.client.call("POST", PATHS[kind], self.body(kind, **changes))

    async def make(self, *kinds: str, **changes: Any) -> None:
        """Make one of each kind in turn; the changes go for all of them."""
        for kind in kinds:
            answered = await self.post(kind, **changes)
            assert answered.status in {200, 201}, answered
            self.ids[kind] = _id_of(answered.body)
            if isinstance(answered.body, dict) and "etag" in answered.body:
                self.etags[f"{kind}:etag"] = answered.body["etag"]

    def path(self, kind: str) -> str:
        """Where the thing of a kind is."""
        return f"{PATHS[kind]}/{quote(self.ids[kind], '')}"

    async def patch(
        self, kind: str, *operations: dict[str, Any], headers: dict[str, str] | None = None
    ) -> Answered:
        """PATCH the thing of a kind by JSON Patch."""
        return await self.client.call("PATCH", self.path(kind), list(operations), headers)

    async def inlet(self, kind: str = "flow") -> str:
        """The streaming endpoint of a flow of the Pendo source, or of a base connection."""
        (item,) = (await self.client.get(self.path(kind)))["items"]
        params = item["options"] if kind == "flow" else item["auth"]["params"]
        return str(params["inletUrl"])


def _id_of(body: Any) -> str:
    if isinstance(body, list):  # of Catalog
        return str(body[0]).rpartition("/")[2]
    return str(body.get("$id") or body.get("@id") or body["id"])
