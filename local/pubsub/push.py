"""Push delivery: one POST per message, as many at once as the endpoint bears."""

import asyncio
import base64
from typing import Any

import orjson

from local.pubsub.errors import NotFoundError
from local.pubsub.events import DeliveryEnded, Observers
from local.pubsub.http import HttpPoster
from local.pubsub.subscription import Lease, Subscription
from local.pubsub.window import PushFlow, PushWindow

ACKNOWLEDGING = frozenset({102, 200, 201, 202, 204})
"""Statuses that acknowledge (Google: Pub/Sub push docs)."""


def envelope(subscription: Subscription, lease: Lease) -> bytes:
    """The wrapped body that Google sends; what is empty is left out, as in all its JSON."""
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
    """Pushes one subscription: a worker per open request, each taking the next message itself."""

    def __init__(self, subscription: Subscription, flow: PushFlow, observers: Observers) -> None:
        self._subscription = subscription
        self._observers = observers
        self._poster = HttpPoster(subscription.config.push_endpoint)
        self._workers: set[asyncio.Task[None]] = set()
        self._resume: asyncio.TimerHandle | None = None
        self.window = PushWindow(flow)
        subscription.on_ready = self._fill

    def _fill(self) -> None:
        """Open requests until the window is full or nothing is ready."""
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
        except OSError:  # no connection, or a broken one; and TimeoutError: it is one
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
        self._fill()  # workers that end in the same turn each see a full window

    def _continue(self) -> None:
        self._resume = None
        self._fill()

    async def close(self) -> None:
        """Cut every open request; what they carried is neither acknowledged nor refused."""
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
        """Push this subscription from now on."""
        self._pushers[subscription.name] = _Pusher(subscription, self._flow, self._observers)

    def detach(self, subscription: Subscription) -> None:
        """Cut what is open for a deleted subscription."""
        task = asyncio.create_task(self._pushers.pop(subscription.name).close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def window(self, subscription: str) -> int:
        """How many requests may be open for a push subscription now.

        Raises:
            NotFoundError: There is no such push subscription.
        """
        if pusher := self._pushers.get(subscription):
            return pusher.window.size
        raise NotFoundError(f"{subscription} is no push subscription")

    async def close(self) -> None:
        """Wait until every cut request is gone."""
        while self._closing:
            await asyncio.gather(*self._closing)
