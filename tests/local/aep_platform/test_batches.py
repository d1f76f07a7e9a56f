"""Batches and flow runs: how they are listed, what compaction does, and what faults leave."""

from __future__ import annotations

from typing import Any

import pytest

from local.aep_platform import Answering, RecordStored
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


async def test_compaction_leaves_the_sum(late: LatePlatform) -> None:
    """Small batches of an hour become one that names them; its counts are theirs."""
    for number in range(3):
        await late.send(event(number))
        late.advance()
    late.clock.now = NOON + HOUR
    await late.send(event(8), event(9, occurredAt="x"))
    late.advance()
    before = await late.batches()

    (made,) = late.platform.compact()

    batches = await late.batches()
    merged = batches[made.id]
    old = [batches[batch_id] for batch_id in merged["replay"]["predecessors"]]
    assert merged["replay"]["reason"] == "consolidation"
    assert [batch["status"] for batch in old] == ["inactive"] * 3
    assert all(batch["tags"]["acp_successor"] == [made.id] for batch in old)
    assert merged["metrics"]["outputRecordCount"] == 3
    untouched = batches.keys() - {made.id, *merged["replay"]["predecessors"]}
    assert {key: batches[key] for key in untouched} == {key: before[key] for key in untouched}
    assert late.platform.compact() == []


async def test_lost_records_are_nowhere(late: LatePlatform) -> None:
    """They were accepted; no row, no batch, no count and no error shows them."""
    late.platform.record_faults.lost = {"e-2"}.__contains__
    await late.send(event(1), event(2))
    late.advance()

    assert [row["_id"] for row in late.client.rows] == ["e-1"]
    (batch,) = (await late.batches()).values()
    assert batch["metrics"]["inputRecordCount"] == 1
    assert [counts(run) for run in await all_runs(late, "")] == [(1, 1, 0)]
    assert late.client.platform.state.lost == []


async def test_duplicates_are_rows_of_their_own(late: LatePlatform) -> None:
    """The lake keeps both, and the batch counts both."""
    late.platform.record_faults.duplicated = {"e-2"}.__contains__
    await late.send(event(1), event(2))
    late.advance()

    stored = [one.id for one in late.seen if isinstance(one, RecordStored)]
    assert stored == [row["_id"] for row in late.lake.rows["pendo_events"]] == ["e-1", "e-2", "e-2"]
    (batch,) = (await late.batches()).values()
    assert batch["metrics"]["outputRecordCount"] == 3


async def test_late_records_come_in_a_later_batch(late: LatePlatform) -> None:
    """They are stored hours after the others, and healing does not lose them."""
    late.platform.record_faults.late = {"e-2"}.__contains__
    await late.send(event(1), event(2))
    assert late.advance() == 1
    late.platform.heal()
    assert (late.advance(4 * HOUR - 1), late.platform.waiting_records) == (0, 1)
    assert late.advance(1) == 1

    created = [batch["created"] for batch in (await late.batches()).values()]
    assert created[1] - created[0] == 4 * HOUR * 1000
    assert [row["_id"] for row in late.client.rows] == ["e-1", "e-2"]


@pytest.mark.parametrize("status", ["success", "failed"])
async def test_batch_that_is_replayed(late: LatePlatform, status: str) -> None:
    """It shows as retrying for hours, without counts; then it ends under the same id."""
    late.platform.record_faults.replayed_batches = 1
    await late.send(event(1) if status == "success" else event(1, occurredAt="x"))
    late.advance()
    ((batch_id, batch),) = (await late.batches()).items()
    assert (batch["status"], batch["metrics"], late.client.rows) == ("retrying", {}, [])
    await late.send(event(2))
    late.advance()
    assert [row["_id"] for row in late.client.rows] == ["e-2"]

    late.advance(3 * HOUR)

    again = (await late.batches())[batch_id]
    assert (again["status"], again["created"]) == (status, batch["created"])
    assert again["updated"] - again["created"] == 3 * HOUR * 1000
    assert again["metrics"]["inputRecordCount"] == 1


async def test_api_throttles(late: LatePlatform) -> None:
    """The lists can be throttled as every call can."""
    throttled = Answering(429, {"title": "Too Many Requests"}, {"Retry-After": "1"})
    late.platform.fail(throttled, matching=lambda call: call.path.endswith("/batches"))

    answered = await late.client.call("GET", f"{CATALOG}/batches")
    assert (answered.status, answered.headers["Retry-After"]) == (429, "1")
    assert await late.batches() == {}
