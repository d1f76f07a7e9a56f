"""Pub/Sub's types: messages, resource names, limits, configurations, errors and events.

All durations are seconds.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, TypeAlias
from urllib.parse import urlsplit

Draft: TypeAlias = tuple[bytes, dict[str, str]]
"""The data and attributes of a message before it is stored."""

DAY = 86_400.0
DELETED_TOPIC = "_deleted-topic_"
"""What Google shows as the topic of a subscription whose topic was deleted."""

# Google: Pub/Sub quotas and limits, resource limits.
MAX_REQUEST_BYTES = 10_000_000
MAX_MESSAGES = 1_000
MAX_ATTRIBUTES = 100
MAX_KEY_BYTES = 256
MAX_VALUE_BYTES = 1_024

# Google: Pub/Sub resource name guidelines.
_ID = re.compile(r"(?!goog)[A-Za-z][A-Za-z0-9._~%+-]{2,254}")


class PubSubError(Exception):
    """The real service would reject the request too; subclasses are named after gRPC statuses."""


class NotFoundError(PubSubError):
    """The topic, the subscription or the snapshot does not exist."""


class AlreadyExistsError(PubSubError):
    """The name is taken."""


class InvalidArgumentError(PubSubError):
    """The request breaks a documented rule."""


class FailedPreconditionError(PubSubError):
    """The resource is of another kind than this call needs."""


class UnimplementedError(PubSubError):
    """Pub/Sub has this feature, this server does not; it is rejected rather than ignored."""


@dataclass(frozen=True, slots=True)
class Message:
    """A published message.

    One object serves every subscription of its topic, so it holds nothing about deliveries.
    """

    id: str
    data: bytes
    attributes: dict[str, str]
    publish_time: datetime


def check_name(name: str, kind: Literal["topics", "subscriptions", "snapshots"]) -> None:
    """Checks that a name is `projects/PROJECT/{kind}/ID` with an ID that Google allows.

    Raises:
        InvalidArgumentError: It is not.
    """
    match name.split("/"):
        case ["projects", project, given, id_] if project and given == kind and _ID.fullmatch(id_):
            return
    raise InvalidArgumentError(
        f"Invalid resource name given (name={name}). Refer to "
        "https://cloud.google.com/pubsub/docs/admin#resource_names for more information."
    )


def split_name(name: str) -> tuple[str, str]:
    """Returns the project and the ID of a full resource name."""
    _, project, _, id_ = name.split("/")
    return project, id_


def check_limits(drafts: Sequence[Draft]) -> None:
    """Checks Google's limits of a publish request, except for its size.

    Raises:
        InvalidArgumentError: A limit is exceeded; the text names it.
    """
    if not drafts:
        raise InvalidArgumentError("a publish request needs a message")
    if len(drafts) > MAX_MESSAGES:
        raise InvalidArgumentError(f"a publish request holds at most {MAX_MESSAGES} messages")
    for data, attributes in drafts:
        if not data and not attributes:
            raise InvalidArgumentError("a message needs data or an attribute")
        if len(attributes) > MAX_ATTRIBUTES:
            raise InvalidArgumentError(f"a message has at most {MAX_ATTRIBUTES} attributes")
        for key, value in attributes.items():
            if not 0 < len(key.encode()) <= MAX_KEY_BYTES:
                raise InvalidArgumentError(f"an attribute key has 1 to {MAX_KEY_BYTES} bytes")
            if len(value.encode()) > MAX_VALUE_BYTES:
                raise InvalidArgumentError(
                    f"an attribute value has at most {MAX_VALUE_BYTES} bytes"
                )


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a nacked message waits before it is delivered again (Google: 10 to 600 s)."""

    minimum_backoff: float = 10.0
    maximum_backoff: float = 600.0

    def __post_init__(self) -> None:
        if not 0 <= self.minimum_backoff <= self.maximum_backoff <= 600:
            raise InvalidArgumentError("backoffs are 0 to 600 s, the minimum not over the maximum")

    def backoff(self, attempts: int) -> float:
        """Returns the seconds to wait after so many attempts: doubled by each, within bounds."""
        # The exponent is bounded because a message may fail for ever and floats overflow.
        return min(self.maximum_backoff, self.minimum_backoff * 2.0 ** min(attempts - 1, 32))


@dataclass(frozen=True, slots=True)
class DeadLetterPolicy:
    """Where messages go after too many deliveries (Google: 5 to 100 attempts)."""

    topic: str
    max_delivery_attempts: int = 5

    def __post_init__(self) -> None:
        if not 5 <= self.max_delivery_attempts <= 100:
            raise InvalidArgumentError("max_delivery_attempts is 5 to 100")


@dataclass(frozen=True, slots=True)
class TopicConfig:
    """The configuration of a topic; all but the retention is stored and returned only.

    Attributes:
        message_retention: for how many seconds a subscription may seek back, whatever it has
            acknowledged and whenever it was created; None only to what it still holds.
        regions: where messages may be stored (Google: MessageStoragePolicy); empty means anywhere.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    message_retention: float | None = None
    regions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SubscriptionConfig:
    """The configuration of a subscription.

    Expiration (None: never), retention, labels and push attributes are stored and returned, but not
    enforced: the process lives for minutes.
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
    except ValueError:  # not a port
        return False


def _bare(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url


@dataclass(frozen=True, slots=True)
class Published:
    """A topic stored a message."""

    topic: str
    message: Message


@dataclass(frozen=True, slots=True)
class DeliveryStarted:
    """A message was leased: it was pulled, or a push request is about to start."""

    subscription: str
    message: Message
    attempt: int


@dataclass(frozen=True, slots=True)
class DeliveryEnded:
    """A push request ended; `status` is None if no HTTP answer came in time."""

    subscription: str
    message: Message
    attempt: int
    status: int | None


@dataclass(frozen=True, slots=True)
class Acked:
    """A message left the subscription because it was acknowledged."""

    subscription: str
    message: Message
    attempt: int


@dataclass(frozen=True, slots=True)
class Nacked:
    """A message was returned: it was nacked, or its ack deadline passed.

    For a push request that is still open at the deadline, either reason may be given.
    """

    subscription: str
    message: Message
    attempt: int
    reason: Literal["refused", "expired"]


@dataclass(frozen=True, slots=True)
class DeadLettered:
    """A message moved to the dead-letter topic, as message `dead_letter_id`."""

    subscription: str
    message: Message
    attempt: int
    topic: str
    dead_letter_id: str


Event: TypeAlias = Published | DeliveryStarted | DeliveryEnded | Acked | Nacked | DeadLettered


class Observer(Protocol):
    """Called with each event, in order, inside the event loop, so it must be quick."""

    def __call__(self, event: Event, /) -> None:
        """Handles an event."""


class Observers:
    """All observers. False if there are none, so that no event is built in vain."""

    __slots__ = ("_observers",)

    def __init__(self) -> None:
        self._observers: list[Observer] = []

    def add(self, observer: Observer) -> None:
        """Calls `observer` with every event from now on."""
        self._observers.append(observer)

    def __bool__(self) -> bool:
        return bool(self._observers)

    def __call__(self, event: Event) -> None:
        """Calls every observer."""
        for observer in self._observers:
            observer(event)
