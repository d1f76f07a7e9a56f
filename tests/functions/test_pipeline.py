"""The whole pipeline, Pendo to AEP, on our Pub/Sub server and on Google's emulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from local.aep import AepServer, has_id, refusing, throttled
from local.pipeline import DEAD, XDM_SETTINGS, Pipeline, administer, run_pipeline
from local.sample_trace import trace_sample
from local.samples import load_samples
from tests.conftest import PubSub
from tests.webhooks import send_signed, unique_id, webhook

pytestmark = pytest.mark.process

SETTINGS = {"raw": {}, "xdm": XDM_SETTINGS}


@pytest.mark.parametrize("form", SETTINGS)
async def test_every_sample_arrives_as_expected(
    pubsub: PubSub, project: str, aep: AepServer, form: str
) -> None:
    """Each sample event, signed and sent, reaches AEP as the file beside it says."""
    async with run_pipeline(
        pubsub.host, aep, project=project, deliver_settings=SETTINGS[form]
    ) as pipeline:
        traces = await asyncio.gather(*(trace_sample(s, pipeline, aep) for s in load_samples()))

    assert len(traces) > 10
    assert {t.sample.name: t.problem for t in traces if t.problem} == {}


@pytest.fixture
async def pipeline(pubsub: PubSub, project: str, aep: AepServer) -> AsyncIterator[Pipeline]:
    """A raw pipeline that only this test uses."""
    async with run_pipeline(pubsub.host, aep, project=project) as running:
        yield running


async def test_a_burst_loses_nothing(
    pubsub: PubSub, pipeline: Pipeline, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """1,000 events from 64 clients at once are exactly 1,000 IDs in AEP, in few requests."""
    numbers = iter(range(1000))

    async def client() -> None:
        for number in numbers:
            answer = await send_signed(http, pipeline.receive.url, webhook(number))
            assert answer.status == 200

    await asyncio.gather(*(client() for _ in range(64)))
    await aep.wait_for(lambda: len(aep.distinct_ids) >= 1000, 60)

    assert aep.distinct_ids == {unique_id(number) for number in range(1000)}
    # Google's emulator has at most two push requests open, so no batches form.
    if pubsub.server is not None:
        assert len(aep.requests) <= 60


async def test_a_throttled_event_comes_again(
    pipeline: Pipeline, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """An event that AEP throttles is pushed again until AEP accepts it."""
    aep.faults.add(throttled().times(2))

    assert (await send_signed(http, pipeline.receive.url, webhook(1))).status == 200

    await aep.wait_for(lambda: unique_id(1) in aep.distinct_ids, 30)
    assert [r.status for r in aep.requests] == [429, 429, 207]


async def test_a_rejected_event_becomes_a_dead_letter(
    pubsub: PubSub,
    project: str,
    pipeline: Pipeline,
    aep: AepServer,
    http: aiohttp.ClientSession,
) -> None:
    """An event that AEP rejects is in the dead-letter topic with its reason, and not sent again."""
    aep.faults.add(refusing(has_id(unique_id(2))))
    async with administer(pubsub.host) as admin:
        subscription = await admin.create_pull_subscription("dead", DEAD, project)

        assert (await send_signed(http, pipeline.receive.url, webhook(2))).status == 200
        await aep.wait_for(lambda: len(aep.refused) > 0, 30)
        async with asyncio.timeout(20):
            while not (
                pulled := await admin.subscriber.pull(subscription=subscription, max_messages=10)
            ).received_messages:
                pass  # until the dead letter has been stored

    (received,) = pulled.received_messages
    assert received.message.attributes["reason"] == "rejected"
    assert received.message.attributes["eventId"] == unique_id(2)
