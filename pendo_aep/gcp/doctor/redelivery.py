"""What Pub/Sub does with an event that was not taken: it waits, tries again, and sets it aside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, wrong
from pendo_aep.gcp.doctor.values import seconds, within

# Google: DeadLetterPolicy, "if this parameter is 0, a default value of 5 is used".
_GOOGLES_ATTEMPTS: Final = 5
_LEAST_OUTAGE: Final = 3600.0
# Google: "retry policy", each pause is at most twice the one before. It holds for a subscription
# that is pulled, too: "triggered on NACKs or acknowledgement deadline exceeded events".
_GROWTH: Final = 2.0
# Google: RetryPolicy, 10 and 600 s where one of them is not given.
_LEAST_PAUSE: Final = "10s"
_LONGEST_PAUSE: Final = "600s"


def check_redelivery(deployment: Deployment, name: str, value: Any) -> Iterator[Finding]:
    """The pauses of a subscription of events, pushed or pulled, and its dead letters."""
    yield _pauses(deployment, name, value)
    yield _dead_letters(deployment, name, value)


def _pauses(deployment: Deployment, name: str, value: Any) -> Finding:
    policy = within(value, "retryPolicy")
    if policy is None:
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"{name} tries what was refused again without a pause",
            _as_configured(deployment, name),
        )
    first, longest = _backoff(policy)
    text = f"{name} tries again after {first:g} to {longest:g} s"
    return ok(Subject.SUBSCRIPTIONS, text)


def _dead_letters(deployment: Deployment, name: str, value: Any) -> Finding:
    policy = within(value, "deadLetterPolicy")
    found = within(policy, "deadLetterTopic")
    again = _as_configured(deployment, name)
    if not found:
        text = f"{name} makes no dead letters: what is never taken is lost in the end"
        return wrong(Subject.SUBSCRIPTIONS, text, again)
    if found != deployment.topic_path(deployment.dead_letters):
        text = f"{name} sends dead letters to {found}, not to {deployment.dead_letters}"
        return wrong(Subject.SUBSCRIPTIONS, text, again)
    attempts = int(within(policy, "maxDeliveryAttempts") or _GOOGLES_ATTEMPTS)
    retries = within(value, "retryPolicy")
    outlasted = _outlasted(attempts, *_backoff(retries)) if retries is not None else 0.0
    if outlasted < _LEAST_OUTAGE:
        text = (
            f"{name} makes a dead letter after {attempts} attempts, within "
            f"{outlasted // 60 + 1:.0f} minutes: an outage lasts longer"
        )
        return wrong(Subject.SUBSCRIPTIONS, text, _more_patience(deployment, name))
    text = (
        f"{name} makes a dead letter after {attempts} attempts, over {outlasted / 3600:.0f} hours"
    )
    return ok(Subject.SUBSCRIPTIONS, text)


def _outlasted(attempts: int, pause: float, longest: float) -> float:
    """How long an outage may take before the last attempt has failed."""
    total = 0.0
    for _ in range(attempts - 1):
        total += pause
        pause = min(pause * _GROWTH, longest)
    return total


def _backoff(policy: Any) -> tuple[float, float]:
    least = within(policy, "minimumBackoff") or _LEAST_PAUSE
    return seconds(least), seconds(within(policy, "maximumBackoff") or _LONGEST_PAUSE)


def _more_patience(deployment: Deployment, name: str) -> str:
    """What makes it outlast an outage: the configuration, or first a change of it."""
    values = deployment.values
    if _outlasted(values.attempts, values.least_pause, values.longest_pause) >= _LEAST_OUTAGE:
        return _as_configured(deployment, name)
    return (
        f"{deployment.deploy}  # with more MAX_DELIVERY_ATTEMPTS (now {values.attempts}) or "
        f"longer RETRY_MAX_SECONDS (now {values.longest_pause:g}) in {deployment.config}"
    )


def _as_configured(deployment: Deployment, name: str) -> str:
    """The command that sets what the next deployment would set."""
    values = deployment.values
    return (
        f"gcloud pubsub subscriptions update {name} "
        f"--min-retry-delay={values.least_pause:g}s --max-retry-delay={values.longest_pause:g}s "
        f"--dead-letter-topic={deployment.dead_letters} "
        f"--max-delivery-attempts={values.attempts} --project={deployment.project}"
    )
