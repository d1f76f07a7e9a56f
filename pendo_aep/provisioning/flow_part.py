"""The dataflow, which joins the connections and maps what comes in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pendo_aep.provisioning import flow_service
from pendo_aep.provisioning.client import Client
from pendo_aep.provisioning.differences import refuse_difference
from pendo_aep.provisioning.part import Existing, Json, Kind, Known
from pendo_aep.provisioning.specs import VERSION, FlowSpec


@dataclass(frozen=True, slots=True)
class FlowPart:
    """The dataflow, with the latest version of the mapping set where it maps."""

    client: Client
    name: str
    spec: FlowSpec
    kind: Kind = Kind.FLOW

    async def find(self) -> list[str]:
        """The dataflows with the name."""
        return await flow_service.find(self.client, "flows", self.name)

    async def read(self, part_id: str) -> Existing:
        """The dataflow."""
        return Existing(part_id, await flow_service.read(self.client, "flows", part_id))

    def compare(self, existing: Existing, known: Known) -> tuple[str, ...]:
        """Whether it maps as it should, and whether it takes data at all.

        Raises:
            Conflict: it joins other connections, or is of another kind.
        """
        refuse_difference(self.kind, self.name, existing, self._body(known))
        changes = ["the mapping"] if self._maps_otherwise(existing, known) else []
        return (*changes, *(["enabled"] if _is_disabled(existing) else []))

    async def create(self, known: Known) -> str:
        """Makes it, and with it the inlet of the Pendo source."""
        transformations = self._transformations(known)
        body = self._body(known)
        return await flow_service.create(
            self.client,
            "flows",
            {**body, "transformations": transformations} if transformations else body,
        )

    async def change(self, existing: Existing, known: Known) -> None:
        """Has it map as it should, or enables it."""
        if self._maps_otherwise(existing, known):
            (wanted,) = self._transformations(known)
            there = existing.body.get("transformations")
            operation: Json = {"op": "replace", "path": "/transformations/0", "value": wanted}
            if not there:
                operation = {"op": "add", "path": "/transformations", "value": [wanted]}
            await flow_service.patch(self.client, "flows", existing.body, [operation])
        else:
            await flow_service.enable(self.client, existing.id)

    async def delete(self, existing: Existing) -> None:
        """Ends it, and the inlet of the Pendo source."""
        await flow_service.delete(self.client, "flows", existing.id)

    def _body(self, known: Known) -> Json:
        return {
            "name": self.name,
            "flowSpec": {"id": self.spec.flow, "version": VERSION},
            "sourceConnectionIds": [known[Kind.SOURCE].id],
            "targetConnectionIds": [known[Kind.TARGET].id],
        }

    def _transformations(self, known: Known) -> list[Json]:
        if not self.spec.maps:
            return []
        mapping_set = known[Kind.MAPPING_SET]
        params = {
            "mappingId": mapping_set.id,
            "mappingVersion": int(mapping_set.body.get("version", 0)),
        }
        return [{"name": "Mapping", "params": params}]

    def _maps_otherwise(self, existing: Existing, known: Known) -> bool:
        wanted = self._transformations(known)
        if not wanted:
            return False
        there = existing.body.get("transformations") or [{}]
        params: Any = there[0].get("params", {})
        # Adobe's "Update dataflows": a flow takes the version as a number and shows it as text.
        differs = any(str(params.get(key)) != str(one) for key, one in wanted[0]["params"].items())
        return differs or not known[Kind.MAPPING_SET].is_final


def _is_disabled(existing: Existing) -> bool:
    return existing.body.get("state") == "disabled"
