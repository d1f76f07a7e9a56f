"""What AEP accepted is mapped, checked and stored later, and what became of it can be asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from local.aep_platform import RecordFailed, RecordStored
from tests.cases import rows
from tests.local.aep_platform.client import ROW
from tests.local.aep_platform.late import (
    AFTER_SECONDS,
    BAD,
    EXPORT,
    GOOD,
    NOON,
    LatePlatform,
    event,
)

FAILURES = orjson.loads(Path(__file__).with_name("late_ingestion.json").read_bytes())


async def test_nothing_is_stored_before_it_is_due(late: LatePlatform) -> None:
    """The answer is 207; the row, its batch and the lake's row come when the time has come."""
    await late.send(GOOD)
    assert late.advance(AFTER_SECONDS - 1) == 0
    assert (late.client.rows, late.lake.rows, late.seen) == ([], {}, [])
    assert (await late.batches(), late.platform.waiting_records) == ({}, 1)

    assert late.advance(1) == 1

    assert late.client.rows == late.lake.rows["pendo_events"] == [ROW]
    ((batch_id, batch),) = (await late.batches()).items()
    assert late.seen == [RecordStored("e-1", batch_id, NOON + AFTER_SECONDS)]
    assert batch["created"] == (NOON + AFTER_SECONDS) * 1000
    assert batch["tags"] == {"flowId": [late.client.ids["flow"]]}


@pytest.mark.parametrize("case", rows(FAILURES))
async def test_each_failure_has_its_name(late: LatePlatform, case: dict[str, Any]) -> None:
    """A record that fails is in a failed batch, with its message and why; others are stored."""
    failing = event(2, **case["event"])
    await late.send(event(1), failing, event(3))
    late.advance()

    assert [row["_id"] for row in late.client.rows] == ["e-1", "e-3"]
    ((batch_id, batch),) = (await late.batches("status=failed")).items()
    assert case["batch"] in [error["code"] for error in batch["errors"]]
    assert batch["metrics"]["failedRecordCount"] == batch["metrics"][case["metric"]] == 1
    assert batch["metrics"]["outputRecordCount"] == 0
    (record,) = await late.failed_records(batch_id)
    assert record["body"] == failing
    ((why,),) = record["_errors"].values()
    assert why["code"] == case["code"]
    assert case["message"] in why["message"]
    (failed,) = (one for one in late.seen if isinstance(one, RecordFailed))
    assert (failed.id, failed.batch, failed.stage) == ("e-2", batch_id, case["stage"])
    assert (failed.code, failed.message) == (why["code"], why["message"])


async def test_diagnostics_list_first_then_read(late: LatePlatform) -> None:
    """The folder of row errors lists files, whose lines have the columns and the errors."""
    await late.send(BAD)
    late.advance()
    (batch_id,) = await late.batches("status=failed")
    meta = f"{EXPORT}/batches/{batch_id}/meta"

    (folder,) = (await late.client.get(meta))["data"]
    (file,) = (await late.client.get(f"{meta}?path={folder['name']}"))["data"]
    found = await late.text(file["_links"]["self"]["href"])

    assert folder["name"] == "row_errors"
    assert int(file["length"]) == len(found)
    assert b'"id":"e-1"' in found
    assert b"MAPPER-3700-400" in found
    for path in (f"{meta}?path=row_errors/x", f"{EXPORT}/batches/{batch_id}/failed?path=x"):
        assert (await late.client.call("GET", path)).status == 404
    assert (await late.client.call("GET", f"{EXPORT}/batches/x/failed")).status == 404


async def test_many_failed_records_are_in_several_files(late: LatePlatform) -> None:
    """A reader of the first file, or of the first page, misses records."""
    await late.send(*(event(number, occurredAt="x") for number in range(1001)))
    late.advance()
    (batch_id,) = await late.batches("status=failed")
    path = f"{EXPORT}/batches/{batch_id}/failed"

    assert len(await late.failed_records(batch_id)) == 1001
    late.platform.state.page_size = 1
    first = await late.client.get(path)
    assert [file["name"] for file in first["data"]] == ["part-00000.json"]
    second = await late.client.get(first["_links"]["next"]["href"])
    assert [file["name"] for file in second["data"]] == ["part-00001.json"]
    assert "_links" not in second


async def test_lake_that_is_down_loses_nothing(late: LatePlatform) -> None:
    """What could not be written waits, and is written once when the lake is back."""
    late.lake.down = True
    flow = late.platform.state.flows[late.client.ids["flow"]]
    await late.send(event(1), event(2), BAD)
    with pytest.raises(ConnectionError):
        late.advance()
    assert (late.platform.waiting_records, late.seen, flow.errors) == (3, [], [])
    assert await late.batches() == {}

    late.lake.down = False
    assert late.platform.ingest_due() == 3
    assert [error.dropped for error in flow.errors] == [False, True]
    assert [row["_id"] for row in late.lake.rows["pendo_events"]] == ["e-1", "e-2"]
