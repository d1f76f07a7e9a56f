"""Redaction: what a path names is gone, all else stays."""

from __future__ import annotations

from typing import Any

import pytest

from pendo_aep.pendo.redaction import parse_path, redact
from pendo_aep.pendo.signature import VerifiedBody
from pendo_aep.pendo.webhook import parse
from tests.cases import Case, cases


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
