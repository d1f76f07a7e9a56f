"""Batches in Catalog: how one is made and shown, and how small ones become one.

The shape is Adobe's ("Catalog Service API", "Monitor partial batch ingestion"), that of failed
streaming records and of consolidation what the public client `aepp` reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby

from local.aep_platform import assumed, errors, failures
from local.aep_platform.call import Call, Permission, Route
from local.aep_platform.state import (
    Batch,
    Dataset,
    FailedRecord,
    Flow,
    Json,
    PlatformState,
    new_batch_id,
)
from local.http_server import ApiError, JsonResponse

_SERVICE = "catalog"
_HOUR_MS = 3_600_000
Page = Callable[[Call, Mapping[str, Json]], Json]


def routes(base: str, page: Page) -> tuple[Route, ...]:
    """The operations on batches.

    Args:
        base: the path of Catalog.
        page: makes the answer of a list.
    """

    def list_batches(call: Call) -> JsonResponse:
        return JsonResponse(200, page(call, _selected(call)))

    view = Permission.VIEW_DATASETS
    return (
        Route("GET", f"{base}/batches", list_batches, view),
        Route("GET", f"{base}/batches/{{id}}", _look_up, view),
    )


def start_batch(
    state: PlatformState, dataset: Dataset, flow: Flow | None, at: float, *, has_diagnostics: bool
) -> Batch:
    """Makes a batch that has not been written yet; `at` in seconds since the epoch."""
    now = int(at * 1000)
    batch = Batch(
        id=new_batch_id(now),
        dataset_id=dataset.id,
        flow_id=flow.id if flow is not None else None,
        status="retrying",
        created=now,
        updated=now,
        has_diagnostics=has_diagnostics,
    )
    state.batches[batch.id] = batch
    return batch


def finish_batch(batch: Batch, outcome: int | list[FailedRecord], at: float) -> None:
    """Ends a batch.

    Args:
        batch: as it was started.
        outcome: how many records were written, or those that failed.
        at: in seconds since the epoch.
    """
    batch.updated = max(int(at * 1000), batch.created)
    if isinstance(outcome, int):
        batch.status, batch.stored = "success", outcome
    else:
        batch.status, batch.failed = "failed", outcome


def find_batch(call: Call, service: str) -> Batch:
    """Returns the batch whose id is in the path.

    Raises:
        ApiError: there is none.
    """
    batch = call.state.batches.get(call.params["id"])
    if batch is None:
        raise errors.service(service, 404, f"No batch {call.params['id']}")
    return batch


def shown(state: PlatformState, batch: Batch) -> Json:
    """Returns a batch as Catalog shows it."""
    metrics: Json = {}
    if batch.status != "retrying":
        failed = len(batch.failed)
        metrics = {
            "inputRecordCount": batch.stored + failed,
            "outputRecordCount": batch.stored,
            "failedRecordCount": failed,
        }
    if batch.failed:
        metrics |= failures.metrics_of(batch.failed)
    tags = {"flowId": [batch.flow_id]} if batch.flow_id else {}
    if batch.successor:
        tags["acp_successor"] = [batch.successor]
    replay = {"predecessors": list(batch.predecessors), "reason": assumed.CONSOLIDATION}
    return {
        "id": batch.id,
        "imsOrg": state.ims_org_id,
        "sandboxId": f"sandbox-{state.sandbox}",
        "status": batch.status,
        "created": batch.created,
        "updated": batch.updated,
        "started": batch.created,
        "completed": batch.updated,
        "version": "1.0.1",
        "inputFormat": {"format": "parquet"},
        "relatedObjects": [{"type": "dataSet", "id": batch.dataset_id}],
        "tags": tags,
        "metrics": metrics,
        "errors": failures.errors_of(
            failures.codes_of_batch(batch.failed),
            batch.stored,
            has_diagnostics=batch.has_diagnostics,
        ),
        **({"replay": replay} if batch.predecessors else {}),
    }


def compact(state: PlatformState, at: float) -> list[Batch]:
    """Replaces the successful batches of each hour, dataset and flow by one, where there are more.

    Args:
        state: of the sandbox.
        at: in seconds since the epoch; when the new batches are made.

    Returns:
        The new batches.
    """

    def key(batch: Batch) -> tuple[str, str, int]:
        return batch.dataset_id, batch.flow_id or "", batch.created // _HOUR_MS

    live = [b for b in state.batches.values() if b.status == "success" and not b.predecessors]
    made: list[Batch] = []
    for _, group in groupby(sorted(live, key=key), key=key):
        if len(old := list(group)) > 1:
            made.append(_consolidate(state, old, int(at * 1000)))
    return made


def _consolidate(state: PlatformState, old: Iterable[Batch], now: int) -> Batch:
    parts = list(old)
    batch = Batch(
        id=new_batch_id(now),
        dataset_id=parts[0].dataset_id,
        flow_id=parts[0].flow_id,
        status="success",
        created=now,
        updated=now,
        stored=sum(part.stored for part in parts),
        predecessors=tuple(part.id for part in parts),
    )
    for part in parts:
        part.status, part.successor, part.updated = "inactive", batch.id, now
    state.batches[batch.id] = batch
    return batch


def _selected(call: Call) -> dict[str, Json]:
    """Returns the batches that the query asks for (Adobe, "Catalog Service API")."""
    dataset_id, status = call.query.get("dataSet"), call.query.get("status")
    after, before = _time(call, "createdAfter"), _time(call, "createdBefore")
    return {
        batch.id: shown(call.state, batch)
        for batch in call.state.batches.values()
        if (dataset_id is None or batch.dataset_id == dataset_id)
        and (status is None or batch.status == status)
        and (after is None or batch.created > after)
        and (before is None or batch.created < before)
    }


def _time(call: Call, name: str) -> int | None:
    text = call.query.get(name)
    if text is not None and not text.isdecimal():
        raise _error(400, f"{name} '{text}' is not a time in milliseconds since the epoch")
    return None if text is None else int(text)


def _look_up(call: Call) -> JsonResponse:
    batch = find_batch(call, _SERVICE)
    return JsonResponse(200, {batch.id: shown(call.state, batch)})


def _error(status: int, detail: str) -> ApiError:
    return errors.service(_SERVICE, status, detail)
