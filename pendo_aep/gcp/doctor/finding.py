"""What the doctor says of one thing, and the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How one thing is."""

    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    """It could not be looked at; that is not well either."""


class Subject(StrEnum):
    """What a finding is about, in the order in which it is told."""

    FUNCTIONS = "functions"
    TOPICS = "topics"
    SUBSCRIPTIONS = "subscriptions"
    SCHEDULER = "scheduler"
    RIGHTS = "rights"
    SECRETS = "secrets"
    DEAD_LETTERS = "dead letters"
    WEBHOOK = "webhook"
    JOURNEY = "journey"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        text: what is the case, with names but without a secret or personal data.
        mend: the command that mends it; empty where all is well.
    """

    subject: Subject
    verdict: Verdict
    text: str
    mend: str = ""

    @property
    def is_well(self) -> bool:
        """Whether there is nothing to do."""
        return self.verdict is Verdict.OK


def ok(subject: Subject, text: str) -> Finding:
    """It is as it should be."""
    return Finding(subject, Verdict.OK, text)


def wrong(subject: Subject, text: str, mend: str) -> Finding:
    """It is not."""
    return Finding(subject, Verdict.WRONG, text, mend)


def unknown(subject: Subject, text: str, mend: str) -> Finding:
    """Nobody could tell."""
    return Finding(subject, Verdict.UNKNOWN, text, mend)
