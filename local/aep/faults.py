"""Everything that can go wrong at AEP, on demand: one constructor for each fault."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from enum import Enum, auto

from local.aep.messages import Entry, id_of
from local.faults import Fault as AnyFault
from local.faults import FaultPlan, MessagePredicate


class Stage(Enum):
    """The moment of a request at which a fault occurs."""

    BEFORE_BODY = auto()
    BATCH = auto()
    TOKEN = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """Answers the whole request and accepts nothing."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Refuses only the matching messages."""

    which: MessagePredicate
    status: int
    reason: str


class Cut(Enum):
    """Cuts the connection; all but the first have accepted the messages."""

    BEFORE_BODY = auto()
    WITHOUT_ANSWER = auto()
    MID_ANSWER = auto()


@dataclass(frozen=True, slots=True)
class Silence:
    """Does not answer for some seconds."""

    seconds: float
    accepting: bool


@dataclass(frozen=True, slots=True)
class Garble:
    """Accepts the messages, but answers this instead of JSON."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Alter:
    """Accepts the messages, but changes the entries of the 207."""

    change: Callable[[list[Entry]], list[Entry]]


Effect = Answer | Refuse | Cut | Silence | Garble | Alter


Fault = AnyFault[Effect]
"""A fault of AEP; its operation is a `Stage`."""


def fault_plan(seed: int = 0) -> FaultPlan[Effect]:
    """Returns an empty plan. Refused messages and altered entries add up; other effects do not."""
    return FaultPlan(seed, is_final=lambda effect: not isinstance(effect, Refuse | Alter))


def has_id(*ids: str) -> MessagePredicate:
    """Matches the messages with one of these event IDs."""
    return lambda message: id_of(message) in ids


def id_share(share: float) -> MessagePredicate:
    """Matches this share of the messages by ID, the same ones each time: a refusal is final."""

    def matches(message: object) -> bool:
        digest = hashlib.sha256((id_of(message) or "").encode()).digest()
        return int.from_bytes(digest[:4], "big") < share * 2**32

    return matches


def answering(
    status: int,
    *,
    retry_after: float | datetime | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Fault:
    """Answers the whole request with a status.

    Args:
        status: The HTTP status.
        retry_after: `Retry-After` in seconds or as an HTTP date (aware, UTC); None for none.
        headers: Further headers.
        body: Empty by default, like Adobe's 403 for an address that is not on the allow-list.
    """
    return Fault(Answer(status, _retry_after(retry_after) | dict(headers or {}), body), Stage.BATCH)


def throttled(retry_after: float | datetime | None = None) -> Fault:
    """Answers 429, with or without `Retry-After`."""
    return answering(429, retry_after=retry_after)


def refusing(
    which: MessagePredicate, *, status: int = 400, reason: str = "Message has unknown xdm format"
) -> Fault:
    """Refuses the matching messages inside the 207 and accepts the others."""
    return Fault(Refuse(which, status, reason), Stage.BATCH, matching=which)


def cut_before_body() -> Fault:
    """Cuts the connection once the headers are read; nothing is accepted."""
    return Fault(Cut.BEFORE_BODY, Stage.BEFORE_BODY, sees_messages=False)


def cut_after_accepting() -> Fault:
    """Accepts the messages, then cuts without an answer: sending them again makes duplicates."""
    return Fault(Cut.WITHOUT_ANSWER, Stage.BATCH)


def cut_mid_answer() -> Fault:
    """Accepts the messages, then cuts after half of the answer's body."""
    return Fault(Cut.MID_ANSWER, Stage.BATCH)


def silent(seconds: float, *, accepting: bool = False) -> Fault:
    """Does not answer for some seconds.

    Args:
        seconds: How long.
        accepting: True accepts the messages first and answers late; False accepts nothing and
            closes the connection in the end.
    """
    return Fault(Silence(seconds, accepting), Stage.BATCH)


def not_json(body: bytes = b"<html>Bad Gateway</html>") -> Fault:
    """Accepts the messages, but answers something that is not JSON."""
    return Fault(Garble(body), Stage.BATCH)


def fewer_responses(missing: int = 1) -> Fault:
    """Accepts the messages, but omits the last entries of the 207."""
    return Fault(Alter(lambda entries: entries[: max(0, len(entries) - missing)]), Stage.BATCH)


def reordered() -> Fault:
    """Reverses the entries of the 207; only the shape `sink` still tells them apart."""
    return Fault(Alter(lambda entries: entries[::-1]), Stage.BATCH)


def statuses_as_text() -> Fault:
    """Writes the statuses inside the 207 as numeric text."""
    return Fault(Alter(lambda entries: [_textual(entry) for entry in entries]), Stage.BATCH)


def token_endpoint_down(status: int = 503) -> Fault:
    """Makes the token endpoint answer a status instead of a token."""
    return Fault(Answer(status), Stage.TOKEN, sees_messages=False)


def _retry_after(value: float | datetime | None) -> dict[str, str]:
    if value is None:
        return {}
    if isinstance(value, datetime):
        return {"Retry-After": format_datetime(value, usegmt=True)}
    return {"Retry-After": f"{value:g}"}


def _textual(entry: Entry) -> Entry:
    return {k: str(v) if k in {"status", "statusCode"} else v for k, v in entry.items()}
