"""Push delivery: one POST for each message, as many at once as the endpoint can handle."""

import asyncio
import base64
from dataclasses import dataclass
from typing import Any

import orjson

from local.pubsub.model import DeliveryEnded, NotFoundError, Observers
from local.pubsub.push_client import HttpPoster
from local.pubsub.subscription import Lease, Subscription

ACKNOWLEDGING = frozenset({102, 200, 201, 202, 204})
"""The statuses that acknowledge (Google: Pub/Sub push docs)."""


@dataclass(frozen=True, slots=True)
class PushFlow:
    """The bounds of the push window and of the push backoff, in seconds.

    Google: "the system starts with a small single-digit window size"; `initial` is larger so that a
    first burst shows how it is batched. Google names no end: the window grows exponentially up to
    3,000 outstanding messages in a region, linearly above. `maximum` is what the four instances of
    `deliver` hold that `deploy/config.env` allows, 250 each. The backoff is as Google documents it.
    """

    initial: int = 64
    maximum: int = 1_000
    minimum_backoff: float = 0.1
    maximum_backoff: float = 60.0


class PushWindow:
    """How many push requests may be open (Google: Pub/Sub push docs, "push delivery rate").

    It grows by one with each success, so it doubles each round trip, and is halved by a failure.
    Requests that were open together fail together: a burst of failures counts once, by the epoch in
    which each began. When even a single request at a time fails, delivery pauses, each time for
    twice as long.
    """

    __slots__ = ("_flow", "_pauses", "epoch", "size")

    def __init__(self, flow: PushFlow) -> None:
        self._flow = flow
        self._pauses = 0
        self.size = flow.initial
        self.epoch = 0

    def succeeded(self) -> None:
        """Counts an acknowledged push."""
        self.size = min(self._flow.maximum, self.size + 1)
        self._pauses = 0

    def failed(self, epoch: int) -> float:
        """Counts a failed push that began in `epoch`.

        Returns:
            How many seconds to pause delivery; 0 while the window can still shrink.
        """
        if epoch != self.epoch:
            return 0.0
        self.epoch += 1
        if self.size > 1:
            self.size //= 2
            return 0.0
        pause = min(self._flow.maximum_backoff, self._flow.minimum_backoff * 2.0**self._pauses)
        # At the maximum there is nothing left to count, and floats would overflow.
        self._pauses += pause < self._flow.maximum_backoff
        return pause


def envelope(subscription: Subscription, lease: Lease) -> bytes:
    """Returns the wrapped body that Google sends; empty fields are omitted, as in all its JSON."""
    source = lease.message
    published = source.publish_time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    message: dict[str, Any] = {
        "messageId": source.id,
        "message_id": source.id,
        "publishTime": published,
        "publish_time": published,
    }
    if source.attributes:
        message["attributes"] = source.attributes
    if source.data:
        message["data"] = base64.b64encode(source.data).decode("ascii")
    body: dict[str, Any] = {"message": message, "subscription": subscription.name}
    if subscription.config.dead_letter_policy is not None:
        body["deliveryAttempt"] = lease.attempt
    return orjson.dumps(body)


class _Pusher:
    """Pushes one subscription with a worker for each open request, which takes the next itself."""

    def __init__(self, subscription: Subscription, flow: PushFlow, observers: Observers) -> None:
        self._subscription = subscription
        self._observers = observers
        self._poster = HttpPoster(subscription.config.push_endpoint)
        self._workers: set[asyncio.Task[None]] = set()
        self._resume: asyncio.TimerHandle | None = None
        self.window = PushWindow(flow)
        subscription.on_ready = self._fill

    def _fill(self) -> None:
        """Starts requests until the window is full or no message is ready."""
        room = self.window.size - len(self._workers)
        if room <= 0 or self._resume is not None:
            return
        for lease in self._subscription.take(room):
            worker = asyncio.create_task(self._work(lease))
            self._workers.add(worker)
            worker.add_done_callback(self._ended)

    async def _work(self, lease: Lease) -> None:
        leases = [lease]
        while leases:
            await self._deliver(leases[0])
            self._fill()
            fits = len(self._workers) <= self.window.size and self._resume is None
            leases = self._subscription.take(1) if fits else []

    async def _deliver(self, lease: Lease) -> None:
        epoch = self.window.epoch
        status: int | None = None
        try:
            async with asyncio.timeout_at(lease.deadline):
                status = await self._poster.post(envelope(self._subscription, lease))
        except OSError:  # no connection or a broken one; TimeoutError is a subclass
            pass
        if self._observers:
            event = DeliveryEnded(self._subscription.name, lease.message, lease.attempt, status)
            self._observers(event)
        if status in ACKNOWLEDGING:
            self.window.succeeded()
            self._subscription.ack(lease.ack_id)
            return
        pause = self.window.failed(epoch)
        if pause and self._resume is None:
            self._resume = asyncio.get_running_loop().call_later(pause, self._continue)
        self._subscription.nack(lease.ack_id)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        self._fill()  # workers that end in the same iteration each see a full window

    def _continue(self) -> None:
        self._resume = None
        self._fill()

    async def close(self) -> None:
        """Cuts every open request; their messages are neither acknowledged nor nacked."""
        if self._resume is not None:
            self._resume.cancel()
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        self._poster.close()


class PushDelivery:
    """Delivers all push subscriptions of a broker."""

    def __init__(self, flow: PushFlow, observers: Observers) -> None:
        self._flow = flow
        self._observers = observers
        self._pushers: dict[str, _Pusher] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def attach(self, subscription: Subscription) -> None:
        """Pushes this subscription from now on."""
        self._pushers[subscription.name] = _Pusher(subscription, self._flow, self._observers)

    def detach(self, subscription: Subscription) -> None:
        """Cuts the open requests of a deleted subscription."""
        task = asyncio.create_task(self._pushers.pop(subscription.name).close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def window(self, subscription: str) -> int:
        """Returns how many requests may be open for a push subscription now.

        Raises:
            NotFoundError: There is no such push subscription.
        """
        if pusher := self._pushers.get(subscription):
            return pusher.window.size
        raise NotFoundError(f"{subscription} is not a push subscription")

    async def close(self) -> None:
        """Waits until every cut request has ended."""
        while self._closing:
            await asyncio.gather(*self._closing)
