"""What Pendo's side sends: the sample events over and over, each time as another event."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import orjson

from local.aep import Fault, refusing
from local.pipeline import SECRET
from local.samples import load_samples, sign
from soak.canaries import COMMENT, VISITOR

REFUSED: Final = "rejected"
NOT_JSON: Final = "not_json"
# Each so many webhooks, one that AEP refuses for what it is, and one that nobody can read.
_ODD_ONE_IN: Final = 1000
_WRONG_TYPE: Final = "Text is no number"
_REFUSED_MARK: Final = "-refused"


@dataclass(frozen=True, slots=True)
class Sent:
    """One webhook.

    Attributes:
        event_id: under which it must be found again.
        cause: the reason for which it must end as a dead letter; empty for none.
        request: the whole HTTP request.
    """

    event_id: str
    cause: str
    request: bytes


def make(seed: int, number: int) -> Sent:
    """Webhook `number` of a run."""
    event_id = hashlib.sha1(b"%d/%d" % (seed, number), usedforsecurity=False).hexdigest()
    place = number % _ODD_ONE_IN
    if place == _ODD_ONE_IN - 1:
        body = b"{not JSON, %s %s" % (event_id.encode(), VISITOR.encode())
        return Sent(hashlib.sha256(body).hexdigest(), NOT_JSON, _request(body))
    is_refused = place == _ODD_ONE_IN // 2
    template = _templates()[number % len(_templates())]
    visitor = _visitor(event_id) + (_REFUSED_MARK if is_refused else "")
    body = orjson.dumps({**template, "uniqueId": event_id, "visitorId": visitor})
    return Sent(event_id, REFUSED if is_refused else "", _request(body))


@cache
def _templates() -> Sequence[dict[str, Any]]:
    bodies = [orjson.loads(sample.body) for sample in load_samples() if sample.event is not None]
    for body in bodies:
        if "nps" in body.get("properties", {}):
            body["properties"]["nps"]["reason"] = COMMENT
    return bodies


def _visitor(event_id: str) -> str:
    return f"{VISITOR}-{event_id[:16]}@example.com"


def _request(body: bytes) -> bytes:
    headers = "".join(f"{name}: {value}\r\n" for name, value in sign(body, SECRET).items())
    head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def is_intact(event_id: str, message: Any) -> bool:
    """Does what AEP has under this id, raw or XDM, belong to it?"""
    return _visitor_in(message).removesuffix(_REFUSED_MARK) == _visitor(event_id)


def is_letter_intact(event_id: str, data: bytes) -> bool:
    """Are the bytes of a dead letter those that were sent under this id?

    They are the normalised event; of a body that cannot be read, that body, named by its hash.
    """
    if hashlib.sha256(data).hexdigest() == event_id:
        return True
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return event.get("id") == event_id and is_intact(event_id, event)


def refusal() -> Fault:
    """AEP's refusal of those events that are made to be refused."""
    return refusing(
        lambda message: _visitor_in(message).endswith(_REFUSED_MARK), reason=_WRONG_TYPE
    )


def _visitor_in(message: Any) -> str:
    entity = message.get("body", {}).get("xdmEntity")
    if entity is None:
        return str(message.get("visitorId"))
    (identities,) = entity["identityMap"].values()
    return str(identities[0]["id"])
