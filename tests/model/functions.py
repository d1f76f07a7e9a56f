"""The real functions in one process, on the stores of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from local.samples import sign
from pendo_aep.aep.circuit_breaker import CircuitBreaker
from pendo_aep.aep.format import Raw
from pendo_aep.aep.retry import BatchSender
from pendo_aep.dead_letters import Stage
from pendo_aep.group_commit import GroupCommit, Limits
from pendo_aep.pipeline.dead_letter_publisher import DeadLetterPublisher
from pendo_aep.pipeline.deliver import Deliverer, Delivery
from pendo_aep.pipeline.drain import Drain
from pendo_aep.pipeline.receive import Receiver
from pendo_aep.pubsub.client import PubSubConnection, pubsub_connection
from pendo_aep.pubsub.publisher import Publisher
from pendo_aep.pubsub.subscriber import Subscriber
from pendo_aep.settings import ReceiveSettings, load
from tests.model.stores import AepModel, ChannelsModel, PubSubModel

TOPIC, DEAD_TOPIC = "projects/p/topics/events", "projects/p/topics/dead"
SECRET = "secret"
DEADLINE_SECONDS = 5.0
# Twice the ack deadline of the subscription: messages would come again without extensions.
DRAIN_SECONDS = 20.0
# Two events of 50 kB fit, which `raw` doubles; three do not.
LIMITS = Limits(max_items=4, max_bytes=300_000, max_in_flight=2, linger_seconds=0.02)


@dataclass(frozen=True, slots=True)
class Functions:
    """One instance of each function, with what it holds in memory."""

    receive: Receiver
    deliver: Deliverer
    drain: Drain
    channels: ChannelsModel

    @classmethod
    def start(cls, pubsub: PubSubModel, aep: AepModel) -> Functions:
        """Starts new instances."""
        channels = ChannelsModel(pubsub)

        def connection() -> PubSubConnection:
            return pubsub_connection(channels.open)

        def dead_letters(stage: Stage) -> DeadLetterPublisher:
            return DeadLetterPublisher(lambda: Publisher(DEAD_TOPIC, connection()), stage)

        environ = {"GOOGLE_CLOUD_PROJECT": "p", "PENDO_WEBHOOK_SECRETS": SECRET}
        batches = GroupCommit(
            BatchSender(aep, CircuitBreaker()).send, LIMITS, timeout_seconds=DEADLINE_SECONDS
        )
        return cls(
            Receiver(
                load(ReceiveSettings, environ),
                Publisher(TOPIC, connection()),
                dead_letters("receive"),
            ),
            Deliverer(
                Delivery(Raw(), dead_letters("deliver")),
                batches,
                deadline_seconds=DEADLINE_SECONDS,
            ),
            Drain(
                Subscriber("projects/p/subscriptions/drained", connection()),
                Delivery(Raw(), dead_letters("deliver")),
                BatchSender(aep, CircuitBreaker()),
                LIMITS,
                seconds=DRAIN_SECONDS,
            ),
            channels,
        )


def request(body: bytes) -> Request:
    """Returns a signed POST as a server hands it to the function."""
    headers = [(k.lower().encode(), v.encode()) for k, v in sign(body, SECRET).items()]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    return Request({"type": "http", "method": "POST", "headers": headers}, receive)
