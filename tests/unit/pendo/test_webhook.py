"""Parsing, redaction and samples of webhooks: an authentic body is an event or `InvalidWebhook`."""

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
    """Parses a body that counts as verified."""
    return parse(VerifiedBody(body))


def nested(levels: int) -> bytes:
    """Returns a webhook with arrays nested so deep."""
    return b'{"event":"pollSubmitted","properties":{"a":' + b"[" * levels + b"]" * levels + b"}}"


def test_every_field_is_parsed() -> None:
    """Every field of Pendo's body is parsed; numeric IDs become text."""
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


def test_only_the_event_name_is_required() -> None:
    """A body with only an event name is an event, also when all other fields are null."""
    nothing = dict.fromkeys(KEYS[1:])
    assert read(b'{"event":"x"}') == {"event": "x"}
    assert not any(read(json.dumps(nothing | {"event": "x"}).encode()).get(key) for key in nothing)


def test_unknown_keys_are_ignored() -> None:
    """Keys that Pendo may add do not make an event invalid."""
    assert read(b'{"event":"x","new":{"deep":[1]},"app":{"id":1,"new":2}}')["event"] == "x"


@pytest.mark.parametrize("case", cases("unreadable"))
def test_invalid_bodies_are_rejected(case: Case) -> None:
    """A body that is no JSON or no event is invalid, with the stable reason."""
    with pytest.raises(InvalidWebhook) as invalid:
        read(case["body"].encode())
    assert invalid.value.reason == case["reason"]
    assert invalid.value.detail


@pytest.mark.parametrize("body", [b"\xff", b'{"event":"\xe9"}', b'{"event":"\xed\xa0\x80"}'])
def test_invalid_utf8_is_not_json(body: bytes) -> None:
    """Bytes that are not UTF-8 are not JSON."""
    with pytest.raises(InvalidWebhook) as invalid:
        read(body)
    assert invalid.value.reason is Reason.NOT_JSON


@pytest.mark.parametrize(
    "field", [{"event": "canary" * 100}, {"visitorId": ["canary"]}, {"properties": "canary"}]
)
def test_the_detail_shows_no_value(field: dict[str, Any]) -> None:
    """The detail names the field, and not its value, which may be personal."""
    with pytest.raises(InvalidWebhook) as invalid:
        read(orjson.dumps({"event": "x"} | field))
    assert next(iter(field)) in invalid.value.detail
    assert "canary" not in str(invalid.value)


@pytest.mark.parametrize("levels", [1_100, 100_000, 500_000])
def test_nested_too_deep_to_read(levels: int) -> None:
    """A deeply nested body is invalid, and does not exhaust the stack."""
    with pytest.raises(InvalidWebhook) as invalid:
        read(nested(levels))
    assert invalid.value.reason is Reason.NOT_JSON


def test_nested_deep_but_readable() -> None:
    """What the JSON parser accepts, up to 1,024 levels, is validated without recursion."""
    assert read(nested(1_000))["event"] == "pollSubmitted"


@randomly
@given(body=st.dictionaries(st.sampled_from(KEYS), JSON_VALUES))
def test_any_json(body: dict[str, Any]) -> None:
    """Any JSON under Pendo's keys is an event or invalid."""
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
    """Random bytes are invalid, or an event if they happen to be one; nothing else is raised.

    Hypothesis also tries bytes from this project's source, such as whole webhooks.
    """
    try:
        assert read(raw)["event"]
    except InvalidWebhook as error:
        assert error.reason in {Reason.NOT_JSON, Reason.NOT_AN_EVENT}  # noqa: PT017 (either is right)


def test_ping() -> None:
    """Only the event of Pendo's "test" button is a ping."""
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
    """Without a signature, only a small body whose event is `ping` is a ping."""
    assert is_unsigned_ping(body) is is_ping


# Redaction.


@pytest.mark.parametrize("case", cases("redactions"))
def test_redact(case: Case) -> None:
    """The value at each path is removed, in every element of lists on the path."""
    redact(case["body"], [parse_path(path) for path in case["paths"]])
    assert case["body"] == case["left"]


def test_redaction_of_deep_lists() -> None:
    """Deeply nested lists on the path do not exhaust the stack."""
    inner: list[Any] = [{"b": 1}]
    nested: list[Any] = inner
    for _ in range(100_000):
        nested = [nested]
    redact({"a": nested}, [("a", "b")])
    assert inner == [{}]


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", " ", "a. .b", "event", " event "])
def test_invalid_paths_are_rejected(text: str) -> None:
    """A path with an empty part is invalid, and so is one to the event's name."""
    with pytest.raises(ValueError, match=r"path|redacted"):
        parse_path(text)


def test_redaction_precedes_parsing() -> None:
    """A webhook is redacted before it is parsed: no field of it holds what was removed."""
    body = VerifiedBody(b'{"event":"x","visitorId":"canary","app":{"id":1,"name":"canary"}}')
    webhook = parse(body, [parse_path("visitorId"), parse_path("app.name")])
    assert "canary" not in repr(webhook)
    assert webhook["app"] == {"id": "1"}


# The sample events.


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
    """Returns the keys of a body with the types of their values, without the customer's own."""
    return {
        key: shape(value, levels - 1)
        if isinstance(value, dict) and levels > 1
        else TYPES[type(value)]
        for key, value in body.items()
    }


@pytest.mark.parametrize("case", cases("published_bodies"))
def test_samples_have_the_published_shape(case: Case) -> None:
    """Samples have Pendo's keys in its order and its types, a hex ID, and a time in seconds."""
    body = BODIES[case["sample"]]
    assert body["event"] == case["case"]
    assert json.dumps(shape(body)) == json.dumps(COMMON | {"properties": case["properties"]})
    assert len(body["uniqueId"]) == len(bytes.fromhex(body["uniqueId"])) * 2 == 40
    assert body["uniqueId"] == body["uniqueId"].lower()
    assert 1_000_000_000 < body["timestamp"] < 10_000_000_000
