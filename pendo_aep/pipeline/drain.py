"""The `drain` function: pulls waiting messages and sends them in full batches to AEP.

It runs until the subscription is empty or its time is up: for large volumes (a scheduler calls it),
backfills and the replay of dead letters. It pulls while it sends; what it holds is bounded by what
may be in flight.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from pendo_aep.aep.client import SEPARATOR_BYTES
from pendo_aep.aep.retry import BatchSender, PendingMessage
from pendo_aep.dead_letters import Reason
from pendo_aep.event import InvalidEvent
from pendo_aep.group_commit import Limits
from pendo_aep.http import JsonResponse
from pendo_aep.logs import log
from pendo_aep.outcome import Outcome, Rejected
from pendo_aep.pipeline.deliver import Delivery, Disposition
from pendo_aep.pubsub.subscriber import MAX_PULL, PullFailed, ReceivedMessage, Subscriber

# How long a pull waits for a first message; after that, the subscription counts as empty.
_PULL_SECONDS = 2.0
# With less time than this no pull starts. What Pub/Sub hands out at the moment the client gives up
# does not come again until the ack deadline, so a pull may only time out if nothing is waiting.
_SHORTEST_PULL_SECONDS = 0.5
# How long a batch that is not full waits for the current pull; then it is sent as it is.
_GATHER_SECONDS = 0.5
# The share of a run's time in which it pulls; the rest is for AEP's last responses.
_PULLING = 0.8
# Messages are kept this much longer than the run lasts, so that none comes again during it.
_ACK_DEADLINE_MARGIN_SECONDS = 5


class Drain:
    """Answers requests by draining one subscription, for as long as one request may take."""

    def __init__(
        self,
        subscriber: Subscriber,
        delivery: Delivery,
        sender: BatchSender,
        limits: Limits,
        *,
        seconds: float,
    ) -> None:
        """Takes the subscriber, what sends its messages to AEP, and how long one run may take."""
        self._subscriber = subscriber
        self._delivery = delivery
        self._sender = sender
        self._limits = limits
        self._seconds = seconds

    async def __call__(self, request: Request) -> Response:  # noqa: ARG002 (whoever calls, it drains)
        """Returns `{"pulled", "delivered", "refused", "returned"}`, or 503 if it cannot pull."""
        until = asyncio.get_running_loop().time() + self._seconds
        run = _Run(self._subscriber, self._delivery, self._sender, self._limits, until)
        await run.drain()
        if run.failure is not None:
            log("ERROR", "cannot drain", error=str(run.failure))
            if not run.counts.pulled:
                problem = {"error": f"cannot pull from DRAIN_SUBSCRIPTION: {run.failure}"}
                return JsonResponse(503, problem)
        counts = asdict(run.counts)
        log("INFO", "drained", **counts)
        return JsonResponse(200, counts)


@dataclass(slots=True)
class Counts:
    """The counts of one run; `returned` went back to Pub/Sub and come again."""

    pulled: int = 0
    delivered: int = 0
    refused: int = 0
    returned: int = 0


@dataclass(slots=True)
class _Batch:
    """Messages for one AEP request."""

    pulled: list[ReceivedMessage] = field(default_factory=list)
    pending: list[PendingMessage] = field(default_factory=list)
    size: int = 0


class _Run:
    """One run. At its end, what it has not acknowledged goes back to Pub/Sub in any case."""

    def __init__(
        self,
        subscriber: Subscriber,
        delivery: Delivery,
        sender: BatchSender,
        limits: Limits,
        until: float,
    ) -> None:
        self.counts = Counts()
        self.failure: PullFailed | None = None  # why it stopped pulling, if a pull failed
        self._subscriber = subscriber
        self._delivery = delivery
        self._sender = sender
        self._limits = limits
        self._until = until
        self._slots = asyncio.Semaphore(limits.max_in_flight)
        self._held: set[str] = set()
        self._batch = _Batch()
        self._loop = asyncio.get_running_loop()

    async def drain(self) -> None:
        started = self._loop.time()
        stop_pulling = started + (self._until - started) * _PULLING
        try:
            async with asyncio.TaskGroup() as tasks:
                while not self._sender.rejects_now:
                    seconds = min(_PULL_SECONDS, stop_pulling - self._loop.time())
                    if seconds < _SHORTEST_PULL_SECONDS:
                        break
                    if not (pulled := await self._pull(seconds, tasks)):
                        break
                    await self._add(pulled, tasks)
                    if self._sender.only_probes:
                        # One message is the probe; more would only wait.
                        await self._send_batch(tasks)
                await self._send_batch(tasks)
        finally:
            self.counts.returned = len(self._held)
            await self._subscriber.modify_ack_deadline(list(self._held), 0)

    async def _pull(self, seconds: float, tasks: asyncio.TaskGroup) -> list[ReceivedMessage]:
        """Pulls the next messages; the batch that is not full does not wait long for them."""
        pull = tasks.create_task(self._try_to_pull(seconds))
        if self._batch.pending:
            await asyncio.wait({pull}, timeout=min(_GATHER_SECONDS, seconds / 4))
            if not pull.done():
                await self._send_batch(tasks)
        return await pull

    async def _try_to_pull(self, seconds: float) -> list[ReceivedMessage]:
        """Pulls; a failure ends the pulling, but nothing else in progress."""
        try:
            return await self._subscriber.pull(1 if self._sender.only_probes else MAX_PULL, seconds)
        except PullFailed as error:
            self.failure = error
            return []

    async def _add(self, pulled: Sequence[ReceivedMessage], tasks: asyncio.TaskGroup) -> None:
        self.counts.pulled += len(pulled)
        ack_ids = [one.ack_id for one in pulled]
        self._held.update(ack_ids)
        deadline = int(self._until - self._loop.time()) + _ACK_DEADLINE_MARGIN_SECONDS
        tasks.create_task(self._subscriber.modify_ack_deadline(ack_ids, deadline))
        for one in pulled:
            try:
                message = self._delivery.encode(one.data, one.attributes)
            except InvalidEvent as error:
                foreign = Rejected(Reason.FOREIGN, str(error))
                tasks.create_task(self._settle([one], [foreign]))
                continue
            size = len(message) + SEPARATOR_BYTES
            batch = self._batch
            if batch.pending and (
                batch.size + size > self._limits.max_bytes
                or len(batch.pending) >= self._limits.max_items
            ):
                await self._send_batch(tasks)
                batch = self._batch
            batch.pulled.append(one)
            batch.pending.append(PendingMessage(message, self._until))
            batch.size += size

    async def _send_batch(self, tasks: asyncio.TaskGroup) -> None:
        """Sends the batch, as soon as one more request may be in flight."""
        batch, self._batch = self._batch, _Batch()
        if batch.pending:
            await self._slots.acquire()
            tasks.create_task(self._send(batch))

    async def _send(self, batch: _Batch) -> None:
        try:
            outcomes = await self._sender.send(batch.pending)
        finally:
            self._slots.release()
        await self._settle(batch.pulled, outcomes)

    async def _settle(self, pulled: Sequence[ReceivedMessage], outcomes: Sequence[Outcome]) -> None:
        """Settles messages, and acknowledges those that must not come again."""
        delivered: list[str] = []
        rejections: list[tuple[ReceivedMessage, Rejected]] = []
        for one, outcome in zip(pulled, outcomes, strict=True):
            if isinstance(outcome, Rejected):
                rejections.append((one, outcome))
            elif self._delivery.settle(one.data, one.attributes, outcome) is Disposition.ACK:
                delivered.append(one.ack_id)
        # Each waits for Pub/Sub, so all at once.
        dispositions = await asyncio.gather(
            *(
                self._delivery.dead_letter(one.data, one.attributes, rejected)
                for one, rejected in rejections
            )
        )
        dead_lettered = [
            one.ack_id
            for (one, _), disposition in zip(rejections, dispositions, strict=True)
            if disposition is Disposition.ACK
        ]
        # What Pub/Sub has not confirmed comes again, so it is not counted.
        acknowledged = set(await self._subscriber.acknowledge(delivered + dead_lettered))
        self.counts.delivered += len(acknowledged.intersection(delivered))
        self.counts.refused += len(acknowledged.intersection(dead_lettered))
        self._held -= acknowledged
