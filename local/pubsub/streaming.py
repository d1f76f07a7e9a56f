"""StreamingPull: messages as they come, within the client's flow control."""

import asyncio
from collections.abc import AsyncIterator

from google.pubsub_v1 import types

from local.pubsub import wire
from local.pubsub.errors import InvalidArgumentError
from local.pubsub.rpc import Context
from local.pubsub.subscription import Lease, Subscription
from local.pubsub.wire import Pb

_Response = types.StreamingPullResponse.pb()
_CHUNK = 1_000
"""Messages in one response at most."""


class StreamingPull:
    """One stream: writes messages, reads what becomes of them.

    Args:
        subscription: Where the messages come from.
        first: The opening request, with the stream's ack deadline and limits (0: no limit).
        context: The call.

    Raises:
        InvalidArgumentError: The stream's ack deadline is not 10 to 600 s.
    """

    def __init__(self, subscription: Subscription, first: Pb, context: Context) -> None:
        if not 10 <= first.stream_ack_deadline_seconds <= 600:
            raise InvalidArgumentError("stream_ack_deadline_seconds is 10 to 600")
        self._subscription = subscription
        self._context = context
        self._ack_deadline = float(first.stream_ack_deadline_seconds)
        self._max_messages = first.max_outstanding_messages or float("inf")
        self._max_bytes = first.max_outstanding_bytes or float("inf")
        self._messages = 0
        self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._settle(first)

    async def run(self, requests: AsyncIterator[Pb]) -> None:
        """Serve the stream until the client closes it.

        Raises:
            NotFoundError: The subscription was deleted meanwhile.
        """
        tasks = [asyncio.create_task(self._read(requests)), asyncio.create_task(self._write())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _read(self, requests: AsyncIterator[Pb]) -> None:
        async for request in requests:
            self._settle(request)

    def _settle(self, request: Pb) -> None:
        for ack_id in request.ack_ids:
            self._subscription.ack(ack_id)
        deadlines = zip(
            request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=True
        )
        for ack_id, seconds in deadlines:
            self._subscription.extend(ack_id, seconds)

    async def _write(self) -> None:
        while True:
            await self._room.wait()
            await self._subscription.ready()
            limit = int(min(self._max_messages - self._messages, _CHUNK))
            leases = self._subscription.take(limit, self._ack_deadline)
            for lease in leases:
                self._hold(lease)
            if leases:
                received = wire.received(self._subscription, leases)
                await self._context.write(_Response(received_messages=received))

    def _hold(self, lease: Lease) -> None:
        size = len(lease.message.data)

        def released() -> None:
            self._count(-1, -size)

        lease.on_closed = released
        self._count(1, size)

    def _count(self, messages: int, size: int) -> None:
        self._messages += messages
        self._bytes += size
        if self._messages < self._max_messages and self._bytes < self._max_bytes:
            self._room.set()
        else:
            self._room.clear()
