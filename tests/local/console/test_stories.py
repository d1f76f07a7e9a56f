"""What the console makes of what it is told: where an event stands, the counts, its timeline."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import pytest

from local.console import views
from local.console.records import MAX_STEPS, MAX_WEBHOOKS, Status
from local.console.state import MAX_BATCHES, MAX_EVENTS, MAX_LETTERS
from tests.local.console.scene import VISITOR, Scene

STORIES = orjson.loads((Path(__file__).parent / "stories.json").read_bytes())
ACCEPTED = ("webhook", "e1", 200, {"status": "accepted", "id": "ID"})


def told(*things: tuple[Any, ...], **limits: int) -> Scene:
    """A scene in which these things have happened."""
    scene = Scene(**limits)
    for thing in things:
        scene.tell(*thing)
    return scene


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["name"])
def test_a_story_is_told_right(story: dict[str, Any]) -> None:
    """Each way that an event can go ends in its status, moves the counts, and is told in order."""
    scene = told(*story["told"])

    counts = {name: count for name, count in asdict(scene.state.counts).items() if count}
    assert counts == story["counts"]
    record = next(iter(scene.state.events), None)
    if record is None:
        assert story["status"] is None
        return
    assert (record.status, record.reason) == (story["status"], story["reason"])
    assert record.attempts == story["attempts"]
    steps = views.event_detail(record)["steps"]
    assert [[step["text"], step["level"]] for step in steps] == story["timeline"]
    assert [step["at"] for step in steps] == sorted(step["at"] for step in steps)


def test_every_status_has_a_story() -> None:
    """No status is left untold."""
    assert {story["status"] for story in STORIES} - {None} == set(Status)


def test_an_event_shows_all_that_is_known_of_it() -> None:
    """Its type and visitor, what Pendo sent, what lies on the topic, what AEP got, and the XDM."""
    scene = told(("stored",), ACCEPTED, ("pushed",), ("sent",), ("accepted",))

    (record,) = scene.state.events
    shown = views.event_detail(record)
    assert (shown["type"], shown["visitor"]) == ("nps.submitted", VISITOR)
    (webhook,) = shown["webhooks"]
    assert orjson.loads(webhook["body"])["visitorId"] == VISITOR
    assert orjson.loads(webhook["answer"]) == {"status": "accepted", "id": "e1"}
    assert orjson.loads(shown["event"])["id"] == "e1"
    assert orjson.loads(shown["sent"]) == {"id": "e1"}


def test_the_latency_is_from_the_webhook_to_its_acceptance() -> None:
    """In the list, and in the plot once Pub/Sub has the acknowledgement."""
    scene = told(("stored",), ACCEPTED, ("pushed",), ("sent",), ("accepted",), ("acked",))

    (record,) = scene.state.events
    assert record.accepted_at is not None
    assert (
        record.latency == record.accepted_at - record.received_at == 4.0
    )  # stored at 1, taken at 5
    assert [s.latencies for s in scene.state.series.since(0) if s.latencies] == [[4.0]]


def test_a_batch_has_its_messages_size_and_outcomes() -> None:
    """How many were in it, what AEP said of each, and how full it was."""
    scene = told(
        *(("stored", event) for event in ("e1", "e2", "e3")),
        ("sent", "e1", "e2", "e3"),
        ("accepted", "e1"),
        ("refused", "e2", 400, "no"),
        ("accepted", "e3"),
        ("ended", "e1", 207, 3),
    )

    (batch,) = scene.state.batches
    row = views.batch_row(batch)
    assert (row["messages"], row["accepted"], row["refused"]) == (3, 2, 1)
    assert (row["size"], row["status"]) == (500, 207)
    assert row["fill"] == max(3 / views.MAX_MESSAGES, 500 / views.MAX_BYTES)
    assert row["duration"] == 4000  # a second for each thing that was told meanwhile


def test_a_letter_lies_there_until_somebody_takes_it() -> None:
    """It is listed with its reason, stage and event, and leaves the list when acknowledged."""
    scene = told(("stored",), ("pushed",), ("buried", "e1", "rejected", "deliver"), ("acked",))

    (letter,) = scene.state.letters
    row = views.letter_row(letter)
    assert (row["reason"], row["stage"], row["event"]) == ("rejected", "deliver", "e1")
    assert row["detail"] == "because"

    scene.tell("taken_away")
    assert list(scene.state.letters) == []
    assert scene.state.counts.letters == 0


def test_the_tables_are_bounded_and_the_counts_are_not() -> None:
    """Beyond 10,000 events the oldest leave; what they counted stays counted."""
    scene = Scene()
    for number in range(MAX_EVENTS + 5):
        scene.tell("stored", f"e{number}")
        scene.tell("sent", f"e{number}")
        scene.tell("buried", f"e{number}", "rejected", "deliver")

    state = scene.state
    assert len(state.events) == MAX_EVENTS == 10_000
    assert (len(state.batches), len(state.letters)) == (MAX_BATCHES, MAX_LETTERS)
    assert state.events.get("e4") is None
    assert state.events.get("e5") is not None
    assert state.counts.stored == state.counts.letters == MAX_EVENTS + 5


def test_what_is_told_of_an_event_that_has_left_is_counted_still() -> None:
    """The counts stay right when the list has forgotten the event."""
    scene = told(("stored", "e1"), ("pushed", "e1"), ("stored", "e2"), max_events=1)

    for thing in (("sent", "e1"), ("accepted", "e1"), ("answered", "e1", 204), ("acked", "e1")):
        scene.tell(*thing)

    counts = scene.state.counts
    assert (counts.accepted, counts.delivering, counts.waiting) == (1, 0, 1)
    assert [record.key for record in scene.state.events] == ["e2"]


def test_an_event_that_is_retried_for_hours_stays_small() -> None:
    """Its newest steps and webhooks are kept."""
    scene = told(("stored",))
    for _ in range(MAX_STEPS):
        for thing in (("pushed",), ("nacked", "e1", "refused"), ACCEPTED):
            scene.tell(*thing)

    (record,) = scene.state.events
    assert len(record.steps) == MAX_STEPS
    assert len(record.webhooks) == MAX_WEBHOOKS
    assert record.attempts == MAX_STEPS
    assert record.steps[-1].at == scene.now


def test_what_holds_no_event_is_shown_as_it_came() -> None:
    """Bytes that are no text, and JSON that is no object, are no error."""
    scene = told(("webhook", "e1", 401, {"error": "no"}), ("unreadable", "e2", "[1, 2"))
    answered, dead = scene.state.events
    dead.webhooks[-1] = type(dead.webhooks[-1])(
        "POST", "/", (), b"\xff<script>", 1.0, 2.0, 202, b"[]"
    )

    assert views.event_detail(dead)["webhooks"][0]["body"] == "\ufffd<script>"
    assert answered.type == "nps.submitted"
    assert dead.type == "unreadable"
