"""The subscription that pushes: to `deliver`, as itself, patiently, and at last to the letters."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any, Final

from pendo_aep.doctor import commands
from pendo_aep.doctor.deployment import Deployment
from pendo_aep.doctor.finding import Finding, Subject, ok, unknown, wrong
from pendo_aep.doctor.functions import addresses, deadline
from pendo_aep.doctor.gcloud_failure import as_typed
from pendo_aep.doctor.look import Looks, Seen
from pendo_aep.doctor.values import seconds, within

# Google: DeadLetterPolicy, "if this parameter is 0, a default value of 5 is used".
_GOOGLES_ATTEMPTS: Final = 5
_LEAST_OUTAGE: Final = 3600.0
# Google: "retry policy", each pause is at most twice the one before.
_GROWTH: Final = 2.0
# Google: RetryPolicy, 10 and 600 s where one of them is not given.
_LEAST_PAUSE: Final = "10s"
_LONGEST_PAUSE: Final = "600s"


def check_push(deployment: Deployment, value: Any, looks: Looks) -> Iterator[Finding]:
    """Its policies, one after the other."""
    deliver = looks[commands.function(deployment, deployment.deliver)]
    described = deliver.value if isinstance(deliver, Seen) else None
    yield _endpoint(deployment, value, addresses(described))
    yield _token(deployment, value, addresses(described))
    yield _wrapping(deployment, value)
    yield _ack_deadline(deployment, value, deadline(described))
    yield _pauses(deployment, value)
    yield _dead_letters(deployment, value)


def _endpoint(deployment: Deployment, value: Any, expected: list[str]) -> Finding:
    found = str(within(value, "pushConfig", "pushEndpoint") or "")
    if not expected:
        return unknown(
            Subject.SUBSCRIPTIONS,
            f"{deployment.push} pushes to {found or 'nobody'}; the address of "
            f"{deployment.deliver} is not known",
            as_typed(commands.function(deployment, deployment.deliver), deployment.project),
        )
    if found.rstrip("/") not in expected:
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"{deployment.push} pushes to {found or 'nobody'}, not to {deployment.deliver}",
            _update(deployment, f"--push-endpoint={expected[0]}", _token_flag(deployment)),
        )
    return ok(Subject.SUBSCRIPTIONS, f"{deployment.push} pushes to {deployment.deliver}")


def _token(deployment: Deployment, value: Any, expected: list[str]) -> Finding:
    token = within(value, "pushConfig", "oidcToken")
    account = deployment.address(deployment.push_account)
    found = within(token, "serviceAccountEmail")
    endpoint = within(value, "pushConfig", "pushEndpoint") or (expected or ["URL"])[0]
    again = _update(deployment, f"--push-endpoint={shlex.quote(endpoint)}", _token_flag(deployment))
    if found != account:
        whose = f"the token of {found}, not of {account}" if found else "no token"
        text = f"{deployment.push} pushes with {whose}: {deployment.deliver} is not for it"
        return wrong(Subject.SUBSCRIPTIONS, text, again)
    audience = within(token, "audience")
    # Google: Cloud Run "service-to-service", the audience is the URL of the service.
    if audience and expected and audience.rstrip("/") not in expected:
        text = f"{deployment.push} pushes with a token for {audience}, which is not the function"
        return wrong(
            Subject.SUBSCRIPTIONS, text, f"{again} --push-auth-token-audience={expected[0]}"
        )
    return ok(Subject.SUBSCRIPTIONS, f"{deployment.push} pushes as {account}")


def _wrapping(deployment: Deployment, value: Any) -> Finding:
    if within(value, "pushConfig", "noWrapper") is not None:
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"{deployment.push} pushes without the envelope, which {deployment.deliver} reads",
            _update(deployment, "--clear-push-no-wrapper-config"),
        )
    return ok(Subject.SUBSCRIPTIONS, f"{deployment.push} pushes with the envelope")


def _ack_deadline(deployment: Deployment, value: Any, least: float) -> Finding:
    given = float(within(value, "ackDeadlineSeconds") or 10)
    if given < least:
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"{deployment.push} pushes again after {given:g} s, while {deployment.deliver} may "
            f"still work for {least:g} s: events would go twice",
            _update(deployment, f"--ack-deadline={min(600, int(least) + 30)}"),
        )
    return ok(
        Subject.SUBSCRIPTIONS,
        f"{deployment.push} waits {given:g} s for an answer; it comes within {least:g} s",
    )


def _pauses(deployment: Deployment, value: Any) -> Finding:
    policy = within(value, "retryPolicy")
    if policy is None:
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"{deployment.push} pushes what was refused again without a pause",
            _update(deployment, "--min-retry-delay=10s", "--max-retry-delay=600s"),
        )
    pauses = [seconds(pause) for pause in _backoff(policy)]
    return ok(
        Subject.SUBSCRIPTIONS,
        f"{deployment.push} pushes again after {pauses[0]:g} to {pauses[1]:g} s",
    )


def _dead_letters(deployment: Deployment, value: Any) -> Finding:
    policy = within(value, "deadLetterPolicy")
    attempts = int(within(policy, "maxDeliveryAttempts") or _GOOGLES_ATTEMPTS)
    found = within(policy, "deadLetterTopic")
    again = _update(
        deployment, f"--dead-letter-topic={deployment.dead_letters}", "--max-delivery-attempts=100"
    )
    if not found:
        text = f"{deployment.push} makes no dead letters: what is never taken is lost in the end"
        return wrong(Subject.SUBSCRIPTIONS, text, again)
    if found != deployment.topic_path(deployment.dead_letters):
        text = f"{deployment.push} sends dead letters to {found}, not to {deployment.dead_letters}"
        return wrong(Subject.SUBSCRIPTIONS, text, again)
    outlasted = _outlasted(attempts, within(value, "retryPolicy"))
    if outlasted < _LEAST_OUTAGE:
        text = (
            f"{deployment.push} makes a dead letter after {attempts} attempts, within "
            f"{outlasted // 60 + 1:.0f} minutes: an outage lasts longer"
        )
        return wrong(Subject.SUBSCRIPTIONS, text, again)
    return ok(
        Subject.SUBSCRIPTIONS,
        f"{deployment.push} makes a dead letter after {attempts} attempts, over "
        f"{outlasted / 3600:.0f} hours",
    )


def _outlasted(attempts: int, policy: Any) -> float:
    """How long an outage may take before the last attempt has failed."""
    if policy is None:
        return 0.0
    pause, longest = (seconds(text) for text in _backoff(policy))
    total = 0.0
    for _ in range(attempts - 1):
        total += pause
        pause = min(pause * _GROWTH, longest)
    return total


def _backoff(policy: Any) -> tuple[object, object]:
    least = within(policy, "minimumBackoff") or _LEAST_PAUSE
    return least, within(policy, "maximumBackoff") or _LONGEST_PAUSE


def _token_flag(deployment: Deployment) -> str:
    return f"--push-auth-service-account={deployment.address(deployment.push_account)}"


def _update(deployment: Deployment, *flags: str) -> str:
    return " ".join(
        (
            "gcloud pubsub subscriptions update",
            deployment.push,
            *flags,
            f"--project={deployment.project}",
        )
    )
