"""gRPC and protobuf: converts Google's messages to the broker's types, and makes RPC handlers.

The raw protobuf classes are used, not the proto-plus wrappers around them, which cost several
times as much per message.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message
from google.pubsub_v1 import types

from local.faults import FaultPlan
from local.pubsub.broker import Snapshot, Topic
from local.pubsub.faults import Effect, InjectedError, PublishedMessage
from local.pubsub.model import (
    AlreadyExistsError,
    DeadLetterPolicy,
    Draft,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PubSubError,
    RetryPolicy,
    SubscriptionConfig,
    TopicConfig,
    UnimplementedError,
)
from local.pubsub.subscription import Lease, Subscription

Pb: TypeAlias = Any
"""A raw protobuf message: Google ships no types for these."""
Context: TypeAlias = "grpc.aio.ServicerContext[Pb, Pb]"
Unary: TypeAlias = Callable[[Pb], Awaitable[Pb]]
T = TypeVar("T")

_ReceivedMessage = types.ReceivedMessage.pb()
_Topic = types.Topic.pb()
_Subscription = types.Subscription.pb()
_Snapshot = types.Snapshot.pb()

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

_STATUS = {
    NotFoundError: grpc.StatusCode.NOT_FOUND,
    AlreadyExistsError: grpc.StatusCode.ALREADY_EXISTS,
    InvalidArgumentError: grpc.StatusCode.INVALID_ARGUMENT,
    FailedPreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
    UnimplementedError: grpc.StatusCode.UNIMPLEMENTED,
}


def drafts(messages: Iterable[Pb]) -> list[Draft]:
    """Returns the messages of a PublishRequest.

    Raises:
        UnimplementedError: A message has an ordering key.
    """
    result = []
    for message in messages:
        if message.ordering_key:
            raise UnimplementedError("ordering keys are not supported here")
        result.append((message.data, dict(message.attributes)))
    return result


def received(subscription: Subscription, leases: Sequence[Lease]) -> list[Pb]:
    """Returns ReceivedMessages; like Google, with an attempt only under a dead-letter policy."""
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
    """Returns the configuration of a Topic.

    Raises:
        InvalidArgumentError: Its storage policy allows no region.
        UnimplementedError: It uses a feature that this server does not have.
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
    """Returns the Topic message that describes a topic."""
    pb = _Topic(name=topic.name, labels=topic.config.labels, state=types.Topic.State.ACTIVE)
    if topic.config.message_retention is not None:
        _set(pb.message_retention_duration, topic.config.message_retention)
    if topic.config.regions:
        pb.message_storage_policy.allowed_persistence_regions.extend(topic.config.regions)
    return pb


def subscription_config(pb: Pb) -> SubscriptionConfig:
    """Returns the configuration of a Subscription, with Google's defaults for unset fields.

    Raises:
        InvalidArgumentError: A value is out of Google's bounds.
        UnimplementedError: It uses a feature that this server does not have.
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
    """Returns the Subscription message that describes a subscription."""
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


def snapshot(snapshot: Snapshot) -> Pb:
    """Returns the Snapshot message that describes a snapshot."""
    pb = _Snapshot(name=snapshot.name, topic=snapshot.topic, labels=snapshot.labels)
    pb.expire_time.FromDatetime(snapshot.expire_time)
    return pb


def _only(pb: Pb, supported: frozenset[str]) -> None:
    for field, _ in pb.ListFields():
        if field.name not in supported:
            raise UnimplementedError(f"{pb.DESCRIPTOR.name}.{field.name} is not supported here")


def _seconds(duration: Pb) -> float:
    return float(duration.seconds + duration.nanos / 1e9)


def _set(duration: Pb, seconds: float) -> None:
    duration.FromNanoseconds(round(seconds * 1e9))


def unary(
    name: str,
    method: Unary,
    request: type[Message],
    faults: FaultPlan[Effect],
) -> "grpc.RpcMethodHandler[Pb, Pb]":
    """Returns a handler for a call with one request, of this protobuf class, and one response."""

    async def call(request: Pb, context: Context) -> Pb:
        effects = faults.take(name, _messages(name, request)) if faults else []
        effects.sort(key=lambda effect: effect.is_content)  # a delay comes first
        try:
            for effect in effects:
                if not effect.after:
                    await effect.apply()
            answer = await method(request)
            for effect in effects:
                if effect.after:
                    await effect.apply()
        except (PubSubError, InjectedError) as error:
            await _abort(context, error)
        return answer

    return grpc.unary_unary_rpc_method_handler(
        call,
        request_deserializer=request.FromString,
        response_serializer=_serialize,
    )


def _serialize(message: Pb) -> bytes:
    serialized: bytes = message.SerializeToString()
    return serialized


def _messages(name: str, request: Pb) -> list[PublishedMessage]:
    if name != "Publish":
        return []
    return [PublishedMessage(request.topic, m.data, m.attributes) for m in request.messages]


async def _abort(context: Context, error: PubSubError | InjectedError) -> NoReturn:
    code = error.code if isinstance(error, InjectedError) else _STATUS[type(error)]
    await context.abort(code, str(error))
    raise AssertionError("abort raises")


def page(resources: Mapping[str, T], request: Pb) -> tuple[list[T], str]:
    """Returns the page that a List request asks for, and the token of the next (Google: AIP-158).

    The token is the last name of the page before, so pages stay consistent while resources are
    created and deleted.
    """
    names = sorted(name for name in resources if name > request.page_token)
    size = request.page_size if request.page_size > 0 else len(names)
    token = names[size - 1] if len(names) > size else ""
    return [resources[name] for name in names[:size]], token


def page_of_project(resources: Mapping[str, T], request: Pb) -> tuple[list[T], str]:
    """Returns a page of the resources of the project that the request names."""
    prefix = f"{request.project}/"
    return page({n: r for n, r in resources.items() if n.startswith(prefix)}, request)
