"""Google's Publisher and Subscriber services on a broker."""

from datetime import UTC

import grpc
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types

from local.faults import FaultPlan
from local.pubsub import wire
from local.pubsub.broker import Broker
from local.pubsub.faults import Effect
from local.pubsub.model import MAX_REQUEST_BYTES, FailedPreconditionError, InvalidArgumentError
from local.pubsub.wire import Pb, page, page_of_project, unary

_Topic = types.Topic.pb()
_PublishResponse = types.PublishResponse.pb()
_ListTopicsResponse = types.ListTopicsResponse.pb()
_ListTopicSubscriptionsResponse = types.ListTopicSubscriptionsResponse.pb()
_Subscription = types.Subscription.pb()
_PullResponse = types.PullResponse.pb()
_ListSnapshotsResponse = types.ListSnapshotsResponse.pb()
_SeekResponse = types.SeekResponse.pb()
_ListSubscriptionsResponse = types.ListSubscriptionsResponse.pb()


class PublisherService:
    """Serves google.pubsub.v1.Publisher; unsupported methods answer UNIMPLEMENTED."""

    def __init__(self, broker: Broker, faults: FaultPlan[Effect]) -> None:
        self._broker = broker
        self._faults = faults

    def handler(self) -> grpc.GenericRpcHandler:
        """Returns the service for a gRPC server."""
        calls = {
            "CreateTopic": (self._create_topic, _Topic),
            "GetTopic": (self._get_topic, types.GetTopicRequest.pb()),
            "ListTopics": (self._list_topics, types.ListTopicsRequest.pb()),
            "ListTopicSubscriptions": (
                self._list_subscriptions,
                types.ListTopicSubscriptionsRequest.pb(),
            ),
            "DeleteTopic": (self._delete_topic, types.DeleteTopicRequest.pb()),
            "Publish": (self._publish, types.PublishRequest.pb()),
        }
        return grpc.method_handlers_generic_handler(
            "google.pubsub.v1.Publisher",
            {name: unary(name, *call, self._faults) for name, call in calls.items()},
        )

    async def _create_topic(self, request: Pb) -> Pb:
        return wire.topic(self._broker.create_topic(request.name, wire.topic_config(request)))

    async def _get_topic(self, request: Pb) -> Pb:
        return wire.topic(self._broker.topic(request.topic))

    async def _list_topics(self, request: Pb) -> Pb:
        topics, token = page_of_project(self._broker.topics(), request)
        return _ListTopicsResponse(topics=map(wire.topic, topics), next_page_token=token)

    async def _list_subscriptions(self, request: Pb) -> Pb:
        subscriptions, token = page(self._broker.topic(request.topic).subscriptions, request)
        return _ListTopicSubscriptionsResponse(
            subscriptions=[subscription.name for subscription in subscriptions],
            next_page_token=token,
        )

    async def _delete_topic(self, request: Pb) -> Empty:
        self._broker.delete_topic(request.topic)
        return Empty()

    async def _publish(self, request: Pb) -> Pb:
        if request.ByteSize() > MAX_REQUEST_BYTES:
            raise InvalidArgumentError(f"a publish request has at most {MAX_REQUEST_BYTES} bytes")
        drafts = wire.drafts(request.messages)
        return _PublishResponse(message_ids=self._broker.publish(request.topic, drafts))


class SubscriberService:
    """Serves google.pubsub.v1.Subscriber; unsupported methods answer UNIMPLEMENTED.

    Args:
        broker: The state.
        faults: The active faults.
        pull_wait: How many seconds Pull waits for a first message.
    """

    def __init__(self, broker: Broker, faults: FaultPlan[Effect], pull_wait: float) -> None:
        self._broker = broker
        self._faults = faults
        self._pull_wait = pull_wait

    def handler(self) -> grpc.GenericRpcHandler:
        """Returns the service for a gRPC server."""
        calls = {
            "CreateSubscription": (self._create, _Subscription),
            "GetSubscription": (self._get, types.GetSubscriptionRequest.pb()),
            "ListSubscriptions": (self._list, types.ListSubscriptionsRequest.pb()),
            "DeleteSubscription": (self._delete, types.DeleteSubscriptionRequest.pb()),
            "Pull": (self._pull, types.PullRequest.pb()),
            "Acknowledge": (self._acknowledge, types.AcknowledgeRequest.pb()),
            "ModifyAckDeadline": (self._modify_ack_deadline, types.ModifyAckDeadlineRequest.pb()),
            "CreateSnapshot": (self._create_snapshot, types.CreateSnapshotRequest.pb()),
            "ListSnapshots": (self._list_snapshots, types.ListSnapshotsRequest.pb()),
            "DeleteSnapshot": (self._delete_snapshot, types.DeleteSnapshotRequest.pb()),
            "Seek": (self._seek, types.SeekRequest.pb()),
        }
        return grpc.method_handlers_generic_handler(
            "google.pubsub.v1.Subscriber",
            {name: unary(name, *call, self._faults) for name, call in calls.items()},
        )

    async def _create(self, request: Pb) -> Pb:
        config = wire.subscription_config(request)
        return wire.subscription(
            self._broker.create_subscription(request.name, request.topic, config)
        )

    async def _get(self, request: Pb) -> Pb:
        return wire.subscription(self._broker.subscription(request.subscription))

    async def _list(self, request: Pb) -> Pb:
        subscriptions, token = page_of_project(self._broker.subscriptions(), request)
        return _ListSubscriptionsResponse(
            subscriptions=map(wire.subscription, subscriptions), next_page_token=token
        )

    async def _delete(self, request: Pb) -> Empty:
        self._broker.delete_subscription(request.subscription)
        return Empty()

    async def _pull(self, request: Pb) -> Pb:
        if request.max_messages <= 0:
            raise InvalidArgumentError("max_messages must be positive")
        subscription = self._broker.subscription(request.subscription)
        if subscription.config.push_endpoint:
            raise FailedPreconditionError(f"{subscription.name} is a push subscription")
        wait = 0.0 if request.return_immediately else self._pull_wait
        leases = await subscription.pull(min(request.max_messages, 1_000), wait)
        return _PullResponse(received_messages=wire.received(subscription, leases))

    async def _acknowledge(self, request: Pb) -> Empty:
        subscription = self._broker.subscription(request.subscription)
        for ack_id in request.ack_ids:
            subscription.ack(ack_id)
        return Empty()

    async def _modify_ack_deadline(self, request: Pb) -> Empty:
        if not 0 <= request.ack_deadline_seconds <= 600:
            raise InvalidArgumentError("ack_deadline_seconds is 0 to 600")
        subscription = self._broker.subscription(request.subscription)
        for ack_id in request.ack_ids:
            subscription.extend(ack_id, request.ack_deadline_seconds)
        return Empty()

    async def _create_snapshot(self, request: Pb) -> Pb:
        return wire.snapshot(
            self._broker.create_snapshot(request.name, request.subscription, dict(request.labels))
        )

    async def _list_snapshots(self, request: Pb) -> Pb:
        snapshots, token = page_of_project(self._broker.snapshots(), request)
        return _ListSnapshotsResponse(
            snapshots=map(wire.snapshot, snapshots), next_page_token=token
        )

    async def _delete_snapshot(self, request: Pb) -> Empty:
        self._broker.delete_snapshot(request.snapshot)
        return Empty()

    async def _seek(self, request: Pb) -> Pb:
        match request.WhichOneof("target"):
            case "time":
                self._broker.seek_to_time(request.subscription, request.time.ToDatetime(UTC))
            case "snapshot":
                self._broker.seek_to_snapshot(request.subscription, request.snapshot)
            case _:
                raise InvalidArgumentError("a seek needs a time or a snapshot")
        return _SeekResponse()
