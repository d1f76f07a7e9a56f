"""A dead letter as it is read back, and which of them a person wants. Pure: no network here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pendo_aep.dead_letters import Reason

# What `dead_letter_attributes` adds to those of the message.
_ADDED: Final = frozenset({"reason", "detail", "stage", "failedAt"})
# Google: Pub/Sub "dead-letter topics", the attributes that a forwarded message gets.
_ADDED_BY_PUBSUB: Final = "CloudPubSubDeadLetterSource"

# With one detail, within an hour: `deliver` gives up on 20 before it takes this for a setting.
_MANY: Final = 10


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message of the dead-letter topic.

    Attributes:
        size: bytes of the data, also where that was dropped to save memory.
    """

    message_id: str
    published_at: datetime
    data: bytes
    attributes: Mapping[str, str]
    size: int

    @property
    def event_id(self) -> str:
        """The event's id; the message's if the dead letter has none."""
        return self.attributes.get("eventId") or self.message_id

    @property
    def reason(self) -> str:
        """The stable code; `exhausted` if Pub/Sub gave up on it, empty if nothing says."""
        if reason := self.attributes.get("reason"):
            return reason
        is_from_pubsub = any(name.startswith(_ADDED_BY_PUBSUB) for name in self.attributes)
        return Reason.EXHAUSTED if is_from_pubsub else ""

    @property
    def stage(self) -> str:
        """Which function published it; empty if neither did."""
        return self.attributes.get("stage", "")

    @property
    def event_type(self) -> str:
        """The normalised type; empty for a webhook that could not be read."""
        return self.attributes.get("eventType", "")

    @property
    def detail(self) -> str:
        """What was said about it."""
        return self.attributes.get("detail", "")

    @property
    def failed_at(self) -> datetime:
        """When it failed; when it was published, if it does not say."""
        try:
            moment = datetime.fromisoformat(self.attributes.get("failedAt", ""))
        except ValueError:
            return self.published_at
        return moment if moment.tzinfo else self.published_at

    @property
    def original_attributes(self) -> dict[str, str]:
        """The attributes that the message had before it became a dead letter."""
        return {
            name: value
            for name, value in self.attributes.items()
            if name not in _ADDED and not name.startswith(_ADDED_BY_PUBSUB)
        }


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters are wanted; whatever is not given matches all.

    Attributes:
        reasons: any of these.
        types: any of these event types.
        since: failed then or later.
        until: failed before.
    """

    reasons: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None

    def matches(self, letter: DeadLetter) -> bool:
        """Returns whether a dead letter is one of them."""
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (not self.types or letter.event_type in self.types)
            and (self.since is None or letter.failed_at >= self.since)
            and (self.until is None or letter.failed_at < self.until)
        )


@dataclass(frozen=True, slots=True)
class SharedDetail:
    """What many recent dead letters have in common: rather a wrong setting than bad events."""

    reason: str
    detail: str
    count: int


def shared_detail(letters: Iterable[DeadLetter], now: datetime) -> SharedDetail | None:
    """Returns the detail that most dead letters of the last hour share, if ten or more do."""
    recent = Counter(
        (letter.reason, letter.detail)
        for letter in letters
        if letter.detail and letter.failed_at >= now - timedelta(hours=1)
    )
    for (reason, detail), count in recent.most_common(1):
        if count >= _MANY:
            return SharedDetail(reason, detail, count)
    return None
