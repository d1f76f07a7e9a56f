"""Publishing to Pub/Sub: many waiting webhooks, one Publish call, each with its own message id.

Google's high-level client batches by a timer and in threads; this one batches by group commit, in
the event loop, over the same generated client's channel, and builds protobuf messages directly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import grpc

from pendo_aep.channel import NoCredentials, PubSubConnection, pubsub_connection
from pendo_aep.group_commit import GroupCommit, Limits, Overloaded
from pendo_aep.logs import log
from pendo_aep.pubsub_call import CallFailed, PubSubCall
from pendo_aep.pubsub_messages import Message, PublishRequest, PublishResponse
from pendo_aep.topic import PublishFailed, PublishRefused

# Google: Pub/Sub quotas, 1,000 messages or 10 MB a call; some room for what surrounds them. One
# call at a time: a call costs as much as a dozen messages, and none takes long enough for one to
# wait for the next.
LIMITS: Final = Limits(max_items=1000, max_bytes=9_000_000, max_in_flight=1)
# Pendo says nothing of its patience: an answer after eight seconds is better than none.
WAIT_SECONDS: Final = 8.0
ATTEMPT_SECONDS: Final = 4.0


class Publisher:
    """Publishes to one topic."""

    def __init__(self, topic: str, connection: PubSubConnection | None = None) -> None:
        """Takes `projects/P/topics/T`, and the connection if others use it too."""
        call = _PublishCall(connection or pubsub_connection(), topic)
        self._commit = GroupCommit(call, LIMITS, patience_seconds=WAIT_SECONDS)

    async def publish(self, data: bytes, attributes: Mapping[str, str]) -> str:
        """The message id, once Pub/Sub has stored the message.

        Raises:
            PublishFailed: not stored within 8 seconds, or nobody knows.
            PublishRefused: Pub/Sub will never take this message; others are not affected.
        """
        message = Message(data=data, attributes=attributes)
        try:
            answer = await self._commit.submit(message, message.ByteSize())
        except TimeoutError:
            raise PublishFailed("timeout") from None
        except Overloaded:
            raise PublishFailed("overloaded") from None
        if isinstance(answer, PublishRefused):
            raise answer
        return answer


class _PublishCall:
    """One Publish call, which finds the one message that makes Pub/Sub refuse them all."""

    def __init__(self, connection: PubSubConnection, topic: str) -> None:
        self._topic = topic
        self._publish = PubSubCall(
            connection,
            "Publisher/Publish",
            (PublishRequest, PublishResponse),
            route=("topic", topic),
        )

    async def __call__(self, messages: list[Any]) -> Sequence[str | PublishRefused]:
        request = PublishRequest(topic=self._topic, messages=messages)
        try:
            answer = await self._publish(
                request, attempt_seconds=ATTEMPT_SECONDS, seconds=WAIT_SECONDS
            )
        except NoCredentials:
            raise PublishFailed("credentials") from None
        except CallFailed as error:
            if error.code is not grpc.StatusCode.INVALID_ARGUMENT:
                why = error.code.name
                log("ERROR", "publish failed", topic=self._topic, error=why, count=len(messages))
                raise PublishFailed(why) from None
            if len(messages) == 1:
                return [PublishRefused(error.said)]
            # One of them is at fault, and the call failed for all: halves find which.
            middle = len(messages) // 2
            return [*await self(messages[:middle]), *await self(messages[middle:])]
        return list(answer.message_ids)
