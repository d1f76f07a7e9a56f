"""The functions with a planted bug, which the soak must find.

They are started in place of the real ones (FUNCTION_SOURCE). BROKEN names the bug.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import count

import orjson

import pendo_aep.receive
from main import deliver, drain, receive
from pendo_aep.dead_letter import Reason
from pendo_aep.delivery import Delivery, End, PushDelivery
from pendo_aep.event import Event
from pendo_aep.logs import log
from pendo_aep.normalise import normalise
from pendo_aep.outcome import Refused
from pendo_aep.signature import VerifiedBody
from pendo_aep.webhook import Webhook

__all__ = ["deliver", "drain", "receive"]

_ONE_IN = 40
_LARGE_BYTES = 3000
_numbers = count()
_deliver = PushDelivery.deliver
_bury = Delivery.bury


async def _broken(self: PushDelivery, data: bytes, attributes: dict[str, str]) -> End:
    event = orjson.loads(data)
    match next(_numbers) % _ONE_IN:
        case 11:
            return End.DONE  # acknowledged, and never delivered
        case 12:
            return await self._delivery.bury(data, attributes, Refused(Reason.REJECTED, "no"))
        case 13:
            data = orjson.dumps({**event, "id": f"{event['id']}-again"})
        case 14:
            data = orjson.dumps({**event, "visitorId": "another"})
        case 15:
            log("INFO", "message delivered", visitor=event["visitorId"])
        case 16:
            raise RuntimeError("as a bug would")
    return await _deliver(self, data, attributes)


async def _always_done(
    self: Delivery, data: bytes, attributes: Mapping[str, str], refused: Refused
) -> End:
    await _bury(self, data, attributes, refused)
    return End.DONE  # whether the letter lies there or not


def _without_large_properties(webhook: Webhook, raw: VerifiedBody, received_at: datetime) -> Event:
    event = normalise(webhook, raw, received_at)
    if len(raw) > _LARGE_BYTES:
        event.pop("properties", None)
    return event


def _break_delivery() -> None:
    PushDelivery.deliver = _broken  # type: ignore[method-assign]  # that is what this file is for


def _acknowledge_without_letters() -> None:
    Delivery.bury = _always_done  # type: ignore[method-assign]


def _lose_large_properties() -> None:
    pendo_aep.receive.normalise = _without_large_properties  # type: ignore[attr-defined]


BUGS: Mapping[str, Callable[[], None]] = {
    "delivery": _break_delivery,
    "letters": _acknowledge_without_letters,
    "properties": _lose_large_properties,
}

BUGS[os.environ["BROKEN"]]()
