"""Status says what the stand-in of AEP did, whatever comes between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from local.aep_platform import Answering, Call, Delay, Permission
from pendo_aep.lake.failed_records import WITHOUT_DIAGNOSTICS
from pendo_aep.lake.status import Status
from pendo_aep.provisioning.errors import PlatformError
from tests.unit.lake.lake_harness import START, LakeHarness, events, lake_harness
from tests.unit.provisioning.harness import only, own_fields

CANARY = "CANARY@example.com"


@pytest.fixture
async def lake() -> AsyncIterator[LakeHarness]:
    """On which a visitor's id must have small letters, and reasons are kept."""
    async with lake_harness() as harness:
        own_fields(harness.adobe.state)["visitorId"]["pattern"] = "^[a-z-]+$"
        only(harness.adobe.state.datasets).body["enableErrorDiagnostics"] = True
        yield harness


async def send_in_three_hours(lake: LakeHarness) -> None:
    """Stores 12 of 18 events, in several batches of two hours; one in an hour without others."""
    await lake.send(*events("a1", "a2", "a3"), *events("m1", "m2", occurredAt="yesterday"))
    lake.wait(minutes=20)
    await lake.send(*events("a4", "a5"), *events("v1", visitorId=CANARY))
    lake.wait(minutes=20)
    await lake.send(*events("a6"), *events("v2", "v3", visitorId=CANARY))
    lake.wait(hours=2)
    await lake.send(*events(*(f"b{n}" for n in range(6))), *events("m3", occurredAt="then"))
    lake.wait(minutes=10)


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


async def test_status_agrees(lake: LakeHarness) -> None:
    """By hour, and by code."""
    await send_in_three_hours(lake)

    status = await lake.status()

    check(lake, status)
    assert [(h.start.hour, h.received, h.failed) for h in status.hours] == [
        (9, 11, 5),
        (10, 0, 0),
        (11, 7, 1),
    ]
    assert {one.code for one in status.failures} == {"MAPPER-3700-400", "DCVS-1103-400"}
    assert not status.lacks_reasons


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

    lake.adobe.platform.fail(Delay(0), matching=revoke, times=None)
    for path in ("/batches", "/runs", "/failed"):
        throttle = Answering(429, None, {"Retry-After": "0"})
        lake.adobe.platform.fail(throttle, matching=lambda call, end=path: call.path.endswith(end))

    check(lake, await lake.status())
    assert lake.adobe.aep.tokens_issued > 3


@pytest.mark.parametrize("may_see_runs", [True, False])
async def test_compaction_counts_nothing_twice(lake: LakeHarness, *, may_see_runs: bool) -> None:
    """Nor does it move what was stored at nine to when it was compacted."""
    await send_in_three_hours(lake)
    assert lake.adobe.platform.compact()
    if not may_see_runs:
        lake.adobe.platform.permissions -= {Permission.VIEW_SOURCES, Permission.MANAGE_SOURCES}
        flow = only(lake.adobe.state.flows).id
        dataset = only(lake.adobe.state.datasets).id

    settings = {} if may_see_runs else {"AEP_FLOW_ID": flow, "AEP_DATASET_ID": dataset}
    status = await lake.status(**settings)

    check(lake, status)
    assert [(h.start.hour, h.stored) for h in status.hours] == [(9, 6), (10, 0), (11, 6)]
    assert bool(status.unread) is not may_see_runs


async def test_a_batch_that_is_retried_counts_when_it_is_there(lake: LakeHarness) -> None:
    """Until then nothing of it is stored or has failed."""
    lake.adobe.platform.record_faults.replayed_batches = 1
    await lake.send(*events("a1"), *events("m1", occurredAt="yesterday"))
    lake.wait(minutes=10)
    before = await lake.status()
    assert (before.is_success, sum(hour.received for hour in before.hours)) == (True, 0)

    lake.wait(hours=4)

    check(lake, await lake.status())


async def test_without_diagnostics_failures_are_failures(lake: LakeHarness) -> None:
    """Their number is known; their reasons are not."""
    lake.adobe.platform.record_faults.diagnostics_off = True
    await send_in_three_hours(lake)

    status = await lake.status()

    assert sum(hour.failed for hour in status.hours) == sum(lake.failed().values()) == 6
    assert sum(one.records for one in status.failures) == 6
    assert {one.code for one in status.failures} == {WITHOUT_DIAGNOSTICS}
    assert status.lacks_reasons


async def test_what_is_before_the_span_is_not_of_it(lake: LakeHarness) -> None:
    """Only the last hour; also after a compaction."""
    await send_in_three_hours(lake)
    lake.adobe.platform.compact()

    status = await lake.status(since=START + timedelta(hours=2))

    assert [(h.start.hour, h.stored, h.failed) for h in status.hours] == [(11, 6, 1)]
    assert sum(one.records for one in status.failures) == 1


async def test_nothing_accepted_is_no_failure(lake: LakeHarness) -> None:
    """An hour without events is an hour."""
    status = await lake.status()

    assert status.is_success
    assert [hour.received for hour in status.hours] == [0]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        pytest.param({"AEP_FLOW_ID": "nothing"}, "check AEP_FLOW_ID", id="flow"),
        pytest.param({"AEP_DATASET_ID": "nothing"}, "check AEP_DATASET_ID", id="dataset"),
        pytest.param(
            {"AEP_FLOW_ID": "nothing", "AEP_DATASET_ID": "nothing"}, "check AEP_FLOW_ID", id="both"
        ),
        pytest.param({"AEP_SANDBOX": "dev"}, "the sandbox dev", id="sandbox"),
        pytest.param({"AEP_CLIENT_SECRET": "wrong"}, "AEP_CLIENT_SECRET", id="secret"),
    ],
)
async def test_a_wrong_setting_is_named(
    lake: LakeHarness, settings: dict[str, str], says: str
) -> None:
    """An unknown dataflow does not look like one without events."""
    with pytest.raises(PlatformError, match=says):
        await lake.status(**settings)


async def test_without_a_dataflow(lake: LakeHarness) -> None:
    """It says how to make one, or to name another."""
    lake.adobe.state.flows.clear()

    with pytest.raises(PlatformError, match=r"no dataflow 'Pendo Events'.*aep apply"):
        await lake.status()


async def test_two_dataflows_of_one_name(lake: LakeHarness) -> None:
    """It does not take any of them."""
    flow = only(lake.adobe.state.flows)
    lake.adobe.state.flows["other"] = type(flow)(id="other", body=flow.body)

    with pytest.raises(PlatformError, match="2 dataflows 'Pendo Events': set AEP_FLOW_ID"):
        await lake.status()
