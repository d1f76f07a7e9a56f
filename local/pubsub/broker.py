"""Pub/Sub's state: topics, subscriptions and snapshots, without a protocol."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from local.pubsub.model import (
    DELETED_TOPIC,
    AlreadyExistsError,
    Draft,
    FailedPreconditionError,
    InvalidArgumentError,
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

# Google: `Snapshot.expire_time`.
_SNAPSHOT_LIFETIME = timedelta(days=7)
_SHORTEST_LIFETIME = timedelta(hours=1)
_DEAD_LETTER = "CloudPubSubDeadLetterSource"


class PushTransport(Protocol):
    """Delivers the push subscriptions."""

    def attach(self, subscription: Subscription) -> None:
        """Delivers this subscription from now on."""

    def detach(self, subscription: Subscription) -> None:
        """Stops delivering a deleted subscription."""


@dataclass(slots=True, eq=False)
class Snapshot:
    """What was unacknowledged in a subscription, and what was published to its topic since."""

    name: str
    topic: str
    labels: Mapping[str, str]
    expire_time: datetime
    messages: list[Message]


@dataclass(slots=True, eq=False)
class Topic:
    """A topic, its subscriptions, and its published messages as far back as `history`."""

    name: str
    config: TopicConfig
    published: deque[Message]
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)

    def retained(self, now: datetime) -> list[Message]:
        """Returns what any subscription may seek back to, as far as `history` goes."""
        if self.config.message_retention is None:
            return []
        oldest = now - timedelta(seconds=self.config.message_retention)
        return [message for message in self.published if message.publish_time >= oldest]


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
        self._snapshots: dict[str, Snapshot] = {}
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
        for snapshot in topic.snapshots.values():
            snapshot.topic = DELETED_TOPIC

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
        for snapshot in topic.snapshots.values():
            snapshot.messages.extend(messages)
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

    # Snapshots and seek (Google: "Replay and purge messages with seek")

    def create_snapshot(
        self, name: str, subscription_name: str, labels: Mapping[str, str]
    ) -> Snapshot:
        """Keeps what is unacknowledged in a subscription, and what is published from now on.

        Raises:
            InvalidArgumentError: The name is invalid.
            AlreadyExistsError: The name is taken.
            NotFoundError: The subscription does not exist.
            FailedPreconditionError: Its oldest message is too old, or its topic was deleted.
        """
        check_name(name, "snapshots")
        if name in self._snapshots:
            raise AlreadyExistsError(f"snapshot {name} exists")
        subscription = self.subscription(subscription_name)
        topic = self._topics.get(subscription.topic)
        if topic is None:
            raise FailedPreconditionError(f"the topic of {subscription_name} was deleted")
        messages = subscription.unacked()
        now = datetime.now(UTC)
        oldest = min((message.publish_time for message in messages), default=now)
        expire_time = oldest + _SNAPSHOT_LIFETIME
        if expire_time - now < _SHORTEST_LIFETIME:
            raise FailedPreconditionError(f"the backlog of {subscription_name} is too old")
        snapshot = Snapshot(name, topic.name, labels, expire_time, messages)
        self._snapshots[name] = topic.snapshots[name] = snapshot
        return snapshot

    def snapshots(self) -> Mapping[str, Snapshot]:
        """Returns all of them by name."""
        return self._snapshots

    def delete_snapshot(self, name: str) -> None:
        """Deletes a snapshot.

        Raises:
            NotFoundError: It does not exist.
        """
        snapshot = self._snapshot(name)
        del self._snapshots[name]
        if topic := self._topics.get(snapshot.topic):
            del topic.snapshots[name]

    def seek_to_time(self, subscription_name: str, moment: datetime) -> None:
        """Marks as unacknowledged what was published from then on, as far as it is retained.

        A time in the future acknowledges what is there now.

        Raises:
            NotFoundError: The subscription does not exist.
        """
        subscription = self.subscription(subscription_name)
        topic = self._topics.get(subscription.topic)
        known = {message.id: message for message in subscription.unacked()}
        known |= (
            {message.id: message for message in topic.retained(datetime.now(UTC))} if topic else {}
        )
        subscription.seek([one for one in known.values() if one.publish_time >= moment])

    def seek_to_snapshot(self, subscription_name: str, snapshot_name: str) -> None:
        """Marks as unacknowledged what the snapshot holds.

        Raises:
            NotFoundError: The subscription or the snapshot does not exist.
            InvalidArgumentError: The snapshot is of another topic.
        """
        subscription = self.subscription(subscription_name)
        snapshot = self._snapshot(snapshot_name)
        if snapshot.topic != subscription.topic:
            raise InvalidArgumentError(f"{snapshot_name} is not of topic {subscription.topic}")
        subscription.seek(snapshot.messages)

    def _snapshot(self, name: str) -> Snapshot:
        if snapshot := self._snapshots.get(name):
            return snapshot
        raise NotFoundError(f"snapshot {name} does not exist")

    def close(self) -> None:
        """Deletes everything, including timers."""
        for name in list(self._subscriptions):
            self.delete_subscription(name)
        self._topics.clear()
        self._snapshots.clear()
