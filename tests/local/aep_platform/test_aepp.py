"""A reader that we did not write, `aepp`, finds in the stand-in what really happened."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.aepp_client import AeppClient, aepp_client
from tests.local.aep_platform.late import LatePlatform, event

LONG = {"guide": {"name": 'Größer als "zwanzig" Zeichen'}}


async def test_aepp_finds_failed_batches_records_and_runs(late: LatePlatform) -> None:
    """The same batches, messages, reasons and counts as the stand-in's own state has."""
    failing = {
        "e-1": event(1, occurredAt="yesterday"),
        "e-2": event(2, **LONG),
        "e-3": event(3, visitorId=""),
    }
    for one in failing.values():
        await late.send(one, event(9))
        late.advance()
    late.advance(3600)
    await late.send(event(10))
    late.advance()
    (merged,) = late.platform.compact()
    flow = late.client.ids["flow"]

    def read(client: AeppClient) -> tuple[Any, dict[str, Any], list[Any], str]:
        catalog = client.catalog()
        table = catalog.getFailedBatchesDF(limit=2, n_results="inf")
        records = {batch: client.failed_records(batch) for batch in table.index}
        service = client.flow_service()
        runs = service.getRuns(limit=1, n_results="inf", prop=[f"flowId=={flow}"])
        active = catalog.findActiveBatch(merged.predecessors[0])
        return table, records, runs, active

    with aepp_client(late.platform, late.client.aep) as client:
        table, records, runs, active = await asyncio.to_thread(read, client)

    assert set(table.flowId) == {flow}
    assert set(table.dataSetId) == {late.client.ids["dataset"]}
    assert (table.invalidRecordsMapper.sum(), table.invalidRecordsIdentity.sum()) == (1, 1)
    assert table.invalidRecordsStreamingValidation.sum() == 1
    assert "MAPPER-3700-400" in {code for codes in table.errorCode for code in codes}
    found = [record for one in records.values() for record in one]
    assert {record["body"]["id"]: record["body"] for record in found} == failing
    stages = {next(iter(record["_errors"])): record["body"]["id"] for record in found}
    assert stages == {"_mapper": "e-1", "_streamingValidation": "e-2", "_identity": "e-3"}
    assert sum(run["metrics"]["recordSummary"]["inputRecordCount"] for run in runs) == 7
    assert len(runs) == 2
    assert active == merged.predecessors[0]


async def test_aepp_finds_query_service(late: LatePlatform) -> None:
    """Its `connection()` has what its queries connect with."""
    with aepp_client(late.platform, late.client.aep) as client:
        found = await asyncio.to_thread(lambda: client.query_service().connection())

    assert found == late.lake.connection_parameters()
