"""Publishes to Pub/Sub: waiting webhooks share one Publish call, each gets its own message id.

Google's high-level client batches by a timer and in threads. This one batches by group commit in
the event loop, and builds the protobuf messages directly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import grpc

from pendo_aep.group_commit import GroupCommit, Limits, Overloaded
from pendo_aep.logs import log
from pendo_aep.pubsub import PublishFailed, PublishRejected
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

# Google: Pub/Sub quotas, 1,000 messages or 10 MB a call, with its envelope. One call at a time: a
# call costs as much as a dozen messages, and is short enough to wait for.
LIMITS: Final = Limits(max_items=1000, max_bytes=9_000_000, max_in_flight=1)
# Pendo does not document its timeout: an answer after eight seconds is better than none.
WAIT_SECONDS: Final = 8.0
ATTEMPT_SECONDS: Final = 4.0
# Pub/Sub's error for a wrong topic name (googleapis/google-cloud-python#4508).
_WRONG_TOPIC: Final = "Invalid resource name given"
# Its error for a message that does not match the topic's schema, if someone gave it one; `deploy`
# does not (googleapis/python-pubsub#601, googleapis/google-cloud-go#8179).
_WRONG_SCHEMA: Final = "failed schema validation"
# After so many rejected one by one and none accepted, the rest of a group is not tried.
_ENOUGH_REJECTED: Final = 10


class Publisher:
    """Publishes to one topic."""

    def __init__(self, topic: str, connection: PubSubConnection | None = None) -> None:
        """Takes `projects/P/topics/T`, and the connection if it is shared."""
        call = _PublishCall(connection or pubsub_connection(), topic)
        self._commit = GroupCommit(call, LIMITS, timeout_seconds=WAIT_SECONDS)

    async def publish(self, data: bytes, attributes: Mapping[str, str]) -> str:
        """Returns the message id once Pub/Sub has stored the message.

        Raises:
            PublishFailed: not stored within 8 seconds, or unknown.
            PublishRejected: Pub/Sub will never accept this message; others are not affected.
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
    """Publishes a group of messages, and bisects it to find those that Pub/Sub rejects.

    Pub/Sub fails the whole call for one invalid message, with INVALID_ARGUMENT. With a wrong
    setting every message gets the same status. That must not turn them all into dead letters, so
    the group fails as a whole (`PublishFailed`) if

    * Pub/Sub says that the topic's name is wrong, or that a single message does not match the
      topic's schema;
    * it rejects each of several messages.

    Otherwise a rejected message is at fault itself, even a single one: Pub/Sub's errors (an
    attribute is too long, a message is empty) are about that message.
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
    """Returns whether a setting is wrong, by the answers to the first of `count` messages."""
    if not all(isinstance(answer, PublishRejected) for answer in answers):
        return False
    if count == 1:
        return _WRONG_SCHEMA in str(answers[0])
    return len(answers) == min(count, _ENOUGH_REJECTED)
