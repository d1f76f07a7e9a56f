"""Catalog's datasets (Adobe: "Catalog Service API guide"), and whether one holds data."""

from __future__ import annotations

from itertools import count
from typing import Final
from urllib.parse import quote

from pendo_aep.provisioning.client import Client, Operation, unexpected
from pendo_aep.provisioning.part import Json
from pendo_aep.provisioning.permission import Permission

_BASE: Final = "/data/foundation/catalog"
_PAGE: Final = 100
_JSON_PATCH: Final = "application/json-patch+json"


async def find(client: Client, name: str) -> list[str]:
    """The ids of the datasets with that name. Adobe: it need not be unique."""
    operation = Operation("list datasets", "GET", f"{_BASE}/dataSets", Permission.VIEW_DATASETS)
    found: list[str] = []
    query = [("name", name), ("properties", "name"), ("orderBy", "asc:created")]
    for start in count(0, _PAGE):
        page = [("limit", str(_PAGE)), ("start", str(start))]
        answer: dict[str, Json] = await client.read(operation, [*query, *page])
        found += [key for key, dataset in answer.items() if dataset.get("name") == name]
        if len(answer) < _PAGE:  # there is no link to a next page
            break
    return found


async def read(client: Client, dataset_id: str) -> Json:
    """One dataset. Adobe: the answer is an object with its id as the only key."""
    operation = _one(dataset_id, "read", "GET", Permission.VIEW_DATASETS)
    answer = await client.read(operation)
    if dataset_id not in answer:
        raise unexpected(operation.action, "the answer does not have it")
    dataset: Json = answer[dataset_id]
    return dataset


async def create(client: Client, body: Json) -> str:
    """Makes a dataset, and answers its id. Adobe: the answer is `["@/dataSets/ID"]`."""
    needs = Permission.MANAGE_PROFILES if "unifiedProfile" in body["tags"] else None
    operation = Operation(
        f"create the dataset {body['name']!r}",
        "POST",
        f"{_BASE}/dataSets",
        needs or Permission.MANAGE_DATASETS,
    )
    (reference,) = await client.change(operation, body)
    return str(reference).rpartition("/")[2]


async def patch(client: Client, dataset_id: str, operations: list[Json]) -> None:
    """Changes a dataset by JSON Patch."""
    operation = _one(dataset_id, "change", "PATCH", Permission.MANAGE_PROFILES)
    await client.change(operation, operations, content_type=_JSON_PATCH)


async def delete(client: Client, dataset_id: str) -> None:
    """Ends a dataset with all that it holds: Adobe has no guard, and no way back."""
    await client.change(_one(dataset_id, "delete", "DELETE", Permission.MANAGE_DATASETS))


async def has_data(client: Client, dataset_id: str) -> bool:
    """Whether any batch of data belongs to it; what was sent just now may not be seen yet."""
    operation = Operation(
        f"look for data in the dataset {dataset_id}",
        "GET",
        f"{_BASE}/batches",
        Permission.VIEW_DATASETS,
    )
    query = [("dataSet", dataset_id), ("limit", "1"), ("orderBy", "desc:created")]
    return bool(await client.read(operation, query))


def _one(dataset_id: str, verb: str, method: str, needs: Permission) -> Operation:
    path = f"{_BASE}/dataSets/{quote(dataset_id, safe='')}"
    return Operation(f"{verb} the dataset {dataset_id}", method, path, needs)
