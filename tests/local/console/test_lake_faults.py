"""What the console can break after AEP has accepted an event, on the dataflow of `aep apply`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
import orjson
import pytest

from local.adobe import Adobe, Outcome, run_adobe
from local.aep import AepServer
from local.aep_platform.lake import RecordFailed, RecordStored
from local.console.fault_injection import (
    AFTER_ACCEPTING,
    FaultInjector,
    FaultKind,
    Injection,
    NothingToBreak,
)
from local.console.lake_faults import LakeFaults
from local.pubsub import PubSubServer
from local.samples import load_samples

EVENT = next(s.event for s in load_samples() if s.name == "nps_submitted_comment")
IDS = [f"e{number}" for number in range(20)]


@pytest.fixture
def no_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starts no PostgreSQL, which takes longer than these tests."""
    monkeypatch.setattr("local.query_service.find_postgres", lambda: None)


@pytest.fixture
async def adobe(aep: AepServer, no_postgres: None) -> AsyncIterator[Adobe]:  # noqa: ARG001
    """AEP with the dataflow of `aep apply`."""
    async with run_adobe(aep, ingest_after_seconds=0.0) as running:
        yield running


@pytest.fixture
def injector(adobe: Adobe) -> FaultInjector:
    """Nothing is broken yet."""
    lake = LakeFaults(adobe.platform, adobe.dataflow)
    return FaultInjector(adobe.aep, PubSubServer(), lambda: None, lake)


async def ingest(adobe: Adobe, http: aiohttp.ClientSession, *ids: str) -> list[Outcome | None]:
    """Sends events to the dataflow; returns what became of each by now."""
    adobe.records.outcomes.clear()
    assert EVENT is not None
    url = adobe.dataflow.endpoint.replace("/collection/", "/collection/batch/")
    headers = {"x-adobe-flow-id": adobe.dataflow.flow_id}
    body = orjson.dumps({"messages": [EVENT | {"id": event_id} for event_id in ids]})
    async with http.post(url, data=body, headers=headers) as response:
        assert response.status == 207
    adobe.platform.ingest_due()
    return [adobe.records.outcomes.get(event_id) for event_id in ids]


def rows(adobe: Adobe) -> Counter[str]:
    """Returns how often each event lies in the dataset."""
    dataset = adobe.platform.state.datasets[adobe.dataflow.dataset_id]
    return Counter(row["_id"] for row in dataset.rows)


@pytest.mark.parametrize(
    ("kind", "stage"), [(FaultKind.MAPPING, "mapping"), (FaultKind.SCHEMA, "validation")]
)
async def test_every_event_fails_until_it_is_mended(
    adobe: Adobe, http: aiohttp.ClientSession, injector: FaultInjector, kind: FaultKind, stage: str
) -> None:
    """At the stage that was broken, with AEP's reason."""
    injector.inject(Injection(kind))
    (failed,) = await ingest(adobe, http, "e1")
    assert isinstance(failed, RecordFailed)
    assert failed.stage == stage
    assert failed.code

    injector.clear(kind)
    (stored,) = await ingest(adobe, http, "e2")
    assert isinstance(stored, RecordStored)
    assert rows(adobe) == {"e2": 1}


async def test_a_share_is_lost_without_a_word(
    adobe: Adobe, http: aiohttp.ClientSession, injector: FaultInjector
) -> None:
    """Nobody is told, nothing is stored; the same events each time."""
    injector.inject(Injection(FaultKind.LOST, share=0.5))
    first = await ingest(adobe, http, *IDS)
    second = await ingest(adobe, http, *IDS)

    lost = [outcome is None for outcome in first]
    assert lost == [outcome is None for outcome in second]
    assert 0 < sum(lost) < len(IDS)
    assert rows(adobe).keys() == {
        key for key, is_lost in zip(IDS, lost, strict=True) if not is_lost
    }


async def test_a_share_is_stored_twice(
    adobe: Adobe, http: aiohttp.ClientSession, injector: FaultInjector
) -> None:
    """The others once."""
    injector.inject(Injection(FaultKind.DUPLICATED, share=0.5))
    await ingest(adobe, http, *IDS)

    assert set(rows(adobe).values()) == {1, 2}
    assert rows(adobe).keys() == set(IDS)


async def test_events_are_stored_later(
    adobe: Adobe, http: aiohttp.ClientSession, injector: FaultInjector
) -> None:
    """As many seconds as were chosen."""
    injector.inject(Injection(FaultKind.LATE, seconds=0.5))
    (outcome,) = await ingest(adobe, http, "e1")
    assert outcome is None

    async with asyncio.timeout(10):
        assert isinstance(await adobe.records.outcome_of("e1"), RecordStored)


async def test_without_diagnostics_no_batch_has_reasons(
    adobe: Adobe, http: aiohttp.ClientSession, injector: FaultInjector
) -> None:
    """Together with a failure, whose reason AEP then does not keep."""
    for kind in (FaultKind.DIAGNOSTICS_OFF, FaultKind.SCHEMA):
        injector.inject(Injection(kind))
    await ingest(adobe, http, "e1")

    (batch,) = adobe.platform.state.batches.values()
    assert (batch.status, batch.has_diagnostics) == ("failed", False)


@pytest.mark.parametrize("kind", AFTER_ACCEPTING)
async def test_without_a_lake_there_is_nothing_to_break(aep: AepServer, kind: FaultKind) -> None:
    """The fault is not listed as if it had an effect."""
    injector = FaultInjector(aep, PubSubServer(), lambda: None)
    with pytest.raises(NothingToBreak, match="no data lake"):
        injector.inject(Injection(kind))
    assert injector.active == []


async def test_xdm_is_not_mapped(aep: AepServer, no_postgres: None) -> None:  # noqa: ARG001
    """So its mapping cannot be broken."""
    async with run_adobe(aep, "xdm", ingest_after_seconds=0.0) as adobe:
        lake = LakeFaults(adobe.platform, adobe.dataflow)
        injector = FaultInjector(aep, PubSubServer(), lambda: None, lake)
        with pytest.raises(NothingToBreak, match="--format raw"):
            injector.inject(Injection(FaultKind.MAPPING))
