"""Pulling from a subscription: messages under lease, which are acknowledged or given back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import grpc.aio
from google.api_core import exceptions, retry_async
from google.api_core.gapic_v1 import method_async, routing_header
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1.types import (
    AcknowledgeRequest,
    ModifyAckDeadlineRequest,
    PullRequest,
    PullResponse,
)

from pendo_aep.channel import Connect, NoCredentials, connect

# Google: Pub/Sub quotas, 1,000 messages a pull; 512 KiB a request of ack ids, of under 200 bytes.
MAX_PULL: Final = 1000
_MAX_ACK_IDS: Final = 1000
# Google: an ack deadline is at most ten minutes.
MAX_LEASE_SECONDS: Final = 600
_CALL_SECONDS: Final = 8.0

_TRANSIENT: Final = retry_async.AsyncRetry(
    predicate=retry_async.if_exception_type(
        exceptions.Aborted,
        exceptions.InternalServerError,
        exceptions.ResourceExhausted,
        exceptions.ServiceUnavailable,
        exceptions.Unknown,
    ),
    initial=0.1,
    maximum=1.0,
    multiplier=2.0,
    timeout=_CALL_SECONDS,
)


class PullFailed(Exception):
    """Pub/Sub did not do it; the text says why, and holds nothing of any message."""


class Pulled(NamedTuple):
    """One message under lease."""

    ack_id: str
    data: bytes
    attributes: dict[str, str]


class Puller:
    """Pulls from one subscription. The channel is opened with the first call."""

    def __init__(self, subscription: str, connect: Connect = connect) -> None:
        """Takes `projects/P/subscriptions/S`, and what opens the channel."""
        self._subscription = subscription
        self._connect = connect
        self._channel: grpc.aio.Channel | None = None

    async def pull(self, limit: int, wait_seconds: float) -> list[Pulled]:
        """Up to `limit` messages; none if there are none within `wait_seconds`.

        Raises:
            PullFailed: there is no such subscription, no right to it, or no Pub/Sub in reach.
        """
        request = PullRequest.pb()(subscription=self._subscription, max_messages=limit)
        try:
            answer = await self._call("Pull", request, PullResponse.pb(), wait_seconds)
        except exceptions.DeadlineExceeded:
            return []
        return [
            Pulled(
                received.ack_id,
                received.message.data,
                dict(received.message.attributes),
            )
            for received in answer.received_messages
        ]

    async def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """These messages have come to their end.

        Raises:
            PullFailed: Pub/Sub did not take it: they may come again.
        """
        for some in _chunks(ack_ids):
            request = AcknowledgeRequest.pb()(subscription=self._subscription, ack_ids=some)
            await self._call_or_fail("Acknowledge", request)

    async def lease(self, ack_ids: Sequence[str], seconds: int) -> None:
        """Holds these messages for so long from now on; 0 gives them back at once.

        Raises:
            PullFailed: Pub/Sub did not take it: they come again when their time is up.
        """
        for some in _chunks(ack_ids):
            request = ModifyAckDeadlineRequest.pb()(
                subscription=self._subscription,
                ack_ids=some,
                ack_deadline_seconds=min(seconds, MAX_LEASE_SECONDS),
            )
            await self._call_or_fail("ModifyAckDeadline", request)

    async def _call_or_fail(self, rpc: str, request: Any) -> None:
        try:
            await self._call(rpc, request, Empty, _CALL_SECONDS)
        except exceptions.DeadlineExceeded:
            raise PullFailed(f"{rpc}: no answer within {_CALL_SECONDS:.0f} s") from None

    async def _call(self, rpc: str, request: Any, response: Any, seconds: float) -> Any:
        """Raises PullFailed, and DeadlineExceeded, which means something else to each caller."""
        try:
            if self._channel is None:
                self._channel = self._connect()
            method = method_async.wrap_method(
                self._channel.unary_unary(
                    f"/google.pubsub.v1.Subscriber/{rpc}",
                    request_serializer=type(request).SerializeToString,
                    response_deserializer=response.FromString,
                ),
                default_retry=_TRANSIENT,
                default_timeout=seconds,
            )
            route = routing_header.to_grpc_metadata((("subscription", self._subscription),))
            return await method(request, metadata=[route])
        except exceptions.DeadlineExceeded:
            raise
        except NoCredentials:
            raise PullFailed("there are no Google credentials") from None
        except exceptions.RetryError as error:
            raise PullFailed(f"{rpc}: {type(error.cause).__name__}") from None
        except exceptions.GoogleAPICallError as error:
            raise PullFailed(f"{rpc}: {error.message}") from None


def _chunks(ack_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ack_ids), _MAX_ACK_IDS):
        yield ack_ids[start : start + _MAX_ACK_IDS]
