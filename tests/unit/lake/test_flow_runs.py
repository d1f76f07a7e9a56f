"""Flow runs: all of the span and no others, in the shapes of Adobe's "Monitor dataflows"."""

from __future__ import annotations

from pendo_aep.lake.batches import BatchError
from pendo_aep.lake.flow_runs import FlowRun, read_flow_runs
from tests.unit.lake.adobe import FLOW, Adobe, at, ms, run_of, run_pages

PATH = "flowservice/runs"
_HOUR = 3_600_000


async def read(adobe: Adobe, since: str, until: str) -> list[FlowRun]:
    """Reads the runs of a span."""
    async with adobe.client() as client:
        return [run async for run in read_flow_runs(client, FLOW, at(since), at(until))]


async def test_all_pages_of_the_span_and_no_more(adobe: Adobe) -> None:
    """It ends at the first page that is older."""
    hours = [ms("20:00") - number * _HOUR for number in range(20)]
    adobe.answers[PATH] = run_pages([run_of(hour, inputRecordCount=1) for hour in hours], 3)

    found = await read(adobe, "10:00", "19:00")

    assert [run.start.hour for run in found] == [18, 17, 16, 15, 14, 13, 12, 11, 10]
    assert len(adobe.asked) == 5


async def test_a_run_in_adobe_shape(adobe: Adobe) -> None:
    """Adobe, "Monitor dataflows using the Flow Service API": errors in two places, once each."""
    shown = run_of(ms("09:00"), inputRecordCount=100, outputRecordCount=99, failedRecordCount=1)
    errors = [{"code": "CONNECTOR-2001-500", "message": "Error occurred at promotion activity."}]
    shown["metrics"]["statusSummary"]["errors"] = errors
    more = {
        "errors": [
            {"code": "INGEST-1212-400", "message": "Encountered 1 errors in the data."},
            {"code": "MAPPER-3700-400", "recordCount": 1, "message": "Mapper Transform Error"},
        ]
    }
    reference = {"type": "Batch", "ids": ["01EF01X41KJD82Y9ZX6ET54PCZ"]}
    shown["activities"] = [
        {"id": "copyActivity", "statusSummary": {"status": "success"}},
        {
            "id": "promotionActivity",
            "statusSummary": {"status": "success", "errors": errors, "extensions": more},
            "targetInfo": [{"type": "TargetConnection", "reference": reference}],
        },
    ]
    adobe.answers[PATH] = run_pages([shown], 10)

    (run,) = await read(adobe, "09:00", "10:00")

    assert (run.received, run.stored, run.failed, run.status) == (100, 99, 1, "success")
    assert run.batches == ("01EF01X41KJD82Y9ZX6ET54PCZ",)
    assert run.errors == (
        BatchError("CONNECTOR-2001-500", "Error occurred at promotion activity.", None),
        BatchError("INGEST-1212-400", "Encountered 1 errors in the data.", None),
        BatchError("MAPPER-3700-400", "Mapper Transform Error", 1),
    )


async def test_an_unordered_page_does_not_end_the_list(adobe: Adobe) -> None:
    """An order that AEP does not keep costs calls, not runs; another flow's runs do not count."""
    starts = [ms("03:00"), ms("18:00"), ms("04:00"), ms("17:00"), ms("16:00")]
    runs = [run_of(start, inputRecordCount=1) for start in starts]
    runs.insert(1, {**run_of(ms("15:00")), "flowId": "another"})
    adobe.answers[PATH] = run_pages(runs, 2)

    found = await read(adobe, "10:00", "20:00")

    assert [run.start.hour for run in found] == [18, 17, 16]
