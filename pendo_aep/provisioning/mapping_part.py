"""The mapping set that makes XDM of raw events."""

from __future__ import annotations

from dataclasses import dataclass

from pendo_aep.provisioning import data_prep, flow_service
from pendo_aep.provisioning.client import Client
from pendo_aep.provisioning.mapping_set import mapping_set
from pendo_aep.provisioning.part import Existing, Json, Kind, Known
from pendo_aep.provisioning.standard_groups import StandardGroup


@dataclass(frozen=True, slots=True)
class MappingPart:
    """One set for events of every type, as the mapping table has it.

    Attributes:
        groups: of Adobe's field groups, those that the schema has.
        flow: the name of the dataflow that uses the set.
    """

    client: Client
    name: str
    tenant_id: str
    identity_namespace: str
    groups: tuple[StandardGroup, ...]
    flow: str
    kind: Kind = Kind.MAPPING_SET

    async def find(self) -> list[str]:
        """The mapping set that the dataflow names; without a dataflow, those with the name.

        Adobe's OpenAPI shows a list of mapping sets without their names, and a dataflow with the id
        of its mapping set.
        """
        used = await self._used()
        return [used.id] if used else await data_prep.find(self.client, self.name)

    async def read(self, part_id: str) -> Existing:
        """The latest version."""
        used = await self._used()
        known = used.version if used and used.id == part_id else 0
        return Existing(part_id, await data_prep.read(self.client, part_id, self.name, known))

    def compare(self, existing: Existing, known: Known) -> tuple[str, ...]:
        """The destinations that are mapped otherwise.

        A set whose schema is gone is made to fit the new one: AEP may refuse to delete a set, so
        that it outlives a `destroy`.
        """
        wanted = self._body(known)
        differs = _sources(wanted) ^ _sources(existing.body)
        changes = [f"mapping of {to}" for to in sorted({to for to, _ in differs})]
        if _schema_id(existing.body) != _schema_id(wanted):
            changes.append("its schema")
        return tuple(changes)

    async def create(self, known: Known) -> str:
        """Makes it."""
        return await data_prep.create(self.client, self._body(known))

    async def change(self, existing: Existing, known: Known) -> Existing:
        """Adds a version; the dataflow is told afterwards, being a part that comes later."""
        body = self._body(known)
        return Existing(existing.id, await data_prep.replace(self.client, existing.id, body))

    async def delete(self, existing: Existing) -> None:
        """Ends it, if AEP lets it go."""
        await data_prep.delete(self.client, existing.id)

    def _body(self, known: Known) -> Json:
        return mapping_set(
            self.name,
            known[Kind.SCHEMA].id,
            self.tenant_id,
            self.identity_namespace,
            self.groups,
        )

    async def _used(self) -> _Used | None:
        """What the dataflow of our name uses; None where there is not exactly one that uses any."""
        flows = await flow_service.find(self.client, "flows", self.flow)
        if len(flows) != 1:
            return None
        flow = await flow_service.read(self.client, "flows", flows[0])
        for transformation in flow.get("transformations") or []:
            params = transformation.get("params", {})
            if params.get("mappingId"):
                # Adobe's "Update dataflows" shows the version as text.
                return _Used(str(params["mappingId"]), int(params.get("mappingVersion") or 0))
        return None


@dataclass(frozen=True, slots=True)
class _Used:
    """The id and the version of the mapping set that a dataflow uses."""

    id: str
    version: int


def _sources(body: Json) -> set[tuple[str, str]]:
    """Destination and source of each mapping.

    Nothing else: Adobe rewrites the type, adds much, and keeps both of its own notations.
    """
    return {
        (
            str(mapping.get("destination") or mapping.get("destinationXdmPath")),
            str(mapping.get("source") or mapping.get("sourceAttribute")),
        )
        for mapping in body.get("mappings", [])
    }


def _schema_id(body: Json) -> str:
    schema = body.get("outputSchema", {}).get("schemaRef", {})
    return str(schema.get("id") or body.get("xdmSchema", ""))
