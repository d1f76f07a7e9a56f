"""The sample events: those of the kinds that Pendo has published have the published shape."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from local.samples import load_samples
from tests.cases import Case, cases

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
