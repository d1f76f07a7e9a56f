"""Publishing to Pub/Sub: many waiting webhooks, one Publish call, each with its own message id.

Google's high-level client batches by a timer and in threads; this one batches by group commit, in
the event loop, over the same generated client's channel, and builds protobuf messages directly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import grpc

from pendo_aep.group_commit import GroupCommit, Limits, Overloaded
from pendo_aep.logs import log
from pendo_aep.pubsub.client import (
    CallFailed,
    Message,
    NoCredentials,
    PublishRequest,
    PublishResponse,
    PubSubCall,
    PubSubConnection,
    pubsub_connection,
)
from pendo_aep.pubsub.topic import PublishFailed, PublishRejected

# Google: Pub/Sub quotas, 1,000 messages or 10 MB a call; some room for what surrounds them. One
# call at a time: a call costs as much as a dozen messages, and none takes long enough for one to
# wait for the next.
LIMITS: Final = Limits(max_items=1000, max_bytes=9_000_000, max_in_flight=1)
# Pendo says nothing of its patience: an answer after eight seconds is better than none.
WAIT_SECONDS: Final = 8.0
ATTEMPT_SECONDS: Final = 4.0
# What Pub/Sub says of a topic's name, of whatever message (googleapis/google-cloud-python#4508).
_WRONG_TOPIC: Final = "Invalid resource name given"
# What it says of a message that does not fit the schema that somebody gave the topic; `deploy` does
# not (googleapis/python-pubsub#601, googleapis/google-cloud-go#8179).
_WRONG_SCHEMA: Final = "failed schema validation"
# So many refused one by one, and none accepted: the rest of a group need not be asked.
_ENOUGH_REFUSED: Final = 10


class Publisher:
    """Publishes to one topic."""

    def __init__(self, topic: str, connection: PubSubConnection | None = None) -> None:
        """Takes `projects/P/topics/T`, and the connection if others use it too."""
        call = _PublishCall(connection or pubsub_connection(), topic)
        self._commit = GroupCommit(call, LIMITS, timeout_seconds=WAIT_SECONDS)

    async def publish(self, data: bytes, attributes: Mapping[str, str]) -> str:
        """The message id, once Pub/Sub has stored the message.

        Raises:
            PublishFailed: not stored within 8 seconds, or nobody knows.
            PublishRejected: Pub/Sub will never take this message; others are not affected.
        """
        message = Message(data=data, attributes=attributes)
        try:
            answer = await self._commit.submit(message, message.ByteSize())
        except TimeoutError:
            raise PublishFailed("timeout") from None
        except Overloaded:
            raise PublishFailed("overloaded") from None
        if isinstance(answer, PublishRejected):
            raise answer
        return answer


class _PublishCall:
    """Publishes a group of messages; finds those that Pub/Sub refuses.

    Pub/Sub fails the whole call for one invalid message, with INVALID_ARGUMENT. A wrong setting
    gets the same status for every message. It must not turn them all into dead letters, so the
    group fails as a whole (`PublishFailed`)

    * when Pub/Sub says that the topic's name is wrong, or that the topic has a schema which a lone
      message does not fit;
    * when it refuses each of several messages.

    Otherwise a refused message is at fault itself, also one that came alone: what Pub/Sub says of
    such messages (an attribute is too long, a message is empty) is about them.
    """

    def __init__(self, connection: PubSubConnection, topic: str) -> None:
        self._topic = topic
        self._rpc = PubSubCall(
            connection,
            "Publisher/Publish",
            (PublishRequest, PublishResponse),
            route=("topic", topic),
        )

    async def __call__(self, messages: list[Any]) -> Sequence[str | PublishRejected]:
        answers: list[str | PublishRejected] = []
        parts = [messages]  # what is still to be published, the first of it last
        while parts:
            part = parts.pop()
            try:
                answers += await self._publish(part)
            except PublishRejected as refused:
                if len(part) > 1:
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
                    continue
                answers.append(refused)
                if _is_setting(answers, len(messages)):
                    raise self._failed("INVALID_ARGUMENT", len(messages)) from None
        return answers

    async def _publish(self, messages: list[Any]) -> Sequence[str]:
        request = PublishRequest(topic=self._topic, messages=messages)
        try:
            answer = await self._rpc(request, attempt_seconds=ATTEMPT_SECONDS, seconds=WAIT_SECONDS)
        except NoCredentials:
            raise PublishFailed("credentials") from None
        except CallFailed as error:
            is_refused = error.code is grpc.StatusCode.INVALID_ARGUMENT
            if is_refused and not error.said.startswith(_WRONG_TOPIC):
                raise PublishRejected(error.said) from None
            raise self._failed(error.code.name, len(messages)) from None
        message_ids: Sequence[str] = answer.message_ids
        return message_ids

    def _failed(self, why: str, count: int) -> PublishFailed:
        log("ERROR", "publish failed", topic=self._topic, error=why, count=count)
        return PublishFailed(why)


def _is_setting(answers: Sequence[str | PublishRejected], count: int) -> bool:
    """Whether a setting must be wrong, after the first of `count` messages were answered so."""
    if not all(isinstance(answer, PublishRejected) for answer in answers):
        return False
    if count == 1:
        return _WRONG_SCHEMA in str(answers[0])
    return len(answers) == min(count, _ENOUGH_REFUSED)
