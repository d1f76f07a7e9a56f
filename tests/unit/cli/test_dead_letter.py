"""Dead letters in Python: how they are read, filtered, rebuilt, shown, and held by the reader."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc.aio
import orjson
import pytest

from local.pipeline import DEAD
from local.pubsub import PubSubServer
from pendo_aep.cli import dead_letter_reader
from pendo_aep.cli.dead_letter import DeadLetter, DeadLetterFilter
from pendo_aep.cli.dead_letter_reader import DeadLetterReader
from pendo_aep.cli.dead_letter_replay import StillUnreadable, rebuild_message
from pendo_aep.cli.dead_letters import data_as_text
from pendo_aep.cli.options import parse_time
from pendo_aep.cli.terminal import printable
from tests.webhooks import unique_id, webhook

CASES = json.loads(Path(__file__).with_name("dead_letter.json").read_text("utf-8"))
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
TOPIC = f"projects/p/topics/{DEAD}"
KEPT = "projects/p/subscriptions/dead-kept"


def dead_letter(data: bytes = b"", **attributes: str) -> DeadLetter:
    """A dead letter that was published at `NOW`."""
    return DeadLetter("7", NOW, data, attributes, len(data))


@pytest.mark.parametrize("case", CASES["filters"], ids=lambda case: case["case"])
def test_a_filter_matches_what_it_names(case: dict[str, Any]) -> None:
    """Each kind of filter alone: what it matches, and what it does not."""
    given = case["filter"]
    wanted = DeadLetterFilter(
        frozenset(given.get("reasons", ())),
        frozenset(given.get("types", ())),
        *(
            datetime.fromisoformat(given[key]) if key in given else None
            for key in ("since", "until")
        ),
    )

    assert wanted.matches(dead_letter(**case["letter"])) is case["matches"]


@pytest.mark.parametrize("case", CASES["times"], ids=lambda case: case["text"])
def test_a_time_is_a_moment_or_an_age(case: dict[str, str]) -> None:
    """RFC 3339 with any offset, or a number with a unit, before now."""
    assert parse_time(case["text"], NOW) == datetime.fromisoformat(case["moment"])


@pytest.mark.parametrize("text", CASES["no_times"])
def test_anything_else_is_not_a_time(text: str) -> None:
    """Neither is a time without an offset: its time zone is unknown."""
    with pytest.raises(ValueError, match="is not a time: write 2026-01-31T09:30:00Z"):
        parse_time(text, NOW)


def test_a_dead_letter_without_attributes_has_the_id_and_time_of_its_message() -> None:
    """Another program may have published it."""
    found = dead_letter()

    assert (found.event_id, found.reason, found.failed_at) == ("7", "", NOW)


def test_a_webhook_is_read_with_the_current_redaction() -> None:
    """The event is what `receive` would make of it, received when it failed."""
    message = rebuild_message(
        dead_letter(webhook(1), stage="receive", failedAt="2026-01-30T00:00:00.000Z"),
        [("visitorId",), ("properties", "nps", "reason")],
    )

    event = orjson.loads(message.data)
    assert event["id"] == message.attributes["eventId"] == unique_id(1)
    assert event["receivedAt"] == "2026-01-30T00:00:00.000Z"
    assert "visitorId" not in event
    assert event["nps"] == {"rating": 9, "category": "promoter", "source": "web"}


@pytest.mark.parametrize(
    ("data", "stage"),
    [
        pytest.param(b"{", "receive", id="not JSON"),
        pytest.param(b'{"event":"ping"}', "receive", id="ping"),
        pytest.param(b'{"event":"x","properties":[]}', "receive", id="not an event"),
        pytest.param(b'{"hello":"world"}', "deliver", id="foreign"),
        pytest.param(b"", "", id="empty"),
    ],
)
def test_what_would_fail_again_at_once_is_still_unreadable(data: bytes, stage: str) -> None:
    """It is not published."""
    with pytest.raises(StillUnreadable):
        rebuild_message(dead_letter(data, stage=stage), [])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(b'{"a":["\xc3\xa9"]}', '{\n  "a": [\n    "é"\n  ]\n}', id="JSON"),
        pytest.param(b'{"a":"\xc2\x9b2J"}', '{\n  "a": "\\x9b2J"\n}', id="control in JSON"),
        pytest.param(b"a\n\xff\x1b[2J", "a\\n\\xff\\x1b[2J", id="bytes"),
        pytest.param(b"[" * 100_000, "[" * 100_000, id="too deep"),
        pytest.param(b"", "", id="nothing"),
    ],
)
def test_data_is_shown_as_text(data: bytes, text: str) -> None:
    """JSON is indented, all else escaped: nothing reaches the terminal that it would obey."""
    assert data_as_text(data) == text


def test_printable_keeps_letters_of_any_script() -> None:
    """Controls and marks of direction are escaped."""
    assert printable("Zoë 東京\t\u202e") == "Zoë 東京\\t\\u202e"


async def test_leases_are_renewed_while_dead_letters_are_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are held beyond their ack deadline, and given back when the reader is closed."""
    monkeypatch.setattr(dead_letter_reader, "_RENEW_SECONDS", 0.1)
    async with PubSubServer(ack_deadline=0.5) as server:
        server.create_topic(TOPIC)
        server.create_subscription(KEPT, TOPIC)
        server.publish(TOPIC, b"{}")
        async with grpc.aio.insecure_channel(server.host) as channel:
            async with DeadLetterReader(channel, KEPT, wait=5, hold=10) as reader:
                (letter,) = await reader.pull()

                with pytest.raises(TimeoutError):
                    await server.wait_for(lambda: server.stats(KEPT).outstanding == 0, 1.0)
            assert server.stats(KEPT).waiting == 1

            async with DeadLetterReader(channel, KEPT, wait=5, hold=10) as reader:
                assert [again.message_id for again in await reader.pull()] == [letter.message_id]
                await reader.acknowledge([letter])
            assert server.stats(KEPT).idle
