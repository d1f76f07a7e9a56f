"""`deliver` with every promise broken now and then: what a soak must notice.

It is the real function otherwise, and is started in its place (FUNCTION_SOURCE).
"""

from __future__ import annotations

from itertools import count

import orjson

from main import deliver, receive
from pendo_aep.dead_letter import Reason
from pendo_aep.delivery import End, PushDelivery
from pendo_aep.logs import log
from pendo_aep.outcome import Refused

__all__ = ["deliver", "receive"]

_ONE_IN = 40
_numbers = count()
_deliver = PushDelivery.deliver


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


PushDelivery.deliver = _broken  # type: ignore[method-assign]  # that is what this file is for
