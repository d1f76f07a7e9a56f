"""The `drain` function: pulls what waits, in full batches, until there is no more or time is up.

For large volumes (a scheduler calls it), backfills and the replay of dead letters. It pulls while
it posts; what it holds is bounded by what may be in flight.
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

# How long a pull may wait for a first message: after that, the subscription is empty.
_PULL_SECONDS = 2.0
# With less time than this no pull begins. What Pub/Sub hands out in the moment in which the client
# gives up is lost to it until the ack deadline, so a pull is only given up where nothing waits.
_SHORTEST_PULL_SECONDS = 0.5
# How long a batch that is not full waits for a pull that is under way; then it goes as it is.
_GATHER_SECONDS = 0.5
# The share of a run's time in which it pulls; the rest is for the last answers of AEP.
_PULLING = 0.8
# Held this much longer than the run takes, so that no message comes again while it is under way.
_LEASE_MARGIN_SECONDS = 5


class Drain:
    """Answers requests by emptying one subscription, for as long as one request may take."""

    def __init__(
        self,
        puller: Subscriber,
        delivery: Delivery,
        sender: BatchSender,
        limits: Limits,
        *,
        seconds: float,
    ) -> None:
        """Takes where messages come from, what carries them on, and how long one run may take."""
        self._puller = puller
        self._delivery = delivery
        self._sender = sender
        self._limits = limits
        self._seconds = seconds

    async def __call__(self, request: Request) -> Response:  # noqa: ARG002 (whoever calls, it drains)
        """Answers `{"pulled", "delivered", "refused", "returned"}`, or 503 if it cannot pull."""
        until = asyncio.get_running_loop().time() + self._seconds
        run = _Run(self._puller, self._delivery, self._sender, self._limits, until)
        await run.drain()
        if run.failure is not None:
            log("ERROR", "cannot drain", error=str(run.failure))
            if not run.counts.pulled:
                told = {"error": f"cannot pull from DRAIN_SUBSCRIPTION: {run.failure}"}
                return JsonResponse(503, told)
        counts = asdict(run.counts)
        log("INFO", "drained", **counts)
        return JsonResponse(200, counts)


@dataclass(slots=True)
class Counts:
    """What one run has done; `returned` went back to Pub/Sub, to come again."""

    pulled: int = 0
    delivered: int = 0
    refused: int = 0
    returned: int = 0


@dataclass(slots=True)
class _Batch:
    """Messages on their way into one AEP request."""

    pulled: list[ReceivedMessage] = field(default_factory=list)
    outgoing: list[PendingMessage] = field(default_factory=list)
    size: int = 0


class _Run:
    """One run: what it has not acknowledged goes back at its end, whatever happens."""

    def __init__(
        self,
        puller: Subscriber,
        delivery: Delivery,
        sender: BatchSender,
        limits: Limits,
        until: float,
    ) -> None:
        self.counts = Counts()
        self.failure: PullFailed | None = None  # why it stopped pulling, if a pull failed
        self._puller = puller
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
                    await self._take_in(pulled, tasks)
                    if self._sender.only_probes:
                        await self._send_batch(tasks)  # one message asks; more would only wait
                await self._send_batch(tasks)
        finally:
            self.counts.returned = len(self._held)
            await self._puller.modify_ack_deadline(list(self._held), 0)

    async def _pull(self, seconds: float, tasks: asyncio.TaskGroup) -> list[ReceivedMessage]:
        """The next messages; what has gathered does not wait long for them."""
        pull = tasks.create_task(self._try_to_pull(seconds))
        if self._batch.outgoing:
            await asyncio.wait({pull}, timeout=min(_GATHER_SECONDS, seconds / 4))
            if not pull.done():
                await self._send_batch(tasks)
        return await pull

    async def _try_to_pull(self, seconds: float) -> list[ReceivedMessage]:
        """Pulls; a failure ends the pulling, and nothing else that is under way."""
        try:
            return await self._puller.pull(1 if self._sender.only_probes else MAX_PULL, seconds)
        except PullFailed as error:
            self.failure = error
            return []

    async def _take_in(self, pulled: Sequence[ReceivedMessage], tasks: asyncio.TaskGroup) -> None:
        self.counts.pulled += len(pulled)
        ack_ids = [one.ack_id for one in pulled]
        self._held.update(ack_ids)
        lease = int(self._until - self._loop.time()) + _LEASE_MARGIN_SECONDS
        tasks.create_task(self._puller.modify_ack_deadline(ack_ids, lease))
        for one in pulled:
            try:
                message = self._delivery.encode(one.data, one.attributes)
            except InvalidEvent as error:
                refused = Rejected(Reason.FOREIGN, str(error))
                tasks.create_task(self._end([one], [refused]))
                continue
            size = len(message) + SEPARATOR_BYTES
            batch = self._batch
            if batch.outgoing and (
                batch.size + size > self._limits.max_bytes
                or len(batch.outgoing) >= self._limits.max_items
            ):
                await self._send_batch(tasks)
                batch = self._batch
            batch.pulled.append(one)
            batch.outgoing.append(PendingMessage(message, self._until))
            batch.size += size

    async def _send_batch(self, tasks: asyncio.TaskGroup) -> None:
        """Sends what has gathered, as soon as one more request may be in flight."""
        batch, self._batch = self._batch, _Batch()
        if batch.outgoing:
            await self._slots.acquire()
            tasks.create_task(self._send(batch))

    async def _send(self, batch: _Batch) -> None:
        try:
            outcomes = await self._sender.send(batch.outgoing)
        finally:
            self._slots.release()
        await self._end(batch.pulled, outcomes)

    async def _end(self, pulled: Sequence[ReceivedMessage], outcomes: Sequence[Outcome]) -> None:
        """Brings messages to their ends, and acknowledges those that must not come again."""
        delivered: list[str] = []
        to_bury: list[tuple[ReceivedMessage, Rejected]] = []
        for one, outcome in zip(pulled, outcomes, strict=True):
            if isinstance(outcome, Rejected):
                to_bury.append((one, outcome))
            elif self._delivery.settle(one.data, one.attributes, outcome) is Disposition.ACK:
                delivered.append(one.ack_id)
        # Each waits for Pub/Sub: all at once.
        ends = await asyncio.gather(
            *(
                self._delivery.dead_letter(one.data, one.attributes, refused)
                for one, refused in to_bury
            )
        )
        buried = [
            one.ack_id
            for (one, _), end in zip(to_bury, ends, strict=True)
            if end is Disposition.ACK
        ]
        # What Pub/Sub does not know to be done comes again: it is not counted as done either.
        acknowledged = set(await self._puller.acknowledge(delivered + buried))
        self.counts.delivered += len(acknowledged.intersection(delivered))
        self.counts.refused += len(acknowledged.intersection(buried))
        self._held -= acknowledged
