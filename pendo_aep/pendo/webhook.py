"""Parses the body of a Pendo webhook: strict where it must be, tolerant where Pendo is silent.

Pendo publishes neither a schema nor a closed list of events. So only `event` is required; ids may
be numbers and become text, and unknown properties are kept in `properties` as they came.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Required, TypeAlias

import orjson
from pydantic import (
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    TypeAdapter,
    ValidationError,
    with_config,
)
from typing_extensions import TypedDict

from pendo_aep.dead_letters import InvalidWebhook, Reason
from pendo_aep.event import TOO_DEEP
from pendo_aep.pendo.signature import VerifiedBody

# A name travels in message attributes (1,024 bytes, Google: Pub/Sub quotas); four bytes a letter.
MAX_EVENT_NAME = 200
# A ping is tiny. Nothing larger is parsed without a signature.
MAX_UNSIGNED_PING_BYTES = 4096


FieldPath: TypeAlias = tuple[str, ...]
"""Keys from the outside in, such as `("properties", "nps")`."""

_as_text = with_config(ConfigDict(coerce_numbers_to_str=True, extra="ignore"))


@_as_text
class App(TypedDict, total=False):
    """The application that the event comes from; `id` may be a negative number."""

    id: str | None
    name: str | None
    platform: str | None


@_as_text
class Subscription(TypedDict, total=False):
    """The Pendo subscription that the event comes from; `id` has up to 16 digits."""

    id: str | None
    name: str | None


@_as_text
class Webhook(TypedDict, total=False):
    """One webhook, as a dictionary with Pendo's own keys; it is read once, so not a model.

    `timestamp` keeps any value, and `uniqueId` keeps its type: as text, a number would not show
    that it was rounded. `normalise.py` interprets both.
    """

    event: Required[Annotated[str, Field(strict=True, min_length=1, max_length=MAX_EVENT_NAME)]]
    uniqueId: str | StrictInt | StrictFloat | None
    timestamp: Any
    visitorId: str | None
    accountId: str | None
    app: App | None
    subscription: Subscription | None
    userAgent: str | None
    properties: dict[str, Any] | None


_WEBHOOK: Final = TypeAdapter(Webhook).validator


def parse(body: VerifiedBody, redactions: Sequence[FieldPath] = ()) -> Webhook:
    """Parses a webhook with a valid signature, and removes what is to be redacted.

    Raises:
        InvalidWebhook: the body is not JSON, or not an event.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidWebhook(Reason.NOT_JSON, f"not JSON: {error.msg}") from None
    if not isinstance(value, dict):
        raise InvalidWebhook(Reason.NOT_AN_EVENT, f"a JSON {type(value).__name__}, not an object")
    redact(value, redactions)
    try:
        webhook: Webhook = _WEBHOOK.validate_python(value)
    except ValidationError as error:
        raise InvalidWebhook(Reason.NOT_AN_EVENT, _places(error)) from None
    return webhook


def is_ping(webhook: Webhook) -> bool:
    """Returns whether it comes from the "test" button of Pendo's settings page."""
    return webhook["event"] == "ping"


def is_unsigned_ping(body: bytes) -> bool:
    """Returns whether an unsigned body comes from Pendo's "test" button.

    This is the only parsing without a signature. The body is small, and nothing of it is kept.
    """
    if len(body) > MAX_UNSIGNED_PING_BYTES or b"ping" not in body:
        return False
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and value.get("event") == "ping"


def _places(error: ValidationError) -> str:
    """Returns what is wrong and where, without the values themselves."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in problems)


def coerce_text(value: object) -> str:
    """Returns text as it is and a number as text; anything else becomes empty."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return ""


def coerce_number(value: object) -> float | None:
    """Returns a finite number, also one written as text; anything else becomes None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if number - number == 0 else None


def dumps_or_invalid(value: object) -> bytes:
    """Returns the value as JSON.

    Raises:
        InvalidWebhook: it is nested too deep to be written as JSON.
    """
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise InvalidWebhook(Reason.NOT_AN_EVENT, TOO_DEEP) from None


def redact(body: dict[str, Any], paths: Sequence[FieldPath]) -> None:
    """Removes the value at each path of `REDACT`, in place; in a list, from each element.

    A path that does not exist is ignored: bodies differ from event to event.
    """
    for path in paths:
        found: object = body
        for depth, key in enumerate(path):
            if not isinstance(found, dict):
                if isinstance(found, list):
                    _redact_elements(found, path[depth:])
                break
            if depth == len(path) - 1:
                found.pop(key, None)
            else:
                found = found.get(key)


def _redact_elements(values: list[object], path: FieldPath) -> None:
    *way, last = path
    for key in way:
        values = [found[key] for found in _objects(values) if key in found]
    for found in _objects(values):
        found.pop(last, None)


def _objects(values: list[object]) -> Iterator[dict[str, Any]]:
    """Yields the objects in the values and in nested lists; without recursion, at any depth."""
    values = values.copy()
    while values:
        value = values.pop()
        if isinstance(value, list):
            values.extend(value)
        elif isinstance(value, dict):
            yield value
