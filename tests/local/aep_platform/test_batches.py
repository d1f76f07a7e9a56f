"""Batches and flow runs: how they are listed, what compaction does, and what faults leave."""

from __future__ import annotations

from typing import Any

from tests.local.aep_platform.client import CATALOG, FLOWS
from tests.local.aep_platform.late import AFTER_SECONDS, NOON, LatePlatform, event

HOUR = 3600.0


async def send_each_hour(late: LatePlatform, hours: int, **changes: Any) -> None:
    """Sends two events in each of so many hours, the second with changes; ingests them."""
    for hour in range(hours):
        await late.send(event(10 * hour), event(10 * hour + 1, **changes))
        late.advance()
        late.clock.now = NOON + (hour + 1) * HOUR


async def all_runs(late: LatePlatform, query: str) -> list[dict[str, Any]]:
    """Returns the runs of the flow, following the tokens of their pages."""
    path = f"{FLOWS}/runs?property=flowId=={late.client.ids['flow']}&{query}"
    runs: list[dict[str, Any]] = []
    while True:
        page = await late.client.get(path)
        runs += page["items"]
        following = page["_links"].get("next")
        if following is None:
            return runs
        path = FLOWS + following["href"]


def counts(run: dict[str, Any]) -> tuple[int, int, int]:
    """Returns what a run received, stored and failed."""
    summary = run["metrics"]["recordSummary"]
    return (
        summary["inputRecordCount"],
        summary["outputRecordCount"],
        summary["failedRecordCount"],
    )


async def test_batches_are_listed_by_time_and_status(late: LatePlatform) -> None:
    """Both ends of a span are excluded, as Adobe says; pages go on until one is empty."""
    await send_each_hour(late, 3, occurredAt="x")
    first, last = ((NOON + AFTER_SECONDS + hour * HOUR) * 1000 for hour in (0, 2))

    assert len(await late.batches()) == 6
    assert len(await late.batches("status=failed&dataSet=x")) == 0
    inner = f"createdAfter={first:.0f}&createdBefore={last:.0f}"
    assert len(await late.batches(inner)) == 2
    assert len(await late.batches(f"createdAfter={first - 1:.0f}&status=failed")) == 3
    newest = list((await late.batches("orderBy=desc:created&status=success")).values())
    assert [batch["created"] for batch in newest] == sorted(
        (batch["created"] for batch in newest), reverse=True
    )
    late.platform.state.page_size = 4
    pages = [len(await late.batches(f"limit=100&start={start}")) for start in (0, 4, 6)]
    assert pages == [4, 2, 0]
    wrong = await late.client.call("GET", f"{CATALOG}/batches?createdAfter=yesterday")
    assert wrong.status == 400
    (batch_id, *_) = await late.batches()
    assert list(await late.client.get(f"{CATALOG}/batches/{batch_id}")) == [batch_id]


async def test_flow_has_a_run_each_hour(late: LatePlatform) -> None:
    """A run counts what was ingested in its hour, and names the errors."""
    await send_each_hour(late, 3, occurredAt="x")
    await late.send(event(90))
    late.advance()

    runs = await all_runs(late, "orderby=-createdAt&limit=2")
    assert [run["createdAt"] for run in runs] == [(NOON + h * HOUR) * 1000 for h in (3, 2, 1, 0)]
    assert [counts(run) for run in runs] == [(1, 1, 0), (2, 1, 1), (2, 1, 1), (2, 1, 1)]
    status = [run["metrics"]["statusSummary"]["status"] for run in runs]
    assert status == ["success", "partialSuccess", "partialSuccess", "partialSuccess"]
    (activity,) = runs[1]["activities"]
    codes = [error["code"] for error in activity["statusSummary"]["errors"]]
    assert codes == ["INGEST-1212-400", "MAPPER-3700-400"]
    late.platform.state.page_size = 1
    assert await all_runs(late, "orderby=-createdAt&limit=100") == runs
    refused = await late.client.call("GET", f"{FLOWS}/runs?continuationToken=x")
    assert refused.status == 400
