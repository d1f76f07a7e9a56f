"""The functions with planted bugs, which the soak must find.

FUNCTION_SOURCE has them started in place of the real ones. BROKEN names the bugs, with commas.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import count

import orjson

import pendo_aep.pipeline.receive
from main import deliver, drain, receive
from pendo_aep.dead_letters import Reason
from pendo_aep.event import Event
from pendo_aep.logs import log
from pendo_aep.outcome import Rejected
from pendo_aep.pendo.normalise import normalise
from pendo_aep.pendo.signature import VerifiedBody
from pendo_aep.pendo.webhook import Webhook
from pendo_aep.pipeline.deliver import Deliverer, Delivery, Disposition

__all__ = ["deliver", "drain", "receive"]

_ONE_IN = 40
_LARGE_BYTES = 3000
_numbers = count()
_deliver = Deliverer.deliver
_dead_letter = Delivery.dead_letter


async def _broken(self: Deliverer, data: bytes, attributes: dict[str, str]) -> Disposition:
    event = orjson.loads(data)
    if "properties" not in event:  # another bug may have taken them, and must be seen alone
        return await _deliver(self, data, attributes)
    match next(_numbers) % _ONE_IN:
        case 11:
            return Disposition.ACK  # acknowledged, and never delivered
        case 12:
            return await self._delivery.dead_letter(
                data, attributes, Rejected(Reason.REJECTED, "no")
            )
        case 13:
            data = orjson.dumps({**event, "id": f"{event['id']}-again"})
        case 14:
            data = orjson.dumps({**event, "visitorId": "another"})
        case 15:
            log("INFO", "message delivered", visitor=event["visitorId"])
        case 16:
            raise RuntimeError("as a bug would")
    return await _deliver(self, data, attributes)


async def _always_ack(
    self: Delivery, data: bytes, attributes: Mapping[str, str], rejected: Rejected
) -> Disposition:
    await _dead_letter(self, data, attributes, rejected)
    return Disposition.ACK  # whether the dead letter was stored or not


def _without_large_properties(webhook: Webhook, raw: VerifiedBody, received_at: datetime) -> Event:
    event = normalise(webhook, raw, received_at)
    if len(raw) > _LARGE_BYTES:
        event.pop("properties", None)
    return event


def _break_delivery() -> None:
    Deliverer.deliver = _broken  # type: ignore[method-assign]  # that is what this file is for


def _acknowledge_without_dead_letter() -> None:
    Delivery.dead_letter = _always_ack  # type: ignore[method-assign]


def _lose_large_properties() -> None:
    pendo_aep.pipeline.receive.normalise = _without_large_properties  # type: ignore[attr-defined]


BUGS: Mapping[str, Callable[[], None]] = {
    "delivery": _break_delivery,
    "dead letters": _acknowledge_without_dead_letter,
    "properties": _lose_large_properties,
}

for _bug in os.environ["BROKEN"].split(","):
    BUGS[_bug]()
