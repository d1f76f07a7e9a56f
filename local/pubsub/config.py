"""How a topic and a subscription are set up. All durations are seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from local.pubsub.errors import InvalidArgumentError

DAY = 86_400.0
DELETED_TOPIC = "_deleted-topic_"
"""What Google shows as the topic of a subscription that outlived its topic."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a refused message rests before it is delivered again (Google: 10 to 600 s)."""

    minimum_backoff: float = 10.0
    maximum_backoff: float = 600.0

    def __post_init__(self) -> None:
        if not 0 <= self.minimum_backoff <= self.maximum_backoff <= 600:
            raise InvalidArgumentError("backoffs are 0 to 600 s, the minimum not over the maximum")

    def backoff(self, attempts: int) -> float:
        """Seconds to rest after this many attempts: doubled by each, between the two bounds."""
        # The exponent is bounded because a message may fail for ever, and floats overflow.
        return min(self.maximum_backoff, self.minimum_backoff * 2.0 ** min(attempts - 1, 32))


@dataclass(frozen=True, slots=True)
class DeadLetterPolicy:
    """Where a message goes that was delivered too often (Google: 5 to 100 attempts)."""

    topic: str
    max_delivery_attempts: int = 5

    def __post_init__(self) -> None:
        if not 5 <= self.max_delivery_attempts <= 100:
            raise InvalidArgumentError("max_delivery_attempts is 5 to 100")


@dataclass(frozen=True, slots=True)
class TopicConfig:
    """What is stored about a topic and returned; nothing here changes behaviour.

    Attributes:
        regions: where messages may be stored (Google: MessageStoragePolicy); empty is anywhere.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    message_retention: float | None = None
    regions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SubscriptionConfig:
    """How a subscription delivers.

    Expiration (None: never), retention, labels and push attributes are stored and returned, but a
    process that lives for minutes does not enforce them.
    """

    ack_deadline: int = 10
    push_endpoint: str = ""
    push_attributes: Mapping[str, str] = field(default_factory=dict)
    retry_policy: RetryPolicy | None = None
    dead_letter_policy: DeadLetterPolicy | None = None
    expiration: float | None = 31 * DAY
    message_retention: float = 7 * DAY
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 10 <= self.ack_deadline <= 600:
            raise InvalidArgumentError("ack_deadline_seconds is 10 to 600")
        if self.push_endpoint and not _pushable(self.push_endpoint):
            raise InvalidArgumentError("push_endpoint must be an http:// URL: no TLS here")


def _pushable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port != 0 and _bare(url)
    except ValueError:  # a port that is none
        return False


def _bare(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url
