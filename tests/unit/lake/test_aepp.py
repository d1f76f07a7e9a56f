"""`aepp`, a client of AEP that we did not write, sees what status says."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.aepp_client import AeppClient, aepp_client
from tests.unit.lake.lake_harness import LakeHarness, send_in_three_hours
from tests.unit.provisioning.harness import only

Counts = tuple[Counter[tuple[str, str]], dict[str, int]]


def read(client: AeppClient, flow: str, dataset: str) -> Counts:
    """Returns the failed records by batch and code, and the sums of the runs."""
    table = client.catalog().getFailedBatchesDF(limit=2, n_results="inf", dataSet=dataset)
    failed = Counter[tuple[str, str]]()
    for batch in table.index:
        for record in client.failed_records(batch):
            (reasons,) = record["_errors"].values()
            failed[batch, reasons[0]["code"]] += 1
    runs: list[Any] = client.flow_service().getRuns(n_results="inf", prop=[f"flowId=={flow}"])
    records = [run["metrics"]["recordSummary"] for run in runs]
    names = ("inputRecordCount", "outputRecordCount", "failedRecordCount")
    return failed, {name: sum(record[name] for record in records) for name in names}


@pytest.mark.parametrize("is_compacted", [False, True])
async def test_status_agrees_with_aepp(lake: LakeHarness, *, is_compacted: bool) -> None:
    """On each failed record, its batch and its code, and on the sums of the hours."""
    await send_in_three_hours(lake)
    if is_compacted:
        lake.adobe.platform.compact()
    flow, dataset = only(lake.adobe.state.flows).id, only(lake.adobe.state.datasets).id

    status = await lake.status()
    with aepp_client(lake.adobe.platform, lake.adobe.aep) as client:
        failed, sums = await asyncio.to_thread(read, client, flow, dataset)

    assert failed
    assert {(one.batch, one.code): one.records for one in status.failures} == failed
    assert list(sums.values()) == [
        sum(hour.received for hour in status.hours),
        sum(hour.stored for hour in status.hours),
        sum(hour.failed for hour in status.hours),
    ]
