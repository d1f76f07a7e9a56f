"""The Publisher service: topics and Publish."""

import grpc
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types

from local.pubsub import wire
from local.pubsub.broker import Broker
from local.pubsub.errors import InvalidArgumentError
from local.pubsub.faults import Faults
from local.pubsub.limits import MAX_REQUEST_BYTES
from local.pubsub.paging import page, page_of_project
from local.pubsub.rpc import unary
from local.pubsub.wire import Pb

_Topic = types.Topic.pb()
_PublishResponse = types.PublishResponse.pb()
_ListTopicsResponse = types.ListTopicsResponse.pb()
_ListTopicSubscriptionsResponse = types.ListTopicSubscriptionsResponse.pb()


class PublisherService:
    """google.pubsub.v1.Publisher on a broker; what is missing answers UNIMPLEMENTED."""

    def __init__(self, broker: Broker, faults: Faults) -> None:
        self._broker = broker
        self._faults = faults

    def handler(self) -> grpc.GenericRpcHandler:
        """The service, for a gRPC server."""
        calls = [
            ("CreateTopic", self._create_topic, _Topic, _Topic),
            ("GetTopic", self._get_topic, types.GetTopicRequest.pb(), _Topic),
            ("ListTopics", self._list_topics, types.ListTopicsRequest.pb(), _ListTopicsResponse),
            (
                "ListTopicSubscriptions",
                self._list_subscriptions,
                types.ListTopicSubscriptionsRequest.pb(),
                _ListTopicSubscriptionsResponse,
            ),
            ("DeleteTopic", self._delete_topic, types.DeleteTopicRequest.pb(), Empty),
            ("Publish", self._publish, types.PublishRequest.pb(), _PublishResponse),
        ]
        return grpc.method_handlers_generic_handler(
            "google.pubsub.v1.Publisher",
            {
                name: unary(name, method, request, response, self._faults)
                for name, method, request, response in calls
            },
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
        self._faults.check_topic(request.topic)
        self._faults.check(drafts)
        return _PublishResponse(message_ids=self._broker.publish(request.topic, drafts))
