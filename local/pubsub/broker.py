"""Pub/Sub's state: topics and subscriptions, without a protocol."""

import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from local.pubsub.model import (
    DELETED_TOPIC,
    AlreadyExistsError,
    Draft,
    Message,
    NotFoundError,
    Observers,
    Published,
    SubscriptionConfig,
    TopicConfig,
    check_limits,
    check_name,
    split_name,
)
from local.pubsub.subscription import Subscription
from local.pubsub.timers import Signal

_DEAD_LETTER = "CloudPubSubDeadLetterSource"


class PushTransport(Protocol):
    """Delivers the push subscriptions."""

    def attach(self, subscription: Subscription) -> None:
        """Delivers this subscription from now on."""

    def detach(self, subscription: Subscription) -> None:
        """Stops delivering a deleted subscription."""


@dataclass(slots=True, eq=False)
class Topic:
    """A topic, its subscriptions, and its published messages as far back as `history`."""

    name: str
    config: TopicConfig
    published: deque[Message]
    subscriptions: dict[str, Subscription] = field(default_factory=dict)


class Broker:
    """Pub/Sub's state. It must only be used in the event loop that created it.

    Args:
        push: Delivers the push subscriptions.
        observers: Called with every event.
        ack_deadline: Overrides the deadline of each subscription, in seconds; for tests, which
            cannot wait for Google's minimum of 10 s.
        history: How many published messages to keep for each topic, and how many settled ones to
            remember for each subscription; None keeps all.
    """

    def __init__(
        self,
        push: PushTransport,
        observers: Observers,
        *,
        ack_deadline: float | None = None,
        history: int | None = None,
    ) -> None:
        self.observers = observers
        self.changed = Signal()
        self._push = push
        self._ack_deadline = ack_deadline
        self._history = history
        self._topics: dict[str, Topic] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._message_ids = itertools.count(1)

    # Topics

    def create_topic(self, name: str, config: TopicConfig | None = None) -> Topic:
        """Creates a topic.

        Raises:
            InvalidArgumentError: The name is invalid.
            AlreadyExistsError: The name is taken.
        """
        check_name(name, "topics")
        if name in self._topics:
            raise AlreadyExistsError(f"topic {name} exists")
        topic = Topic(name, config or TopicConfig(), deque(maxlen=self._history))
        self._topics[name] = topic
        return topic

    def topic(self, name: str) -> Topic:
        """Looks a topic up.

        Raises:
            InvalidArgumentError: The name is invalid.
            NotFoundError: It does not exist.
        """
        if topic := self._topics.get(name):
            return topic
        check_name(name, "topics")
        raise NotFoundError(f"topic {name} does not exist")

    def topics(self) -> Mapping[str, Topic]:
        """Returns all of them by name."""
        return self._topics

    def delete_topic(self, name: str) -> None:
        """Deletes a topic; its subscriptions stay, with what they still hold.

        Raises:
            NotFoundError: It does not exist.
        """
        topic = self.topic(name)
        del self._topics[name]
        for subscription in topic.subscriptions.values():
            subscription.topic = DELETED_TOPIC

    def publish(self, topic_name: str, drafts: Sequence[Draft]) -> list[str]:
        """Stores messages and hand them to every subscription of the topic.

        Returns:
            Their ids, in the same order.

        Raises:
            NotFoundError: The topic does not exist.
            InvalidArgumentError: A documented limit is exceeded; then nothing is stored.
        """
        topic = self.topic(topic_name)
        check_limits(drafts)
        return self._store(topic, drafts)

    def _store(self, topic: Topic, drafts: Sequence[Draft]) -> list[str]:
        now = datetime.now(UTC)
        messages = [
            Message(str(next(self._message_ids)), data, attributes, now)
            for data, attributes in drafts
        ]
        topic.published.extend(messages)
        if self.observers:
            for message in messages:
                self.observers(Published(topic.name, message))
        for subscription in topic.subscriptions.values():
            subscription.enqueue(messages)
        self.changed.notify()
        return [message.id for message in messages]

    def _forward(self, source: Subscription, message: Message, attempts: int) -> str | None:
        policy = source.config.dead_letter_policy
        topic = self._topics.get(policy.topic) if policy else None
        if topic is None:
            return None
        project, subscription_id = split_name(source.name)
        attributes = {
            **message.attributes,
            f"{_DEAD_LETTER}DeliveryCount": str(attempts),
            f"{_DEAD_LETTER}Subscription": subscription_id,
            f"{_DEAD_LETTER}SubscriptionProject": project,
            f"{_DEAD_LETTER}TopicPublishTime": message.publish_time.isoformat(
                timespec="milliseconds"
            ),
        }
        # Not checked against the limits: four more attributes must not keep a full message here.
        return self._store(topic, [(message.data, attributes)])[0]

    # Subscriptions

    def create_subscription(
        self, name: str, topic_name: str, config: SubscriptionConfig | None = None
    ) -> Subscription:
        """Creates a subscription, which receives what is published from now on.

        Raises:
            InvalidArgumentError: The name is invalid.
            AlreadyExistsError: The name is taken.
            NotFoundError: The topic, or the dead-letter topic, does not exist.
        """
        config = config or SubscriptionConfig()
        check_name(name, "subscriptions")
        if name in self._subscriptions:
            raise AlreadyExistsError(f"subscription {name} exists")
        topic = self.topic(topic_name)
        if config.dead_letter_policy is not None:
            self.topic(config.dead_letter_policy.topic)
        subscription = Subscription(
            name,
            topic_name,
            config,
            ack_deadline=self._ack_deadline or config.ack_deadline,
            history=self._history,
            observers=self.observers,
            changed=self.changed,
            forward=self._forward,
        )
        self._subscriptions[name] = topic.subscriptions[name] = subscription
        if config.push_endpoint:
            self._push.attach(subscription)
        return subscription

    def subscription(self, name: str) -> Subscription:
        """Looks a subscription up.

        Raises:
            NotFoundError: It does not exist.
        """
        if subscription := self._subscriptions.get(name):
            return subscription
        raise NotFoundError(f"subscription {name} does not exist")

    def subscriptions(self) -> Mapping[str, Subscription]:
        """Returns all of them by name."""
        return self._subscriptions

    def delete_subscription(self, name: str) -> None:
        """Deletes a subscription with everything in it.

        Raises:
            NotFoundError: It does not exist.
        """
        subscription = self.subscription(name)
        del self._subscriptions[name]
        if topic := self._topics.get(subscription.topic):
            del topic.subscriptions[name]
        if subscription.config.push_endpoint:
            self._push.detach(subscription)
        subscription.close()
        self.changed.notify()

    def close(self) -> None:
        """Deletes everything, including timers."""
        for name in list(self._subscriptions):
            self.delete_subscription(name)
        self._topics.clear()
