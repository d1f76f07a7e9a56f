"""The server: a broker with its gRPC face, its push delivery and its faults."""

from collections.abc import Callable, Sequence
from typing import Self

import grpc

from local.pubsub.broker import Broker
from local.pubsub.config import DeadLetterPolicy, RetryPolicy, SubscriptionConfig
from local.pubsub.events import Observer, Observers
from local.pubsub.faults import Faults
from local.pubsub.messages import Message
from local.pubsub.publisher import PublisherService
from local.pubsub.push import PushDelivery
from local.pubsub.subscriber import SubscriberService
from local.pubsub.subscription import SubscriptionStats
from local.pubsub.window import PushFlow

_GRPC_OPTIONS = (
    # Requests that are too large are ours to refuse, with the status that Google documents.
    ("grpc.max_receive_message_length", 32 * 1024 * 1024),
    ("grpc.max_send_message_length", -1),
    # Two servers must not share a port unnoticed.
    ("grpc.so_reuseport", 0),
)


class PubSubServer:
    """Pub/Sub on 127.0.0.1, in this event loop; Google's clients reach it at `host`.

    ::

        async with PubSubServer() as server:
            os.environ["PUBSUB_EMULATOR_HOST"] = server.host

    Args:
        port: 0 takes a free one.
        ack_deadline: Seconds, instead of what each subscription asks for (Google's minimum is
            10); for tests.
        pull_wait: How many seconds Pull waits for a first message.
        push_flow: The bounds of the push window and of the push backoff.
        history: How many published messages to keep for each topic, and how many settled ones to
            remember for each subscription; None keeps all.
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
        self.faults = Faults()
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
        # Calls are cut first, so that nothing is published into a broker that is closing.
        await self._grpc.stop(grace=None)
        self._broker.close()
        await self._push.close()

    # Setting up without a client

    def create_topic(self, name: str) -> None:
        """Create the topic `projects/P/topics/T`.

        Raises:
            PubSubError: As the service would refuse it.
        """
        self._broker.create_topic(name)

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
        """Create the subscription `projects/P/subscriptions/S`: push with an endpoint, else pull.

        Raises:
            PubSubError: As the service would refuse it.
        """
        config = SubscriptionConfig(
            ack_deadline=ack_deadline,
            push_endpoint=push_endpoint,
            retry_policy=retry_policy,
            dead_letter_policy=dead_letter_policy,
        )
        self._broker.create_subscription(name, topic, config)

    def publish(self, topic: str, data: bytes, /, **attributes: str) -> str:
        """Publish one message and return its id.

        Raises:
            PubSubError: As the service would refuse it.
        """
        return self._broker.publish(topic, [(data, attributes)])[0]

    # Looking at it

    def published(self, topic: str) -> Sequence[Message]:
        """Everything published on a topic, as far back as `history`, oldest first.

        Raises:
            NotFoundError: There is no such topic.
        """
        return tuple(self._broker.topic(topic).published)

    def stats(self, subscription: str) -> SubscriptionStats:
        """How a subscription stands.

        Raises:
            NotFoundError: There is no such subscription.
        """
        return self._broker.subscription(subscription).stats()

    def push_window(self, subscription: str) -> int:
        """How many requests may be open for a push subscription now.

        Raises:
            NotFoundError: There is no such push subscription.
        """
        return self._push.window(subscription)

    def observe(self, observer: Observer) -> None:
        """Call `observer` with every event from now on."""
        self._observers.add(observer)

    async def wait_for(self, condition: Callable[[], bool], within: float = 10) -> None:
        """Wait until `condition()` holds; it is looked at after each change of state.

        Raises:
            TimeoutError: It did not hold within that many seconds.
        """
        await self._broker.changed.wait_for(condition, within)

    async def idle(self, *subscriptions: str, within: float = 10) -> None:
        """Wait until these subscriptions have nothing left to deliver or to acknowledge.

        Without names: all push subscriptions, since nobody may be pulling the others.

        Raises:
            NotFoundError: There is no such subscription.
            TimeoutError: They still had after that many seconds.
        """
        chosen = [self._broker.subscription(name) for name in subscriptions]

        def settled() -> bool:
            pushed = (s for s in self._broker.subscriptions().values() if s.config.push_endpoint)
            return all(subscription.idle for subscription in chosen or pushed)

        await self.wait_for(settled, within)
