"""Pub/Sub in this process, for Google's own clients: no cloud, no Java."""

from local.pubsub.faults import Fault, closed_topic, delayed, failing, hanging, rejecting
from local.pubsub.model import (
    Acked,
    AlreadyExistsError,
    DeadLettered,
    DeadLetterPolicy,
    DeliveryEnded,
    DeliveryStarted,
    Event,
    FailedPreconditionError,
    InvalidArgumentError,
    Message,
    Nacked,
    NotFoundError,
    Observer,
    Published,
    PubSubError,
    RetryPolicy,
    UnimplementedError,
)
from local.pubsub.push import PushFlow
from local.pubsub.server import PubSubServer
from local.pubsub.subscription import SubscriptionStats

__all__ = [
    "Acked",
    "AlreadyExistsError",
    "DeadLetterPolicy",
    "DeadLettered",
    "DeliveryEnded",
    "DeliveryStarted",
    "Event",
    "FailedPreconditionError",
    "Fault",
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
    "closed_topic",
    "delayed",
    "failing",
    "hanging",
    "rejecting",
]
