"""Everything that can go wrong at AEP, on demand: one readable constructor each.

A fault hits every request until told otherwise: `answering(503).times(2)`,
`throttled(retry_after=1).with_probability(0.1)`, `answering(500).when(has_id("poison"))`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import format_datetime
from enum import Enum, auto
from random import Random

from local.aep.messages import id_of

MessagePredicate = Callable[[object], bool]
Entry = dict[str, object]


class Stage(Enum):
    """The moment of a request at which a fault can strike."""

    BEFORE_BODY = auto()
    BATCH = auto()
    TOKEN = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer the whole request so, and take nothing of it."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Refuse the messages of a kind, and only them."""

    which: MessagePredicate
    status: int
    reason: str


class Cut(Enum):
    """Cut the connection: the first takes nothing, the others have taken the messages."""

    BEFORE_BODY = auto()
    WITHOUT_ANSWER = auto()
    MID_ANSWER = auto()


@dataclass(frozen=True, slots=True)
class Silence:
    """Say nothing for some seconds."""

    seconds: float
    accepting: bool


@dataclass(frozen=True, slots=True)
class Garble:
    """Take the messages, but answer this instead of JSON."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Alter:
    """Take the messages, but change the entries of the 207."""

    change: Callable[[list[Entry]], list[Entry]]


Effect = Answer | Refuse | Cut | Silence | Garble | Alter


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, and when."""

    effect: Effect
    stage: Stage = Stage.BATCH
    limit: int | None = None
    probability: float = 1.0
    matching: MessagePredicate | None = None
    least: int = 0

    def times(self, requests: int) -> "Fault":
        """Strike that many requests, then no more."""
        return replace(self, limit=requests)

    def with_probability(self, probability: float) -> "Fault":
        """Strike a request with that probability, 0 to 1, from the server's seeded random."""
        return replace(self, probability=probability)

    def when(self, predicate: MessagePredicate) -> "Fault":
        """Strike only a request that holds a message of that kind.

        Raises:
            ValueError: if the fault strikes where no message has been read.
        """
        if self.stage is not Stage.BATCH:
            raise ValueError("no message is known at that moment of the request")
        return replace(self, matching=predicate)

    def of_at_least(self, messages: int) -> "Fault":
        """Strike only a request of at least so many messages."""
        return replace(self, least=messages)


def has_id(*ids: str) -> MessagePredicate:
    """Match the messages with one of these event ids."""
    return lambda message: id_of(message) in ids


def answering(
    status: int,
    *,
    retry_after: float | datetime | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Fault:
    """Answer the whole request with a status.

    Args:
        status: the HTTP status.
        retry_after: `Retry-After` in seconds or as an HTTP date (aware, UTC); None for none.
        headers: more headers.
        body: empty by default, as Adobe's 403 for an address that is not on the allow-list.
    """
    return Fault(Answer(status, _retry_after(retry_after) | dict(headers or {}), body))


def throttled(retry_after: float | datetime | None = None) -> Fault:
    """Answer 429, with or without `Retry-After`."""
    return answering(429, retry_after=retry_after)


def refusing(
    which: MessagePredicate, *, status: int = 400, reason: str = "Message has unknown xdm format"
) -> Fault:
    """Refuse the messages of a kind inside the 207; the others are taken."""
    return Fault(Refuse(which, status, reason), matching=which)


def cut_before_body() -> Fault:
    """Cut the connection once the headers are read: nothing is taken."""
    return Fault(Cut.BEFORE_BODY, Stage.BEFORE_BODY)


def cut_after_accepting() -> Fault:
    """Take the messages, then cut without an answer: to send them again makes duplicates."""
    return Fault(Cut.WITHOUT_ANSWER)


def cut_mid_answer() -> Fault:
    """Take the messages, then cut after half of the answer's body."""
    return Fault(Cut.MID_ANSWER)


def silent(seconds: float, *, accepting: bool = False) -> Fault:
    """Say nothing for some seconds.

    Args:
        seconds: how long.
        accepting: True takes the messages first and answers late; False takes nothing and hangs
            up in the end.
    """
    return Fault(Silence(seconds, accepting))


def not_json(body: bytes = b"<html>Bad Gateway</html>") -> Fault:
    """Take the messages, but answer something that is not JSON."""
    return Fault(Garble(body))


def fewer_responses(missing: int = 1) -> Fault:
    """Take the messages, but leave the last entries of the 207 out."""
    return Fault(Alter(lambda entries: entries[: max(0, len(entries) - missing)]))


def reordered() -> Fault:
    """Answer the entries of the 207 last first; only the shape `sink` still tells them apart."""
    return Fault(Alter(lambda entries: entries[::-1]))


def statuses_as_text() -> Fault:
    """Write the statuses inside the 207 as numeric text."""
    return Fault(Alter(lambda entries: [_textual(entry) for entry in entries]))


def token_endpoint_down(status: int = 503) -> Fault:
    """Let the token endpoint answer a status instead of a token."""
    return Fault(Answer(status), Stage.TOKEN)


def _retry_after(value: float | datetime | None) -> dict[str, str]:
    if value is None:
        return {}
    if isinstance(value, datetime):
        return {"Retry-After": format_datetime(value, usegmt=True)}
    return {"Retry-After": f"{value:g}"}


def _textual(entry: Entry) -> Entry:
    return {k: str(v) if k in {"status", "statusCode"} else v for k, v in entry.items()}


class FaultPlan:
    """The faults in force, in the order of their adding, and how often each has struck."""

    def __init__(self, seed: int = 0) -> None:
        self._random = Random(seed)  # noqa: S311 - reproducible tests, no secret
        self._faults: list[Fault] = []
        self._struck: list[int] = []

    def add(self, *faults: Fault) -> None:
        """Put faults in force, after those that are already."""
        self._faults += faults
        self._struck += [0] * len(faults)

    def clear(self) -> None:
        """End every fault."""
        self._faults.clear()
        self._struck.clear()

    def strike(self, stage: Stage, messages: Sequence[object] = ()) -> list[Effect]:
        """Return what hits this request, and count it.

        `Refuse` and `Alter` add up; of the others, which settle the whole request, the first wins.
        """
        hit: list[Effect] = []
        settled = False
        for number, fault in enumerate(self._faults):
            settles = not isinstance(fault.effect, Refuse | Alter)
            if (
                fault.stage is stage
                and not (settles and settled)
                and self._strikes(number, messages)
            ):
                self._struck[number] += 1
                settled |= settles
                hit.append(fault.effect)
        return hit

    def _strikes(self, number: int, messages: Sequence[object]) -> bool:
        fault = self._faults[number]
        if fault.limit is not None and self._struck[number] >= fault.limit:
            return False
        if len(messages) < fault.least:
            return False
        if fault.matching is not None and not any(map(fault.matching, messages)):
            return False
        return fault.probability >= 1 or self._random.random() < fault.probability
