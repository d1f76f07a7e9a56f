"""The dataset that the events go into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pendo_aep.provisioning import catalog
from pendo_aep.provisioning.client import Client
from pendo_aep.provisioning.errors import Conflict
from pendo_aep.provisioning.part import FOR_PROFILE, Existing, Json, Kind, Known

# Adobe: "Catalog Service API guide", the media type of a schema in a dataset.
_CONTENT_TYPE: Final = "application/vnd.adobe.xed-full-notext+json; version=1"
# Adobe: "Enable a dataset for Profile".
_PROFILE_TAGS: Final = {"unifiedProfile": ["enabled:true"], "unifiedIdentity": ["enabled:true"]}
# Says whose it is: `destroy` leaves alone what does not have it.
_OWN_TAGS: Final = {"managedBy": ["pendo-to-aep"]}


@dataclass(frozen=True, slots=True)
class DatasetPart:
    """A dataset of the schema, for Profile or not."""

    client: Client
    name: str
    is_profile: bool
    kind: Kind = Kind.DATASET

    async def find(self) -> list[str]:
        """The datasets with the name."""
        return await catalog.find(self.client, self.name)

    async def read(self, part_id: str) -> Existing:
        """The dataset."""
        return Existing(part_id, await catalog.read(self.client, part_id))

    def compare(self, existing: Existing, known: Known) -> tuple[str, ...]:
        """The tags of Profile that are missing.

        Raises:
            Conflict: it is of another schema.
        """
        there = existing.body.get("schemaRef", {}).get("id")
        if there != known[Kind.SCHEMA].id:
            raise Conflict(
                f"the dataset {self.name!r} ({existing.id}) has another schema, {there}, which "
                "cannot change: choose another --name, or delete the dataset by hand"
            )
        return (FOR_PROFILE,) if self._missing(existing) else ()

    async def create(self, known: Known) -> str:
        """Makes it."""
        body = {
            "name": self.name,
            "description": "Pendo's events, brought by pendo-to-aep.",
            "schemaRef": {"id": known[Kind.SCHEMA].id, "contentType": _CONTENT_TYPE},
            "tags": {**_OWN_TAGS, **(_PROFILE_TAGS if self.is_profile else {})},
        }
        return await catalog.create(self.client, body)

    async def change(self, existing: Existing, known: Known) -> None:  # noqa: ARG002
        """Adds the tags of Profile."""
        missing = self._missing(existing)
        operations: list[Json] = [
            {"op": "add", "path": f"/tags/{name}", "value": value}
            for name, value in missing.items()
        ]
        if not existing.body.get("tags"):
            operations = [{"op": "add", "path": "/tags", "value": missing}]
        await catalog.patch(self.client, existing.id, operations)

    async def delete(self, existing: Existing) -> None:
        """Ends it with all that it holds."""
        await catalog.delete(self.client, existing.id)

    def _missing(self, existing: Existing) -> dict[str, Any]:
        tags = existing.body.get("tags") or {}
        wanted = _PROFILE_TAGS if self.is_profile else {}
        return {name: value for name, value in wanted.items() if not _is_enabled(tags.get(name))}


def is_ours(body: Json) -> bool:
    """Whether this command has made a dataset."""
    tags = body.get("tags") or {}
    return all(tags.get(name) == value for name, value in _OWN_TAGS.items())


def _is_enabled(values: Any) -> bool:
    # Adobe shows it with a space in one place.
    return isinstance(values, list) and "enabled:true" in [str(v).replace(" ", "") for v in values]
