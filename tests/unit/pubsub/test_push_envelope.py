"""The push envelope: deliveries of Pub/Sub and Eventarc are parsed, anything else is rejected."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendo_aep.pubsub.push_envelope import InvalidPushRequest, PushedMessage, parse_push
from tests.cases import JSON_VALUES, Case, cases, randomly


@pytest.mark.parametrize("case", cases("pushes"))
def test_a_push_is_parsed(case: Case) -> None:
    """A message in Google's envelope is parsed, whatever else the envelope holds."""
    assert parse_push(json.dumps(case["push"]).encode()) == PushedMessage(
        case["data"].encode(), case["attributes"]
    )


@pytest.mark.parametrize("case", cases("not_pushes"))
def test_other_bodies_are_rejected(case: Case) -> None:
    """A body that is no push delivery is rejected, with what is missing."""
    with pytest.raises(InvalidPushRequest, match=r"."):
        parse_push(case["body"].encode())


@randomly
@given(
    data=st.binary(min_size=1, max_size=60),
    attributes=st.dictionaries(st.text(max_size=5), st.text(max_size=5)),
)
def test_any_message(data: bytes, attributes: dict[str, str]) -> None:
    """The data and attributes of any message are returned unchanged."""
    message = {"data": base64.b64encode(data).decode(), "attributes": attributes}
    read = parse_push(json.dumps({"message": message}).encode())
    assert (read.data, read.attributes) == (data, attributes)


@randomly
@given(
    message=JSON_VALUES | st.fixed_dictionaries({"data": JSON_VALUES, "attributes": JSON_VALUES})
)
def test_any_json(message: object) -> None:
    """Any JSON in place of the message is parsed or rejected; no other error is raised."""
    try:
        read = parse_push(json.dumps({"message": message}).encode())
    except InvalidPushRequest:
        return
    assert read.data or read.attributes


def test_deeply_nested_bodies_are_rejected() -> None:
    """A deeply nested body is rejected, and does not exhaust the stack."""
    with pytest.raises(InvalidPushRequest):
        parse_push(b'{"message":' + b"[" * 100_000)
