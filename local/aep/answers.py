"""The bodies that AEP answers with, as Adobe publishes them."""

from collections.abc import Sequence
from uuid import uuid4

import orjson

from local.aep.behaviour import Shape
from local.aep.faults import Entry
from local.aep.messages import Refusal

_PROBLEMS = "http://ns.adobe.com/adobecloud/problem/data-collection-service"


def single(inlet: str, number: int, received_ms: int) -> bytes:
    """Return the body for one message taken."""
    return orjson.dumps(
        {
            "inletId": inlet,
            "xactionId": f"{received_ms}:1485:{number}",
            "receivedTimeMs": received_ms,
        }
    )


def batch(inlet: str, number: int, received_ms: int, entries: Sequence[Entry]) -> bytes:
    """Return the body of a 207."""
    return orjson.dumps(
        {
            "inletId": inlet,
            "batchId": f"{received_ms}:1485:{number}",
            "receivedTimeMs": received_ms,
            "responses": entries,
        }
    )


def entries(
    shape: Shape, number: int, received_ms: int, outcomes: Sequence[Refusal | None]
) -> list[Entry]:
    """Return one entry a message, in the messages' order, as the shape has them."""
    match shape:
        case Shape.SINK:
            transaction = str(uuid4())
            return [
                {"xactionId": f"{transaction}-{i}"} | _failure(outcome, "status")
                for i, outcome in enumerate(outcomes)
            ]
        case Shape.LOG:
            key = "status"
        case Shape.DOCS | Shape.SHORT:
            key = "statusCode"
    transaction = f"{received_ms}:1485:{number}"
    found: list[Entry] = [
        _failure(outcome, key) or {"xactionId": f"{transaction}:{i}"}
        for i, outcome in enumerate(outcomes)
    ]
    return found[:-1] if shape is Shape.SHORT else found


def _failure(outcome: Refusal | None, key: str) -> Entry:
    return {key: outcome.status, "message": outcome.reason} if outcome else {}


def problem(inlet: str, status: int, title: str, message: str) -> bytes:
    """Return the body of a request that failed as a whole."""
    return orjson.dumps(
        {
            "type": f"{_PROBLEMS}/inlet",
            "status": status,
            "title": title,
            "report": {"message": f"inletId: [{inlet}] {message}"},
        }
    )


def unauthorized(reason: str) -> bytes:
    """Return the body of a 401; its status is text, unlike everywhere else."""
    return orjson.dumps(
        {
            "type": "https://ns.adobe.com/adobecloud/problem/data-collection-service-authorization",
            "status": "401",
            "title": "Authorization",
            "report": {"message": f"[id] {reason}"},
        }
    )
