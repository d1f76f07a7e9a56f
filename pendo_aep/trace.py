"""The trace that a request belongs to, carried from Pendo's request to AEP's answer."""

from __future__ import annotations

import re
from collections.abc import Mapping

# W3C: Trace Context, "traceparent": version 00, 16 bytes of trace id, 8 of parent id, flags.
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# Google: "X-Cloud-Trace-Context: TRACE_ID/SPAN_ID;o=OPTIONS", the span as a decimal number.
_CLOUD_TRACE = re.compile(r"([0-9a-f]{32})(?:/(\d{1,20}))?(?:;o=(\d))?")


def traceparent(headers: Mapping[bytes, bytes]) -> str | None:
    """The request's W3C `traceparent`, made from Google's older header where only that is there.

    What is not well formed is no trace: it came from outside, and goes into attributes and logs.
    """
    given = headers.get(b"traceparent", b"").decode("latin-1")
    if given and _TRACEPARENT.fullmatch(given):
        return given
    google = headers.get(b"x-cloud-trace-context")
    older = _CLOUD_TRACE.fullmatch(google.decode("latin-1")) if google else None
    if older is None:
        return None
    trace, span, sampled = older.groups()
    parent = f"00-{trace}-{int(span or 0) % 2**64 or 1:016x}-{'01' if sampled == '1' else '00'}"
    return parent if _TRACEPARENT.fullmatch(parent) else None


def trace_id(parent: str | None) -> str | None:
    """The 32 hex digits of the trace in a `traceparent`; None when it has none."""
    match = _TRACEPARENT.fullmatch(parent) if parent else None
    return match[1] if match else None
