"""The Subscriber service: subscriptions, Pull and what becomes of the messages."""

from collections.abc import AsyncIterator

import grpc
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types

from local.pubsub import wire
from local.pubsub.broker import Broker
from local.pubsub.errors import FailedPreconditionError, InvalidArgumentError
from local.pubsub.faults import Faults
from local.pubsub.paging import page_of_project
from local.pubsub.rpc import Context, stream, unary
from local.pubsub.streaming import StreamingPull
from local.pubsub.subscription import Subscription
from local.pubsub.wire import Pb

_Subscription = types.Subscription.pb()
_PullResponse = types.PullResponse.pb()
_StreamingPullRequest = types.StreamingPullRequest.pb()
_StreamingPullResponse = types.StreamingPullResponse.pb()
_ListSubscriptionsResponse = types.ListSubscriptionsResponse.pb()


class SubscriberService:
    """google.pubsub.v1.Subscriber on a broker; what is missing answers UNIMPLEMENTED.

    Args:
        broker: The state.
        faults: What befalls the calls.
        pull_wait: How many seconds Pull waits for a first message.
    """

    def __init__(self, broker: Broker, faults: Faults, pull_wait: float) -> None:
        self._broker = broker
        self._faults = faults
        self._pull_wait = pull_wait

    def handler(self) -> grpc.GenericRpcHandler:
        """The service, for a gRPC server."""
        calls = [
            ("CreateSubscription", self._create, _Subscription, _Subscription),
            ("GetSubscription", self._get, types.GetSubscriptionRequest.pb(), _Subscription),
            (
                "ListSubscriptions",
                self._list,
                types.ListSubscriptionsRequest.pb(),
                _ListSubscriptionsResponse,
            ),
            ("DeleteSubscription", self._delete, types.DeleteSubscriptionRequest.pb(), Empty),
            ("Pull", self._pull, types.PullRequest.pb(), _PullResponse),
            ("Acknowledge", self._acknowledge, types.AcknowledgeRequest.pb(), Empty),
            (
                "ModifyAckDeadline",
                self._modify_ack_deadline,
                types.ModifyAckDeadlineRequest.pb(),
                Empty,
            ),
        ]
        handlers = {
            name: unary(name, method, request, response, self._faults)
            for name, method, request, response in calls
        }
        handlers["StreamingPull"] = stream(
            "StreamingPull",
            self._streaming_pull,
            _StreamingPullRequest,
            _StreamingPullResponse,
            self._faults,
        )
        return grpc.method_handlers_generic_handler("google.pubsub.v1.Subscriber", handlers)

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
        subscription = self._pullable(request.subscription)
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

    async def _streaming_pull(self, requests: AsyncIterator[Pb], context: Context) -> None:
        first = await anext(requests, None)
        if first is None:
            return
        subscription = self._pullable(first.subscription)
        await StreamingPull(subscription, first, context).run(requests)

    def _pullable(self, name: str) -> Subscription:
        subscription = self._broker.subscription(name)
        if subscription.config.push_endpoint:
            raise FailedPreconditionError(f"{name} is a push subscription")
        return subscription
