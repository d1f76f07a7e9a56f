"""The runs of a dataflow (Adobe: "Monitor dataflows using the Flow Service API").

A streaming dataflow has one run an hour, which counts what it received, stored and could not.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pendo_aep.lake.batches import BatchError, as_count, errors_in
from pendo_aep.provisioning.client import Client, Operation, Query, unexpected_answer
from pendo_aep.provisioning.errors import Permission
from pendo_aep.provisioning.flow_service import next_page
from pendo_aep.provisioning.resource import Json

_LIST: Final = Operation(
    "list the runs of the dataflow",
    "GET",
    "/data/foundation/flowservice/runs",
    Permission.VIEW_SOURCES,
)
_PAGE_SIZE: Final = "100"
# A run an hour: more than Adobe can have kept. It ends a list that would never end.
_MAX_PAGES: Final = 1000


@dataclass(frozen=True, slots=True)
class FlowRun:
    """One run, as far as it has come.

    Attributes:
        id: the run's.
        start: when it began.
        status: `success`, `partialSuccess`, `failed`, `inProgress`; open text.
        received: records that came in.
        stored: records that went into the dataset.
        failed: records that did not.
        errors: by code, with counts where AEP has them.
        batches: the batches that it wrote, where AEP names them.
    """

    id: str
    start: datetime
    status: str
    received: int
    stored: int
    failed: int
    errors: tuple[BatchError, ...] = ()
    batches: tuple[str, ...] = ()


async def read_flow_runs(
    client: Client, flow_id: str, since: datetime, until: datetime
) -> AsyncGenerator[FlowRun, None]:
    """Yields the runs that began in a span of time, newest first.

    A run is listed by when it was created, which is not before it began.

    Raises:
        RequestRejected: AEP rejects the call.
        Unreachable: AEP does not answer.
    """
    first: Query = [
        ("property", f"flowId=={flow_id}"),
        ("limit", _PAGE_SIZE),
        ("orderby", "-createdAt"),
    ]
    query, seen = first, set[str]()
    for _ in range(_MAX_PAGES):
        answer = await client.read(_LIST, query)
        items: list[Json] = answer.get("items") or []
        for item in items:
            run = _run(item)
            is_of_flow = item.get("flowId", flow_id) == flow_id
            if is_of_flow and run.id not in seen and since <= run.start < until:
                seen.add(run.id)
                yield run
        token = next_page(answer)
        # The newest of a page decides: should the order not hold, more is read, not less.
        newest = max((as_count(item.get("createdAt")) for item in items), default=0)
        if not token or newest < since.timestamp() * 1000:
            return
        query = [*first, ("continuationToken", token)]
    raise unexpected_answer(_LIST.action, f"over {_MAX_PAGES} pages")


def _run(item: Json) -> FlowRun:
    metrics: Json = item.get("metrics") or {}
    records: Json = metrics.get("recordSummary") or {}
    status: Json = metrics.get("statusSummary") or {}
    duration: Json = metrics.get("durationSummary") or {}
    activities: list[Json] = item.get("activities") or []
    started = as_count(duration.get("startedAtUTC")) or as_count(item.get("createdAt"))
    stored = as_count(records.get("outputRecordCount"))
    failed = as_count(records.get("failedRecordCount"))
    return FlowRun(
        id=str(item.get("id", "")),
        start=datetime.fromtimestamp(started / 1000, UTC),
        status=str(status.get("status") or item.get("status") or ""),
        received=max(as_count(records.get("inputRecordCount")), stored + failed),
        stored=stored,
        failed=failed,
        errors=tuple(_errors(status, activities)),
        batches=tuple(dict.fromkeys(_batches(activities))),
    )


def _errors(status: Json, activities: list[Json]) -> Iterator[BatchError]:
    """Yields each code once, with its count where one of the places has it."""
    found: dict[str, BatchError] = {}
    for summary in (status, *(activity.get("statusSummary") or {} for activity in activities)):
        extensions: Any = summary.get("extensions") or {}
        for error in (*errors_in(summary.get("errors")), *errors_in(extensions.get("errors"))):
            known = found.get(error.code)
            if known is None or (known.records is None and error.records is not None):
                found[error.code] = error
    yield from found.values()


def _batches(activities: list[Json]) -> Iterator[str]:
    for activity in activities:
        for target in activity.get("targetInfo") or []:
            reference: Any = target.get("reference") or {}
            if str(reference.get("type")).lower() == "batch":
                yield from map(str, reference.get("ids") or [])
