"""A look at Google Cloud: what was asked, and what was seen. No network here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pendo_aep.gcp.doctor.finding import Finding, Subject, unknown, wrong

Command: TypeAlias = tuple[str, ...]
"""The arguments of gcloud, without the project and the format, which are always the same."""


@dataclass(frozen=True, slots=True)
class Seen:
    """It is there, and this is what gcloud says of it. Never in a `repr`: it may be a secret."""

    value: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Absent:
    """It is not there."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """Nobody knows: why, and what would help."""

    why: str
    mend: str


Look: TypeAlias = Seen | Absent | Unseen
Looks: TypeAlias = Mapping[Command, Look]


def not_seen(subject: Subject, what: str, look: Absent | Unseen, mend: str) -> Finding:
    """What to say of a thing that was not seen.

    Args:
        subject: the part of the deployment.
        what: the thing, by its name.
        look: what came instead.
        mend: what makes it, if it is not there.
    """
    if isinstance(look, Absent):
        return wrong(subject, f"{what} is not there", mend)
    return unknown(subject, f"{what}: {look.why}", look.mend)
