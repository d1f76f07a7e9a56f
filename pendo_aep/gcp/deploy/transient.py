"""What Google refuses for a while after something was made or granted, and accepts later."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Transient:
    """A refusal that passes by itself.

    Attributes:
        pattern: what Google says, as gcloud shows it.
        awaited: what has to happen, as it is told to whoever runs the script.
    """

    pattern: re.Pattern[str]
    awaited: str


def _row(pattern: str, awaited: str) -> Transient:
    return Transient(re.compile(pattern, re.IGNORECASE), awaited)


# Each text was seen in public deployment logs; the source is named where there is a better one.
TRANSIENT: Final = (
    # Google: Service Usage, error details of SERVICE_DISABLED; "wait a few minutes" in its text.
    _row(
        r"SERVICE_DISABLED|has not been used in project",
        "Google switches the new API on",
    ),
    # Google: IAM "service accounts overview", a new account can take 60 seconds or more.
    _row(
        r"Service account \S+ does not exist",
        "IAM knows the new service account",
    ),
    # firebase-tools#10859; Cloud Run's own words end in "(or it may not exist)".
    _row(
        r"Service account \S+ was not found"
        r"|iam\.serviceAccounts\.actAs'? denied on service account",
        "IAM knows the new service account, and that you may act as it "
        "(roles/iam.serviceAccountUser)",
    ),
    # GoogleCloudPlatform/magic-modules#11324, after a grant that was seconds old.
    _row(
        r"Access to bucket gcf-\S+ denied",
        "the build's account may read the uploaded source",
    ),
    # firebase-tools#5244: the service agent of Cloud Functions is new.
    _row(
        r"Unable to retrieve the repository metadata for \S+gcf-artifacts",
        "the service agent of Cloud Functions may read the repository of images",
    ),
    # Google: Cloud Run "secrets", all of them are checked at each deployment.
    _row(
        r"Permission denied on secret: \S+ for Revision service account",
        "the function's account may read its secret",
    ),
    # Google: Cloud Monitoring, "it could take up to 10 minutes to become available"; the second
    # text is the older one of the same refusal.
    _row(
        r"Cannot find metric\(s\) that match type"
        r"|metric referenced by the provided filter is unknown",
        "Cloud Monitoring knows the new metric",
    ),
    # Google: Cloud Monitoring, "manage alerting policies by API": one edit at a time. 409 or 503.
    _row(
        r"Too many concurrent edits to the project configuration",
        "another edit of the alerting policies ends",
    ),
    # deploymentmanager-samples#332: gcloud repeats it a few times by itself.
    _row(
        r"There were concurrent policy changes",
        "another change of the same permissions ends",
    ),
)


def find(said: str) -> Transient | None:
    """The refusal that this text is; None if it is no transient one."""
    return next((one for one in TRANSIENT if one.pattern.search(said)), None)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what passes by itself.

    Attributes:
        seconds: after these it is taken for a real refusal.
        pause: between two attempts.
        now: a clock, in seconds.
        sleep: waits.
    """

    seconds: float = 900.0
    pause: float = 5.0
    now: Callable[[], float] = field(default=time.monotonic)
    sleep: Callable[[float], None] = field(default=time.sleep)
