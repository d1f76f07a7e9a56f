"""One method of Pub/Sub's API: a gRPC call with bounds on its time, and retries within them.

Google's generated clients do the same; they take 120 ms to import, and a call through their layers
costs a fifth more.
"""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import grpc.aio

from pendo_aep.connection import Connection

# gRPC's status codes that may be gone a moment later (Google: "Pub/Sub error codes"). What the
# functions call is safe to repeat: an event's id is its own, and acknowledgements add up to one.
TRANSIENT: Final = frozenset(
    {
        grpc.StatusCode.ABORTED,  # the server gave up on a conflict of its own
        grpc.StatusCode.CANCELLED,  # the connection was taken down under the call
        grpc.StatusCode.DEADLINE_EXCEEDED,  # one attempt took too long
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.RESOURCE_EXHAUSTED,  # over quota for the moment
        grpc.StatusCode.UNAVAILABLE,  # out of reach, or restarting
        grpc.StatusCode.UNKNOWN,
    }
)
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 1.0


class CallFailed(Exception):
    """Pub/Sub refused, or did not answer in time; the text is what it said, or gRPC for it."""

    def __init__(self, code: grpc.StatusCode, said: str) -> None:
        """Takes the status code of the last attempt."""
        super().__init__(code, said)
        self.code = code
        self.said = said

    def __str__(self) -> str:
        return f"{self.code.name}: {self.said}"


class PubSubCall:
    """`await call(request)`: the response, or `CallFailed`."""

    def __init__(
        self,
        connection: Connection[grpc.aio.Channel],
        method: str,
        messages: tuple[Any, Any],
        *,
        route: tuple[str, str],
        transient: frozenset[grpc.StatusCode] = TRANSIENT,
    ) -> None:
        """Takes the connection and what to call on it.

        Args:
            connection: to Pub/Sub.
            method: as `Publisher/Publish`.
            messages: the protobuf classes of the request and the response.
            route: the field that says which resource it is about, and its value.
            transient: the status codes after which another attempt may do better.
        """
        self._connection = connection
        self._method = f"/google.pubsub.v1.{method}"
        self._messages = messages
        # Google: AIP-4222, routing headers.
        self._metadata = (("x-goog-request-params", f"{route[0]}={quote(route[1])}"),)
        self._transient = transient
        self._channel: grpc.aio.Channel | None = None
        self._rpc: Any = None

    async def __call__(self, request: Any, *, attempt_seconds: float, seconds: float) -> Any:
        """The response, within `seconds`, of which one attempt may take `attempt_seconds`.

        Raises:
            CallFailed: there is none, by the last attempt's status code.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        ceiling = _FIRST_PAUSE_SECONDS
        attempt = partial(self._attempt, request)
        while True:
            try:
                return await self._connection.call(
                    attempt, until=until, attempt_seconds=attempt_seconds
                )
            except TimeoutError:
                code, said = grpc.StatusCode.DEADLINE_EXCEEDED, "no answer in time"
            except grpc.aio.AioRpcError as error:
                code, said = error.code(), error.details() or ""
            pause = random.uniform(0, ceiling)  # noqa: S311 (no secret)
            if code not in self._transient or loop.time() + pause >= until:
                raise CallFailed(code, said)
            await asyncio.sleep(pause)
            ceiling = min(ceiling * 2, _LONGEST_PAUSE_SECONDS)

    async def _attempt(self, request: Any, channel: grpc.aio.Channel, seconds: float) -> Any:
        if channel is not self._channel:
            request_class, response_class = self._messages
            self._channel = channel
            self._rpc = channel.unary_unary(
                self._method,
                request_serializer=request_class.SerializeToString,
                response_deserializer=response_class.FromString,
            )
        try:
            return await self._rpc(request, metadata=self._metadata, timeout=seconds)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise TimeoutError from None
            raise
