"""The queue, Google Pub/Sub: here a topic as other rooms see it, without the client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Topic(Protocol):
    """Where messages are published; `publisher.Publisher` is the real one."""

    async def publish(self, data: bytes, attributes: Mapping[str, str]) -> str:
        """Returns the message id once the message is stored.

        Raises:
            PublishFailed: not stored in time, or unknown.
            PublishRejected: Pub/Sub will never accept this message; others are not affected.
        """
        ...


class PublishFailed(Exception):
    """Pub/Sub has not confirmed that it stored the message; the sender must send it again."""

    def __init__(self, reason: str) -> None:
        """Takes a stable word for the log."""
        super().__init__(reason)
        self.reason = reason


class PublishRejected(Exception):
    """Pub/Sub says that this message is invalid; it will never accept it."""
