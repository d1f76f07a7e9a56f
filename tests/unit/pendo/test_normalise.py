"""Normalisation: each row of the specification's table, from webhook to event and back."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pendo_aep.clock import rfc3339
from pendo_aep.dead_letters import InvalidWebhook, Reason
from pendo_aep.event import EVENT_TYPES, Event, InvalidEvent, encode, event_type, read_event
from pendo_aep.pendo.normalise import event_id, normalise
from pendo_aep.pendo.signature import VerifiedBody
from pendo_aep.pendo.webhook import parse
from tests.cases import JSON_VALUES, TEXTS, Case, cases, randomly, table

RECEIVED = datetime(2026, 1, 31, 8, 30, 0, 250_000, tzinfo=UTC)
RECEIVED_AT = "2026-01-31T08:30:00.250Z"


def event_of(raw: bytes) -> Event:
    """Returns the normalised event of a webhook's body."""
    body = VerifiedBody(raw)
    return normalise(parse(body), body, RECEIVED)


def normalised(**webhook: Any) -> Event:
    """Returns the normalised event of a webhook with these fields."""
    return event_of(json.dumps({"event": "x", "uniqueId": "u"} | webhook).encode())


def sha256(text: str) -> str:
    """Returns the hash as the specification defines it."""
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("case", cases("event_types"))
def test_event_types(case: Case) -> None:
    """Pendo's events have their own types; any other keeps its name after `pendo.`."""
    assert event_type(case["event"]) == case["type"]
    event = normalised(event=case["event"])
    assert (event["type"], event["pendoEvent"]) == (case["type"], case["event"])


def test_the_table_of_types_is_complete() -> None:
    """The code has exactly the types of the specification."""
    own = {row["event"]: row["type"] for row in table("event_types")}
    assert {name: own.get(name) for name in EVENT_TYPES} == EVENT_TYPES


@pytest.mark.parametrize("case", cases("normalised"))
def test_whole_events(case: Case) -> None:
    """Every row of the specification's table, from a whole webhook."""
    assert event_of(json.dumps(case["webhook"]).encode()) == case["event"]


def body_with_id(unique_id: str, name: str = "x") -> bytes:
    """Returns a webhook with this JSON as its `uniqueId`."""
    return f'{{"event":"{name}","uniqueId":{unique_id}}}'.encode()


@pytest.mark.parametrize("case", cases("event_ids"))
def test_event_id(case: Case) -> None:
    """The ID is `uniqueId` or its hash; or that of the raw body, where others may share it."""
    body = body_with_id(case["uniqueId"])
    hashed = body if case.get("hashOf") is None else case["hashOf"].encode()
    assert event_of(body)["id"] == case.get("id", hashlib.sha256(hashed).hexdigest())


@pytest.mark.parametrize("length", [64, 65, 5000])
def test_a_long_event_id(length: int) -> None:
    """A `uniqueId` of up to 64 characters is the ID; a longer one is hashed."""
    text = "x" * length
    assert normalised(uniqueId=text)["id"] == (text if length <= 64 else sha256(text))


def test_without_a_unique_id_the_body_is_hashed() -> None:
    """Without `uniqueId` the ID is the SHA-256 of the raw body, to the byte."""
    raw = b'{"event":"x"}'
    assert event_of(raw)["id"] == hashlib.sha256(raw).hexdigest()
    assert event_of(raw + b" ")["id"] != event_of(raw)["id"]


@pytest.mark.parametrize("value", ["true", "false", "[]", "{}", '["a"]'])
def test_an_id_of_another_type_is_invalid(value: str) -> None:
    """An ID that is neither text nor a number is invalid, as for every other ID of Pendo's."""
    with pytest.raises(InvalidWebhook) as invalid:
        event_of(body_with_id(value))
    assert invalid.value.reason is Reason.NOT_AN_EVENT
    assert "uniqueId" in invalid.value.detail


# As JSON text: as Python values, some of these numbers would be equal.
INEXACT_NUMBERS = (
    st.integers(min_value=2**53).map(str)
    | st.integers(max_value=-(2**53)).map(str)
    | st.tuples(st.integers(-99, 99), st.integers(0, 10**30)).map(lambda n: f"{n[0]}.{n[1]}")
    | st.tuples(st.integers(-99, 99), st.integers(-300, 300)).map(lambda n: f"{n[0]}e{n[1]}")
).filter(lambda text: abs(float(text)) < float("inf"))
BLANKS = st.text(" \t\n\u00a0\u2003", max_size=4).map(json.dumps)
SHARED_IDS = INEXACT_NUMBERS | BLANKS | st.just("null")


@randomly
@given(bodies=st.sets(st.builds(body_with_id, SHARED_IDS, st.sampled_from("abc")), max_size=6))
@example(bodies={body_with_id("9007199254740992"), body_with_id("9007199254740993")})
@example(bodies={body_with_id("1e29"), body_with_id("1" + "0" * 29), body_with_id("1.0e29")})
@example(bodies={body_with_id('" "', "a"), body_with_id('" "', "b")})
def test_two_bodies_with_ambiguous_ids_are_two_events(bodies: set[bytes]) -> None:
    """Inexact numbers and blanks never make one event of two bodies; the same body has one ID."""
    ids = {body: event_of(body)["id"] for body in bodies}
    assert len(set(ids.values())) == len(bodies)
    assert {body: event_of(body)["id"] for body in bodies} == ids


@randomly
@given(
    unique_id=st.none() | st.text(max_size=80) | st.integers() | st.floats(),
    raw=st.binary(max_size=20),
)
def test_every_id_is_plain(unique_id: str | float | None, raw: bytes) -> None:
    """Any ID is valid in attributes, URLs and AEP's `_id`, and the same each time."""
    identity = event_id(unique_id, raw)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", identity)
    assert identity == event_id(unique_id, raw)


@pytest.mark.parametrize("case", cases("timestamps"))
def test_occurred_at(case: Case) -> None:
    """Seconds or milliseconds, also as text; without a valid past time, when it was received."""
    event = normalised(timestamp=case["timestamp"])
    assert event["occurredAt"] == (case["occurredAt"] or RECEIVED_AT)
    assert event["receivedAt"] == RECEIVED_AT


def test_without_a_timestamp() -> None:
    """An event without a time occurred when it was received."""
    assert normalised()["occurredAt"] == RECEIVED_AT


@randomly
@given(milliseconds=st.integers(min_value=100_000_000_001, max_value=1_769_848_200_250))
def test_milliseconds_are_exact(milliseconds: int) -> None:
    """No millisecond of a timestamp is lost to rounding."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    assert normalised(timestamp=milliseconds)["occurredAt"] == rfc3339(moment)


def test_times_are_written_in_utc() -> None:
    """A time in another time zone is written in UTC, with milliseconds."""
    assert rfc3339(datetime.fromisoformat("2026-01-31T01:00:00.1239+02:00")) == (
        "2026-01-30T23:00:00.123Z"
    )


@pytest.mark.parametrize("case", cases("ratings"))
def test_nps(case: Case) -> None:
    """A rating is a number, 0 included; a reason and a source are text; all else is left out."""
    event = normalised(properties={"nps": case["nps"]})
    assert event.get("nps") == case["expected"]
    assert not isinstance(event.get("nps", {}).get("rating"), bool)


@pytest.mark.parametrize("case", cases("answers"))
def test_answers(case: Case) -> None:
    """Answers are found under every `poll*` key; `properties` stay unchanged."""
    event = normalised(properties=case["properties"])
    assert event.get("answers") == case["answers"]
    assert event["properties"] == case["properties"]


@randomly
@given(value=JSON_VALUES)
def test_any_answer_is_text(value: Any) -> None:
    """Any JSON as an answer becomes text with the same meaning; a list of scalars, several."""
    raw = json.dumps({"event": "x", "properties": {"poll": {"pollId": "p", "value": value}}})
    answers = event_of(raw.encode()).get("answers", [])
    is_list = isinstance(value, list) and not any(isinstance(one, list | dict) for one in value)
    choices = value if is_list else [value]
    expected = [choice for choice in choices if choice is not None]
    assert {answer["pollId"] for answer in answers} <= {"p"}
    assert len(answers) == len(expected)
    for answer, choice in zip(answers, expected, strict=True):
        is_text = isinstance(choice, str)
        assert (answer["value"] if is_text else json.loads(answer["value"])) == choice
        if isinstance(choice, bool | list | dict):
            assert "number" not in answer
        elif not is_text:
            assert answer["number"] == pytest.approx(choice)


def nested(levels: int, key: str) -> bytes:
    """Returns a webhook with nested arrays under a key of its properties."""
    arrays = b"[" * levels + b"]" * levels
    return b'{"event":"pollSubmitted","properties":{"' + key.encode() + b'":' + arrays + b"}}"


@pytest.mark.parametrize("key", ["a", "poll", "pollValue", "nps", "guideProperties", "guideId"])
@pytest.mark.parametrize("levels", [300, 1_000, 1_022, 1_023, 100_000])
def test_nested_too_deep(levels: int, key: str) -> None:
    """What is nested too deep to be written is invalid, and does not exhaust the stack."""
    with pytest.raises((InvalidWebhook, InvalidEvent)):
        encode(event_of(nested(levels, key)))


@pytest.mark.parametrize("key", ["a", "poll", "nps", "guideProperties"])
def test_nested_deep(key: str) -> None:
    """What is nested less deep is kept."""
    event = event_of(nested(200, key))
    assert read_event(encode(event)) == event


@pytest.mark.parametrize("rating", ["1e300", "123456789012345678901234567890", "-1e300", '"1e300"'])
def test_a_number_over_64_bits(rating: str) -> None:
    """A number over 64 bits does not make an event invalid."""
    raw = f'{{"event":"npsSubmitted","properties":{{"nps":{{"rating":{rating}}}}}}}'
    assert read_event(encode(event_of(raw.encode())))["type"] == "nps.submitted"


@randomly
@given(
    webhook=st.fixed_dictionaries(
        {},
        optional={
            "timestamp": JSON_VALUES,
            "uniqueId": TEXTS,
            "visitorId": TEXTS | st.integers(),
            "properties": st.dictionaries(
                st.sampled_from(["nps", "poll", "polls", "pollId", "pollValue", "guideId"]) | TEXTS,
                JSON_VALUES,
            )
            | st.fixed_dictionaries({"nps": st.fixed_dictionaries({"rating": JSON_VALUES})}),
        },
    )
)
@example({"properties": {"pollId": "p", "pollValue": "a\x00"}})
def test_any_webhook_survives(webhook: dict[str, Any]) -> None:
    """Any event can be written, and is the same when it is read again."""
    event = normalised(**webhook)
    assert read_event(encode(event)) == event
    assert event["occurredAt"] <= RECEIVED_AT


@pytest.mark.parametrize("case", cases("foreign"))
def test_foreign_data_is_rejected(case: Case) -> None:
    """Data that is no normalised event is rejected."""
    with pytest.raises(InvalidEvent):
        read_event(case["data"].encode())


def test_deeply_nested_data_is_rejected() -> None:
    """Deeply nested data is rejected, and does not exhaust the stack."""
    with pytest.raises(InvalidEvent):
        read_event(b"[" * 100_000)


def test_a_later_schema_is_read() -> None:
    """Unknown keys do not make an event foreign."""
    event = read_event(b'{"id":"a","type":"x","occurredAt":"t","schemaVersion":2,"new":[]}')
    assert event["id"] == "a"
