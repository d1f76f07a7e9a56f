"""What AEP did with one message: the only three things that can be said about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from pendo_aep.dead_letters import Reason


class RetryReason(StrEnum):
    """Why a message is tried again; the values are the reason codes in logs and metrics.

    Attributes:
        retries_now: another attempt within the message's deadline may succeed. Otherwise it goes
            back to Pub/Sub: an attempt does not correct a setting, and after a success that does
            not name the message each attempt would be another copy of the event in the data lake.
        counts_as_outage: it says that AEP is unavailable. A wrong setting has a guard of its own.
    """

    retries_now: bool
    counts_as_outage: bool

    def __new__(
        cls, code: str, retries_now: bool = False, counts_as_outage: bool = False
    ) -> RetryReason:
        """Adds the attributes to the code."""
        reason = str.__new__(cls, code)
        reason._value_ = code
        reason.retries_now = retries_now
        reason.counts_as_outage = counts_as_outage
        return reason

    AEP_FAILING = "aep_failing", True, True
    """AEP answered with a server error."""
    THROTTLED = "throttled", True, True
    """AEP answered 429."""
    TIMEOUT = "timeout", True, True
    """AEP did not answer in time."""
    OUT_OF_REACH = "out_of_reach", True, True
    """AEP could not be reached, or the connection broke."""
    TOKEN_ENDPOINT = "token_endpoint", True, True
    """IMS gave no access token."""
    CREDENTIALS = "credentials", False, True
    """AEP or IMS does not accept the credentials."""
    BATCH_REJECTED = "batch_rejected", False, True
    """AEP refused the whole batch, perhaps because of another message in it."""
    CIRCUIT_OPEN = "braked", False, True
    """Not sent: AEP keeps failing."""
    CONFIGURATION = "configuration", False, False
    """A setting is wrong, not the message: someone has to correct it."""
    AMBIGUOUS_ENTRIES = "unclear_entries", True, False
    """The entries of AEP's answer do not match the messages."""
    UNKNOWN_OUTCOME = "unknown_outcome", False, False
    """AEP answered 2xx and did not name the message."""
    DEADLINE = "deadline", False, False
    """The message's own deadline came first."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """AEP has accepted this very message; it can be acknowledged.

    The ids are AEP's own of the message and of its request: Adobe's support asks for them. All that
    is delivered is equal, with ids and without.

    Attributes:
        xaction_id: empty if AEP's answer does not have it.
        batch_id: the same.
    """

    xaction_id: str = field(default="", compare=False)
    batch_id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Retry:
    """Not accepted, or unknown: another attempt may succeed, and does no harm.

    `detail` is what AEP said of the message, which may hold personal data.
    """

    reason: RetryReason
    detail: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Rejected:
    """Refused for good: no later attempt can succeed, so the message becomes a dead letter."""

    reason: Reason
    detail: str


Outcome: TypeAlias = Delivered | Retry | Rejected

DELIVERED = Delivered()
CONFIGURATION = Retry(RetryReason.CONFIGURATION)
