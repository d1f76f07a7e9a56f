"""What Pendo's side sends, and how it is known again."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import orjson

from soak.webhooks import Sent, is_intact, is_letter_intact, make


def body_of(webhook: Sent) -> bytes:
    """What comes after the headers."""
    return webhook.request.partition(b"\r\n\r\n")[2]


def event_of(webhook: Sent) -> dict[str, Any]:
    """The fields of a raw event that say whose it is."""
    body = orjson.loads(body_of(webhook))
    return {"id": body["uniqueId"], "visitorId": body["visitorId"]}


def xdm_of(webhook: Sent) -> dict[str, Any]:
    """The same in XDM."""
    event = event_of(webhook)
    identities = {"PendoVisitor": [{"id": event["visitorId"]}]}
    return {"body": {"xdmEntity": {"_id": event["id"], "identityMap": identities}}}


def test_the_same_number_the_same_webhook() -> None:
    """A webhook is made of its seed and its number; no two of a run have the same id."""
    assert make(1, 5) == make(1, 5)
    assert len({make(seed, number).event_id for seed in (1, 2) for number in range(500)}) == 1000


def test_two_in_a_thousand_must_die() -> None:
    """Of a thousand, one is refused by AEP and one cannot be read; all others are well."""
    causes = Counter(make(1, number).cause for number in range(3000))
    assert causes == {"": 2994, "rejected": 3, "not_json": 3}


def test_an_event_is_known_by_its_visitor() -> None:
    """Another's visitor under an id is noticed, raw or in XDM."""
    one, another = make(1, 1), make(1, 2)
    for message_of in (event_of, xdm_of):
        assert is_intact(one.event_id, message_of(one))
        assert not is_intact(one.event_id, message_of(another))


def test_a_letter_is_known_by_its_bytes() -> None:
    """A dead letter holds the event of its id, or the very body that nobody could read."""
    refused, unreadable = make(1, 500), make(1, 999)
    assert (refused.cause, unreadable.cause) == ("rejected", "not_json")
    event = event_of(refused)
    assert is_letter_intact(refused.event_id, orjson.dumps(event))
    assert not is_letter_intact(refused.event_id, orjson.dumps({**event, "visitorId": "x"}))
    assert not is_letter_intact(refused.event_id, b"")
    assert is_letter_intact(unreadable.event_id, body_of(unreadable))
    assert unreadable.event_id == hashlib.sha256(body_of(unreadable)).hexdigest()
    assert not is_letter_intact(unreadable.event_id, body_of(unreadable)[:-1])
