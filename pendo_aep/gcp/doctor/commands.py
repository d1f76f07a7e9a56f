"""The looks: one gcloud command each, none of which changes anything."""

from __future__ import annotations

from pendo_aep.aep.misconfiguration import ALARM, WITHOUT_HEADER
from pendo_aep.dead_letters import Reason
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.look import Command


def project(deployment: Deployment) -> Command:
    """The project's number."""
    return ("projects", "describe", deployment.project)


def project_policy(deployment: Deployment) -> Command:
    """Who may do what anywhere in the project."""
    return ("projects", "get-iam-policy", deployment.project)


def function(deployment: Deployment, name: str) -> Command:
    """A function, with its settings."""
    return ("functions", "describe", name, "--gen2", f"--region={deployment.region}")


def function_policy(deployment: Deployment, name: str) -> Command:
    """Who may call a function: its service on Cloud Run has the same name."""
    return ("run", "services", "get-iam-policy", name, f"--region={deployment.region}")


def service(deployment: Deployment, name: str) -> Command:
    """The service on Cloud Run that a function is."""
    return ("run", "services", "describe", name, f"--region={deployment.region}")


def topic(name: str) -> Command:
    """A topic."""
    return ("pubsub", "topics", "describe", name)


def topic_policy(name: str) -> Command:
    """Who may publish on it."""
    return ("pubsub", "topics", "get-iam-policy", name)


def subscription(name: str) -> Command:
    """A subscription."""
    return ("pubsub", "subscriptions", "describe", name)


def subscription_policy(name: str) -> Command:
    """Who may pull from it."""
    return ("pubsub", "subscriptions", "get-iam-policy", name)


def job(deployment: Deployment) -> Command:
    """What calls `drain`."""
    return (
        "scheduler",
        "jobs",
        "describe",
        deployment.drain_job,
        f"--location={deployment.region}",
    )


def secret_versions(secret: str) -> Command:
    """The versions of a secret, without what they hold."""
    return ("secrets", "versions", "list", secret)


def secret_policy(secret: str) -> Command:
    """Who may read it."""
    return ("secrets", "get-iam-policy", secret)


def secret_value(secret: str, version: str) -> Command:
    """What it holds: for signing, never to be shown."""
    return ("secrets", "versions", "access", version, f"--secret={secret}")


def log_lines(event_id: str) -> Command:
    """What the functions wrote about one event, newest first."""
    return (
        "logging",
        "read",
        f'jsonPayload.eventId="{event_id}"',
        "--freshness=1h",
        "--limit=50",
    )


def refused_lines() -> Command:
    """What the functions wrote in the last hour about events that AEP refused, newest first."""
    return (
        "logging",
        "read",
        f'jsonPayload.reason="{Reason.REJECTED}"',
        "--freshness=1h",
        "--limit=200",
    )


def header_lines() -> Command:
    """What the functions wrote in the last hour where AEP misses a header, newest first."""
    return (
        "logging",
        "read",
        f'jsonPayload.message="{ALARM.format(advice=WITHOUT_HEADER)}"',
        "--freshness=1h",
        "--limit=1",
    )


def first_looks(deployment: Deployment) -> list[Command]:
    """All that can be looked at by the names alone."""
    looks = [project(deployment), project_policy(deployment), refused_lines()]
    if deployment.drain:
        looks.append(job(deployment))
    for name in (deployment.receive, *deployment.to_aep):
        looks += [function(deployment, name), function_policy(deployment, name)]
        looks.append(service(deployment, name))
    for name in (deployment.events, deployment.dead_letters):
        looks += [topic(name), topic_policy(name)]
    for name in (*deployment.emptied, deployment.kept):
        looks += [subscription(name), subscription_policy(name)]
    return looks
