"""The trace of a request: W3C's header as it is, Google's older one translated."""

from __future__ import annotations

import pytest

from pendo_aep.trace import trace_id, traceparent
from tests.cases import Case, cases


@pytest.mark.parametrize("case", cases("traces"))
def test_traceparent(case: Case) -> None:
    """A well-formed header gives a `traceparent`; what came malformed from outside gives none."""
    parent = traceparent({key.encode(): text.encode() for key, text in case["headers"].items()})
    assert parent == case["traceparent"]
    assert trace_id(parent) == (parent.split("-")[1] if parent else None)


def test_a_trace_without_a_span() -> None:
    """Google's header without a span still says which trace the request belongs to."""
    trace = "105445aa7843bc8bf206b12000100000"
    for header in (trace, f"{trace};o=1", f"{trace}/0;o=1"):
        assert trace_id(traceparent({b"x-cloud-trace-context": header.encode()})) == trace


@pytest.mark.parametrize("text", [None, "", "rubbish", "00-xyz-1-01"])
def test_no_trace(text: str | None) -> None:
    """What is no `traceparent` holds no trace."""
    assert trace_id(text) is None
