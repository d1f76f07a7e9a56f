"""The connections between an inlet and the dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pendo_aep.aep.format import SCHEMA_CONTENT_TYPE
from pendo_aep.provisioning import flow_service
from pendo_aep.provisioning.client import Client
from pendo_aep.provisioning.differences import refuse_difference
from pendo_aep.provisioning.flow_service import Collection
from pendo_aep.provisioning.part import Existing, Json, Kind, Known
from pendo_aep.provisioning.specs import VERSION, FlowSpec

# Adobe: the provider of all streaming sources.
_PROVIDER: Final = "521eee4d-8cbe-4906-bb48-fb6bd4450033"
_DATA_LAKE: Final = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
_COLLECTIONS: Final[dict[Kind, Collection]] = {
    Kind.CONNECTION: "connections",
    Kind.SOURCE: "sourceConnections",
    Kind.TARGET: "targetConnections",
}


@dataclass(frozen=True, slots=True)
class ConnectionPart:
    """A base, source or target connection. Adobe: a live flow does not see changes of them."""

    client: Client
    kind: Kind
    name: str
    spec: FlowSpec
    is_authenticated: bool = False

    async def find(self) -> list[str]:
        """The connections with the name."""
        return await flow_service.find(self.client, _COLLECTIONS[self.kind], self.name)

    async def read(self, part_id: str) -> Existing:
        """The connection."""
        body = await flow_service.read(self.client, _COLLECTIONS[self.kind], part_id)
        return Existing(part_id, body)

    def compare(self, existing: Existing, known: Known) -> tuple[str, ...]:
        """Nothing can change.

        Raises:
            Conflict: it is another connection.
        """
        refuse_difference(self.kind, self.name, existing, self._body(known))
        return ()

    async def create(self, known: Known) -> str:
        """Makes it."""
        return await flow_service.create(self.client, _COLLECTIONS[self.kind], self._body(known))

    async def change(self, existing: Existing, known: Known) -> None:
        """Never called: nothing can change."""

    async def delete(self, existing: Existing) -> None:
        """Ends it."""
        await flow_service.delete(self.client, _COLLECTIONS[self.kind], existing.id)

    def _body(self, known: Known) -> Json:
        if self.kind is Kind.TARGET:
            return _target(self.name, known)
        spec = {"id": self.spec.connection, "version": VERSION}
        if self.kind is Kind.SOURCE:
            body = {
                "name": self.name,
                "providerId": _PROVIDER,
                "connectionSpec": spec,
                "data": {"format": "json"},
            }
            if self.spec.has_base:
                body["baseConnectionId"] = known[Kind.CONNECTION].id
            return body
        params = {
            "sourceId": self.name,
            "name": self.name,
            "dataType": self.spec.format,
            "authenticationRequired": self.is_authenticated,
        }
        auth = {"specName": "Streaming Connection", "params": params}
        return {"name": self.name, "connectionSpec": spec, "auth": auth}


def _target(name: str, known: Known) -> Json:
    schema = {"id": known[Kind.SCHEMA].id, "version": SCHEMA_CONTENT_TYPE}
    return {
        "name": name,
        "connectionSpec": {"id": _DATA_LAKE, "version": VERSION},
        "data": {"format": "json", "schema": schema},
        "params": {"dataSetId": known[Kind.DATASET].id},
    }
