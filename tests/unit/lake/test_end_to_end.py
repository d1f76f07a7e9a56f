"""Status says what the stand-in of AEP did, whatever comes between."""

from __future__ import annotations

from datetime import timedelta

import pytest

from local.aep_platform import Answering, Call, Delay, Permission
from pendo_aep.lake.failed_records import WITHOUT_DIAGNOSTICS
from pendo_aep.lake.follow import End, Followed, Follower
from pendo_aep.lake.status import Status
from pendo_aep.provisioning.errors import PlatformError
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


@pytest.mark.parametrize("may_see_runs", [True, False])
async def test_compaction_counts_nothing_twice(lake: LakeHarness, *, may_see_runs: bool) -> None:
    """Nor does it move what was stored at nine to when it was compacted."""
    await send_in_three_hours(lake)
    assert lake.adobe.platform.compact()
    if not may_see_runs:
        lake.adobe.platform.permissions -= {Permission.VIEW_SOURCES, Permission.MANAGE_SOURCES}
        flow = only(lake.adobe.state.flows).id
        dataset = only(lake.adobe.state.datasets).id

    named = {} if may_see_runs else {"AEP_FLOW_ID": flow, "AEP_DATASET_ID": dataset}
    status = await lake.status(settings=named)

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


async def test_a_dataset_that_will_keep_no_reasons_is_named(lake: LakeHarness) -> None:
    """Before anything fails: afterwards it is too late."""
    assert not (await lake.status()).lacks_reasons
    only(lake.adobe.state.datasets).body["enableErrorDiagnostics"] = False

    status = await lake.status()

    assert (status.is_success, status.lacks_reasons) == (True, True)


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
    """Through the minutes that AEP takes."""
    await lake.send(*events("t1", "t2"))

    followed = await follow(lake, "t1", "t2")

    assert (followed.end, followed.records) == (End.LIKELY, 2)
    assert timedelta(minutes=5) <= lake.now - START <= timedelta(minutes=6)


@pytest.mark.parametrize("has_diagnostics", [True, False])
async def test_a_test_event_that_fails_is_found(
    lake: LakeHarness, *, has_diagnostics: bool
) -> None:
    """Also without the reason."""
    lake.adobe.platform.record_faults.diagnostics_off = not has_diagnostics
    await lake.send(*events("t1"), *events("t2", occurredAt="yesterday"))

    followed = await follow(lake, "t1", "t2")

    assert followed.end is End.FAILED
    assert [(one.event_id, one.stage) for one in followed.failed] == [("t2", "mapping")]
    assert (followed.failed[0].code == WITHOUT_DIAGNOSTICS) is not has_diagnostics


async def test_a_test_event_that_vanishes_is_not_taken_for_stored(lake: LakeHarness) -> None:
    """One of two: the time ends, and nothing is claimed."""
    lake.adobe.platform.record_faults.lost = {"t2"}.__contains__
    await lake.send(*events("t1", "t2"))

    assert (await follow(lake, "t1", "t2")).end is End.UNKNOWN


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
        await lake.status(settings=settings)


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
