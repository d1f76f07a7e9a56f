"""Reading a webhook: every authentic body is an event or `InvalidWebhook`."""

from __future__ import annotations

import json
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.samples import load_samples
from pendo_aep.dead_letters import InvalidWebhook, Reason
from pendo_aep.pendo.signature import VerifiedBody
from pendo_aep.pendo.webhook import Webhook, is_ping, is_unsigned_ping, parse, redact
from pendo_aep.settings import parse_path
from tests.cases import JSON_VALUES, Case, cases, randomly

KEYS = ["event", "uniqueId", "timestamp", "visitorId", "accountId", "app", "subscription"]
KEYS += ["userAgent", "properties"]


def read(body: bytes) -> Webhook:
    """The webhook in a body that counts as verified."""
    return parse(VerifiedBody(body))


def nested(levels: int) -> bytes:
    """A webhook with arrays in arrays, `levels` of them."""
    return b'{"event":"pollSubmitted","properties":{"a":' + b"[" * levels + b"]" * levels + b"}}"


def test_a_whole_webhook() -> None:
    """Every field of Pendo's body is read; numbers that stand for ids become text."""
    webhook = read(
        b'{"app":{"id":-323232,"name":"Shop","platform":"web"},"accountId":42,'
        b'"subscription":{"id":4598576627318784,"name":"Acme"},"userAgent":"Mozilla",'
        b'"event":"guideDisplayed","properties":{"guideId":"g"},"timestamp":1700000000,'
        b'"visitorId":"v","uniqueId":"u"}'
    )
    assert webhook == {
        "event": "guideDisplayed",
        "uniqueId": "u",
        "timestamp": 1700000000,
        "visitorId": "v",
        "accountId": "42",
        "app": {"id": "-323232", "name": "Shop", "platform": "web"},
        "subscription": {"id": "4598576627318784", "name": "Acme"},
        "userAgent": "Mozilla",
        "properties": {"guideId": "g"},
    }


def test_only_the_name_is_needed() -> None:
    """A body with nothing but an event name is an event, and so is one where all else is null."""
    nothing = dict.fromkeys(KEYS[1:])
    assert read(b'{"event":"x"}') == {"event": "x"}
    assert not any(read(json.dumps(nothing | {"event": "x"}).encode()).get(key) for key in nothing)


def test_unknown_keys_do_no_harm() -> None:
    """What Pendo may add some day does not make an event unreadable."""
    assert read(b'{"event":"x","new":{"deep":[1]},"app":{"id":1,"new":2}}')["event"] == "x"


@pytest.mark.parametrize("case", cases("unreadable"))
def test_unreadable(case: Case) -> None:
    """What is no JSON, or no event, is set aside with the stable reason that says which."""
    with pytest.raises(InvalidWebhook) as unreadable:
        read(case["body"].encode())
    assert unreadable.value.reason == case["reason"]
    assert unreadable.value.detail


@pytest.mark.parametrize("body", [b"\xff", b'{"event":"\xe9"}', b'{"event":"\xed\xa0\x80"}'])
def test_bytes_that_are_no_utf8(body: bytes) -> None:
    """Bytes that are not UTF-8 are not JSON."""
    with pytest.raises(InvalidWebhook) as unreadable:
        read(body)
    assert unreadable.value.reason is Reason.NOT_JSON


@pytest.mark.parametrize(
    "field", [{"event": "canary" * 100}, {"visitorId": ["canary"]}, {"properties": "canary"}]
)
def test_the_detail_shows_no_value(field: dict[str, Any]) -> None:
    """What is wrong is said by its place; the value may be personal, and stays out of it."""
    with pytest.raises(InvalidWebhook) as unreadable:
        read(orjson.dumps({"event": "x"} | field))
    assert next(iter(field)) in unreadable.value.detail
    assert "canary" not in str(unreadable.value)


@pytest.mark.parametrize("levels", [1_100, 100_000, 500_000])
def test_nested_too_deep_to_read(levels: int) -> None:
    """A body nested without end is unreadable; it does not exhaust the stack."""
    with pytest.raises(InvalidWebhook) as unreadable:
        read(nested(levels))
    assert unreadable.value.reason is Reason.NOT_JSON


def test_nested_deep_but_readable() -> None:
    """What the reader of JSON takes, up to 1,024 levels, is validated without recursion."""
    assert read(nested(1_000))["event"] == "pollSubmitted"


@randomly
@given(body=st.dictionaries(st.sampled_from(KEYS), JSON_VALUES))
def test_any_json(body: dict[str, Any]) -> None:
    """Whatever JSON stands under Pendo's keys, it is an event or unreadable."""
    webhook, reason = None, None
    try:
        webhook = read(json.dumps(body).encode())
    except InvalidWebhook as error:
        reason = error.reason
    assert (webhook and webhook["event"]) == (None if reason else body["event"])
    assert reason in {None, Reason.NOT_JSON, Reason.NOT_AN_EVENT}


@randomly
@given(raw=st.binary(max_size=60))
def test_any_bytes(raw: bytes) -> None:
    """Bytes at random are unreadable, or an event if they happen to be one; nothing else is raised.

    Hypothesis also tries bytes that it finds in this project's source, such as whole webhooks.
    """
    try:
        assert read(raw)["event"]
    except InvalidWebhook as error:
        assert error.reason in {Reason.NOT_JSON, Reason.NOT_AN_EVENT}  # noqa: PT017 (either is right)


def test_ping() -> None:
    """The event of Pendo's "test" button is a ping, and no other is."""
    assert is_ping(read(b'{"event":"ping","app":{"name":"webhook-test"}}'))
    assert not is_ping(read(b'{"event":"Ping","app":{"name":"webhook-test"}}'))
    assert not is_ping(read(b'{"event":"guideDisplayed","app":{"name":"webhook-test"}}'))


@pytest.mark.parametrize(
    ("body", "is_ping"),
    [
        (b'{"event":"ping","app":{"name":"webhook-test"}}', True),
        (b'{"event": "ping"}', True),
        (b'{"event":"guideDisplayed","properties":{"a":"ping"}}', False),
        (b'{"app":{"event":"ping"}}', False),
        (b'[{"event":"ping"}]', False),
        (b'"ping"', False),
        (b"ping", False),
        (b'{"event":["ping"]}', False),
        (b"", False),
        (b'{"event":"ping","more":"' + b"x" * 4096 + b'"}', False),
        (b'{"event":"ping","more":' + b"[" * 2000, False),
    ],
)
def test_unsigned_ping(body: bytes, is_ping: bool) -> None:
    """Unsigned, only a small body whose event is `ping` counts as one."""
    assert is_unsigned_ping(body) is is_ping


# Redaction: what a path names is gone, all else stays.


@pytest.mark.parametrize("case", cases("redactions"))
def test_redact(case: Case) -> None:
    """The value at each path is removed, in every element of the lists on the way."""
    redact(case["body"], [parse_path(path) for path in case["paths"]])
    assert case["body"] == case["left"]


def test_hostile_depth() -> None:
    """Lists nested without end on the way do not exhaust the stack."""
    inner: list[Any] = [{"b": 1}]
    nested: list[Any] = inner
    for _ in range(100_000):
        nested = [nested]
    redact({"a": nested}, [("a", "b")])
    assert inner == [{}]


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", " ", "a. .b", "event", " event "])
def test_no_path(text: str) -> None:
    """A path with an empty part names nothing, and one to the event's name would hide all."""
    with pytest.raises(ValueError, match=r"path|redacted"):
        parse_path(text)


def test_before_anything_is_read() -> None:
    """A webhook is redacted before it is read: no field of it holds what was removed."""
    body = VerifiedBody(b'{"event":"x","visitorId":"canary","app":{"id":1,"name":"canary"}}')
    webhook = parse(body, [parse_path("visitorId"), parse_path("app.name")])
    assert "canary" not in repr(webhook)
    assert webhook["app"] == {"id": "1"}


# The sample events: those of the kinds that Pendo has published have the published shape.


BODIES: Final = {sample.name: json.loads(sample.body) for sample in load_samples()}
TYPES: Final = {str: "text", int: "integer", dict: "object"}
# Pendo: every published body has these keys, in this order.
COMMON: Final = {
    "app": {"id": "integer", "name": "text", "platform": "text"},
    "accountId": "text",
    "subscription": {"id": "integer", "name": "text"},
    "userAgent": "text",
    "event": "text",
    "properties": {},
    "timestamp": "integer",
    "visitorId": "text",
    "uniqueId": "text",
}


def shape(body: dict[str, Any], levels: int = 2) -> dict[str, Any]:
    """The keys of a body with the types of their values, down to what customers fill in."""
    return {
        key: shape(value, levels - 1)
        if isinstance(value, dict) and levels > 1
        else TYPES[type(value)]
        for key, value in body.items()
    }


@pytest.mark.parametrize("case", cases("published_bodies"))
def test_a_sample_has_the_published_shape(case: Case) -> None:
    """Same keys in the same order, same types, an id of 40 hex digits, a time in seconds."""
    body = BODIES[case["sample"]]
    assert body["event"] == case["case"]
    assert json.dumps(shape(body)) == json.dumps(COMMON | {"properties": case["properties"]})
    assert len(body["uniqueId"]) == len(bytes.fromhex(body["uniqueId"])) * 2 == 40
    assert body["uniqueId"] == body["uniqueId"].lower()
    assert 1_000_000_000 < body["timestamp"] < 10_000_000_000
