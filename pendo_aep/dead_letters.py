"""Dead letters: why a message cannot be delivered, and what its dead letter carries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Literal

from pendo_aep.clock import rfc3339

Stage = Literal["receive", "deliver"]

# Google: Pub/Sub quotas, a message has at most 100 attributes, of at most 1,024 bytes each.
_MAX_ATTRIBUTES = 100
_MAX_VALUE_BYTES = 1024


class Reason(StrEnum):
    """Why a message is a dead letter. The codes are stable: people filter and alert on them."""

    NOT_JSON = "not_json"
    """`receive`: the webhook is authentic, but its body is not JSON."""
    NOT_AN_EVENT = "not_an_event"
    """`receive`: the body is JSON, but not an event of Pendo's that can be read."""
    UNPUBLISHABLE = "unpublishable"
    """`receive`: Pub/Sub refuses the normalised event as a message."""
    FOREIGN = "foreign"
    """`deliver`: the message on the topic is not a normalised event; `receive` did not write it."""
    TOO_LARGE = "too_large"
    """`deliver`: AEP refuses the event by its size even when it is sent alone."""
    POISON = "poison"
    """`deliver`: AEP fails (500) on this event alone, and accepts those before and after it."""
    REJECTED = "rejected"
    """`deliver`: AEP says that this very event is invalid."""
    EXHAUSTED = "exhausted"
    """Pub/Sub's own dead-letter policy gave up on it. Never written as the attribute `reason`: such
    dead letters have the `CloudPubSubDeadLetterSource...` attributes that Pub/Sub adds."""


def dead_letter_attributes(
    original: Mapping[str, str], *, reason: Reason, detail: str, stage: Stage, failed_at: datetime
) -> dict[str, str]:
    """Returns the attributes of a dead letter: those of the message, and why it failed.

    `detail` is cut to 1,024 bytes of UTF-8 and the rest to 100 attributes, Pub/Sub's limits.
    """
    failure = {
        "reason": str(reason),
        "detail": detail.encode("utf-8", "replace")[:_MAX_VALUE_BYTES].decode("utf-8", "ignore"),
        "stage": stage,
        "failedAt": rfc3339(failed_at),
    }
    kept = (item for item in original.items() if item[0] not in failure)
    return dict(islice(kept, _MAX_ATTRIBUTES - len(failure))) | failure


class InvalidWebhook(Exception):
    """An authentic body that is not an event; it is quarantined as it came."""

    def __init__(self, reason: Reason, detail: str) -> None:
        """Takes the reason, and a detail that names places in the body but no values."""
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
