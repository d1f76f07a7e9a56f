"""The console's state: what the trackers make of events, bounded tables, and series."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.console import views
from local.console.state import (
    KEPT_SECONDS,
    MAX_BATCHES,
    MAX_LETTERS,
    MAX_STEPS,
    MAX_WEBHOOKS,
    Series,
    Table,
    percentile,
)
from tests.cases import randomly
from tests.local.console.console_harness import VISITOR, TrackedPipeline

TRACKER_CASES = orjson.loads((Path(__file__).parent / "tracker_cases.json").read_bytes())
ACCEPTED = ("webhook", "e1", 200, {"status": "accepted", "id": "ID"})
CAPACITY = 5
KEYS = st.sampled_from([f"key-{number}" for number in range(12)])
ACTIONS = st.lists(st.tuples(st.sampled_from(["put", "touch", "drop", "take"]), KEYS))


def tracked(*happened: tuple[Any, ...], **limits: int) -> TrackedPipeline:
    """Returns a pipeline in which these things have happened."""
    pipeline = TrackedPipeline(**limits)
    for one in happened:
        pipeline.happen(*one)
    return pipeline


@pytest.mark.parametrize("case", TRACKER_CASES, ids=lambda case: case["name"])
def test_status_counts_and_timeline(case: dict[str, Any]) -> None:
    """Each way of an event ends in its status, changes the counts, and gives a timeline."""
    pipeline = tracked(*case["happened"])

    counts = {name: count for name, count in asdict(pipeline.state.counts).items() if count}
    assert counts == case["counts"]
    record = next(iter(pipeline.state.events), None)
    if record is None:
        assert case["status"] is None
        return
    assert (record.status, record.reason) == (case["status"], case["reason"])
    assert record.attempts == case["attempts"]
    steps = views.event_detail(record)["steps"]
    assert [[step["text"], step["level"]] for step in steps] == case["timeline"]
    assert [step["at"] for step in steps] == sorted(step["at"] for step in steps)


def test_an_event_has_all_its_shapes_and_its_latency() -> None:
    """It has the webhook, the event on the topic, AEP's message, and the time between them."""
    pipeline = tracked(("stored",), ACCEPTED, ("pushed",), ("sent",), ("accepted",), ("acked",))

    (record,) = pipeline.state.events
    shown = views.event_detail(record)
    assert (shown["type"], shown["visitor"]) == ("nps.submitted", VISITOR)
    (webhook,) = shown["webhooks"]
    assert orjson.loads(webhook["body"])["visitorId"] == VISITOR
    assert orjson.loads(webhook["answer"]) == {"status": "accepted", "id": "e1"}
    assert orjson.loads(shown["event"])["id"] == "e1"
    assert orjson.loads(shown["sent"]) == {"id": "e1"}
    assert record.latency == 4.0  # stored in second 1, accepted in second 5
    assert [s.latencies for s in pipeline.state.series.since(0) if s.latencies] == [[4.0]]


@pytest.mark.parametrize(
    ("ids", "detail"),
    [
        ({"xactionId": "1:2:3:0", "batchId": "1:2:3"}, "xactionId 1:2:3:0, batchId 1:2:3"),
        ({"xactionId": "1:2:3"}, "xactionId 1:2:3"),
        ({}, ""),
    ],
)
def test_an_accepted_event_has_aeps_own_ids(ids: dict[str, str], detail: str) -> None:
    """The step at which AEP accepted it says what the log line says, of the latest attempt."""
    pipeline = tracked(("stored",), ACCEPTED, ("pushed",), ("sent",), ("accepted",), ("sent",))
    pipeline.happen("accepted", "e1")
    pipeline.happen("delivered", "e1", ids)
    pipeline.happen("delivered", "unknown", ids)

    (record,) = pipeline.state.events
    shown = [one.detail for one in record.steps if one.text == "Accepted by AEP"]
    assert shown == ["", detail]


def test_a_batch_has_its_messages_size_and_outcomes() -> None:
    """A row says how many messages it had, how full it was, and what AEP did with each."""
    pipeline = tracked(
        *(("stored", event) for event in ("e1", "e2", "e3")),
        ("sent", "e1", "e2", "e3"),
        ("accepted", "e1"),
        ("refused", "e2", 400, "no"),
        ("accepted", "e3"),
        ("ended", "e1", 207, 3),
    )

    (batch,) = pipeline.state.batches
    row = views.batch_row(batch)
    assert (row["messages"], row["accepted"], row["refused"]) == (3, 2, 1)
    assert (row["size"], row["status"]) == (500, 207)
    assert row["fill"] == max(3 / views.MAX_MESSAGES, 500 / views.MAX_BYTES)
    assert row["duration"] == 4000  # a second for each event in between


def test_a_dead_letter_is_listed_until_it_is_acknowledged() -> None:
    """It has its reason, stage and event."""
    pipeline = tracked(
        ("stored",), ("pushed",), ("dead_lettered", "e1", "rejected", "deliver"), ("acked",)
    )

    (letter,) = pipeline.state.letters
    row = views.letter_row(letter)
    assert (row["reason"], row["stage"], row["event"]) == ("rejected", "deliver", "e1")
    assert row["detail"] == "because"

    pipeline.happen("removed")
    assert list(pipeline.state.letters) == []
    assert pipeline.state.counts.letters == 0


def test_the_tables_are_bounded_and_the_counts_are_not() -> None:
    """Beyond the capacity the oldest events are removed, but stay counted."""
    pipeline = TrackedPipeline(max_events=CAPACITY)
    for number in range(MAX_BATCHES + 5):
        pipeline.happen("stored", f"e{number}")
        pipeline.happen("sent", f"e{number}")
        pipeline.happen("dead_lettered", f"e{number}", "rejected", "deliver")

    state = pipeline.state
    assert (len(state.events), len(state.batches)) == (CAPACITY, MAX_BATCHES)
    assert len(state.letters) == MAX_LETTERS
    assert state.events.get(f"e{MAX_BATCHES - 1}") is None
    assert state.events.get(f"e{MAX_BATCHES}") is not None
    assert state.counts.stored == state.counts.letters == MAX_BATCHES + 5


def test_a_removed_event_is_still_counted() -> None:
    """The counts stay correct when the list no longer has the event."""
    pipeline = tracked(("stored", "e1"), ("pushed", "e1"), ("stored", "e2"), max_events=1)

    for one in (("sent", "e1"), ("accepted", "e1"), ("answered", "e1", 204), ("acked", "e1")):
        pipeline.happen(*one)

    counts = pipeline.state.counts
    assert (counts.accepted, counts.delivering, counts.waiting) == (1, 0, 1)
    assert [record.key for record in pipeline.state.events] == ["e2"]


def test_an_event_retried_for_hours_stays_small() -> None:
    """Its newest steps and webhooks are kept."""
    pipeline = tracked(("stored",))
    for _ in range(MAX_STEPS):
        for one in (("pushed",), ("nacked", "e1", "refused"), ACCEPTED):
            pipeline.happen(*one)

    (record,) = pipeline.state.events
    assert len(record.steps) == MAX_STEPS
    assert len(record.webhooks) == MAX_WEBHOOKS
    assert record.attempts == MAX_STEPS
    assert record.steps[-1].at == pipeline.now


def test_a_body_that_is_no_event_is_shown_unchanged() -> None:
    """Bytes that are not text, and JSON that is not an object, are not errors."""
    pipeline = tracked(("webhook", "e1", 401, {"error": "no"}), ("unreadable", "e2", "[1, 2"))
    answered, dead = pipeline.state.events
    dead.webhooks[-1] = type(dead.webhooks[-1])(
        "POST", "/", (), b"\xff<script>", 1.0, 2.0, 202, b"[]"
    )

    assert views.event_detail(dead)["webhooks"][0]["body"] == "\ufffd<script>"
    assert answered.type == "nps.submitted"
    assert dead.type == "unreadable"


@randomly
@given(ACTIONS)
def test_a_follower_has_what_the_table_has(actions: list[tuple[str, str]]) -> None:
    """Whenever it takes the changes, they make its copy equal to the table."""
    table: Table[list[object]] = Table(CAPACITY, lambda: None)
    watch = table.watch()
    copy: dict[object, list[object]] = {}

    def take() -> None:
        changed, gone = table.take(watch)
        copy.update({row[0]: list(row) for row in changed})
        for key in gone:
            del copy[key]  # it was taken before
        assert copy == {row[0]: row for row in table}

    for number, (action, key) in enumerate(actions):
        row = table.get(key)
        if action == "put":
            table.put(key, [key, number])
        elif action == "touch" and row is not None:
            row[1] = number
            table.touch(key)
        elif action == "drop":
            table.drop(key)
        elif action == "take":
            take()
    take()


def test_a_follower_that_takes_nothing_costs_no_more_than_the_table() -> None:
    """Its memory is bounded by the table's, however many rows come and go."""
    table: Table[int] = Table(CAPACITY, lambda: None)
    for number in range(CAPACITY):
        table.put(f"seen-{number}", number)
    watch = table.watch()
    table.take(watch)

    for number in range(10_000):
        table.put(f"later-{number}", number)

    assert len(watch.changed) == CAPACITY
    assert watch.gone == {f"seen-{number}" for number in range(CAPACITY)}
    changed, gone = table.take(watch)
    assert sorted(changed) == list(range(10_000 - CAPACITY, 10_000))
    assert len(gone) == CAPACITY
    assert len(watch.seen) == CAPACITY


def test_each_second_has_its_figures() -> None:
    """A second has webhooks, accepted messages, the mean batch, and latencies."""
    series = Series()
    for at in (10.0, 10.9, 11.2):
        series.received(at)
    series.accepted(11.5)
    series.batch(11.6, 30)
    series.batch(11.7, 10)
    for seconds in (0.1, 0.2, 0.3, 0.4):
        series.latency(12.0, seconds)

    ten, eleven, twelve = map(views.second_row, series.since(0))
    assert (ten["at"], ten["received"], ten["accepted"], ten["batch"]) == (10, 2, 0, None)
    assert (eleven["received"], eleven["accepted"], eleven["batch"]) == (1, 1, 20)
    assert (twelve["received"], twelve["p50"], twelve["p95"]) == (0, 300, 400)

    version = series.version
    assert series.since(version) == []
    series.received(10.5)  # a webhook of a past second that is answered only now
    assert [(second.at, second.received) for second in series.since(version)] == [(10, 3)]


@randomly
@given(st.lists(st.integers(min_value=0, max_value=3 * KEPT_SECONDS), max_size=60))
def test_the_last_ten_minutes_are_kept(seconds: list[int]) -> None:
    """In whatever order seconds are counted, nothing older is kept."""
    series = Series()
    for second in seconds:
        series.received(second)

    kept = {second.at: second.received for second in series.since(0)}
    oldest = max(seconds, default=0) - KEPT_SECONDS
    assert all(at > oldest for at in kept)
    if sorted(seconds) == seconds:
        assert kept == {at: n for at, n in Counter(seconds).items() if at > oldest}


@randomly
@given(st.lists(st.floats(min_value=0, max_value=1e6)), st.floats(0, 1))
def test_a_percentile_is_one_of_the_values(values: list[float], share: float) -> None:
    """At least this share of the values is not greater; without values there is none."""
    found = percentile(values, share)

    if not values:
        assert found is None
        return
    assert found in values
    assert sum(value <= (found or 0) for value in values) >= share * len(values)
