"""Between Google's protobuf messages and the broker's own types.

The raw protobuf classes are used, not the proto-plus wrappers around them, which cost several
times as much per message.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from google.pubsub_v1 import types

from local.pubsub.broker import Topic
from local.pubsub.config import DeadLetterPolicy, RetryPolicy, SubscriptionConfig, TopicConfig
from local.pubsub.errors import InvalidArgumentError, UnimplementedError
from local.pubsub.messages import Draft
from local.pubsub.subscription import Lease, Subscription

Pb: TypeAlias = Any
"""A raw protobuf message: Google ships no types for these."""

_ReceivedMessage = types.ReceivedMessage.pb()
_Topic = types.Topic.pb()
_Subscription = types.Subscription.pb()

_TOPIC_FIELDS = frozenset(
    {"name", "labels", "message_retention_duration", "message_storage_policy"}
)
_STORAGE_FIELDS = frozenset({"allowed_persistence_regions"})
_SUBSCRIPTION_FIELDS = frozenset(
    {
        "name",
        "topic",
        "push_config",
        "ack_deadline_seconds",
        "message_retention_duration",
        "labels",
        "expiration_policy",
        "dead_letter_policy",
        "retry_policy",
    }
)
_PUSH_FIELDS = frozenset({"push_endpoint", "attributes", "pubsub_wrapper"})


def drafts(messages: Iterable[Pb]) -> list[Draft]:
    """The messages of a PublishRequest.

    Raises:
        UnimplementedError: One has an ordering key.
    """
    result = []
    for message in messages:
        if message.ordering_key:
            raise UnimplementedError("ordering keys are not supported here")
        result.append((message.data, dict(message.attributes)))
    return result


def received(subscription: Subscription, leases: Sequence[Lease]) -> list[Pb]:
    """ReceivedMessages; with a delivery attempt only under a dead-letter policy, as Google does."""
    counted = subscription.config.dead_letter_policy is not None
    result = []
    for lease in leases:
        pb = _ReceivedMessage(ack_id=lease.ack_id, delivery_attempt=lease.attempt if counted else 0)
        message = pb.message
        message.data = lease.message.data
        message.attributes.update(lease.message.attributes)
        message.message_id = lease.message.id
        message.publish_time.FromDatetime(lease.message.publish_time)
        result.append(pb)
    return result


def topic_config(pb: Pb) -> TopicConfig:
    """How a Topic is to be set up.

    Raises:
        InvalidArgumentError: It may be stored nowhere.
        UnimplementedError: It asks for more than this server can.
    """
    _only(pb, _TOPIC_FIELDS)
    _only(pb.message_storage_policy, _STORAGE_FIELDS)
    regions = tuple(pb.message_storage_policy.allowed_persistence_regions)
    # Google: MessageStoragePolicy, an empty list "is not a valid configuration".
    if pb.HasField("message_storage_policy") and not regions:
        raise InvalidArgumentError("message_storage_policy allows no region")
    retention = pb.message_retention_duration
    return TopicConfig(
        labels=dict(pb.labels),
        message_retention=_seconds(retention)
        if pb.HasField("message_retention_duration")
        else None,
        regions=regions,
    )


def topic(topic: Topic) -> Pb:
    """The Topic that describes it."""
    pb = _Topic(name=topic.name, labels=topic.config.labels, state=types.Topic.State.ACTIVE)
    if topic.config.message_retention is not None:
        _set(pb.message_retention_duration, topic.config.message_retention)
    if topic.config.regions:
        pb.message_storage_policy.allowed_persistence_regions.extend(topic.config.regions)
    return pb


def subscription_config(pb: Pb) -> SubscriptionConfig:
    """How a Subscription is to be set up; what it leaves open gets Google's defaults.

    Raises:
        InvalidArgumentError: A value is out of Google's bounds.
        UnimplementedError: It asks for more than this server can.
    """
    _only(pb, _SUBSCRIPTION_FIELDS)
    _only(pb.push_config, _PUSH_FIELDS)
    default = SubscriptionConfig()
    retry = dead_letter = None
    if pb.HasField("retry_policy"):
        policy = pb.retry_policy
        retry = RetryPolicy(
            _seconds(policy.minimum_backoff) if policy.HasField("minimum_backoff") else 10.0,
            _seconds(policy.maximum_backoff) if policy.HasField("maximum_backoff") else 600.0,
        )
    if pb.HasField("dead_letter_policy"):
        dead_letter = DeadLetterPolicy(
            pb.dead_letter_policy.dead_letter_topic,
            pb.dead_letter_policy.max_delivery_attempts or 5,
        )
    expiration = default.expiration
    if pb.HasField("expiration_policy"):
        ttl = pb.expiration_policy
        expiration = _seconds(ttl.ttl) if ttl.HasField("ttl") else None
    return SubscriptionConfig(
        ack_deadline=pb.ack_deadline_seconds or default.ack_deadline,
        push_endpoint=pb.push_config.push_endpoint,
        push_attributes=dict(pb.push_config.attributes),
        retry_policy=retry,
        dead_letter_policy=dead_letter,
        expiration=expiration,
        message_retention=_seconds(pb.message_retention_duration) or default.message_retention,
        labels=dict(pb.labels),
    )


def subscription(subscription: Subscription) -> Pb:
    """The Subscription that describes it."""
    config = subscription.config
    pb = _Subscription(
        name=subscription.name,
        topic=subscription.topic,
        ack_deadline_seconds=config.ack_deadline,
        labels=config.labels,
        state=types.Subscription.State.ACTIVE,
    )
    pb.push_config.SetInParent()
    if config.push_endpoint:
        pb.push_config.push_endpoint = config.push_endpoint
        pb.push_config.attributes.update(config.push_attributes)
    if config.retry_policy is not None:
        _set(pb.retry_policy.minimum_backoff, config.retry_policy.minimum_backoff)
        _set(pb.retry_policy.maximum_backoff, config.retry_policy.maximum_backoff)
    if config.dead_letter_policy is not None:
        pb.dead_letter_policy.dead_letter_topic = config.dead_letter_policy.topic
        pb.dead_letter_policy.max_delivery_attempts = (
            config.dead_letter_policy.max_delivery_attempts
        )
    pb.expiration_policy.SetInParent()
    if config.expiration is not None:
        _set(pb.expiration_policy.ttl, config.expiration)
    _set(pb.message_retention_duration, config.message_retention)
    return pb


def _only(pb: Pb, supported: frozenset[str]) -> None:
    for field, _ in pb.ListFields():
        if field.name not in supported:
            raise UnimplementedError(f"{pb.DESCRIPTOR.name}.{field.name} is not supported here")


def _seconds(duration: Pb) -> float:
    return float(duration.seconds + duration.nanos / 1e9)


def _set(duration: Pb, seconds: float) -> None:
    duration.FromNanoseconds(round(seconds * 1e9))
