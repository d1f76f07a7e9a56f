"""Anonymised webhooks keep their structure and nothing personal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.console.capture import Anonymiser
from local.samples import load_samples
from pendo_aep.pendo.normalise import normalise
from pendo_aep.pendo.signature import VerifiedBody
from pendo_aep.pendo.webhook import parse
from tests.cases import JSON_VALUES, randomly

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)

_letters = st.characters(categories=("Lu", "Ll", "Lo"))
_word = st.text(_letters, min_size=4, max_size=12)
_names = st.builds("{} {}".format, _word, _word)
_texts = st.text(min_size=8).filter(lambda text: len(text.split()) > 1)
_emails = st.builds("{}.{}@{}.example".format, _word, _word, _word)
_ids = st.from_regex(r"[A-Za-z0-9]{4,12}[-_:.][0-9]{4,8}", fullmatch=True)
_pendo_ids = st.from_regex(r"[A-Za-z0-9_-]{27}", fullmatch=True)
_hexes = st.from_regex(r"[0-9a-f]{40}", fullmatch=True)
_numbers = st.from_regex(r"[1-9][0-9]{8,17}", fullmatch=True)
_hosts = st.from_regex(r"[a-z]{4,9}\.[a-z]{4,9}\.example", fullmatch=True)
_addresses = st.ip_addresses().map(str).filter(lambda text: len(text) > 6)
_urls = st.builds("https://{}/{}?q={}".format, _hosts, _word, _word)
_agents = st.builds("Mozilla/5.0 ({}; {}) {}/1.0".format, _word, _word, _word)
_phones = st.from_regex(r"\+[1-9][0-9]{2} [0-9]{3} [0-9]{4,6}", fullmatch=True)
_birthdays = st.dates().map(str)
personal = st.one_of(
    _names, _texts, _emails, _ids, _pendo_ids, _hexes, _numbers, _hosts, _addresses, _urls,
    _agents, _phones, _birthdays,
)  # fmt: skip
keys = st.from_regex(r"[a-z]{1,8}[A-Z]?[a-z]{1,8}", fullmatch=True)
plain = st.one_of(st.none(), st.booleans(), st.integers(-1000, 1000), st.just(""))
values = st.recursive(
    st.one_of(personal, plain),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=8,
)
webhooks = st.fixed_dictionaries(
    {
        "app": st.fixed_dictionaries({"id": st.integers(-(2**53), 2**53), "name": _names}),
        "accountId": st.one_of(_ids, _numbers),
        "userAgent": _agents,
        "event": st.sampled_from(["pollSubmitted", "npsSubmitted", "somethingNew"]),
        "properties": st.dictionaries(keys, values, max_size=4),
        "timestamp": st.integers(1_500_000_000, 1_790_000_000),
        "visitorId": st.one_of(_emails, _ids, _numbers, _hexes),
        "uniqueId": _hexes,
    }
)


def texts_in(value: Any) -> list[str]:
    """Returns every text among the values."""
    match value:
        case str():
            return [value]
        case list():
            return [text for item in value for text in texts_in(item)]
        case dict():
            return [text for item in value.values() for text in texts_in(item)]
    return []


def shape(value: Any) -> Any:
    """Returns the structure with types instead of values and numbers instead of keys."""
    match value:
        case dict():
            return [[number, shape(item)] for number, item in enumerate(value.values())]
        case list():
            return [shape(item) for item in value]
    return type(value).__name__


@randomly
@given(webhooks, st.binary(min_size=16, max_size=16))
def test_a_webhook_without_anything_personal(webhook: dict[str, Any], salt: bytes) -> None:
    """No ID, address, name, text, host or browser of the webhook is in the result.

    The names of Pendo's fields are kept. The same value gets the same replacement everywhere, and
    another with another salt. `receive` makes an event of the same type and time from it, with
    another visitor and ID.
    """
    webhook["properties"] |= {"who": webhook["visitorId"], "also": [webhook["visitorId"]]}
    saved = Anonymiser(salt).anonymise(webhook)
    assert saved["properties"]["who"] == saved["visitorId"] == saved["properties"]["also"][0]
    assert Anonymiser(salt).anonymise(webhook) == saved
    assert Anonymiser(salt + b"other").anonymise(webhook) != saved
    assert list(saved) == list(webhook)
    assert list(saved["properties"]) == list(webhook["properties"])

    before, event = (
        normalise(parse(VerifiedBody(body), ()), VerifiedBody(body), NOW)
        for body in map(orjson.dumps, (webhook, saved))
    )
    assert (event["type"], event["occurredAt"]) == (before["type"], before["occurredAt"])
    assert set(event) == set(before)
    assert event["id"] != before["id"]
    assert event["visitorId"] != before["visitorId"]

    assert saved.pop("event") == webhook.pop("event")
    made_up = "\n".join(texts_in(saved))
    for text in texts_in(webhook):
        assert not text or text not in made_up


@randomly
@given(personal, st.sampled_from(["type", "platform", "language", "source", "pollType"]))
def test_a_kind_that_is_more_than_a_word_or_two_is_replaced(text: str, key: str) -> None:
    """A kind that contains an address, an ID or a text is replaced."""
    saved = Anonymiser().anonymise({key: text})

    if any(not (char.isascii() and char.isalpha()) for char in text.replace("-", "", 1)):
        assert saved[key] != text


@randomly
@given(JSON_VALUES)
def test_the_shape_stays(body: Any) -> None:
    """Any JSON keeps its structure, the order of its keys and the types of its values."""
    saved = Anonymiser().anonymise(body)

    assert shape(saved) == shape(body)
    assert orjson.loads(orjson.dumps(saved)) == saved  # it can be saved


@randomly
@given(st.dictionaries(personal, st.lists(st.none(), max_size=10), min_size=1))
def test_a_key_that_is_no_word_is_made_up(answers: dict[str, list[None]]) -> None:
    """IDs and addresses used as keys are replaced, each by a different key."""
    # Lists of nothing: a number would be made up, too, under a key that ends as an id's does.
    saved = Anonymiser().anonymise({"properties": answers})["properties"]

    assert list(saved.values()) == list(answers.values())
    names = {key for key in answers if key.isascii() and key.isalpha()}
    assert not (set(saved) & set(answers)) - names


def test_numbers_as_keys_stay_apart() -> None:
    """Ten one-digit keys become ten other keys."""
    answers = {str(number): number for number in range(10)}

    saved = Anonymiser().anonymise({"answers": answers})["answers"]

    assert list(saved.values()) == list(range(10))
    assert not set(saved) & set(answers)


@pytest.mark.parametrize("sample", load_samples(), ids=lambda sample: sample.name)
def test_useful_values_are_kept(sample: Any) -> None:
    """Ratings, times, kinds and languages of the samples are kept."""
    webhook = orjson.loads(sample.body)
    saved = Anonymiser().anonymise(webhook)

    assert saved["timestamp"] == webhook["timestamp"]
    before, after = webhook.get("properties", {}), saved.get("properties", {})
    assert after.get("language") == before.get("language")
    for key in ("rating", "source"):
        assert after.get("nps", {}).get(key) == before.get("nps", {}).get(key)
    for old, new in zip(
        before.get("guideProperties", {}).get("steps", []),
        after.get("guideProperties", {}).get("steps", []),
        strict=True,
    ):
        assert (new["type"], new["lastUpdatedAt"]) == (old["type"], old["lastUpdatedAt"])
        assert new["id"] != old["id"]
        assert len(new["id"]) == len(old["id"])


@pytest.mark.parametrize(
    ("key", "value", "stays"),
    [
        ("timestamp", 1_790_000_000, True),
        ("createdAt", 1_790_000_000_123, True),
        ("timestamp", "1790000000", True),
        ("phone", 2_125_551_234, False),
        ("accountId", 1_790_000_000, False),
        ("stepId", 7, False),
        ("id", 7, False),
        ("rating", 7, True),
        ("value", -1000, True),
        ("value", 1001, False),
        ("latitude", 52.520008, False),
        ("value", 4.5, True),
        ("birthdate", "1990-05-17", False),
        ("lastSeenAt", "2026-05-17T08:30:12.123Z", False),
    ],
)
def test_numbers_and_times(key: str, value: Any, stays: bool) -> None:
    """Small numbers that are not IDs and times under a time key are kept; others are replaced."""
    saved = Anonymiser().anonymise({key: value})[key]

    assert (saved == value) is stays
    assert type(saved) is type(value)


def test_a_time_as_text_keeps_its_form() -> None:
    """A time as text keeps its format."""
    saved = Anonymiser().anonymise({"lastSeenAt": "2026-05-17T08:30:12.123Z"})["lastSeenAt"]

    assert datetime.fromisoformat(saved).tzinfo is UTC
    assert saved.endswith("-01-02T00:00:00.000Z")


def test_a_number_under_an_ids_key_is_an_id() -> None:
    """A number under an ID's key is replaced, however small it is."""
    saved = Anonymiser().anonymise({"properties": {"AAAA AAID": 0}})["properties"]

    [(key, number)] = saved.items()
    assert key != "AAAA AAID"
    assert number != 0
