"""Pulls messages from a subscription, and acknowledges them or returns them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import grpc
from google.protobuf.empty_pb2 import Empty

from pendo_aep.logs import log
from pendo_aep.pubsub.client import (
    TRANSIENT,
    AcknowledgeRequest,
    CallFailed,
    ModifyAckDeadlineRequest,
    NoCredentials,
    PubSubCall,
    PubSubConnection,
    PullRequest,
    PullResponse,
    pubsub_connection,
)

# Google: Pub/Sub quotas, 1,000 messages a pull; 512 KiB a request of ack ids of under 200 bytes.
MAX_PULL: Final = 1000
_MAX_ACK_IDS: Final = 1000
# Google: an ack deadline is at most ten minutes.
MAX_ACK_DEADLINE_SECONDS: Final = 600
_CALL_SECONDS: Final = 8.0
# Not retried here: what a missing answer means depends on the caller.
_TRANSIENT: Final = TRANSIENT - {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}


class PullFailed(Exception):
    """Pub/Sub refused the call; the text says why, without any message content."""


class ReceivedMessage(NamedTuple):
    """One message, until its ack deadline."""

    ack_id: str
    data: bytes
    attributes: dict[str, str]


class Subscriber:
    """Pulls from one subscription."""

    def __init__(self, subscription: str, connection: PubSubConnection | None = None) -> None:
        """Takes `projects/P/subscriptions/S`, and the connection if others use it too."""
        self._subscription = subscription
        self._connection = connection or pubsub_connection()
        self._calls: dict[str, PubSubCall] = {}

    async def pull(self, limit: int, wait_seconds: float) -> list[ReceivedMessage]:
        """Returns up to `limit` messages; none if none arrives within `wait_seconds`.

        Raises:
            PullFailed: the subscription does not exist or may not be read, or Pub/Sub is down.
        """
        request = PullRequest(subscription=self._subscription, max_messages=limit)
        try:
            answer = await self._call("Pull", request, PullResponse, wait_seconds)
        except CallFailed:
            return []
        return [
            ReceivedMessage(
                received.ack_id,
                received.message.data,
                dict(received.message.attributes),
            )
            for received in answer.received_messages
        ]

    async def acknowledge(self, ack_ids: Sequence[str]) -> list[str]:
        """Acknowledges these messages and returns those that Pub/Sub has confirmed.

        The others may come again; a log line says why.
        """

        def request(some: Sequence[str]) -> Any:
            return AcknowledgeRequest(subscription=self._subscription, ack_ids=some)

        return await self._call_in_chunks("Acknowledge", request, ack_ids)

    async def modify_ack_deadline(self, ack_ids: Sequence[str], seconds: int) -> None:
        """Keeps these messages for so long from now; 0 returns them to Pub/Sub at once.

        If the call fails, they come again after their current deadline; a log line says why.
        """

        def request(some: Sequence[str]) -> Any:
            return ModifyAckDeadlineRequest(
                subscription=self._subscription,
                ack_ids=some,
                ack_deadline_seconds=min(seconds, MAX_ACK_DEADLINE_SECONDS),
            )

        await self._call_in_chunks("ModifyAckDeadline", request, ack_ids)

    async def _call_in_chunks(
        self, rpc: str, request: Callable[[Sequence[str]], Any], ack_ids: Sequence[str]
    ) -> list[str]:
        """Makes one call for each chunk of messages and returns those that Pub/Sub confirmed."""

        async def call(some: Sequence[str]) -> Sequence[str]:
            try:
                await self._call(rpc, request(some), Empty, _CALL_SECONDS)
            except (CallFailed, PullFailed) as error:
                text = str(error)
                log("WARNING", "messages may come again", call=rpc, error=text, count=len(some))
                return ()
            return some

        confirmed = await asyncio.gather(*(call(some) for some in _chunks(ack_ids)))
        return [ack_id for some in confirmed for ack_id in some]

    async def _call(self, rpc: str, request: Any, response: Any, seconds: float) -> Any:
        """Raises PullFailed; CallFailed if there was no answer in time."""
        try:
            call = self._calls.get(rpc) or self._open(rpc, type(request), response)
            return await call(request, attempt_seconds=seconds, seconds=seconds)
        except NoCredentials:
            raise PullFailed("there are no Google credentials") from None
        except CallFailed as error:
            if error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
            raise PullFailed(f"{rpc}: {error}") from None

    def _open(self, rpc: str, request: Any, response: Any) -> PubSubCall:
        call = self._calls[rpc] = PubSubCall(
            self._connection,
            f"Subscriber/{rpc}",
            (request, response),
            route=("subscription", self._subscription),
            transient=_TRANSIENT,
        )
        return call


def _chunks(ack_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ack_ids), _MAX_ACK_IDS):
        yield ack_ids[start : start + _MAX_ACK_IDS]
