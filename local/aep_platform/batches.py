"""Catalog's batches: what says whether a dataset holds data."""

from __future__ import annotations

from uuid import uuid4

from local.aep_platform.call import Answer, Call
from local.aep_platform.catalog_query import page
from local.aep_platform.state import Dataset, Json, PlatformState, now_ms


def list_batches(call: Call) -> Answer:
    """Adobe, "Catalog Service API": by `dataSet` and by `status`."""
    dataset_id, status = call.query.get("dataSet"), call.query.get("status")
    batches = {
        key: batch
        for key, batch in call.state.batches.items()
        if (dataset_id is None or _belongs(batch, dataset_id))
        and (status is None or batch["status"] == status)
    }
    return Answer(200, page(call, batches))


def _belongs(batch: Json, dataset_id: str) -> bool:
    return any(related["id"] == dataset_id for related in batch["relatedObjects"])


def store(state: PlatformState, dataset: Dataset, row: Json) -> None:
    """Put an XDM entity into a dataset; its first one makes the batch that all of them are in."""
    dataset.rows.append(row)
    if dataset.batch_id is None:
        dataset.batch_id = uuid4().hex
        state.batches[dataset.batch_id] = {
            "status": "success",
            "created": now_ms(),
            "relatedObjects": [{"type": "dataSet", "id": dataset.id}],
            "imsOrg": state.ims_org_id,
        }
    state.batches[dataset.batch_id].update(
        updated=now_ms(), metrics={"recordsWritten": len(dataset.rows)}
    )
