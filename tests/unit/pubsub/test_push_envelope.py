"""The push envelope: what Pub/Sub and Eventarc send is read, anything else is named."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendo_aep.pubsub.push_envelope import InvalidPushRequest, PushedMessage, parse_push
from tests.cases import JSON_VALUES, Case, cases, randomly


@pytest.mark.parametrize("case", cases("pushes"))
def test_push(case: Case) -> None:
    """A message in Google's envelope is read, whatever else the envelope holds."""
    assert parse_push(json.dumps(case["push"]).encode()) == PushedMessage(
        case["data"].encode(), case["attributes"]
    )


@pytest.mark.parametrize("case", cases("not_pushes"))
def test_not_a_push(case: Case) -> None:
    """What is no push delivery is said to be none, with what is missing."""
    with pytest.raises(InvalidPushRequest, match=r"."):
        parse_push(case["body"].encode())


@randomly
@given(
    data=st.binary(min_size=1, max_size=60),
    attributes=st.dictionaries(st.text(max_size=5), st.text(max_size=5)),
)
def test_any_message(data: bytes, attributes: dict[str, str]) -> None:
    """The bytes and attributes of any message arrive as they were published."""
    message = {"data": base64.b64encode(data).decode(), "attributes": attributes}
    read = parse_push(json.dumps({"message": message}).encode())
    assert (read.data, read.attributes) == (data, attributes)


@randomly
@given(
    message=JSON_VALUES | st.fixed_dictionaries({"data": JSON_VALUES, "attributes": JSON_VALUES})
)
def test_any_json(message: object) -> None:
    """Whatever JSON stands where the message should, it is read or named, and nothing worse."""
    try:
        read = parse_push(json.dumps({"message": message}).encode())
    except InvalidPushRequest:
        return
    assert read.data or read.attributes


def test_nested_without_end() -> None:
    """A body nested without end is no push; it does not exhaust the stack."""
    with pytest.raises(InvalidPushRequest):
        parse_push(b'{"message":' + b"[" * 100_000)
