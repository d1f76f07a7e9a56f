"""The subscriptions: there, on the right topic, whole, and here to stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, wrong
from pendo_aep.gcp.doctor.look import Looks, Seen, not_seen
from pendo_aep.gcp.doctor.push_subscription import check_push
from pendo_aep.gcp.doctor.redelivery import check_redelivery
from pendo_aep.gcp.doctor.values import duration, flag, seconds, within


def check_subscriptions(deployment: Deployment, looks: Looks) -> Iterator[Finding]:
    """Those that push, keep the letters and, where `drain` is used, wait for it."""
    values = deployment.values
    wanted = [(name, deployment.events, values.events_kept) for name in deployment.emptied]
    wanted.append((deployment.kept, deployment.dead_letters, values.letters_kept))
    for name, topic, least in wanted:
        yield from _check(deployment, looks, name, topic, least)
        if not isinstance(look := looks[commands.subscription(name)], Seen):
            continue
        if name == deployment.push:
            yield from check_push(deployment, look.value, looks)
        else:
            yield _is_pulled(deployment, name, look.value)
        if name in deployment.emptied:
            yield from check_redelivery(deployment, name, look.value)


def _check(
    deployment: Deployment, looks: Looks, name: str, topic: str, least: float
) -> Iterator[Finding]:
    look = looks[commands.subscription(name)]
    if not isinstance(look, Seen):
        what = f"subscription {name}"
        if name == deployment.kept:
            what += f", without which topic {topic} loses what it gets,"
        yield not_seen(Subject.SUBSCRIPTIONS, what, look, deployment.deploy)
        return
    yield _topic(deployment, name, look.value, topic)
    yield _expiry(deployment, name, look.value)
    yield _retention(deployment, name, look.value, least)


def _topic(deployment: Deployment, name: str, value: Any, topic: str) -> Finding:
    again = _made_anew(deployment, name)
    if within(value, "detached"):
        text = f"subscription {name} is detached from its topic: it gets nothing"
        return wrong(Subject.SUBSCRIPTIONS, text, again)
    found = str(within(value, "topic"))
    if found != deployment.topic_path(topic):
        text = f"subscription {name} is on {found}, not on {topic}; it must be made anew"
        return wrong(Subject.SUBSCRIPTIONS, text, again)
    if within(value, "filter"):
        text = f"subscription {name} has a filter, which drops events; it must be made anew"
        return wrong(Subject.SUBSCRIPTIONS, text, again)
    return ok(Subject.SUBSCRIPTIONS, f"subscription {name} gets all of {topic}")


def _expiry(deployment: Deployment, name: str, value: Any) -> Finding:
    # Google: Subscription.expirationPolicy, not set is 31 days, set without a ttl is never.
    policy = within(value, "expirationPolicy")
    if policy is None or policy.get("ttl"):
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"subscription {name} is deleted when nobody uses it for a while",
            f"gcloud pubsub subscriptions update {name} --expiration-period=never "
            f"--project={deployment.project}",
        )
    return ok(Subject.SUBSCRIPTIONS, f"subscription {name} never expires")


def _retention(deployment: Deployment, name: str, value: Any, least: float) -> Finding:
    kept = seconds(within(value, "messageRetentionDuration"))
    if kept < least:
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"subscription {name} keeps what waits for {duration(kept)} only, then it is lost",
            f"gcloud pubsub subscriptions update {name} --message-retention-duration="
            f"{flag(least)} --project={deployment.project}",
        )
    return ok(Subject.SUBSCRIPTIONS, f"subscription {name} keeps what waits for {duration(kept)}")


def _is_pulled(deployment: Deployment, name: str, value: Any) -> Finding:
    if within(value, "pushConfig", "pushEndpoint"):
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"subscription {name} pushes; it must wait to be pulled",
            f"gcloud pubsub subscriptions modify-push-config {name} "
            f"--project={deployment.project} --push-endpoint=",
        )
    if within(value, "bigqueryConfig") or within(value, "cloudStorageConfig"):
        return wrong(
            Subject.SUBSCRIPTIONS,
            f"subscription {name} exports; it must wait to be pulled, and be made anew",
            _made_anew(deployment, name),
        )
    return ok(Subject.SUBSCRIPTIONS, f"subscription {name} waits to be pulled")


def _made_anew(deployment: Deployment, name: str) -> str:
    return (
        f"gcloud pubsub subscriptions delete {name} --project={deployment.project} "
        f"&& {deployment.deploy}  # what waits in it is lost: let it run empty first"
    )
