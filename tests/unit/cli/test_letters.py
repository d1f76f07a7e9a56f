"""Reading letters, choosing among them, and what each goes back as; without a network."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from pendo_aep.cli.letters import Filter, Letter, parse_time
from pendo_aep.cli.output import data_as_text, printable
from pendo_aep.cli.replay import StillUnreadable, revive
from tests.webhooks import unique_id, webhook

CASES = json.loads(Path(__file__).with_name("letters.json").read_text("utf-8"))
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def letter(data: bytes = b"", **attributes: str) -> Letter:
    """A letter that came onto the topic at `NOW`."""
    return Letter("7", NOW, data, attributes, len(data))


@pytest.mark.parametrize("case", CASES["filters"], ids=lambda case: case["case"])
def test_a_filter_takes_what_it_names(case: dict[str, Any]) -> None:
    """Each kind of filter alone: what it takes, and what it leaves."""
    given = case["filter"]
    wanted = Filter(
        frozenset(given.get("reasons", ())),
        frozenset(given.get("types", ())),
        *(
            datetime.fromisoformat(given[key]) if key in given else None
            for key in ("since", "until")
        ),
    )

    assert wanted.matches(letter(**case["letter"])) is case["matches"]


@pytest.mark.parametrize("case", CASES["times"], ids=lambda case: case["text"])
def test_a_time_is_a_moment_or_an_age(case: dict[str, str]) -> None:
    """RFC 3339 with any offset, or a number with a unit, before now."""
    assert parse_time(case["text"], NOW) == datetime.fromisoformat(case["moment"])


@pytest.mark.parametrize("text", CASES["no_times"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """Also a time without an offset: nobody knows where it was meant."""
    with pytest.raises(ValueError, match="is no time: write 2026-01-31T09:30:00Z"):
        parse_time(text, NOW)


def test_a_letter_that_says_nothing_is_known_by_its_message() -> None:
    """Without attributes, its id is the message's and its time that of the topic."""
    found = letter()

    assert (found.event_id, found.reason, found.failed_at) == ("7", "", NOW)


def test_a_webhook_is_read_with_the_redaction_of_today() -> None:
    """The event is what `receive` would make of it, received when it failed."""
    message = revive(
        letter(webhook(1), stage="receive", failedAt="2026-01-30T00:00:00.000Z"),
        [("visitorId",), ("properties", "nps", "reason")],
    )

    event = orjson.loads(message.data)
    assert event["id"] == message.attributes["eventId"] == unique_id(1)
    assert event["receivedAt"] == "2026-01-30T00:00:00.000Z"
    assert "visitorId" not in event
    assert event["nps"] == {"rating": 9, "source": "web"}


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
def test_what_would_come_straight_back_is_unreadable(data: bytes, stage: str) -> None:
    """What today's code cannot read either stays where it is."""
    with pytest.raises(StillUnreadable):
        revive(letter(data, stage=stage), [])


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
    """JSON indented, all else escaped: nothing reaches the terminal that it would obey."""
    assert data_as_text(data) == text


def test_printable_keeps_what_people_read() -> None:
    """Letters of any script stay; controls and marks of direction do not."""
    assert printable("Zoë 東京\t\u202e") == "Zoë 東京\\t\\u202e"
