"""Status says what the stand-in of AEP did, and `aepp` saw, whatever comes between."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from local.aep_platform import Answering, Call, Delay, Permission
from pendo_aep.lake.failed_records import WITHOUT_DIAGNOSTICS
from pendo_aep.lake.follow import End, Followed, Follower
from pendo_aep.lake.status import Status
from pendo_aep.provisioning.errors import PlatformError
from tests.aepp_client import AeppClient, aepp_client
from tests.unit.lake.lake_harness import (
    CANARY,
    START,
    LakeHarness,
    events,
    send_in_three_hours,
)
from tests.unit.provisioning.harness import only


def check(lake: LakeHarness, status: Status) -> None:
    """Checks that the status says what the stand-in did, each record once."""
    stored, failed = lake.stored(), lake.failed()
    assert sum(hour.stored for hour in status.hours) == stored
    assert sum(hour.failed for hour in status.hours) == sum(failed.values())
    assert sum(hour.received for hour in status.hours) == stored + sum(failed.values())
    shown = {(one.batch, one.code): one.records for one in status.failures}
    assert shown == failed
    assert len(status.failures) == len(failed)
    assert CANARY not in repr(status)


Counts = tuple[Counter[tuple[str, str]], dict[str, int]]


def _read(client: AeppClient, flow: str, dataset: str) -> Counts:
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


async def agrees_with_aepp(lake: LakeHarness, status: Status) -> None:
    """Another client of AEP sees each failed record, its batch and code, and the same sums."""
    flow, dataset = only(lake.adobe.state.flows).id, only(lake.adobe.state.datasets).id
    with aepp_client(lake.adobe.platform, lake.adobe.aep) as client:
        failed, sums = await asyncio.to_thread(_read, client, flow, dataset)
    assert failed
    assert {(one.batch, one.code): one.records for one in status.failures} == failed
    assert list(sums.values()) == [
        sum(hour.received for hour in status.hours),
        sum(hour.stored for hour in status.hours),
        sum(hour.failed for hour in status.hours),
    ]


async def test_status_agrees(lake: LakeHarness) -> None:
    """By hour, and by code; a compaction counts nothing twice, and moves nothing."""
    await send_in_three_hours(lake)
    flow, dataset = only(lake.adobe.state.flows).id, only(lake.adobe.state.datasets).id

    status = await lake.status()

    check(lake, status)
    assert [(h.start.hour, h.received, h.failed) for h in status.hours] == [
        (9, 11, 5),
        (10, 0, 0),
        (11, 7, 1),
    ]
    assert {one.code for one in status.failures} == {"MAPPER-3700-400", "DCVS-1103-400"}
    assert not status.lacks_reasons
    await agrees_with_aepp(lake, status)

    assert lake.adobe.platform.compact()
    status = await lake.status()
    check(lake, status)
    stored = [(9, 6), (10, 0), (11, 6)]
    assert [(h.start.hour, h.stored) for h in status.hours] == stored
    assert not status.unread
    await agrees_with_aepp(lake, status)

    # What is before the span is not of it.
    status = await lake.status(since=START + timedelta(hours=2))
    assert [(h.start.hour, h.stored, h.failed) for h in status.hours] == [(11, 6, 1)]
    assert sum(one.records for one in status.failures) == 1

    lake.adobe.platform.permissions -= {Permission.VIEW_SOURCES, Permission.MANAGE_SOURCES}
    status = await lake.status(settings={"AEP_FLOW_ID": flow, "AEP_DATASET_ID": dataset})
    check(lake, status)
    assert [(h.start.hour, h.stored) for h in status.hours] == stored
    assert status.unread


async def test_small_pages_a_throttle_and_an_expired_token(lake: LakeHarness) -> None:
    """No page is lost, and none counts twice."""
    await send_in_three_hours(lake)
    lake.adobe.state.page_size = 1
    seen: list[str] = []

    def revoke(call: Call) -> bool:
        seen.append(call.path)
        if len(seen) % 5 == 0:
            lake.adobe.aep.revoke_tokens()
        return False

    throttled: set[str] = set()

    def is_first(call: Call) -> bool:
        known = call.path in throttled
        throttled.add(call.path)
        return not known

    lake.adobe.platform.fail(
        Answering(429, None, {"Retry-After": "0"}), matching=is_first, times=None
    )
    lake.adobe.platform.fail(Delay(0), matching=revoke, times=None)

    check(lake, await lake.status())
    assert lake.adobe.aep.tokens_issued > 3


async def follow(lake: LakeHarness, *ids: str) -> Followed:
    """Follows events that were just sent, for an hour of the stand-in's time."""
    dataset_id = only(lake.adobe.state.datasets).id

    async def sleep(seconds: float) -> None:
        lake.wait(seconds=seconds)

    async with lake.adobe.connected() as platform:
        follower = Follower(
            platform.client, dataset_id, ids, lake.now, now=lambda: lake.now, sleep=sleep
        )
        return await follower.follow(timedelta(hours=1), lambda _: None)


async def test_test_events_are_followed(lake: LakeHarness) -> None:
    """Through the minutes that AEP takes, to whatever end it says that they have."""
    await lake.send(*events("t1", "t2"))
    followed = await follow(lake, "t1", "t2")
    assert (followed.end, followed.records) == (End.LIKELY, 2)
    assert timedelta(minutes=5) <= lake.now - START <= timedelta(minutes=6)

    for has_diagnostics in (True, False):
        lake.wait(minutes=30)
        lake.adobe.platform.record_faults.diagnostics_off = not has_diagnostics
        await lake.send(*events("t3"), *events("t4", occurredAt="yesterday"))
        followed = await follow(lake, "t3", "t4")
        assert followed.end is End.FAILED
        assert [(one.event_id, one.stage) for one in followed.failed] == [("t4", "mapping")]
        assert (followed.failed[0].code == WITHOUT_DIAGNOSTICS) is not has_diagnostics

    # One of two vanishes: the time ends, and nothing is claimed.
    lake.wait(minutes=30)
    lake.adobe.platform.record_faults.lost = {"t6"}.__contains__
    await lake.send(*events("t5", "t6"))
    assert (await follow(lake, "t5", "t6")).end is End.UNKNOWN


async def test_without_events_and_with_wrong_settings(lake: LakeHarness) -> None:
    """An unknown dataflow does not look like one without events, which is no failure."""
    status = await lake.status()
    assert (status.is_success, status.lacks_reasons) == (True, False)
    assert [hour.received for hour in status.hours] == [0]

    # That a dataset will keep no reasons is said before anything fails: then it is too late.
    only(lake.adobe.state.datasets).body["enableErrorDiagnostics"] = False
    status = await lake.status()
    assert (status.is_success, status.lacks_reasons) == (True, True)

    for settings, says in (
        ({"AEP_FLOW_ID": "nothing"}, "check AEP_FLOW_ID"),
        ({"AEP_DATASET_ID": "nothing"}, "check AEP_DATASET_ID"),
        ({"AEP_FLOW_ID": "nothing", "AEP_DATASET_ID": "nothing"}, "check AEP_FLOW_ID"),
        ({"AEP_SANDBOX": "dev"}, "the sandbox dev"),
        ({"AEP_CLIENT_SECRET": "wrong"}, "AEP_CLIENT_SECRET"),
    ):
        with pytest.raises(PlatformError, match=says):
            await lake.status(settings=settings)

    flows = lake.adobe.state.flows
    flow = only(flows)
    flows["other"] = type(flow)(id="other", body=flow.body)
    with pytest.raises(PlatformError, match="2 dataflows 'Pendo Events': set AEP_FLOW_ID"):
        await lake.status()
    flows.clear()
    with pytest.raises(PlatformError, match=r"no dataflow 'Pendo Events'.*aep apply"):
        await lake.status()
