"""Following test events: it ends when their end is known, and says no more than is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from pendo_aep.cli.aep_follow import as_json, as_text
from pendo_aep.lake.follow import End, Followed, Follower, StoredIds
from tests.unit.lake.adobe import DATASET, Adobe, at, batch_pages, files, ms

IDS = ("test-1", "test-2")


@dataclass
class Story:
    """What happens while the events are followed, by the minutes since they were sent."""

    adobe: Adobe
    happens: dict[int, Callable[[], None]] = field(default_factory=dict)
    batches: dict[str, Any] = field(default_factory=dict)
    time: datetime = field(default_factory=lambda: at("09:00"))
    texts: list[str] = field(default_factory=list)

    def store(self, key: str, created: str, records: int) -> None:
        """A batch of stored records appears."""
        metrics = {"inputRecordCount": records, "outputRecordCount": records}
        self.batches[key] = {"created": ms(created), "status": "success", "metrics": metrics}

    def fail(self, key: str, created: str, *event_ids: str) -> None:
        """A batch of failed records appears."""
        count = len(event_ids)
        metrics = {"inputRecordCount": count, "failedRecordCount": count}
        self.batches[key] = {"created": ms(created), "status": "failed", "metrics": metrics}
        why = [{"code": "MAPPER-3700-400", "message": "cannot convert"}]
        lines = [json.dumps({"body": {"id": one}, "_errors": why}) for one in event_ids]
        self.adobe.answers[f"export/batches/{key}/failed"] = files({"part-0": "\n".join(lines)})

    async def _sleep(self, seconds: float) -> None:
        before = self.time
        self.time += timedelta(seconds=seconds)
        for minute, happen in self.happens.items():
            if before < at("09:00") + timedelta(minutes=minute) <= self.time:
                happen()

    async def follow(self, stored_ids: StoredIds | None = None, minutes: int = 15) -> Followed:
        """Follows the events, which were sent at nine."""
        self.adobe.answers["catalog/batches"] = batch_pages(self.batches)
        async with self.adobe.client() as client:
            follower = Follower(
                client,
                DATASET,
                IDS,
                at("09:00"),
                stored_ids=stored_ids,
                now=lambda: self.time,
                sleep=self._sleep,
            )
            return await follower.follow(timedelta(minutes=minutes), self.texts.append)

    @property
    def minutes(self) -> float:
        """How long it took."""
        return (self.time - at("09:00")).total_seconds() / 60


@pytest.fixture
def story(adobe: Adobe) -> Story:
    """In which nothing happens yet."""
    return Story(adobe)


async def test_stored_as_query_service_shows(story: Story) -> None:
    """One is there after four minutes, both after seven."""
    seen: set[str] = set()
    story.happens = {4: lambda: seen.add("test-1"), 7: lambda: seen.add("test-2")}

    async def stored_ids(ids: Collection[str]) -> set[str] | None:
        return seen & set(ids)

    followed = await story.follow(stored_ids)

    assert (followed.end, followed.stored) == (End.STORED, frozenset(IDS))
    assert 7 <= story.minutes < 8.1
    assert "1 arrived" in story.texts[-1]


async def test_with_query_service_counts_prove_nothing(story: Story) -> None:
    """Other events are stored meanwhile; these are not."""
    story.happens = {2: lambda: story.store("a", "09:02", 500)}

    async def stored_ids(_: Collection[str]) -> set[str] | None:
        return set()

    followed = await story.follow(stored_ids)

    assert (followed.end, story.minutes) == (End.UNKNOWN, 15)


async def test_query_service_that_cannot_be_asked_is_asked_once(story: Story) -> None:
    """Then the counts have to do."""
    asked: list[Collection[str]] = []
    story.happens = {5: lambda: story.store("a", "09:05", 2)}

    async def stored_ids(ids: Collection[str]) -> set[str] | None:
        asked.append(ids)
        return None

    followed = await story.follow(stored_ids)

    assert (followed.end, len(asked)) == (End.LIKELY, 1)


async def test_without_query_service_the_counts_make_it_likely(story: Story) -> None:
    """And nothing more: the text says so."""
    story.store("before", "08:59", 900)
    story.happens = {5: lambda: story.store("a", "09:05", 2)}

    followed = await story.follow()

    assert (followed.end, followed.records, followed.batches) == (End.LIKELY, 2, ("a",))
    assert 5 <= story.minutes < 6.1
    assert "most likely stored" in as_text(followed)
    assert "Only Query Service" in as_text(followed)


async def test_failed_with_the_reason(story: Story) -> None:
    """One fails, another event as well; one is stored."""
    story.happens = {
        3: lambda: story.fail("b", "09:03", "test-2", "another"),
        4: lambda: story.store("a", "09:04", 1),
    }

    followed = await story.follow()

    assert followed.end is End.FAILED
    assert [(one.event_id, one.stage) for one in followed.failed] == [("test-2", "mapping")]
    text = as_text(followed)
    assert "test-2: failed in mapping: MAPPER-3700-400 cannot convert" in text
    assert "aep plan --check" in text
    assert json.loads(as_json(followed, IDS))["failed"][0]["batch"] == "b"


async def test_records_are_read_once(story: Story) -> None:
    """A failed batch that stays the same is not read with every look."""
    story.fail("b", "09:00", "another")

    await story.follow()

    paths = [path for path, query in story.adobe.asked if "path" in query]
    assert paths == ["export/batches/b/failed"]


async def test_the_time_is_over(story: Story) -> None:
    """Nothing came: that is no failure, and it says how to look later."""
    followed = await story.follow(minutes=7)

    assert (followed.end, story.minutes) == (End.UNKNOWN, 7)
    assert "pendo-aep status" in as_text(followed)
