"""Where the events of a deployment are looked for."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any, Final, cast

import pytest

from pendo_aep.lake import sources
from pendo_aep.lake.batches import Batch
from pendo_aep.lake.failed_records import FailedRecord
from pendo_aep.lake.sources import PipelineSources, PubSubNames
from pendo_aep.lake.target import Target
from pendo_aep.settings import LakeSettings, load
from tests.unit.lake.messages import NOW, failed

REQUIRED: Final = {
    "AEP_CLIENT_ID": "x",
    "AEP_CLIENT_SECRET": "x",
    "AEP_IMS_ORG_ID": "x@AdobeOrg",
    "GOOGLE_CLOUD_PROJECT": "acme",
}
PUSH: Final = "projects/acme/subscriptions/pendo-events-deliver"


@pytest.mark.parametrize(
    ("settings", "live"),
    [
        ({}, [PUSH]),
        ({"DRAIN_SUBSCRIPTION": "pendo-events-deliver"}, [PUSH]),
        ({"DRAIN_SUBSCRIPTION": "other"}, [PUSH, "projects/acme/subscriptions/other"]),
        (
            {"PUSH_SUBSCRIPTION": "projects/acme/subscriptions/sub"},
            ["projects/acme/subscriptions/sub"],
        ),
    ],
)
def test_live_subscriptions(settings: dict[str, str], live: list[str]) -> None:
    """`drain` pulls from what is pushed otherwise, or from a subscription of its own."""
    names = PubSubNames.of(load(LakeSettings, REQUIRED | settings))

    assert list(names.live) == live
    assert names.topic == "projects/acme/topics/pendo-events"
    assert names.dead_letters == "projects/acme/subscriptions/pendo-events-dead-kept"


async def test_failures_that_aep_counts_and_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """They come without an id; batches in which nothing failed are not opened."""
    batches = [
        Batch("stored", "success", NOW, received=9, stored=9, failed=0),
        Batch("partly", "success", NOW, received=9, stored=8, failed=1),
        Batch("failed", "failed", NOW, received=2_505, stored=0, failed=2_505),
    ]
    shown = {"partly": ["a"], "failed": [f"b{number}" for number in range(1_004)]}

    async def read_batches(*_: object) -> AsyncGenerator[Batch, None]:
        for batch in batches:
            yield batch

    async def read_failed_records(_: object, batch: Batch) -> AsyncGenerator[FailedRecord, None]:
        for key in shown[batch.id]:
            yield failed(key)

    monkeypatch.setattr(sources, "read_batches", read_batches)
    monkeypatch.setattr(sources, "read_failed_records", read_failed_records)
    names, nobody = PubSubNames.of(load(LakeSettings, REQUIRED)), cast("Any", None)
    found = PipelineSources(nobody, names, nobody, nobody, Target("flow", "dataset", "table"))

    pages = [page async for page in found.failed(NOW - timedelta(hours=1), NOW)]

    ids = [record.event_id for page in pages for record in page]
    assert ids == ["a", *shown["failed"], *[""] * 1_501]
    assert max(map(len, pages)) == 1_000
