"""One subscription: its ready messages, its leases, and messages in backoff after a nack."""

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from local.pubsub.model import (
    Acked,
    DeadLettered,
    DeliveryStarted,
    Message,
    Nacked,
    NotFoundError,
    Observers,
    SubscriptionConfig,
)
from local.pubsub.timers import Signal, Timetable


@dataclass(slots=True, eq=False)
class Lease:
    """One delivery of a message, to be acknowledged before `deadline` (loop time)."""

    ack_id: str
    message: Message
    attempt: int
    deadline: float


@dataclass(frozen=True, slots=True)
class SubscriptionStats:
    """The state of a subscription at one moment.

    `waiting` includes messages in backoff. `attempts` is by message ID, and includes acknowledged
    and dead-lettered messages as far back as the server's `history`.
    """

    waiting: int
    outstanding: int
    acked: int
    dead_lettered: int
    attempts: Mapping[str, int]

    @property
    def idle(self) -> bool:
        """Returns whether nothing is left to deliver or to acknowledge."""
        return not (self.waiting or self.outstanding)


class DeadLetterForwarder(Protocol):
    """Publishes to a dead-letter topic."""

    def __call__(self, source: "Subscription", message: Message, attempts: int, /) -> str | None:
        """Publishes the message to the subscription's dead-letter topic.

        Returns:
            Its ID there, or None if the topic is gone; the message then stays where it is.
        """


@dataclass(slots=True)
class _Waiting:
    """A message between two deliveries."""

    message: Message
    attempts: int = 0


@dataclass(slots=True)
class _Settled:
    """The messages that have left the subscription."""

    acked: int = 0
    dead_lettered: int = 0
    attempts: dict[str, int] = field(default_factory=dict)


class Subscription:
    """Delivers each message of its topic until it is acknowledged.

    An acknowledgement after the lease has ended is ignored: Google promises no more.
    """

    def __init__(
        self,
        name: str,
        topic: str,
        config: SubscriptionConfig,
        *,
        ack_deadline: float,
        history: int | None,
        observers: Observers,
        changed: Signal,
        forward: DeadLetterForwarder,
    ) -> None:
        self.name = name
        self.topic = topic
        self.config = config
        self.ack_deadline = ack_deadline
        self.on_ready: Callable[[], None] | None = None
        self._history = history
        self._observers = observers
        self._changed = changed
        self._forward = forward
        self._loop = asyncio.get_running_loop()
        self._ready: deque[_Waiting] = deque()
        self._backing_off: Timetable[_Waiting] = Timetable(
            self._end_backoff, lambda _when, _item: True
        )
        self._leases: dict[str, Lease] = {}
        self._expiries: Timetable[Lease] = Timetable(self._expire, self._still_expires)
        self._ack_ids = itertools.count(1)
        self._settled = _Settled()
        self._arrived = Signal()
        self._closed = False

    # Messages in and out

    def enqueue(self, messages: Sequence[Message]) -> None:
        """Queues new messages for delivery."""
        self._ready.extend(map(_Waiting, messages))
        self._wake()

    def take(self, limit: int) -> list[Lease]:
        """Leases up to `limit` ready messages."""
        deadline = self._loop.time() + self.ack_deadline
        leases = []
        for _ in range(min(limit, len(self._ready))):
            waiting = self._ready.popleft()
            attempt = waiting.attempts + 1
            lease = Lease(f"{self.name}:{next(self._ack_ids)}", waiting.message, attempt, deadline)
            self._leases[lease.ack_id] = lease
            self._expiries.add(deadline, lease)
            leases.append(lease)
            if self._observers:
                self._observers(DeliveryStarted(self.name, lease.message, attempt))
        self._changed.notify()
        return leases

    async def pull(self, limit: int, wait: float) -> list[Lease]:
        """Leases up to `limit` messages, waiting up to `wait` seconds for the first.

        Raises:
            NotFoundError: The subscription was deleted.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                while not self._ready:
                    if self._closed:
                        raise NotFoundError(f"{self.name} was deleted")
                    await self._arrived.wait()
        return self.take(limit)

    def unacked(self) -> list[Message]:
        """Returns what is not acknowledged: ready, leased or in backoff."""
        waiting = itertools.chain(self._ready, self._backing_off)
        leased = [lease.message for lease in self._leases.values()]
        return [*leased, *(one.message for one in waiting)]

    def seek(self, unacked: Sequence[Message]) -> None:
        """Marks these messages as unacknowledged, and all others as acknowledged.

        Those that are leased or in backoff stay so (assumed: Google does not say).
        """
        held = {message.id for message in self.unacked()}
        wanted = {message.id for message in unacked}

        def is_wanted(item: _Waiting) -> bool:
            return item.message.id in wanted

        for lease in [one for one in self._leases.values() if one.message.id not in wanted]:
            self.ack(lease.ack_id)
        dropped = [one for one in (*self._ready, *self._backing_off) if not is_wanted(one)]
        self._ready = deque(filter(is_wanted, self._ready))
        self._backing_off.keep(is_wanted)
        for waiting in dropped:
            self._count_acked(waiting.message, waiting.attempts)
        self.enqueue([message for message in unacked if message.id not in held])

    # The end of a lease

    def ack(self, ack_id: str) -> None:
        """Acknowledges a message."""
        if lease := self._leases.pop(ack_id, None):
            self._count_acked(lease.message, lease.attempt)

    def nack(self, ack_id: str) -> None:
        """Returns a message for redelivery."""
        if lease := self._leases.pop(ack_id, None):
            self._return(lease, "refused")

    def extend(self, ack_id: str, seconds: float) -> None:
        """Moves a lease's deadline to `seconds` from now; 0 returns the message."""
        if seconds == 0:
            self.nack(ack_id)
        elif lease := self._leases.get(ack_id):
            lease.deadline = self._loop.time() + seconds
            self._expiries.add(lease.deadline, lease)

    def _still_expires(self, when: float, lease: Lease) -> bool:
        return lease.deadline == when and lease.ack_id in self._leases

    def _expire(self, lease: Lease) -> None:
        del self._leases[lease.ack_id]
        self._return(lease, "expired")

    def _return(self, lease: Lease, reason: Literal["refused", "expired"]) -> None:
        if self._observers:
            self._observers(Nacked(self.name, lease.message, lease.attempt, reason))
        if self._dead_letter(lease):
            return
        waiting = _Waiting(lease.message, lease.attempt)
        policy = self.config.retry_policy
        backoff = policy.backoff(lease.attempt) if policy else 0.0
        if backoff:
            self._backing_off.add(self._loop.time() + backoff, waiting)
            self._changed.notify()
        else:
            self._end_backoff(waiting)

    def _dead_letter(self, lease: Lease) -> bool:
        policy = self.config.dead_letter_policy
        if policy is None or lease.attempt < policy.max_delivery_attempts:
            return False
        dead_letter_id = self._forward(self, lease.message, lease.attempt)
        if dead_letter_id is None:
            return False
        self._settled.dead_lettered += 1
        if self._observers:
            event = DeadLettered(
                self.name, lease.message, lease.attempt, policy.topic, dead_letter_id
            )
            self._observers(event)
        self._settle(lease.message, lease.attempt)
        return True

    def _count_acked(self, message: Message, attempt: int) -> None:
        self._settled.acked += 1
        if self._observers:
            self._observers(Acked(self.name, message, attempt))
        self._settle(message, attempt)

    def _settle(self, message: Message, attempt: int) -> None:
        attempts = self._settled.attempts
        attempts[message.id] = attempt
        if self._history is not None and len(attempts) > self._history:
            del attempts[next(iter(attempts))]
        self._changed.notify()

    def _end_backoff(self, waiting: _Waiting) -> None:
        self._ready.append(waiting)
        self._wake()

    def _wake(self) -> None:
        self._arrived.notify()
        if self.on_ready is not None:
            self.on_ready()
        self._changed.notify()

    # State

    @property
    def idle(self) -> bool:
        """Returns whether nothing is left to deliver or to acknowledge."""
        return not (self._ready or self._leases or len(self._backing_off))

    def stats(self) -> SubscriptionStats:
        """Returns its state now."""
        attempts = dict(self._settled.attempts)
        attempts |= {waiting.message.id: waiting.attempts for waiting in self._ready}
        attempts |= {waiting.message.id: waiting.attempts for waiting in self._backing_off}
        attempts |= {lease.message.id: lease.attempt for lease in self._leases.values()}
        return SubscriptionStats(
            waiting=len(self._ready) + len(self._backing_off),
            outstanding=len(self._leases),
            acked=self._settled.acked,
            dead_lettered=self._settled.dead_lettered,
            attempts=attempts,
        )

    def close(self) -> None:
        """Deletes every message and timer; everyone who waits gets NotFoundError."""
        self._closed = True
        self.on_ready = None
        self._ready.clear()
        self._leases.clear()
        self._backing_off.close()
        self._expiries.close()
        self._wake()
