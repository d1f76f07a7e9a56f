"""Publishing to Pub/Sub: many waiting webhooks, one Publish call, each with its own message id.

Google's high-level client batches by a timer and in threads; this one batches by group commit, in
the event loop, over the same generated client's channel, and builds protobuf messages directly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import grpc.aio
from google.api_core import exceptions, retry_async
from google.api_core.gapic_v1 import method_async, routing_header
from google.pubsub_v1.types import PublishRequest, PublishResponse, PubsubMessage

from pendo_aep.channel import Connect, NoCredentials, connect
from pendo_aep.group_commit import GroupCommit, Limits, Overloaded
from pendo_aep.logs import log
from pendo_aep.topic import PublishFailed, PublishRefused

# Google: Pub/Sub quotas, 1,000 messages or 10 MB a call; some room for what surrounds them. One
# call at a time: a call costs as much as a dozen messages, and none takes long enough for one to
# wait for the next.
LIMITS: Final = Limits(max_items=1000, max_bytes=9_000_000, max_in_flight=1)
# Pendo says nothing of its patience: an answer after eight seconds is better than none.
WAIT_SECONDS: Final = 8.0
ATTEMPT_SECONDS: Final = 4.0

_Message: Final = PubsubMessage.pb()
_Request: Final = PublishRequest.pb()
_Response: Final = PublishResponse.pb()

# All that may go better a moment later; each is safe to repeat, for an event's id is its own.
_TRANSIENT: Final = retry_async.AsyncRetry(
    predicate=retry_async.if_exception_type(
        exceptions.Aborted,  # the server gave up on a conflict of its own
        exceptions.Cancelled,  # the connection was taken down under the call
        exceptions.DeadlineExceeded,  # one attempt took too long
        exceptions.InternalServerError,
        exceptions.ResourceExhausted,  # over quota for the moment
        exceptions.ServiceUnavailable,  # out of reach, or restarting
        exceptions.Unknown,
    ),
    initial=0.1,
    maximum=1.0,
    multiplier=2.0,
    timeout=WAIT_SECONDS,
)


class Publisher:
    """Publishes to one topic. The channel is opened with the first message."""

    def __init__(self, topic: str, connect: Connect = connect) -> None:
        """Takes `projects/P/topics/T`, and what opens the channel."""
        self._topic = topic
        self._connect = connect
        self._commit: GroupCommit[Any, str | PublishRefused] | None = None

    async def publish(self, data: bytes, attributes: Mapping[str, str]) -> str:
        """The message id, once Pub/Sub has stored the message.

        Raises:
            PublishFailed: not stored within 8 seconds, or nobody knows.
            PublishRefused: Pub/Sub will never take this message; others are not affected.
        """
        if self._commit is None:
            self._commit = GroupCommit(self._open(), LIMITS, patience_seconds=WAIT_SECONDS)
        message = _Message(data=data, attributes=attributes)
        try:
            answer = await self._commit.submit(message, message.ByteSize())
        except TimeoutError:
            raise PublishFailed("timeout") from None
        except Overloaded:
            raise PublishFailed("overloaded") from None
        if isinstance(answer, PublishRefused):
            raise answer
        return answer

    def _open(self) -> _PublishCall:
        try:
            return _PublishCall(self._connect(), self._topic)
        except NoCredentials:
            raise PublishFailed("credentials") from None


class _PublishCall:
    """One Publish call, with bounds on its time and its retries."""

    def __init__(self, channel: grpc.aio.Channel, topic: str) -> None:
        self._topic = topic
        self._metadata = [routing_header.to_grpc_metadata((("topic", topic),))]
        self._rpc = method_async.wrap_method(
            channel.unary_unary(
                "/google.pubsub.v1.Publisher/Publish",
                request_serializer=_Request.SerializeToString,
                response_deserializer=_Response.FromString,
            ),
            default_retry=_TRANSIENT,
            default_timeout=ATTEMPT_SECONDS,
        )

    async def __call__(self, messages: list[Any]) -> Sequence[str | PublishRefused]:
        request = _Request(topic=self._topic, messages=messages)
        try:
            answer = await self._rpc(request, metadata=self._metadata)
        except exceptions.InvalidArgument as error:
            if len(messages) == 1:
                return [PublishRefused(error.message)]
            # One of them is at fault, and the call failed for all: halves find which.
            middle = len(messages) // 2
            return [*await self(messages[:middle]), *await self(messages[middle:])]
        except (exceptions.GoogleAPICallError, exceptions.RetryError) as error:
            cause = error.cause if isinstance(error, exceptions.RetryError) else error
            why = type(cause).__name__
            log("ERROR", "publish failed", topic=self._topic, error=why, count=len(messages))
            raise PublishFailed(why) from None
        return list(answer.message_ids)
