"""The `deliver` function: Pub/Sub pushes a message, and is answered when AEP has answered."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from pendo_aep.delivery import End, PushDelivery
from pendo_aep.http_answer import Answer
from pendo_aep.http_request import BodyTooLarge, read_body
from pendo_aep.logs import log
from pendo_aep.push import NotAPush, read_push

# Google: Pub/Sub quotas, a message of 10 MB at most; in base64, and its attributes with it.
_MAX_PUSH_BYTES = 16_000_000

# Nothing in them differs from one message to the next.
_ANSWERS = {End.DONE: Answer(204), End.AGAIN: Answer(503), End.TOO_MUCH: Answer(429)}


class Deliverer:
    """Answers push deliveries, by the table of `deliver` in the specification."""

    def __init__(self, delivery: PushDelivery) -> None:
        """Takes what carries a message to its end."""
        self._delivery = delivery

    async def __call__(self, request: Request) -> Response:
        """The answer to one request: Pub/Sub acknowledges by a 2xx, and by nothing else."""
        try:
            push = read_push(await read_body(request, _MAX_PUSH_BYTES))
        except (NotAPush, BodyTooLarge) as error:
            why = str(error) or "over the size of a Pub/Sub message"
            log("ERROR", "no push delivery", reason=why)
            told = f"{why}; this address is for a Pub/Sub push subscription or Eventarc"
            return Answer(400, {"error": told})
        except ClientDisconnect:
            return Answer(400)  # nobody is there to read it
        end = await self._delivery.deliver(push.data, push.attributes)
        return _ANSWERS[end]
