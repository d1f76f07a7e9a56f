"""The sample events: webhooks as Pendo sends them, with the event and XDM expected from each."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from local.functions import PROJECT

FOLDER = PROJECT / "sample_events"
# When the expected events were received.
RECEIVED_AT = "2026-11-02T12:00:00.000Z"
# Sizes of the webhooks that tests use besides the samples, which are all under 2 kB.
LARGE_BYTES: Final = (5_000, 50_000, 500_000)
# Contains what JSON escapes (quotes, backslashes, line breaks) and other scripts, but no brackets
# and no surrogates, because `tests.fuzz.common` does not judge texts with many of them.
_REMARK: Final = (
    'They call it "the map that lies": see C:\\routes\\north, and 5 % of all trips since May.\n' * 7
    + "Пробки не учитываются; 経路が遠回りです。"
)
_EMPTY: Final[tuple[object, ...]] = (None, "", [], {})


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample: the exact bytes of a webhook, and the expected event and XDM entity.

    A ping has neither: it is answered and not stored.
    """

    name: str
    body: bytes
    event: dict[str, Any] | None
    xdm: dict[str, Any] | None


def load_samples() -> list[Sample]:
    """Returns every sample in `sample_events/`, sorted by name."""
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


def grown(body: Mapping[str, Any], size: int) -> bytes:
    """Returns a webhook of `size` bytes: the body with more keys and texts in its `properties`.

    Other scripts are written as ASCII escapes, so the event is a tenth smaller than the webhook. At
    500 kB it still fits a request to AEP (1 MB), in which `raw` has the properties twice.

    Raises:
        ValueError: the body is larger already.
    """
    properties = {**body.get("properties", {}), "filler": ""}
    room = size - len(_written({**body, "properties": properties}))
    if room < 0:
        raise ValueError(f"the body has more than {size} bytes without any more properties")
    each = len(_written({"remark_0000": _REMARK})) - len("{}") + len(",")
    count, rest = divmod(room, each)
    properties |= {f"remark_{number:04}": _REMARK for number in range(count)}
    return _written({**body, "properties": {**properties, "filler": "x" * rest}})


def _written(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def sign(body: bytes, secret: str) -> dict[str, str]:
    """Returns the headers that Pendo sends with a body.

    Independent of the verification in `pendo_aep`, so that each checks the other.
    """
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Pendo-Signature": digest}


def without_empty_values(value: Any) -> Any:
    """Returns a JSON value without its empty values, which AEP does not store as fields."""
    if isinstance(value, dict):
        value = {key: without_empty_values(inner) for key, inner in value.items()}
        return {key: inner for key, inner in value.items() if inner not in _EMPTY}
    if isinstance(value, list):
        return [inner for inner in map(without_empty_values, value) if inner not in _EMPTY]
    return value
