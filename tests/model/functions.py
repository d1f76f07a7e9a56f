"""`receive` and `deliver` as they are, in one process, on the stores of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import grpc.aio
from starlette.requests import Request

from local.pipeline import DEAD, EVENTS, SECRET
from local.samples import sign
from pendo_aep.brake import Brake
from pendo_aep.channel import pubsub_connection
from pendo_aep.dead_letter import Stage
from pendo_aep.dead_letter_topic import DeadLetterTopic
from pendo_aep.deliver import Deliverer
from pendo_aep.delivery import Delivery, PushDelivery
from pendo_aep.group_commit import GroupCommit, Limits
from pendo_aep.publisher import Publisher
from pendo_aep.receive import Receiver
from pendo_aep.sender import Sender
from pendo_aep.settings import ReceiveSettings, load
from pendo_aep.xdm import Raw
from tests.model.stores import AepModel, PubSubModel

TOPIC, DEAD_TOPIC = f"projects/p/topics/{EVENTS}", f"projects/p/topics/{DEAD}"
DEADLINE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Functions:
    """One instance of each; what they hold in memory dies with them."""

    receive: Receiver
    deliver: Deliverer

    @classmethod
    def start(cls, pubsub: PubSubModel, aep: AepModel) -> Functions:
        """New instances."""
        connection = pubsub_connection(lambda: cast("grpc.aio.Channel", pubsub))

        def dead_letters(stage: Stage) -> DeadLetterTopic:
            return DeadLetterTopic(lambda: Publisher(DEAD_TOPIC, connection), stage)

        environ = {"GOOGLE_CLOUD_PROJECT": "p", "PENDO_WEBHOOK_SECRETS": SECRET}
        settings = load(ReceiveSettings, environ)
        batches = GroupCommit(
            Sender(aep, Brake()).send,
            Limits(max_items=4, max_bytes=10_000, max_in_flight=2, linger_seconds=0.02),
            patience_seconds=DEADLINE_SECONDS,
        )
        delivery = Delivery(Raw(), dead_letters("deliver"))
        return cls(
            Receiver(settings, Publisher(TOPIC, connection), dead_letters("receive")),
            Deliverer(PushDelivery(delivery, batches, deadline_seconds=DEADLINE_SECONDS)),
        )


def request(body: bytes) -> Request:
    """A POST that brings a body, signed, as a server hands it to the function."""
    headers = [(k.lower().encode(), v.encode()) for k, v in sign(body, SECRET).items()]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    return Request({"type": "http", "method": "POST", "headers": headers}, receive)
