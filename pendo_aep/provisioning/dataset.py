"""The dataset that stores the events (Adobe: "Catalog Service API guide")."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar, Final
from urllib.parse import quote

from pendo_aep.provisioning.client import Operation, unexpected_answer
from pendo_aep.provisioning.errors import Conflict, Permission
from pendo_aep.provisioning.resource import (
    ERROR_DIAGNOSTICS,
    FOR_PROFILE,
    Json,
    Kind,
    Observed,
    Resolved,
    Resource,
)

_BASE: Final = "/data/foundation/catalog"
_DATASETS: Final = f"{_BASE}/dataSets"
_PAGE_SIZE: Final = 100
_JSON_PATCH: Final = "application/json-patch+json"
# The media type of a schema in a dataset.
_SCHEMA_CONTENT_TYPE: Final = "application/vnd.adobe.xed-full-notext+json; version=1"
# Adobe: "Enable a dataset for Profile".
_PROFILE_TAGS: Final = {"unifiedProfile": ["enabled:true"], "unifiedIdentity": ["enabled:true"]}
# Seen in a dataset of Adobe's demo system, not in the documentation of Catalog. Without it, a batch
# gives only `INGEST-1211-400` for the events that it does not store.
_DIAGNOSTICS: Final = "enableErrorDiagnostics"
# `destroy` leaves a dataset without this tag alone.
_OWN_TAGS: Final = {"managedBy": ["pendo-to-aep"]}


@dataclass(frozen=True, slots=True)
class Dataset(Resource):
    """A dataset of the schema, for Profile or not."""

    kind: ClassVar[Kind] = Kind.DATASET
    optional_changes: ClassVar[frozenset[str]] = frozenset({ERROR_DIAGNOSTICS})
    is_profile: bool

    async def find(self) -> list[str]:
        """Returns the ids of the datasets with the name. Adobe: it need not be unique."""
        operation = Operation("list datasets", "GET", _DATASETS, Permission.VIEW_DATASETS)
        found: list[str] = []
        query = [("name", self.name), ("properties", "name"), ("orderBy", "asc:created")]
        for start in count(0, _PAGE_SIZE):
            page = [("limit", str(_PAGE_SIZE)), ("start", str(start))]
            answer: dict[str, Json] = await self.client.read(operation, [*query, *page])
            found += [key for key, one in answer.items() if one.get("name") == self.name]
            if len(answer) < _PAGE_SIZE:  # there is no link to a next page
                break
        return found

    async def read(self, resource_id: str) -> Observed:
        """Reads it. Adobe: the answer is an object with its id as the only key."""
        operation = _operation("read", resource_id, "GET", Permission.VIEW_DATASETS)
        answer = await self.client.read(operation)
        if resource_id not in answer:
            raise unexpected_answer(operation.action, "the answer does not have it")
        return Observed(resource_id, answer[resource_id])

    def compare(self, observed: Observed, resolved: Resolved) -> tuple[str, ...]:
        """Returns a change if tags of Profile are missing, and one if AEP gives no reasons.

        Raises:
            Conflict: it has another schema.
        """
        schema_id = observed.body.get("schemaRef", {}).get("id")
        if schema_id != resolved[Kind.SCHEMA].id:
            raise Conflict(
                f"the dataset {self.name!r} ({observed.id}) has another schema, {schema_id}, which "
                "cannot change: choose another --name, or delete the dataset by hand"
            )
        return (
            *((FOR_PROFILE,) if self._missing_tags(observed) else ()),
            *(() if has_error_diagnostics(observed) else (ERROR_DIAGNOSTICS,)),
        )

    async def create(self, resolved: Resolved) -> str:
        """Creates it. Adobe: the answer is `["@/dataSets/ID"]`."""
        body = {
            "name": self.name,
            "description": "Pendo's events, brought by pendo-to-aep.",
            "schemaRef": {"id": resolved[Kind.SCHEMA].id, "contentType": _SCHEMA_CONTENT_TYPE},
            "tags": {**_OWN_TAGS, **(_PROFILE_TAGS if self.is_profile else {})},
            _DIAGNOSTICS: True,
        }
        needs = Permission.MANAGE_PROFILES if self.is_profile else Permission.MANAGE_DATASETS
        operation = Operation(f"create the dataset {self.name!r}", "POST", _DATASETS, needs)
        (reference,) = await self.client.write(operation, body)
        return str(reference).rpartition("/")[2]

    async def update(self, observed: Observed, resolved: Resolved) -> None:  # noqa: ARG002
        """Adds the tags of Profile, and switches error diagnostics on."""
        missing = self._missing_tags(observed)
        patch: list[Json] = [
            {"op": "add", "path": f"/tags/{name}", "value": value}
            for name, value in missing.items()
        ]
        if missing and not observed.body.get("tags"):
            patch = [{"op": "add", "path": "/tags", "value": missing}]
        if not has_error_diagnostics(observed):
            patch.append({"op": "add", "path": f"/{_DIAGNOSTICS}", "value": True})
        needs = Permission.MANAGE_PROFILES if missing else Permission.MANAGE_DATASETS
        operation = _operation("change", observed.id, "PATCH", needs)
        await self.client.write(operation, patch, content_type=_JSON_PATCH)

    async def delete(self, observed: Observed) -> None:
        """Deletes it with all its data: Adobe does not ask, and cannot restore it."""
        operation = _operation("delete", observed.id, "DELETE", Permission.MANAGE_DATASETS)
        await self.client.write(operation)

    async def has_data(self, observed: Observed) -> bool:
        """Returns whether it has any batch of data; the latest events may not show yet."""
        action = f"look for data in the dataset {observed.id}"
        operation = Operation(action, "GET", f"{_BASE}/batches", Permission.VIEW_DATASETS)
        query = [("dataSet", observed.id), ("limit", "1"), ("orderBy", "desc:created")]
        return bool(await self.client.read(operation, query))

    def is_ours(self, observed: Observed) -> bool:
        """Returns whether this command has created it."""
        tags = observed.body.get("tags") or {}
        return all(tags.get(name) == value for name, value in _OWN_TAGS.items())

    def _missing_tags(self, observed: Observed) -> dict[str, Any]:
        tags = observed.body.get("tags") or {}
        desired = _PROFILE_TAGS if self.is_profile else {}
        return {name: value for name, value in desired.items() if not _is_enabled(tags.get(name))}


def has_error_diagnostics(dataset: Observed) -> bool:
    """Returns whether AEP says why it does not store an event in this dataset."""
    return dataset.body.get(_DIAGNOSTICS) is True


def _operation(verb: str, dataset_id: str, method: str, needs: Permission) -> Operation:
    path = f"{_DATASETS}/{quote(dataset_id, safe='')}"
    return Operation(f"{verb} the dataset {dataset_id}", method, path, needs)


def _is_enabled(values: Any) -> bool:
    # Adobe shows it with a space in one place.
    return isinstance(values, list) and "enabled:true" in [str(v).replace(" ", "") for v in values]
