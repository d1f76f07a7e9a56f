"""The batches of a dataset: what AEP has stored, and what it could not (Adobe: "Catalog API").

Streamed events are stored in batches, and the lake compacts them: one batch takes the place of
several. Both are listed. To count nothing twice, a batch with a successor is left out, and the
successor counts from when the first of its predecessors was created: its events are that old.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pendo_aep import clock
from pendo_aep.provisioning.client import Client, Operation, unexpected_answer
from pendo_aep.provisioning.errors import Permission
from pendo_aep.provisioning.resource import Json

_LIST: Final = Operation(
    "list the batches of the dataset",
    "GET",
    "/data/foundation/catalog/batches",
    Permission.VIEW_DATASETS,
)
_PAGE_SIZE: Final = 100
# What was replaced by another batch, or deleted.
_GONE: Final = frozenset({"inactive", "deleted"})
CLOCKS_DIFFER: Final = timedelta(minutes=10)
"""By less than this: two clocks, ours and Adobe's, need not agree to the second."""
# Of a batch of failed streaming records, in samples of Adobe's and in aepp (`getFailedBatchesDF`).
_STAGES: Final = {
    "invalidRecordsMapper": "mapping",
    "invalidRecordsStreamingValidation": "validation",
    "invalidRecordsIdentity": "identity",
    "invalidRecordsProfile": "profile",
    "invalidRecordsUnknown": "ingestion",
}


@dataclass(frozen=True, slots=True)
class BatchError:
    """What AEP says of a batch.

    Attributes:
        code: open text, such as `INGEST-1212-400`.
        description: AEP's own words.
        records: how many records it is about; None where AEP does not say, as it does only with
            error diagnostics.
    """

    code: str
    description: str
    records: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch that no other has replaced.

    Attributes:
        id: as Catalog lists it.
        status: `success`, `failed`, `processing` and others; open text.
        created: when its data came; of one that replaces others, when the first of theirs came.
        received: records that were in it.
        stored: records that are in the lake.
        failed: records that are not.
        errors: what AEP says of it.
        stage: where all of its failed records failed, if its metrics say so; empty otherwise.
        has_diagnostics: whether AEP kept the reasons; None where it does not say.
    """

    id: str
    status: str
    created: datetime
    received: int
    stored: int
    failed: int
    errors: tuple[BatchError, ...] = ()
    stage: str = ""
    has_diagnostics: bool | None = None

    @property
    def is_failure(self) -> bool:
        """Whether anything in it was not stored, and will not be."""
        return self.status == "failed" or self.failed > 0


async def read_batches(
    client: Client, dataset_id: str, since: datetime, until: datetime
) -> AsyncGenerator[Batch, None]:
    """Yields the batches whose data came in a span of time, oldest first.

    All that came since then are listed first: a batch may have been replaced after the span. One
    that replaces only batches from before `since` is not of the span.

    Raises:
        RequestRejected: AEP rejects the call.
        Unreachable: AEP does not answer.
    """
    found = await _list(client, dataset_id, since)
    predecessors = _predecessors(found)
    replaced = set[str]().union(*predecessors.values())
    batches = []
    for key, body in found.items():
        if key in replaced or body.get("status") in _GONE:
            continue
        created = _created(key, found, predecessors)
        if created is not None and since <= created < until:
            batches.append(replace(_batch(key, body), created=created))
    for batch in sorted(batches, key=lambda batch: (batch.created, batch.id)):
        yield batch


async def _list(client: Client, dataset_id: str, since: datetime) -> dict[str, Json]:
    """Returns all batches since then. Adobe: at most 100 a page, and no link to the next.

    A page may have fewer, so only an empty one is the last. The end of the list is fixed: a batch
    that is made meanwhile cannot move the others.
    """
    query = [
        ("dataSet", dataset_id),
        ("createdAfter", str(_milliseconds(since) - 1)),  # exclusive, says aepp
        ("createdBefore", str(_milliseconds(clock.now() + CLOCKS_DIFFER))),
        ("orderBy", "desc:created"),
        ("limit", str(_PAGE_SIZE)),
    ]
    found: dict[str, Json] = {}
    start = 0
    while page := await client.read(_LIST, [*query, ("start", str(start))]):
        if not isinstance(page, dict):
            raise unexpected_answer(_LIST.action, "the answer is not an object")
        found |= page
        start += len(page)
    return found


def _predecessors(found: Mapping[str, Json]) -> dict[str, set[str]]:
    """Returns what each batch replaces: either of the two may say so."""
    predecessors: defaultdict[str, set[str]] = defaultdict(set)
    for key, body in found.items():
        for successor in _texts((body.get("tags") or {}).get("acp_successor")):
            predecessors[successor].add(key)
        if replaced := _texts((body.get("replay") or {}).get("predecessors")):
            predecessors[key].update(replaced)
    return dict(predecessors)


def _created(
    key: str, found: Mapping[str, Json], predecessors: Mapping[str, set[str]]
) -> datetime | None:
    """Returns when the data of a batch came; None if it was before all that are listed."""
    first: list[int] = []
    waiting, seen = [key], set[str]()
    while waiting:
        current = waiting.pop()
        if current in seen or current not in found:
            continue
        seen.add(current)
        if before := predecessors.get(current):
            waiting += before
        else:
            first.append(as_count(found[current].get("created")))
    return datetime.fromtimestamp(min(first) / 1000, UTC) if first else None


def _batch(key: str, body: Json) -> Batch:
    metrics: Json = body.get("metrics") or {}
    tags: Json = body.get("tags") or {}
    stages = {stage: as_count(metrics.get(name)) for name, stage in _STAGES.items()}
    failed = max(
        as_count(metrics.get("failedRecordCount")),
        as_count(metrics.get("invalidRecordCount")),
        sum(stages.values()),
    )
    stored = as_count(metrics.get("outputRecordCount", metrics.get("recordsWritten")))
    received = as_count(metrics.get("inputRecordCount"))
    is_failed = body.get("status") == "failed"
    with_failures = [stage for stage, records in stages.items() if records]
    diagnostics = tags.get("acp_enableErrorDiagnostics")
    return Batch(
        id=key,
        status=str(body.get("status", "")),
        created=datetime.fromtimestamp(0, UTC),
        received=max(received, stored + failed),
        stored=0 if is_failed else stored,
        # Nothing of a failed batch is stored, whatever it was that failed.
        failed=max(failed, received) if is_failed else failed,
        errors=tuple(errors_in(body.get("errors"))),
        stage=with_failures[0] if len(with_failures) == 1 else "",
        has_diagnostics=None if diagnostics is None else "true" in str(diagnostics).lower(),
    )


def errors_in(errors: Any) -> Iterator[BatchError]:
    """Yields what a list of errors says, in the shapes of Catalog and of Flow Service."""
    for error in errors if isinstance(errors, list) else []:
        if isinstance(error, dict):
            records = error.get("recordCount")
            yield BatchError(
                str(error.get("code", "")),
                str(error.get("description") or error.get("message") or ""),
                None if records is None else as_count(records),
            )


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(one) for one in values if one]


def as_count(value: Any) -> int:
    """Returns a count; Adobe shows some as text."""
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        return 0


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
