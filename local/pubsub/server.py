"""The server: a broker with its gRPC services, push delivery and faults."""

from collections.abc import Callable, Sequence
from typing import Self

import grpc

from local.pubsub.broker import Broker
from local.pubsub.faults import fault_plan
from local.pubsub.model import (
    DeadLetterPolicy,
    Message,
    Observer,
    Observers,
    RetryPolicy,
    SubscriptionConfig,
    TopicConfig,
)
from local.pubsub.push import PushDelivery, PushFlow
from local.pubsub.services import PublisherService, SubscriberService
from local.pubsub.subscription import SubscriptionStats

_GRPC_OPTIONS = (
    # Requests that are too large must be refused here, with the status that Google documents.
    ("grpc.max_receive_message_length", 32 * 1024 * 1024),
    ("grpc.max_send_message_length", -1),
    # Two servers must not share a port by accident.
    ("grpc.so_reuseport", 0),
)


class PubSubServer:
    """Pub/Sub on 127.0.0.1 in this event loop; Google's clients reach it at `host`.

    ::

        async with PubSubServer() as server:
            os.environ["PUBSUB_EMULATOR_HOST"] = server.host

    Args:
        port: Its port; 0 for any free one.
        ack_deadline: Overrides the deadline of each subscription, in seconds (Google's minimum is
            10); for tests.
        pull_wait: How many seconds Pull waits for a first message.
        push_flow: The bounds of the push window and of the push backoff.
        history: How many published messages to keep for each topic, whatever its retention says,
            and how many settled ones to remember for each subscription; None keeps all.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        ack_deadline: float | None = None,
        pull_wait: float = 1.0,
        push_flow: PushFlow | None = None,
        history: int | None = None,
    ) -> None:
        self.faults = fault_plan()
        self.host = ""
        self._port = port
        self._pull_wait = pull_wait
        self._observers = Observers()
        self._push = PushDelivery(push_flow or PushFlow(), self._observers)
        self._broker = Broker(
            self._push, self._observers, ack_deadline=ack_deadline, history=history
        )

    async def __aenter__(self) -> Self:
        self._grpc = grpc.aio.server(options=_GRPC_OPTIONS)
        self._grpc.add_generic_rpc_handlers(
            (
                PublisherService(self._broker, self.faults).handler(),
                SubscriberService(self._broker, self.faults, self._pull_wait).handler(),
            )
        )
        port = self._grpc.add_insecure_port(f"127.0.0.1:{self._port}")
        await self._grpc.start()
        self.host = f"127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        # Calls are cut first, so that nothing is published to a closing broker.
        await self._grpc.stop(grace=None)
        self._broker.close()
        await self._push.close()

    # Set-up without a client

    def create_topic(self, name: str, *, message_retention: float | None = None) -> None:
        """Creates the topic `projects/P/topics/T`, which may keep its messages for some seconds.

        Raises:
            PubSubError: The service would refuse it too.
        """
        self._broker.create_topic(name, TopicConfig(message_retention=message_retention))

    def create_subscription(
        self,
        name: str,
        topic: str,
        *,
        push_endpoint: str = "",
        ack_deadline: int = 10,
        retry_policy: RetryPolicy | None = None,
        dead_letter_policy: DeadLetterPolicy | None = None,
    ) -> None:
        """Creates the subscription `projects/P/subscriptions/S`: push with an endpoint, else pull.

        Raises:
            PubSubError: The service would refuse it too.
        """
        config = SubscriptionConfig(
            ack_deadline=ack_deadline,
            push_endpoint=push_endpoint,
            retry_policy=retry_policy,
            dead_letter_policy=dead_letter_policy,
        )
        self._broker.create_subscription(name, topic, config)

    def publish(self, topic: str, data: bytes, /, **attributes: str) -> str:
        """Publishes one message and returns its ID.

        Raises:
            PubSubError: The service would refuse it too.
        """
        return self._broker.publish(topic, [(data, attributes)])[0]

    # State

    def subscriptions(self) -> Sequence[str]:
        """Returns the names of all subscriptions."""
        return tuple(self._broker.subscriptions())

    def snapshots(self) -> Sequence[str]:
        """Returns the names of all snapshots."""
        return tuple(self._broker.snapshots())

    def published(self, topic: str) -> Sequence[Message]:
        """Returns what was published on a topic, as far back as `history`, oldest first.

        Raises:
            NotFoundError: There is no such topic.
        """
        return tuple(self._broker.topic(topic).published)

    def stats(self, subscription: str) -> SubscriptionStats:
        """Returns the state of a subscription.

        Raises:
            NotFoundError: There is no such subscription.
        """
        return self._broker.subscription(subscription).stats()

    def push_window(self, subscription: str) -> int:
        """Returns how many requests may be open for a push subscription now.

        Raises:
            NotFoundError: There is no such push subscription.
        """
        return self._push.window(subscription)

    def observe(self, observer: Observer) -> None:
        """Calls `observer` with every event from now on."""
        self._observers.add(observer)

    async def wait_for(self, condition: Callable[[], bool], within: float = 10) -> None:
        """Waits until `condition()` holds; it is checked after each change of state.

        Raises:
            TimeoutError: It did not hold within so many seconds.
        """
        await self._broker.changed.wait_for(condition, within)

    async def idle(self, *subscriptions: str, within: float = 10) -> None:
        """Waits until these subscriptions have nothing left to deliver or to acknowledge.

        Without names: all push subscriptions; the others may not be pulled by anyone.

        Raises:
            NotFoundError: There is no such subscription.
            TimeoutError: They still had after so many seconds.
        """
        chosen = [self._broker.subscription(name) for name in subscriptions]

        def settled() -> bool:
            pushed = (s for s in self._broker.subscriptions().values() if s.config.push_endpoint)
            return all(subscription.idle for subscription in chosen or pushed)

        await self.wait_for(settled, within)
