"""The sample events: what Pendo sends, and what must become of it."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

import orjson

from local.functions import PROJECT

FOLDER = PROJECT / "sample_events"
# The moment at which the expected events were received.
RECEIVED_AT = "2026-11-02T12:00:00.000Z"


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample: the exact bytes of a webhook, and the expected event and XDM entity.

    A ping has neither: it is answered, and goes nowhere.
    """

    name: str
    body: bytes
    event: dict[str, Any] | None
    xdm: dict[str, Any] | None


def load_samples() -> list[Sample]:
    """Every sample in `sample_events/`, by name."""
    webhooks = [path for path in sorted(FOLDER.glob("*.json")) if path.suffixes == [".json"]]
    return [
        Sample(
            path.stem,
            path.read_bytes(),
            _expected(path.stem, "event"),
            _expected(path.stem, "xdm"),
        )
        for path in webhooks
    ]


def _expected(name: str, kind: str) -> dict[str, Any] | None:
    path = FOLDER / f"{name}.{kind}.json"
    if not path.exists():
        return None
    expected: dict[str, Any] = orjson.loads(path.read_bytes())
    return expected


def sign(body: bytes, secret: str) -> dict[str, str]:
    """The headers that Pendo sends with a body.

    Written apart from the verification in `pendo_aep`, so that the one checks the other.
    """
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Pendo-Signature": digest}
