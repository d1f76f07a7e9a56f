"""The verdict on each event, against a plain model of the same rules."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendo_aep.lake.verdicts import EventVerdict, Summary, Verdict, Verdicts
from tests.cases import randomly
from tests.unit.lake.messages import NOW, dead, failed, foreign, published

LATE_AFTER: Final = timedelta(hours=3)
OLD: Final = timedelta(hours=4)
KEYS: Final = st.sampled_from(["a", "b", "c", "d", "e"])
AGES: Final = st.integers(0, 8).map(lambda halves: halves * LATE_AFTER / 4)


async def conclude(verdicts: Verdicts) -> dict[str, EventVerdict]:
    """Returns the verdict on every event, by its id; the summary counts them."""
    summary = await verdicts.conclude(NOW, LATE_AFTER)
    found = list(verdicts.events(all_events=True))
    assert len({one.id for one in found}) == len(found)
    assert [one for one in found if one.verdict != "stored"] == list(verdicts.events())
    counts = {str(name): sum(one.verdict == name for one in found) for name in Verdict}
    duplicates = sum(one.times > 1 for one in found)
    assert summary == Summary(events=len(found), duplicates=duplicates, **counts)
    return {one.id: one for one in found}


@randomly
@given(
    in_span=st.lists(st.tuples(KEYS, AGES), max_size=8),
    after_it=st.lists(st.tuples(KEYS, AGES), max_size=4),
    waiting=st.lists(KEYS, max_size=3),
    dead_letters=st.lists(KEYS, max_size=3),
    failures=st.lists(KEYS, max_size=3),
    stored=st.lists(st.tuples(KEYS, st.integers(1, 3)), max_size=4),
)
async def test_each_event_has_the_first_verdict_that_holds(
    in_span: Sequence[tuple[str, timedelta]],
    after_it: Sequence[tuple[str, timedelta]],
    waiting: Sequence[str],
    dead_letters: Sequence[str],
    failures: Sequence[str],
    stored: Sequence[tuple[str, int]],
) -> None:
    """Whatever is said of it, how often, and of others; the count of each agrees."""
    with Verdicts() as verdicts:
        verdicts.add_stored(stored)
        verdicts.add_published(published(key, age) for key, age in in_span)
        verdicts.add_republished(published(key, age) for key, age in after_it)
        verdicts.add_waiting(published(key) for key in waiting)
        verdicts.add_dead_letters(dead(key) for key in dead_letters)
        verdicts.add_failed(failed(key) for key in failures)
        found = await conclude(verdicts)

    expected = {}
    for key in {key for key, _ in in_span}:
        times = sum(some for one, some in stored if one == key)
        age = min(age for one, age in [*in_span, *after_it] if one == key)
        holds = [
            (times > 0, "stored"),
            (key in waiting, "waiting"),
            (key in dead_letters, "dead_letter"),
            (key in failures, "failed"),
            (age < LATE_AFTER, "late"),
            (True, "missing"),
        ]
        verdict = next(name for is_true, name in holds if is_true)
        expected[key] = (verdict, times, NOW - age)
    assert {
        key: (one.verdict, one.times, one.published_at) for key, one in found.items()
    } == expected


@pytest.mark.parametrize("name", ["failed", "missing", "dead_letter"])
def test_what_is_no_success(name: str) -> None:
    """What waits, is late, or is stored twice needs nobody."""
    fine = Summary(5, stored=3, duplicates=1, late=1, waiting=1)

    assert fine.is_success
    assert not replace(fine, **{name: 1}).is_success


async def test_reasons_of_failures_and_dead_letters() -> None:
    """The last one of each, without values of the event, and only where they are the verdict."""
    with Verdicts() as verdicts:
        verdicts.add_published(published(key) for key in ("failed", "dead", "exhausted", "stored"))
        verdicts.add_failed([failed("failed", "OLD"), failed("failed"), failed("stored")])
        verdicts.add_dead_letters([dead("dead"), dead("exhausted", reason="", detail="")])
        verdicts.add_stored([("stored", 1)])
        found = await conclude(verdicts)

    reasons = {key: list(asdict(one).values())[5:] for key, one in found.items()}
    assert reasons == {
        "failed": ["mapping", "MAPPER-3700-400", "expected data type was: DOUBLE", "batch-1"],
        "dead": ["deliver", "rejected", "not valid: ...", None],
        "exhausted": ["deliver", "exhausted", "", None],
        "stored": [None, None, None, None],
    }


async def test_what_aep_does_not_say_is_no_guess() -> None:
    """A failed record without an id is counted, and no event is called failed for it."""
    with Verdicts() as verdicts:
        verdicts.add_published([published("a", OLD)])
        verdicts.add_failed([failed(""), failed("")])
        found = await conclude(verdicts)

        assert verdicts.unattributed == 2
    assert found["a"].verdict == "missing"


@pytest.mark.parametrize("data", [b"not JSON", b'{"no": "id"}'])
async def test_a_message_without_an_id_is_told_by_its_bytes(data: bytes) -> None:
    """As a dead letter it has another message id."""
    message = foreign(data)
    with Verdicts() as verdicts:
        verdicts.add_published([message, foreign(b"another")])
        verdicts.add_dead_letters([foreign(data)])
        found = await conclude(verdicts)

    assert found[message.id].verdict == "dead_letter"
    assert len(found) == 2


async def test_hours_of_the_events() -> None:
    """Those next to each other are one span; an event that does not say when has none."""
    ages = [timedelta(minutes=5), timedelta(hours=1), timedelta(hours=1), timedelta(hours=9)]
    with Verdicts() as verdicts:
        verdicts.add_published([published(str(n), age) for n, age in enumerate(ages)])
        verdicts.add_published([foreign(b"?")])
        spans = verdicts.occurred()

    before = [(NOW - start, NOW - end) for start, end in spans]
    hour = timedelta(hours=1)
    assert before == [(10 * hour, 9 * hour), (2 * hour, 0 * hour)]


async def test_each_missing_event_is_found_once() -> None:
    """For a replay: however often it was published."""
    with Verdicts() as verdicts:
        messages = [published("a", OLD), published("b"), published("c", OLD), published("a", OLD)]
        verdicts.add_published(messages)
        await verdicts.conclude(NOW, LATE_AFTER)

        found = [one.id for page in (messages[:2], messages[2:]) for one in verdicts.missing(page)]

    assert found == ["a", "c"]


async def test_an_interruption_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, though SQLite is at work in a thread; the store can be closed afterwards."""
    monkeypatch.setattr("pendo_aep.lake.verdicts._STEPS", 10_000)
    with Verdicts() as verdicts:
        verdicts.add_stored((f"{number * 7919 % 20_000}", 1) for number in range(20_000))
        work = asyncio.ensure_future(verdicts.conclude(NOW, LATE_AFTER))
        await asyncio.sleep(0)  # it has begun
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        with pytest.raises(sqlite3.OperationalError, match="no such table: verdicts"):
            list(verdicts.events())
