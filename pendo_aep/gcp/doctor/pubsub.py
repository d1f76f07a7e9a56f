"""Checks topics and subscriptions: retention, regions, pushes, retries and dead letters."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, unknown, wrong
from pendo_aep.gcp.doctor.functions import deliver_deadline, function_urls
from pendo_aep.gcp.doctor.observe import (
    Found,
    Observation,
    Observations,
    duration_flag,
    format_duration,
    not_observed,
    parse_duration,
)
from pendo_aep.gcp.gcloud import field_at, typed_command

# Google: DeadLetterPolicy, "if this parameter is 0, a default value of 5 is used".
_DEFAULT_ATTEMPTS: Final = 5
_MIN_OUTAGE_SECONDS: Final = 3600.0
# Google: "retry policy", each pause is at most twice the one before. It also applies to a
# subscription that is pulled: "triggered on NACKs or acknowledgement deadline exceeded events".
_GROWTH: Final = 2.0
# Google: RetryPolicy, 10 and 600 s where one of them is not given.
_DEFAULT_MIN_BACKOFF: Final = "10s"
_DEFAULT_MAX_BACKOFF: Final = "600s"


def check_topics(deployment: Deployment, observations: Observations) -> Iterator[Finding]:
    """Checks the topic of events and the one of dead letters."""
    values = deployment.values
    for name, least in (
        (deployment.events_topic, values.events_retention),
        (deployment.dead_letter_topic, values.dead_letters_retention),
    ):
        yield from _check_topic(deployment, name, least, observations[commands.topic(name)])


def _check_topic(
    deployment: Deployment, name: str, least: float, observed: Observation
) -> Iterator[Finding]:
    if not isinstance(observed, Found):
        yield not_observed(Subject.TOPICS, f"topic {name}", observed, deployment.deploy_command)
        return
    yield _topic_retention(deployment, name, least, observed)
    if deployment.values.message_regions:
        yield _topic_regions(deployment, name, observed)


def _topic_retention(deployment: Deployment, name: str, least: float, observed: Found) -> Finding:
    kept = parse_duration(field_at(observed.value, "messageRetentionDuration"))
    if kept < least:
        return wrong(
            Subject.TOPICS,
            f"topic {name} keeps messages for {format_duration(kept)} only: "
            "older ones cannot be replayed",
            f"gcloud pubsub topics update {name} --message-retention-duration="
            f"{duration_flag(least)} --project={deployment.project}",
        )
    return ok(Subject.TOPICS, f"topic {name} keeps messages for {format_duration(kept)}")


def _topic_regions(deployment: Deployment, name: str, observed: Found) -> Finding:
    # Google: "Configure message storage policies", without one a message is stored where it is
    # published.
    found = field_at(observed.value, "messageStoragePolicy", "allowedPersistenceRegions") or []
    wanted = deployment.values.message_regions
    if set(found) != set(wanted):
        return wrong(
            Subject.TOPICS,
            f"topic {name} may store messages in {_listed(found) or 'any region'}, "
            f"not as MESSAGE_REGIONS says: {_listed(wanted)}",
            f"gcloud pubsub topics update {name} --message-storage-policy-allowed-regions="
            f"{','.join(wanted)} --project={deployment.project}",
        )
    return ok(Subject.TOPICS, f"topic {name} stores messages in {_listed(found)}")


def _listed(regions: Iterable[str]) -> str:
    return ", ".join(sorted(regions))


def check_subscriptions(deployment: Deployment, observations: Observations) -> Iterator[Finding]:
    """Checks the subscriptions of events, and the one that keeps the dead letters."""
    values = deployment.values
    events = (deployment.events_topic, values.events_retention)
    dead_letters = (deployment.dead_letter_topic, values.dead_letters_retention)
    for name, topic, least in (
        *((name, *events) for name in deployment.event_subscriptions),
        (deployment.dead_letter_subscription, *dead_letters),
    ):
        yield from _check_subscription(deployment, observations, name, topic, least)
        if not isinstance(observed := observations[commands.subscription(name)], Found):
            continue
        if name == deployment.push_subscription:
            yield from _check_push(deployment, observed.value, observations)
        else:
            yield _is_pulled(deployment, name, observed.value)
        if name in deployment.event_subscriptions:
            yield from _check_redelivery(deployment, name, observed.value)


def _check_subscription(
    deployment: Deployment, observations: Observations, name: str, topic: str, least: float
) -> Iterator[Finding]:
    observed = observations[commands.subscription(name)]
    if not isinstance(observed, Found):
        what = f"subscription {name}"
        if name == deployment.dead_letter_subscription:
            what += f" (without it, topic {topic} loses its messages)"
        yield not_observed(Subject.SUBSCRIPTIONS, what, observed, deployment.deploy_command)
        return
    yield _attachment(deployment, name, observed.value, topic)
    yield _expiry(deployment, name, observed.value)
    yield _subscription_retention(deployment, name, observed.value, least)


def _attachment(deployment: Deployment, name: str, value: Any, topic: str) -> Finding:
    again = _recreate_command(deployment, name)
    if field_at(value, "detached"):
        text = f"subscription {name} is detached from its topic: it gets no messages"
        return wrong(Subject.SUBSCRIPTIONS, text, again)
    found = str(field_at(value, "topic"))
    if found != deployment.topic_path(topic):
        text = f"subscription {name} is on {found}, not on {topic}; it must be created again"
        return wrong(Subject.SUBSCRIPTIONS, text, again)
    if field_at(value, "filter"):
        text = f"subscription {name} has a filter, which drops events; it must be created again"
        return wrong(Subject.SUBSCRIPTIONS, text, again)
    return ok(Subject.SUBSCRIPTIONS, f"subscription {name} gets all of {topic}")


def _expiry(deployment: Deployment, name: str, value: Any) -> Finding:
    # Google: Subscription.expirationPolicy, not set is 31 days, set without a ttl is never.
    policy = field_at(value, "expirationPolicy")
    if policy is None or policy.get("ttl"):
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"subscription {name} expires when it is not used",
            f"gcloud pubsub subscriptions update {name} --expiration-period=never "
            f"--project={deployment.project}",
        )
    return ok(Subject.SUBSCRIPTIONS, f"subscription {name} never expires")


def _subscription_retention(deployment: Deployment, name: str, value: Any, least: float) -> Finding:
    kept = parse_duration(field_at(value, "messageRetentionDuration"))
    if kept < least:
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"subscription {name} keeps unacknowledged messages for only {format_duration(kept)}",
            f"gcloud pubsub subscriptions update {name} --message-retention-duration="
            f"{duration_flag(least)} --project={deployment.project}",
        )
    text = f"subscription {name} keeps unacknowledged messages for {format_duration(kept)}"
    return ok(Subject.SUBSCRIPTIONS, text)


def _is_pulled(deployment: Deployment, name: str, value: Any) -> Finding:
    if field_at(value, "pushConfig", "pushEndpoint"):
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"subscription {name} pushes; it must wait to be pulled",
            f"gcloud pubsub subscriptions modify-push-config {name} "
            f"--project={deployment.project} --push-endpoint=",
        )
    if field_at(value, "bigqueryConfig") or field_at(value, "cloudStorageConfig"):
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"subscription {name} exports; it must wait to be pulled, and be created again",
            _recreate_command(deployment, name),
        )
    return ok(Subject.SUBSCRIPTIONS, f"subscription {name} waits to be pulled")


def _recreate_command(deployment: Deployment, name: str) -> str:
    return (
        f"gcloud pubsub subscriptions delete {name} --project={deployment.project} "
        f"&& {deployment.deploy_command}  # its messages are lost: wait until it is empty"
    )


def _check_push(
    deployment: Deployment, value: Any, observations: Observations
) -> Iterator[Finding]:
    """Checks what only a push subscription has."""
    deliver = observations[commands.function(deployment, deployment.deliver)]
    described = deliver.value if isinstance(deliver, Found) else None
    yield _push_endpoint(deployment, value, function_urls(described))
    yield _push_token(deployment, value, function_urls(described))
    yield _wrapping(deployment, value)
    yield _ack_deadline(deployment, value, deliver_deadline(described))


def _push_endpoint(deployment: Deployment, value: Any, expected: list[str]) -> Finding:
    name, deliver = deployment.push_subscription, deployment.deliver
    found = str(field_at(value, "pushConfig", "pushEndpoint") or "")
    if not expected:
        return unknown(
            Subject.SUBSCRIPTIONS,
            f"{name} pushes to {found or 'nobody'}; the address of {deliver} is not known",
            typed_command(commands.function(deployment, deliver), deployment.project),
        )
    if found.rstrip("/") not in expected:
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"{name} pushes to {found or 'nobody'}, not to {deliver}",
            _update_command(deployment, f"--push-endpoint={expected[0]}", _token_flag(deployment)),
        )
    return ok(Subject.SUBSCRIPTIONS, f"{name} pushes to {deliver}")


def _push_token(deployment: Deployment, value: Any, expected: list[str]) -> Finding:
    name, token = deployment.push_subscription, field_at(value, "pushConfig", "oidcToken")
    account = deployment.address(deployment.push_account)
    found = field_at(token, "serviceAccountEmail")
    endpoint = field_at(value, "pushConfig", "pushEndpoint") or (expected or ["URL"])[0]
    again = _update_command(
        deployment, f"--push-endpoint={shlex.quote(endpoint)}", _token_flag(deployment)
    )
    if found != account:
        whose = f"the token of {found}, not of {account}" if found else "no token"
        text = f"{name} pushes with {whose}: {deployment.deliver} rejects it"
        return wrong(Subject.SUBSCRIPTIONS, text, again)
    audience = field_at(token, "audience")
    # Google: Cloud Run "service-to-service", the audience is the URL of the service.
    if audience and expected and audience.rstrip("/") not in expected:
        text = f"{name} pushes with a token for {audience}, which is not the function"
        return wrong(
            Subject.SUBSCRIPTIONS, text, f"{again} --push-auth-token-audience={expected[0]}"
        )
    return ok(Subject.SUBSCRIPTIONS, f"{name} pushes as {account}")


def _wrapping(deployment: Deployment, value: Any) -> Finding:
    if field_at(value, "pushConfig", "noWrapper") is not None:
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"{deployment.push_subscription} pushes without the envelope, which "
            f"{deployment.deliver} reads",
            _update_command(deployment, "--clear-push-no-wrapper-config"),
        )
    return ok(Subject.SUBSCRIPTIONS, f"{deployment.push_subscription} pushes with the envelope")


def _ack_deadline(deployment: Deployment, value: Any, least: float) -> Finding:
    name, given = deployment.push_subscription, float(field_at(value, "ackDeadlineSeconds") or 10)
    if given < least:
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"{name} pushes again after {given:g} s, while {deployment.deliver} may still work for "
            f"{least:g} s: events would be delivered twice",
            deployment.deploy_command,
        )
    return ok(
        Subject.SUBSCRIPTIONS,
        f"{name} waits {given:g} s for an answer; it comes within {least:g} s",
    )


def _token_flag(deployment: Deployment) -> str:
    return f"--push-auth-service-account={deployment.address(deployment.push_account)}"


def _update_command(deployment: Deployment, *flags: str) -> str:
    return " ".join(
        (
            "gcloud pubsub subscriptions update",
            deployment.push_subscription,
            *flags,
            f"--project={deployment.project}",
        )
    )


def _check_redelivery(deployment: Deployment, name: str, value: Any) -> Iterator[Finding]:
    """Checks the retries of a subscription of events, pushed or pulled, and its dead letters."""
    yield _retry_policy(deployment, name, value)
    yield _dead_letter_policy(deployment, name, value)


def _retry_policy(deployment: Deployment, name: str, value: Any) -> Finding:
    policy = field_at(value, "retryPolicy")
    if policy is None:
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"{name} retries without a pause",
            _configured_command(deployment, name),
        )
    first, longest = _backoff(policy)
    text = f"{name} retries after {first:g} to {longest:g} s"
    return ok(Subject.SUBSCRIPTIONS, text)


def _dead_letter_policy(deployment: Deployment, name: str, value: Any) -> Finding:
    policy = field_at(value, "deadLetterPolicy")
    found = field_at(policy, "deadLetterTopic")
    again = _configured_command(deployment, name)
    if not found:
        text = f"{name} makes no dead letters: an event that is never acknowledged is lost"
        return wrong(Subject.SUBSCRIPTIONS, text, again)
    if found != deployment.topic_path(deployment.dead_letter_topic):
        text = f"{name} sends dead letters to {found}, not to {deployment.dead_letter_topic}"
        return wrong(Subject.SUBSCRIPTIONS, text, again)
    attempts = int(field_at(policy, "maxDeliveryAttempts") or _DEFAULT_ATTEMPTS)
    retries = field_at(value, "retryPolicy")
    outlasted = (
        _seconds_until_dead_letter(attempts, *_backoff(retries)) if retries is not None else 0.0
    )
    if outlasted < _MIN_OUTAGE_SECONDS:
        text = (
            f"{name} makes a dead letter after {attempts} attempts, within "
            f"{outlasted // 60 + 1:.0f} minutes: an outage lasts longer"
        )
        return wrong(Subject.SUBSCRIPTIONS, text, _survive_outage_command(deployment, name))
    text = (
        f"{name} makes a dead letter after {attempts} attempts, over {outlasted / 3600:.0f} hours"
    )
    return ok(Subject.SUBSCRIPTIONS, text)


def _seconds_until_dead_letter(attempts: int, pause: float, longest: float) -> float:
    """Returns how long an outage may last before the last attempt fails."""
    total = 0.0
    for _ in range(attempts - 1):
        total += pause
        pause = min(pause * _GROWTH, longest)
    return total


def _backoff(policy: Any) -> tuple[float, float]:
    """Returns the first and the longest pause between attempts."""
    least = field_at(policy, "minimumBackoff") or _DEFAULT_MIN_BACKOFF
    most = field_at(policy, "maximumBackoff") or _DEFAULT_MAX_BACKOFF
    return parse_duration(least), parse_duration(most)


def _survive_outage_command(deployment: Deployment, name: str) -> str:
    """Returns what makes it survive an outage: the configuration, or first a change of it."""
    values = deployment.values
    attempts = values.max_delivery_attempts
    pauses = (values.min_retry_seconds, values.max_retry_seconds)
    if _seconds_until_dead_letter(attempts, *pauses) >= _MIN_OUTAGE_SECONDS:
        return _configured_command(deployment, name)
    return (
        f"{deployment.deploy_command}  # with more MAX_DELIVERY_ATTEMPTS (now {attempts}) or "
        f"longer RETRY_MAX_SECONDS (now {values.max_retry_seconds:g}) in {deployment.config}"
    )


def _configured_command(deployment: Deployment, name: str) -> str:
    """Returns the command that sets what the next deployment would set."""
    values = deployment.values
    return (
        f"gcloud pubsub subscriptions update {name} "
        f"--min-retry-delay={values.min_retry_seconds:g}s "
        f"--max-retry-delay={values.max_retry_seconds:g}s "
        f"--dead-letter-topic={deployment.dead_letter_topic} "
        f"--max-delivery-attempts={values.max_delivery_attempts} --project={deployment.project}"
    )
