"""What happens in the broker, told to whoever follows it (a console, a test)."""

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from local.pubsub.messages import Message


@dataclass(frozen=True, slots=True)
class Published:
    """A topic stored a message."""

    topic: str
    message: Message


@dataclass(frozen=True, slots=True)
class DeliveryStarted:
    """A message was leased: handed to a puller, or a push request is about to leave."""

    subscription: str
    message: Message
    attempt: int


@dataclass(frozen=True, slots=True)
class DeliveryEnded:
    """A push request is over; `status` is None when no HTTP answer came in time."""

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
    """A message came back: it was refused, or its ack deadline passed.

    A push request that is still open at the deadline is both; either may be told.
    """

    subscription: str
    message: Message
    attempt: int
    reason: Literal["refused", "expired"]


@dataclass(frozen=True, slots=True)
class DeadLettered:
    """A message left the subscription for the dead-letter topic, as message `dead_letter_id`."""

    subscription: str
    message: Message
    attempt: int
    topic: str
    dead_letter_id: str


Event: TypeAlias = Published | DeliveryStarted | DeliveryEnded | Acked | Nacked | DeadLettered


class Observer(Protocol):
    """Called with each event, in order, inside the event loop: it must be quick."""

    def __call__(self, event: Event, /) -> None:
        """Take note of an event."""


class Observers:
    """Everyone who follows. False while nobody does, so that no event is built in vain."""

    __slots__ = ("_observers",)

    def __init__(self) -> None:
        self._observers: list[Observer] = []

    def add(self, observer: Observer) -> None:
        """Call `observer` with every event from now on."""
        self._observers.append(observer)

    def __bool__(self) -> bool:
        return bool(self._observers)

    def __call__(self, event: Event) -> None:
        """Tell everyone."""
        for observer in self._observers:
            observer(event)
