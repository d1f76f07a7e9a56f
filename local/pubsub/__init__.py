"""Pub/Sub in this process, for Google's own clients: the whole pipeline without cloud or Java."""

from local.pubsub.config import DeadLetterPolicy, RetryPolicy
from local.pubsub.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PubSubError,
    UnimplementedError,
)
from local.pubsub.events import (
    Acked,
    DeadLettered,
    DeliveryEnded,
    DeliveryStarted,
    Event,
    Nacked,
    Observer,
    Published,
)
from local.pubsub.faults import Faults
from local.pubsub.messages import Message
from local.pubsub.server import PubSubServer
from local.pubsub.subscription import SubscriptionStats
from local.pubsub.window import PushFlow

__all__ = [
    "Acked",
    "AlreadyExistsError",
    "DeadLetterPolicy",
    "DeadLettered",
    "DeliveryEnded",
    "DeliveryStarted",
    "Event",
    "FailedPreconditionError",
    "Faults",
    "InvalidArgumentError",
    "Message",
    "Nacked",
    "NotFoundError",
    "Observer",
    "PubSubError",
    "PubSubServer",
    "Published",
    "PushFlow",
    "RetryPolicy",
    "SubscriptionStats",
    "UnimplementedError",
]
