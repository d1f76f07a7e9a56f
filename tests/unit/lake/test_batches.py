"""Batches: each record counts once, whatever the pages, and whatever replaced what."""

from __future__ import annotations

from typing import Any

import pytest

from pendo_aep.lake.batches import Batch, BatchError, read_batches
from tests.cases import Case, cases
from tests.unit.lake.adobe import DATASET, Adobe, at, batch_pages, ms

PATH = "catalog/batches"


async def read(adobe: Adobe, since: str = "09:00", until: str = "10:00") -> list[Batch]:
    """Reads the batches of an hour."""
    async with adobe.client() as client:
        return [one async for one in read_batches(client, DATASET, at(since), at(until))]


@pytest.mark.parametrize("case", cases("lake_batches"))
async def test_each_record_counts_once(adobe: Adobe, case: Case) -> None:
    """Adobe's shapes: "Monitor partial batch ingestion"; of replacement, as aepp reads it."""
    batches = {
        key: {**body, "created": ms(body["created"])} for key, body in case["batches"].items()
    }
    adobe.answers[PATH] = batch_pages(batches)

    found = await read(adobe)

    assert [[one.id, one.received, one.stored, one.failed] for one in found] == case["found"]


async def test_a_batch_that_replaces_others_counts_when_their_data_came(adobe: Adobe) -> None:
    """Not hours later, when it was made."""
    adobe.answers[PATH] = batch_pages(
        {
            "a": {"created": ms("09:25"), "status": "inactive", "tags": {"acp_successor": ["c"]}},
            "b": {"created": ms("09:10"), "status": "inactive", "tags": {"acp_successor": ["c"]}},
            "c": {"created": ms("13:00"), "status": "success", "replay": {"predecessors": ["a"]}},
        }
    )

    (found,) = await read(adobe)

    assert (found.id, found.created) == ("c", at("09:10"))


def many(count: int) -> dict[str, Any]:
    """Returns batches of one record, a second apart."""
    return {
        f"batch-{number}": {
            "created": ms("09:00") + 1000 * number,
            "status": "success",
            "metrics": {"inputRecordCount": 1, "outputRecordCount": 1},
        }
        for number in range(count)
    }


@pytest.mark.parametrize("count", [100, 201])
async def test_no_page_is_lost(adobe: Adobe, count: int) -> None:
    """The last page may be full, or have one batch."""
    adobe.answers[PATH] = batch_pages(many(count))

    assert sum(batch.stored for batch in await read(adobe)) == count


async def test_what_catalog_says_of_a_failed_batch(adobe: Adobe) -> None:
    """Adobe, "Retrieving data ingestion error diagnostics": `errors`, and the tag."""
    adobe.answers[PATH] = batch_pages(
        {
            "a": {
                "created": ms("09:10"),
                "status": "success",
                "tags": {"acp_enableErrorDiagnostics": True},
                "metrics": {"inputRecordCount": 9, "outputRecordCount": 4, "failedRecordCount": 5},
                "errors": [
                    {"code": "INGEST-1212-400", "description": "Encountered 5 errors"},
                    {"code": "INGEST-1401-400", "description": "corrupted", "recordCount": 5},
                ],
            },
            "b": {
                "created": ms("09:20"),
                "status": "failed",
                "tags": {"acp_enableErrorDiagnostics": ["false"]},
                "metrics": {"invalidRecordCount": 2, "invalidRecordsIdentity": 2},
            },
        }
    )

    one, other = await read(adobe)

    assert one.errors == (
        BatchError("INGEST-1212-400", "Encountered 5 errors", None),
        BatchError("INGEST-1401-400", "corrupted", 5),
    )
    assert (one.is_failure, one.has_diagnostics, one.stage) == (True, True, "")
    assert (other.is_failure, other.has_diagnostics, other.stage) == (True, False, "identity")
