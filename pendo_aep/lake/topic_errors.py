"""Why a topic or a subscription cannot be read; each text says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import grpc

from pendo_aep.pubsub.client import CallFailed


class TopicError(Exception):
    """The topic or the subscription cannot be read; the text says why and what to do."""


class NoRetention(TopicError):
    """The topic forgets its messages once they are delivered."""


class TooOld(TopicError):
    """The span begins before what the topic still has."""

    def __init__(self, text: str, earliest: datetime) -> None:
        """Takes the text, and the earliest time that can still be seen."""
        super().__init__(text)
        self.earliest = earliest


class BacklogTooOld(TopicError):
    """Pub/Sub makes no snapshot of a subscription whose oldest message is almost a week old."""


class NotAllowed(TopicError):
    """The caller may not do it; the text names the role that suffices."""


@contextmanager
def permissions() -> Iterator[None]:
    """Says which role is missing, where Pub/Sub only says that something is not allowed."""
    try:
        yield
    except CallFailed as error:
        if error.code is not grpc.StatusCode.PERMISSION_DENIED:
            raise
        raise NotAllowed(
            f"no permission: {' '.join(error.said.split())} (roles/pubsub.editor on the project "
            "suffices: it may see the topic, and make, seek, pull and delete temporary "
            "subscriptions and snapshots)"
        ) from None
