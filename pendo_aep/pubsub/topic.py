"""A topic as the rest of the code sees it: it stores a message, or says that it did not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Topic(Protocol):
    """Where messages are published; `publisher.Publisher` is the real one."""

    async def publish(self, data: bytes, attributes: Mapping[str, str]) -> str:
        """The message id, once the message is stored.

        Raises:
            PublishFailed: not stored in time, or nobody knows.
            PublishRejected: this very message will never be taken; others are not affected.
        """
        ...


class PublishFailed(Exception):
    """Pub/Sub has not said that it stored the message; whoever sent it must send it again."""

    def __init__(self, reason: str) -> None:
        """Takes a stable word for the log."""
        super().__init__(reason)
        self.reason = reason


class PublishRejected(Exception):
    """Pub/Sub says that this very message is invalid; it will never take it."""
