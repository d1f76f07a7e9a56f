"""AEP's answers to a batch, about a pause, with a token: no more is concluded than they say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from pendo_aep.aep.auth import read_token
from pendo_aep.aep.response import parse_response
from pendo_aep.http import retry_after_seconds
from pendo_aep.outcome import DELIVERED, Outcome, Rejected, Retry
from tests.fuzz.common import check_dead_letter, rows

NOW: Final = datetime(2026, 11, 2, 12, tzinfo=UTC)
STATUSES: Final = (207, 200, 202, 301, 400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504)
_PERMANENT: Final = {400, 413, 422}


def check(data: bytes) -> None:
    """Parses an answer: a byte for status and count, a line for `Retry-After`, then the body.

    Raises:
        AssertionError: An outcome says more than the answer does, or a pause is unreasonable.
    """
    first, rest = (data[0], data[1:]) if data else (0, b"")
    header, _, body = rest.partition(b"\n")
    # As aiohttp decodes a header.
    assert 0 <= retry_after_seconds(header.decode("utf-8", "surrogateescape"), lambda: NOW) <= 600
    check_token(body)
    status, count = STATUSES[first % 16], first // 16
    outcomes = parse_response(status, body, count)
    assert len(outcomes) == count
    for outcome in outcomes:
        assert not isinstance(outcome, Retry) or outcome.reason
        if isinstance(outcome, Rejected):
            check_dead_letter(
                b"data", {}, reason=outcome.reason, detail=outcome.detail, stage="deliver"
            )
    if status < 300:
        check_entries(body, outcomes)
    else:
        # A status alone delivers no message, and rejects only one that was sent alone.
        expected = Rejected if count == 1 and status in _PERMANENT else Retry
        assert all(isinstance(outcome, expected) for outcome in outcomes)


def check_entries(body: bytes, outcomes: list[Outcome]) -> None:
    """Checks that a message is delivered or rejected only if an entry of its own says so."""
    entries = _entries(body)
    if entries is None:
        return
    if len(entries) != len(outcomes):
        assert all(isinstance(outcome, Retry) for outcome in outcomes), "unclear entries"
        return
    places = [_place(entry) for entry in entries]
    if sorted(places) == list(range(len(entries))):
        entries = [entries[places.index(place)] for place in range(len(entries))]
    for entry, outcome in zip(entries, outcomes, strict=True):
        if isinstance(outcome, Retry):
            continue
        statuses = _statuses(entry)
        is_well = all(200 <= status < 300 for status in statuses)
        assert (outcome == DELIVERED) == is_well, "the other way round"
        assert statuses or entry.get("xactionId"), "an outcome from an entry that says nothing"


def check_token(body: bytes) -> None:
    """Checks that a token fits in a header, and expires."""
    try:
        token, seconds = read_token(body)
    except ValueError:
        return
    assert token.isascii()
    assert token.isprintable()
    assert " " not in token
    assert 0 < seconds < float("inf")
    assert orjson.loads(body)["access_token"] == token


def _entries(body: bytes) -> list[Any] | None:
    """Returns the entries by another reader than the project's own; None if too deep for it."""
    try:
        document = json.loads(body)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return []
    except (ValueError, RecursionError):
        return None
    responses = document.get("responses") if isinstance(document, dict) else None
    return responses if isinstance(responses, list) else []


def _place(entry: object) -> int:
    """Returns the number after the last `-` or `:` of the entry's `xactionId`; -1 if none."""
    xaction = entry.get("xactionId") if isinstance(entry, dict) else None
    if not isinstance(xaction, str):
        return -1
    _, mark, number = xaction.replace(":", "-").rpartition("-")
    return (
        int(number) if mark and number.isascii() and number.isdigit() and len(number) < 10 else -1
    )


def _statuses(entry: dict[str, Any]) -> list[int]:
    said = [entry[key] for key in ("status", "statusCode") if entry.get(key) is not None]
    return [int(status) for status in said]


def seeds() -> Iterator[bytes]:
    """Yields the published answers, for their number of messages, and one of each status."""
    for row in rows("inlet_answers"):
        count = row.get("count", len(row["outcomes"].split()))
        body = orjson.dumps({"inletId": "i", "batchId": "b", "responses": row["responses"]})
        yield bytes([min(count, 15) * 16]) + b"\n" + body
    for number in range(len(STATUSES)):
        said = b'{"title":"Bad","report":{"message":"wrong"}}'
        yield bytes([16 + number]) + b"Wed, 21 Oct 2026 07:28:00 GMT\n" + said
    for row in rows("retry_after"):
        yield bytes([32]) + str(row.get("header") or "7").encode() + b"\n{}"
    for row in (*rows("tokens"), *rows("no_tokens")):
        yield b"\x10\n" + row["body"].encode()
    deep = b"[" * 1000 + b"]" * 1000
    yield b'\x10\n{"responses":[{"status":400,"message":%s}]}' % deep
    yield b'\x14\n{"title":%s}' % deep
    yield b'\x10\n{"expires_in":60,"access_token":%s}' % deep
