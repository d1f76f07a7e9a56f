"""The connections and the dataflow in Flow Service (Adobe's OpenAPI)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, TypeAlias
from urllib.parse import parse_qs, quote, urlsplit

from pendo_aep.aep.format import SCHEMA_CONTENT_TYPE
from pendo_aep.provisioning.client import Client, Operation, unexpected_answer
from pendo_aep.provisioning.errors import Conflict, Permission
from pendo_aep.provisioning.resource import Json, Kind, Observed, Resolved, Resource

Source: TypeAlias = Literal["pendo", "http"]
DataFormat: TypeAlias = Literal["raw", "xdm"]

_BASE: Final = "/data/foundation/flowservice"
_PATHS: Final = {
    Kind.CONNECTION: f"{_BASE}/connections",
    Kind.SOURCE: f"{_BASE}/sourceConnections",
    Kind.TARGET: f"{_BASE}/targetConnections",
    Kind.FLOW: f"{_BASE}/flows",
}
_PAGE_SIZE: Final = "100"
# Far more than any sandbox has: it ends a list that would never end.
_MAX_PAGES: Final = 200


async def find(client: Client, kind: Kind, name: str) -> list[str]:
    """Returns the ids of the resources with that name. Adobe does not say that it is unique.

    All are listed and compared here: Adobe documents no filter by name, and calls `property` both
    a filter and a choice of columns. If a filter failed unnoticed, resources would be created
    twice.
    """
    operation = Operation(f"list {kind}s", "GET", _PATHS[kind], Permission.VIEW_SOURCES)
    found: list[str] = []
    query = [("limit", _PAGE_SIZE)]
    for _ in range(_MAX_PAGES):
        answer = await client.read(operation, query)
        items = answer.get("items") or []
        found += [str(item["id"]) for item in items if item.get("name") == name]
        token = next_page(answer)
        if not token or not items:
            return list(dict.fromkeys(found))
        query = [("limit", _PAGE_SIZE), ("continuationToken", token)]
    raise unexpected_answer(operation.action, f"over {_MAX_PAGES} pages")


def next_page(answer: Json) -> str:
    """Returns the token that the next page is asked for with; empty on the last."""
    link: Any = (answer.get("_links") or {}).get("next") or {}
    query = parse_qs(urlsplit(str(link.get("href", ""))).query)
    return query.get("continuationToken", [""])[0]


async def read(client: Client, kind: Kind, resource_id: str) -> Json:
    """Reads a resource. Adobe: the answer is a list of one, under `items`."""
    operation = _operation("read", kind, resource_id, "GET", Permission.VIEW_SOURCES)
    items = (await client.read(operation)).get("items") or []
    if len(items) != 1:
        raise unexpected_answer(operation.action, f"{len(items)} items")
    item: Json = items[0]
    return item


def _operation(
    verb: str, kind: Kind, resource_id: str, method: str, needs: Permission
) -> Operation:
    path = f"{_PATHS[kind]}/{quote(resource_id, safe='')}"
    return Operation(f"{verb} the {kind} {resource_id}", method, path, needs)


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """Adobe's fixed ids for a source that takes streamed events, and for its dataflow.

    Attributes:
        connection: the connection specification of the source.
        flow: the flow specification.
        format: of the events that it takes.
        has_base: whether the source needs a base connection, which then has the inlet.
    """

    connection: str
    flow: str
    format: DataFormat
    has_base: bool

    @property
    def maps(self) -> bool:
        """Whether a mapping set turns the events into XDM."""
        return self.format == "raw"


_VERSION: Final = "1.0"
_HTTP: Final = "bc7b00d6-623a-4dfc-9fdb-f1240aeadaeb"
# Adobe: "Create a source connection and dataflow for Pendo", and "Create an HTTP API streaming
# connection", each using the Flow Service API.
SPECS: Final[dict[tuple[Source, DataFormat], FlowSpec]] = {
    ("pendo", "raw"): FlowSpec(
        "6ff5654f-19d5-427d-bd3e-c0ebc802389a",
        "e77fde5a-22a8-11ed-861d-0242ac120002",
        "raw",
        has_base=False,
    ),
    ("http", "raw"): FlowSpec(_HTTP, "c1a19761-d2c7-4702-b9fa-fe91f0613e81", "raw", has_base=True),
    ("http", "xdm"): FlowSpec(_HTTP, "d8a6f005-7eaf-4153-983e-e8574508b877", "xdm", has_base=True),
}
# Adobe: the provider of all streaming sources.
_PROVIDER: Final = "521eee4d-8cbe-4906-bb48-fb6bd4450033"
_DATA_LAKE: Final = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"


def spec_of_flow(flow_spec_id: str) -> FlowSpec | None:
    """Returns the specification that a dataflow was created by; None if it is not one of ours."""
    return next((spec for spec in SPECS.values() if spec.flow == flow_spec_id), None)


@dataclass(frozen=True, slots=True)
class _FlowServiceResource(Resource):
    """A connection cannot change. Adobe: a running dataflow does not see changes of it."""

    async def find(self) -> list[str]:
        """Returns the ids of those with the name."""
        return await find(self.client, self.kind, self.name)

    async def read(self, resource_id: str) -> Observed:
        """Reads it."""
        return Observed(resource_id, await read(self.client, self.kind, resource_id))

    def compare(self, observed: Observed, resolved: Resolved) -> tuple[str, ...]:
        """Returns nothing.

        Raises:
            Conflict: it differs from what it should be; every difference is named.
        """
        differences = _differences(self._body(resolved), observed.body, "")
        if differences:
            raise Conflict(
                f"the {self.kind} {self.name!r} ({observed.id}) differs from what it should be: "
                f"{'; '.join(differences)}; AEP cannot change that: choose another --name, give "
                "the choices that it was made with, or run destroy first"
            )
        return ()

    async def create(self, resolved: Resolved) -> str:
        """Creates it."""
        return await self._create(self._body(resolved))

    async def delete(self, observed: Observed) -> None:
        """Deletes it. Adobe: dataflows before their connections."""
        await self._write("delete", observed, "DELETE")

    @abstractmethod
    def _body(self, resolved: Resolved) -> Json:
        """Returns what cannot change."""

    async def _create(self, body: Json) -> str:
        action = f"create the {self.kind} {self.name!r}"
        operation = Operation(action, "POST", _PATHS[self.kind], Permission.MANAGE_SOURCES)
        return str((await self.client.write(operation, body))["id"])

    async def _write(
        self,
        verb: str,
        observed: Observed,
        method: str,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        needs = Permission.MANAGE_SOURCES
        operation = _operation(verb, self.kind, observed.id, method, needs)
        await self.client.write(operation, body, headers)


def _differences(desired: Json, observed: Json, path: str) -> list[str]:
    """Returns what differs; AEP adds much, and need not show all that was sent."""
    found: list[str] = []
    for key, value in desired.items():
        has = observed.get(key)
        if isinstance(value, bool):  # an inlet that does not say that it wants a token is open
            has = bool(has)
        if isinstance(value, dict):
            found += _differences(value, has if isinstance(has, dict) else {}, f"{path}{key}.")
        elif key != "version" and has is not None and has != value:
            found.append(f"{path}{key} is {has!r}, not {value or 'one that is yet to be made'!r}")
    return found


@dataclass(frozen=True, slots=True)
class BaseConnection(_FlowServiceResource):
    """The inlet of the HTTP API source."""

    kind: ClassVar[Kind] = Kind.CONNECTION
    spec: FlowSpec
    is_authenticated: bool

    def _body(self, resolved: Resolved) -> Json:  # noqa: ARG002
        params = {
            "sourceId": self.name,
            "name": self.name,
            "dataType": self.spec.format,
            "authenticationRequired": self.is_authenticated,
        }
        return {
            "name": self.name,
            "connectionSpec": {"id": self.spec.connection, "version": _VERSION},
            "auth": {"specName": "Streaming Connection", "params": params},
        }


@dataclass(frozen=True, slots=True)
class SourceConnection(_FlowServiceResource):
    """Where a dataflow's events come from."""

    kind: ClassVar[Kind] = Kind.SOURCE
    spec: FlowSpec

    def _body(self, resolved: Resolved) -> Json:
        body: Json = {
            "name": self.name,
            "providerId": _PROVIDER,
            "connectionSpec": {"id": self.spec.connection, "version": _VERSION},
            "data": {"format": "json"},
        }
        if self.spec.has_base:
            body["baseConnectionId"] = resolved[Kind.CONNECTION].id
        return body


@dataclass(frozen=True, slots=True)
class TargetConnection(_FlowServiceResource):
    """The dataset that a dataflow's events go to."""

    kind: ClassVar[Kind] = Kind.TARGET

    def _body(self, resolved: Resolved) -> Json:
        schema = {"id": resolved[Kind.SCHEMA].id, "version": SCHEMA_CONTENT_TYPE}
        return {
            "name": self.name,
            "connectionSpec": {"id": _DATA_LAKE, "version": _VERSION},
            "data": {"format": "json", "schema": schema},
            "params": {"dataSetId": resolved[Kind.DATASET].id},
        }


@dataclass(frozen=True, slots=True)
class Dataflow(_FlowServiceResource):
    """Joins the connections; for raw events, with the latest version of the mapping set.

    Creating or deleting it does so for the inlet of the Pendo source, too.
    """

    kind: ClassVar[Kind] = Kind.FLOW
    spec: FlowSpec

    def compare(self, observed: Observed, resolved: Resolved) -> tuple[str, ...]:
        """Returns whether its mapping must change, and whether it must be enabled.

        Raises:
            Conflict: it joins other connections, or is of another kind.
        """
        _FlowServiceResource.compare(self, observed, resolved)
        changes = ["the mapping"] if self._maps_differently(observed, resolved) else []
        return (*changes, *(["enabled"] if observed.body.get("state") == "disabled" else []))

    async def create(self, resolved: Resolved) -> str:
        """Creates it."""
        body = self._body(resolved)
        if self.spec.maps:
            body["transformations"] = [_transformation(resolved)]
        return await self._create(body)

    async def update(self, observed: Observed, resolved: Resolved) -> None:
        """Changes its mapping if it is still as it was read, or enables it."""
        if self._maps_differently(observed, resolved):
            desired = _transformation(resolved)
            operation: Json = {"op": "replace", "path": "/transformations/0", "value": desired}
            if not observed.body.get("transformations"):
                operation = {"op": "add", "path": "/transformations", "value": [desired]}
            unchanged = {"If-Match": str(observed.body["etag"])}
            await self._write("change", observed, "PATCH", [operation], unchanged)
        else:
            path = f"{_PATHS[self.kind]}/{quote(observed.id, safe='')}/action?op=ENABLE"
            action = f"enable the dataflow {observed.id}"
            await self.client.write(Operation(action, "POST", path, Permission.MANAGE_SOURCES))

    def _body(self, resolved: Resolved) -> Json:
        return {
            "name": self.name,
            "flowSpec": {"id": self.spec.flow, "version": _VERSION},
            "sourceConnectionIds": [resolved[Kind.SOURCE].id],
            "targetConnectionIds": [resolved[Kind.TARGET].id],
        }

    def _maps_differently(self, observed: Observed, resolved: Resolved) -> bool:
        if not self.spec.maps:
            return False
        desired = _transformation(resolved)["params"]
        params: Any = (observed.body.get("transformations") or [{}])[0].get("params", {})
        # Adobe's "Update dataflows": a flow takes the version as a number and shows it as text.
        differs = any(str(params.get(key)) != str(value) for key, value in desired.items())
        return differs or not resolved[Kind.MAPPING_SET].is_final


def _transformation(resolved: Resolved) -> Json:
    mapping_set = resolved[Kind.MAPPING_SET]
    params = {
        "mappingId": mapping_set.id,
        "mappingVersion": int(mapping_set.body.get("version", 0)),
    }
    return {"name": "Mapping", "params": params}
