"""The whole pipeline, Pendo to AEP, on our Pub/Sub server and on Google's emulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from local.aep import AepServer, has_id, refusing, throttled
from local.pipeline import XDM_SETTINGS, Pipeline, run_pipeline
from local.sample_trace import trace_sample
from local.samples import load_samples
from tests.conftest import PubSub
from tests.webhooks import send_signed, unique_id, webhook

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
async def pipeline(
    pubsub: PubSub, project_ids: Iterator[str], aep: AepServer
) -> AsyncIterator[Pipeline]:
    """A raw pipeline."""
    async with run_pipeline(pubsub.host, aep, project=next(project_ids)) as running:
        yield running


async def check_samples(pipeline: Pipeline, aep: AepServer) -> None:
    """Asserts that each sample event, signed and sent, reaches AEP as the file beside it says."""
    traces = await asyncio.gather(*(trace_sample(s, pipeline, aep) for s in load_samples()))
    assert len(traces) > 10
    assert {t.sample.name: t.problem for t in traces if t.problem} == {}


async def test_every_sample_arrives_as_expected(pipeline: Pipeline, aep: AepServer) -> None:
    """In raw, each sample event reaches AEP as the file beside it says."""
    await check_samples(pipeline, aep)


async def test_every_sample_arrives_as_xdm(pubsub: PubSub, project: str) -> None:
    """In XDM too."""
    async with (
        AepServer() as aep,
        run_pipeline(pubsub.host, aep, project=project, deliver_settings=XDM_SETTINGS) as pipeline,
    ):
        await check_samples(pipeline, aep)


async def test_a_burst_loses_nothing(
    pubsub: PubSub, pipeline: Pipeline, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """1,000 events from 64 clients at once are exactly 1,000 IDs in AEP, in few requests."""
    numbers, before = iter(range(1000)), len(aep.requests)
    wanted = {unique_id(number) for number in range(1000)}

    async def client() -> None:
        for number in numbers:
            answer = await send_signed(http, pipeline.receive.url, webhook(number))
            assert answer.status == 200

    await asyncio.gather(*(client() for _ in range(64)))
    await aep.wait_for(lambda: wanted <= aep.distinct_ids, 120)

    # Google's emulator has at most two push requests open, so no batches form.
    if pubsub.server is not None:
        assert len(aep.requests) - before <= 60


async def test_a_throttled_event_comes_again(
    pipeline: Pipeline, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """An event that AEP throttles is pushed again until AEP accepts it."""
    aep.faults.add(throttled().times(2))
    before = len(aep.requests)

    assert (await send_signed(http, pipeline.receive.url, webhook(1001))).status == 200

    await aep.wait_for(lambda: unique_id(1001) in aep.distinct_ids, 60)
    assert [r.status for r in aep.requests[before:]] == [429, 429, 207]


async def test_a_rejected_event_becomes_a_dead_letter(
    pipeline: Pipeline, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """An event that AEP rejects is in the dead-letter topic with its reason, and not sent again."""
    aep.faults.add(refusing(has_id(unique_id(1002))))
    before = len(aep.requests)

    assert (await send_signed(http, pipeline.receive.url, webhook(1002))).status == 200
    async with asyncio.timeout(60):
        letter = await anext(pipeline.dead_letters())

    assert letter.attributes["reason"] == "rejected"
    assert letter.attributes["eventId"] == unique_id(1002)
    assert len(aep.requests) == before + 1
