"""Push requests: the message in one is delivered or becomes a dead letter, or it is not a push."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import orjson

from pendo_aep.dead_letters import Reason
from pendo_aep.event import PLAIN_ID, InvalidEvent, read_event
from pendo_aep.pubsub.push_envelope import InvalidPushRequest, PushedMessage, parse_push
from tests.fuzz.common import check_dead_letter, check_sending, large, read_plainly, rows, samples


def check(data: bytes) -> None:
    """Does what `deliver` does with a request, up to the bytes sent to AEP or dead-lettered.

    Raises:
        AssertionError: It is wrongly rejected, or another message than was pushed. Any other
            exception would have been a 500.
    """
    plain = _plainly_pushed(data)
    try:
        pushed = parse_push(data)
    except InvalidPushRequest as error:
        assert str(error)
        assert plain is None, "a message, but rejected"
        return
    assert plain in (None, pushed)
    assert pushed.data or pushed.attributes
    try:
        event = read_event(pushed.data)
        assert PLAIN_ID.fullmatch(event["id"])
        check_sending(pushed.data, event)
        reason, detail = Reason.REJECTED, "400"  # AEP may refuse it all the same
    except InvalidEvent as error:
        reason, detail = Reason.FOREIGN, str(error)
        assert detail
    check_dead_letter(pushed.data, pushed.attributes, reason=reason, detail=detail, stage="deliver")


def _plainly_pushed(body: bytes) -> PushedMessage | None:
    """Returns the message by other readers than the project's own; None if readers may differ."""
    try:
        envelope = read_plainly(body)
        message = envelope["message"]
        data = base64.b64decode(message["data"], validate=True)
        found = PushedMessage(data, message.get("attributes") or {})
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    attributes = found.attributes
    is_one = isinstance(attributes, dict) and all(
        isinstance(value, str) for value in attributes.values()
    )
    # Readers differ in padding that is not as Google writes it.
    is_one = is_one and base64.b64encode(data).decode() == message["data"]
    return found if is_one and (data or attributes) else None


def seeds() -> Iterator[bytes]:
    """Yields envelopes of the test tables, and events and foreign data in Google's envelope."""
    for row in rows("pushes"):
        yield orjson.dumps(row["push"])
    for row in rows("not_pushes"):
        yield row["body"].encode()
    inside = [*samples(".event.json"), *large(".event.json")]
    inside += [row["data"].encode() for row in rows("foreign")]
    inside += [
        b'{"id":"a","type":"poll.x","occurredAt":"t",%s}' % more
        for more in (
            b'"properties":["p"] ',
            b'"properties":null,"answers":[1,null,{"value":[]}]',
            b'"app":"text","guide":1,"nps":[],"answers":"x","visitorId":{}',
            b'"propertiesJson":"x","header":{},"body":{}',
            b'"deep":' + b"[" * 300 + b"]" * 300,
            b'"properties":{"deep":' + b"[" * 252 + b"]" * 252 + b"}",
        )
    ]
    inside += [b'{"id":"a","type":"x","occurredAt":"t","properties":{"a":1}}\n']
    many = {f"a{number}": "v" for number in range(100)}
    for data in inside:
        for attributes in ({"eventId": "e"}, many):
            message = {"data": base64.b64encode(data).decode(), "attributes": attributes}
            yield orjson.dumps({"message": message, "subscription": "projects/p/subscriptions/s"})
